//! nbpem: submits what is due. A part of the [`Core`] in a file of its own.

use super::config::{Policy, Schedule};
use super::core::Core;
use super::job::Submission;
use super::scheduler::{ScheduleOfClient, next_due};
use crate::nbu::order::JobRequest;
use crate::nbu::{BackupRequest, InlineCopies, StorageUnit};

impl Core {
    /// When the next schedule of any policy is due for any of its clients. A client that has a backup of the policy which is
    /// not done has none due, also when that is suspended.
    pub(super) fn next_schedule(&self) -> Option<u64> {
        let policies = self.config().policies.iter();
        let due = policies.flat_map(|policy| {
            let clients = policy.clients().into_iter();
            clients.flat_map(move |client| {
                policy.schedules.iter().filter_map(move |schedule| self.due(policy, client, schedule))
            })
        });
        due.map(|(at, _)| at).min()
    }

    fn due(&self, policy: &Policy, client: &str, schedule: &Schedule) -> Option<(u64, u64)> {
        let mut open = self.jobs().filter(|job| !job.is_done()).filter_map(|job| job.submission.as_ref());
        let of_client =
            |asked: &Submission| (asked.policy.as_str(), asked.client.as_str()) == (&*policy.name, client);
        if open.any(|asked| of_client(asked) && asked.request.is_backup()) {
            return None;
        }
        let key = (policy.name.clone(), client.to_owned(), schedule.name.clone());
        let earliest = self.earliest.get(&key).copied().unwrap_or_default();
        next_due(schedule, earliest, self.now())
    }

    /// Submissions for everything that is due now. Of several schedules of one policy the one with the longest
    /// frequency is taken, as NetBackup does: a full backup stands for the incremental one.
    pub(super) fn due_schedules(&self) -> Vec<Vec<Submission>> {
        let mut due = Vec::new();
        let tries = self.config().globals.tries;
        for policy in &self.config().policies {
            for client in policy.clients() {
                let now = policy.schedules.iter().filter_map(|schedule| {
                    let due = self.due(policy, client, schedule).filter(|(at, _)| *at <= self.now());
                    due.map(|(_, closes)| (schedule, closes))
                });
                if let Some((schedule, closes)) = now.max_by_key(|(schedule, _)| schedule.frequency) {
                    due.push(submissions(policy, Some(client), schedule, tries, Some(closes)));
                }
            }
        }
        due
    }

    /// Notes when the schedule of a backup that is done may be due again. `id` is a job without a parent; all streams
    /// of one count together.
    pub(super) fn backup_done(&mut self, id: u64, status: i32) {
        for (key, at) in self.due_again(id, status).unwrap_or_default() {
            let earliest = self.earliest.entry(key).or_default();
            *earliest = at.max(*earliest);
        }
    }

    /// A frequency after the start of a success, or when the period of its tries is over.
    fn due_again(&self, id: u64, status: i32) -> Option<Vec<(ScheduleOfClient, u64)>> {
        let mut of_backup = self.jobs().filter(|job| job.id == id || job.parent == Some(id));
        let (first, asked) = of_backup.find_map(|job| Some((job, job.submission.as_ref()?)))?;
        if !asked.request.is_backup() {
            return None;
        }
        let began = first.tries.first().map_or(self.now(), |first| first.started);
        let policy = self.config().policies.iter().find(|one| one.name == asked.policy)?;
        let schedule = policy.schedules.iter().find(|one| one.name == asked.schedule)?;
        let period = self.config().globals.tries_period;
        let succeeded = status <= 1;
        // What a schedule of longer frequency has backed up, the shorter ones need not do again; and the tries are those
        // of the policy, whichever schedule they were made for.
        let covered = |one: &&Schedule| !succeeded || one.frequency <= schedule.frequency;
        let covered = policy.schedules.iter().filter(covered);
        let again = covered.map(|one| {
            let wait = if succeeded { one.frequency } else { period };
            ((policy.name.clone(), asked.client.clone(), one.name.clone()), began + wait)
        });
        Some(again.collect())
    }
}

/// One submission for each stream of a policy, or of one of its clients.
pub(crate) fn submissions(
    policy: &Policy,
    client: Option<&str>,
    schedule: &Schedule,
    tries: u32,
    window_closes: Option<u64>,
) -> Vec<Submission> {
    let inline = (!policy.further_copies.is_empty())
        .then(|| InlineCopies { storage_units: Vec::new(), on_failure: policy.on_copy_failure });
    let streams = policy.streams.iter().zip(1..);
    streams
        .filter(|(of, _)| client.is_none_or(|client| of.client == client))
        .map(|(of, stream)| Submission {
            request: JobRequest::Backup(BackupRequest {
                job_id: 0,
                client: of.client.clone(),
                policy: policy.name.clone(),
                schedule: schedule.name.clone(),
                schedule_type: schedule.kind,
                stream: of.number,
                backup_time: 0,
                source: of.source.clone(),
                storage_unit: StorageUnit::new("", "", "", ""),
                header_order: policy.header,
                accelerator: None,
                checkpoint: None,
                resume: false,
                suspend: false,
                worm_seconds: None,
                abort_after: None,
                inline: inline.clone(),
                multiplexed: None,
                collect_tir: policy.collect_tir,
                earlier_tries: 0,
                retention_seconds: schedule.retention,
            }),
            policy: policy.name.clone(),
            client: of.client.clone(),
            schedule: schedule.name.clone(),
            schedule_type: schedule.kind,
            storage: policy.storage.clone(),
            further_copies: policy.further_copies.clone(),
            media_server: None,
            name: format!("{} stream {stream}", policy.name),
            stream,
            io_streams: 1,
            tries,
            priority: policy.priority,
            window_closes,
            multiplexing: schedule.media_multiplexing,
        })
        .collect()
}
