//! nbpem: submits what is due. A part of the [`Core`] in a file of its own.

use super::config::{Policy, Schedule};
use super::core::Core;
use super::job::Submission;
use super::scheduler::next_due;
use crate::nbu::order::JobRequest;
use crate::nbu::{BackupRequest, InlineCopies, StorageUnit};

impl Core {
    /// When the next schedule of any policy is due. A policy that has a backup which is not done is not, also when it is
    /// suspended.
    pub(super) fn next_schedule(&self) -> Option<u64> {
        let policies = self.config().policies.iter();
        let due = policies.flat_map(|policy| {
            policy.schedules.iter().filter_map(|schedule| self.due(policy, schedule)).map(|(at, _)| at)
        });
        due.min()
    }

    fn due(&self, policy: &Policy, schedule: &Schedule) -> Option<(u64, u64)> {
        let of_policy = |job: &&super::job::Job| !job.is_done() && job.policy() == policy.name;
        if self
            .jobs()
            .filter(of_policy)
            .any(|job| job.submission.as_ref().is_some_and(|s| s.request.is_backup()))
        {
            return None;
        }
        let key = (policy.name.clone(), schedule.name.clone());
        let earliest = self.earliest.get(&key).copied().unwrap_or_default();
        next_due(schedule, earliest, self.now())
    }

    /// Submissions for everything that is due now. Of several schedules of one policy the one with the longest
    /// frequency is taken, as NetBackup does: a full backup stands for the incremental one.
    pub(super) fn due_schedules(&self) -> Vec<Vec<Submission>> {
        let mut due = Vec::new();
        for policy in &self.config().policies {
            let now = policy.schedules.iter().filter_map(|schedule| {
                self.due(policy, schedule)
                    .filter(|(at, _)| *at <= self.now())
                    .map(|(_, closes)| (schedule, closes))
            });
            if let Some((schedule, closes)) = now.max_by_key(|(schedule, _)| schedule.frequency) {
                due.push(submissions(policy, schedule, self.config().globals.tries, Some(closes)));
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
    fn due_again(&self, id: u64, status: i32) -> Option<Vec<((String, String), u64)>> {
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
            ((policy.name.clone(), one.name.clone()), began + wait)
        });
        Some(again.collect())
    }
}

/// One submission for each stream of a policy.
pub(crate) fn submissions(
    policy: &Policy,
    schedule: &Schedule,
    tries: u32,
    window_closes: Option<u64>,
) -> Vec<Submission> {
    let inline = (!policy.further_copies.is_empty())
        .then(|| InlineCopies { storage_units: Vec::new(), on_failure: policy.on_copy_failure });
    let streams = policy.streams.iter().zip(1..);
    streams
        .map(|(source, stream)| Submission {
            request: JobRequest::Backup(BackupRequest {
                job_id: 0,
                client: policy.client.clone(),
                policy: policy.name.clone(),
                schedule: schedule.name.clone(),
                schedule_type: schedule.kind,
                stream: u32::try_from(stream).unwrap_or(u32::MAX),
                backup_time: 0,
                source: source.clone(),
                storage_unit: StorageUnit::new("", "", "", ""),
                header_order: policy.header,
                accelerator: None,
                checkpoint: None,
                resume: false,
                suspend: false,
                worm_seconds: None,
                abort_after: None,
                inline: inline.clone(),
                collect_tir: policy.collect_tir,
                earlier_tries: 0,
            }),
            policy: policy.name.clone(),
            client: policy.client.clone(),
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
        })
        .collect()
}
