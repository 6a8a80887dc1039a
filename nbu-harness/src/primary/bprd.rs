//! bprd: what users and administrators ask for. It looks into the policies and, for a restore, into the image catalogue
//! (bpdbm) before nbjm hears of it: which image, which copy. A restore is a job from then on, active before it has any
//! resources; one of what is not there ends at once.

use std::path::Path;

use super::config::Config;
use super::core::Core;
use super::event::{Effect, Received};
use super::job::{Submission, Try};
use crate::nbu::order::JobRequest;
use crate::nbu::{Catalog, MissingCopy};

/// The policy is not in the configuration.
const NO_POLICY: i32 = 230;
/// The policy does not have the client.
const NO_CLIENT: i32 = 239;

/// Takes requests: looks up what each is about. `work_dir` is where the domain's image catalogue is.
pub(super) fn receive(config: &Config, work_dir: &Path, asked: Vec<Submission>) -> Vec<Received> {
    asked.into_iter().map(|submission| look_up(config, work_dir, submission)).collect()
}

fn look_up(config: &Config, work_dir: &Path, mut submission: Submission) -> Received {
    let pid = std::process::id();
    let mut said = Vec::new();
    let mut info = |text: String| said.push(format!("Info bprd (pid={pid}) {text}"));
    let refused = match &mut submission.request {
        JobRequest::Restore(request) => {
            info(format!("restore of {} for client {}", request.backup_id, submission.client));
            let found = Catalog::open(work_dir)
                .map_err(MissingCopy::from)
                .and_then(|catalog| catalog.restorable(&request.backup_id, request.copy));
            match found {
                Ok((image, copy)) => {
                    info(format!(
                        "restoring from image {}, copy {} on {}:{}, {} fragments",
                        image.backup_id,
                        copy.number,
                        copy.storage_server,
                        copy.lsu,
                        copy.fragments.len()
                    ));
                    request.copy = Some(copy.number);
                    None
                }
                Err(missing) => Some((missing.status(), missing.to_string())),
            }
        }
        JobRequest::Backup(request) => not_configured(config, &request.policy, &request.client),
        _ => None,
    };
    if let Some((status, reason)) = &refused {
        info(format!("{reason}: status {status}"));
    }
    Received { submission, said, refused }
}

fn not_configured(config: &Config, policy: &str, client: &str) -> Option<(i32, String)> {
    let Some(found) = config.policies.iter().find(|known| known.name == policy) else {
        return Some((NO_POLICY, format!("there is no policy {policy}")));
    };
    let has_client = found.clients().contains(&client);
    (!has_client).then(|| (NO_CLIENT, format!("policy {policy} does not have client {client}")))
}

impl Core {
    /// What users asked for becomes jobs; what bprd refused is done at once.
    pub(super) fn asked(&mut self, received: Vec<Received>, effects: &mut Vec<Effect>) {
        let mut outcomes = Vec::new();
        let mut submissions = Vec::new();
        for one in received {
            outcomes.push((one.said, one.refused));
            submissions.push(one.submission);
        }
        let ids = self.submit(submissions, effects);
        for (id, (said, refused)) in ids.into_iter().zip(outcomes) {
            let now = self.now();
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.details = said;
            if let Some((status, reason)) = refused {
                let (ended, unit) = (Some(now), job.storage().to_owned());
                job.tries.push(Try { ended, status: Some(status), unit, ..Try::begun(now) });
                self.done(id, status, effects);
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.reason = Some(reason);
                }
            }
        }
    }
}
