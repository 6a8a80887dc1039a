//! nbjm takes jobs in: ids, parents, backup times. A part of the [`Core`] in a file of its own.

use std::collections::BTreeMap;

use super::core::{BACKUP_SECONDS, Core};
use super::event::Effect;
use super::job::{Job, Operation, Submission};
use crate::emm::UseFor;
use crate::nbu::{JobKind, JobState};

impl Core {
    /// The id of the next job that is submitted without others.
    pub(super) const fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Takes jobs in; several backups of one client are data streams and get a parent. Returns their ids.
    pub(super) fn submit(&mut self, submissions: Vec<Submission>, effects: &mut Vec<Effect>) -> Vec<u64> {
        let all_backups = submissions.iter().all(|one| one.request.is_backup());
        let mut streams: BTreeMap<String, usize> = BTreeMap::new();
        for submission in submissions.iter().filter(|_| all_backups) {
            *streams.entry(submission.client.clone()).or_default() += 1;
        }
        let mut parents: BTreeMap<String, u64> = BTreeMap::new();
        let mut ids = Vec::new();
        for mut submission in submissions {
            let (client, kind) = (submission.client.clone(), submission.request.kind());
            let has_parent = streams.get(&client).is_some_and(|streams| *streams > 1);
            let parent = if has_parent && let Some(parent) = parents.get(&client) {
                Some(*parent)
            } else if has_parent {
                let parent = self.enter(None, kind, None, effects);
                parents.insert(client.clone(), parent);
                Some(parent)
            } else {
                None
            };
            // A storage lifecycle policy says itself how long it keeps what.
            if let Some(operation) = self.operation_for(&submission.storage, UseFor::Backup) {
                submission.request.set_retention(operation.retention_seconds);
            }
            if submission.request.is_backup() {
                // Two backups of one client in one second would have one backup id, and a synthetic backup is made one
                // second after the newest of its components.
                let last = self.last_backup_time.get(&client).map_or(0, |last| last + BACKUP_SECONDS);
                let time = self.now().max(last);
                self.last_backup_time.insert(client, time);
                submission.request.set_backup_time(time);
            }
            ids.push(self.enter(Some(submission), kind, parent, effects));
        }
        ids
    }

    /// Enters a job into the table; without a submission it is a parent.
    fn enter(
        &mut self,
        submission: Option<Submission>,
        kind: JobKind,
        parent: Option<u64>,
        effects: &mut Vec<Effect>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let operation = match submission {
            None => Operation::ParentJob,
            Some(_) => Operation::RequestResources,
        };
        let backup_id = submission.as_ref().map(|asked| asked.request.backup_id()).unwrap_or_default();
        let job = Job {
            id,
            parent,
            kind,
            state: JobState::Active,
            operation,
            status: None,
            submitted: self.now(),
            ended: None,
            backup_id,
            tries: Vec::new(),
            reason: None,
            timer: None,
            checkpoint: false,
            submission,
            details: Vec::new(),
        };
        let state = if job.submission.is_none() { JobState::Active } else { job.waiting() };
        self.jobs.insert(id, Job { state, ..job });
        effects.push(Effect::Changed(id));
        id
    }
}
