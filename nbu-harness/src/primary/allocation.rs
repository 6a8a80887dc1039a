//! What nbjm asks nbrb for a job. A part of the [`Core`] in a file of its own.

use super::broker::{Decision, Demand, Usage, View, Writes};
use super::copies::decide_all;
use super::core::Core;
use super::job::Submission;

impl Core {
    /// What becomes of a queued job now.
    pub(super) fn consider(&self, id: u64) -> Option<Decision> {
        let job = self.job(id)?;
        let asked = job.submission.as_ref()?;
        if let Some((status, reason)) = self.not_by_lifecycle(&asked.request) {
            return Some(Decision::Refuse(status, reason));
        }
        let policy = self.config().policies.iter().find(|policy| policy.name == asked.policy);
        let last = self.last_bytes.get(&kind_of(asked)).copied();
        let failed = job.tries.iter().map(|one| one.media_server.as_str());
        let demand = Demand {
            storage: &asked.storage,
            policy: &asked.policy,
            policy_limit: policy.map_or(0, |policy| policy.limit_jobs),
            client: &asked.client,
            io_streams: asked.io_streams,
            writes: match last {
                _ if !asked.request.is_backup() => Writes::Nothing,
                Some(bytes) => Writes::LikeLast(bytes),
                None => Writes::Unknown,
            },
            media_server: asked.media_server.as_deref(),
            avoid: failed.collect(),
            taken: Vec::new(),
        };
        let view = View {
            config: self.config(),
            now: self.now(),
            usage: self.usage(),
            volumes: &self.volumes,
            media_down: &self.media_down,
            last_grant: &self.last_grant,
        };
        Some(decide_all(&view, &demand, &asked.further_copies))
    }

    fn usage(&self) -> Usage<'_> {
        let mut usage = Usage::default();
        for job in self.jobs() {
            let (Some(active), Some(asked)) = (job.active_try(), &job.submission) else { continue };
            *usage.of_media_server.entry(&active.media_server).or_default() += 1;
            *usage.of_policy.entry(&asked.policy).or_default() += 1;
            *usage.of_client.entry(&asked.client).or_default() += 1;
            let committed = self.committed.get(&job.id).into_iter().flatten().copied();
            for ((unit, volume), committed) in active.places().zip(committed.chain(std::iter::repeat(0))) {
                *usage.of_unit.entry(unit).or_default() += 1;
                *usage.streams.entry(volume).or_default() += asked.io_streams;
                *usage.committed.entry(volume).or_default() += committed;
            }
        }
        usage
    }
}

/// What makes backups alike, so that one will be about as large as the last.
pub(super) fn kind_of(asked: &Submission) -> (String, String, usize) {
    (asked.policy.clone(), asked.schedule.clone(), asked.stream)
}
