//! What nbjm and nbstserv tell each other. A part of the [`Core`] in a file of its own.

use super::PRIMARY;
use super::core::Core;
use super::event::{Effect, Ended};
use super::job::Submission;
use super::nbstserv::{Batch, ImportBatch, LifecycleImages, ToldEvent};
use crate::emm::{Operation, UseFor};
use crate::nbu::order::JobRequest;
use crate::nbu::{JobKind, JobState, LifecycleRequest, ReplicaImportRequest, StorageUnit};

impl Core {
    /// Everything that nbstserv knows.
    pub(super) fn lifecycle_images(&self) -> LifecycleImages {
        LifecycleImages {
            images: self.nbstserv.images().cloned().collect(),
            imports: self.nbstserv.imports.events().cloned().collect(),
        }
    }

    /// When nbstserv has something to do next, or nbrmms asks for events.
    pub(super) fn next_look(&self) -> Option<u64> {
        let parameters = &self.config().lifecycle;
        let images = self.nbstserv.next_due().map(|due| {
            let from = due.max(self.looked.0 + 1);
            self.moment(parameters.image_processing_interval, from)
        });
        let polls = !self.config().import_units.is_empty();
        let events = polls.then(|| self.moment(parameters.event_polling_interval, self.looked.1 + 1));
        images.into_iter().chain(events).min()
    }

    /// The first moment of a rhythm, at `from` or later.
    pub(super) fn moment(&self, interval: u64, from: u64) -> u64 {
        let (interval, start) = (interval.max(1), self.config().clock_start);
        start + from.saturating_sub(start).div_ceil(interval) * interval
    }

    /// The clock has gone on: whether a moment of each rhythm has come or was passed.
    pub(super) fn look_after_images(&mut self, effects: &mut Vec<Effect>) {
        let parameters = self.config().lifecycle.clone();
        if self.moment(parameters.image_processing_interval, self.looked.0 + 1) <= self.now() {
            self.looked.0 = self.now();
            for batch in self.nbstserv.batches(self.now(), &parameters) {
                let id = self.next_id();
                self.nbstserv.submitted(&batch, id);
                self.submit(vec![of_batch(batch)], effects);
                self.images_changed = true;
            }
        }
        if self.moment(parameters.event_polling_interval, self.looked.1 + 1) <= self.now() {
            self.looked.1 = self.now();
            for (volume, media_server) in self.event_sources() {
                if self.asked_events.insert(volume.clone()) {
                    effects.push(Effect::AskEvents { volume, media_server });
                }
            }
        }
    }

    /// Disk volumes that other domains replicate to, each with a media server that can ask it. One without is asked later.
    fn event_sources(&self) -> Vec<(String, String)> {
        let units = self.config().import_units.iter().filter_map(|label| self.config().unit(label));
        let source = |unit: &super::config::Unit| {
            let volume = self.config().pools.get(&unit.pool)?.volumes.first()?;
            let media_server = unit.media_servers.iter().find(|name| !self.media_down.contains(*name))?;
            Some((volume.clone(), media_server.clone()))
        };
        units.filter_map(source).collect()
    }

    /// A disk volume was asked for its events.
    pub(super) fn told_events(
        &mut self,
        volume: &str,
        events: Option<Vec<ToldEvent>>,
        effects: &mut Vec<Effect>,
    ) {
        self.asked_events.remove(volume);
        let Some(events) = events else { return };
        let unit = self.config().import_units.iter().find(|label| {
            let pool = self.config().unit(label).and_then(|unit| self.config().pools.get(&unit.pool));
            pool.is_some_and(|pool| pool.volumes.first().is_some_and(|first| first == volume))
        });
        let Some(unit) = unit.cloned() else { return };
        for batch in self.nbstserv.imports.told(volume, &events, self.now()) {
            let id = self.next_id();
            self.nbstserv.imports.submitted(volume, &batch.numbers, id);
            let kept = self
                .operation_for(&batch.slp, UseFor::Import)
                .and_then(|operation| operation.retention_seconds);
            self.submit(vec![of_events(batch, unit.clone(), kept)], effects);
        }
        self.images_changed |= !events.is_empty();
    }

    /// The first operation of a storage lifecycle policy that is for this.
    pub(super) fn operation_for(&self, slp: &str, use_for: UseFor) -> Option<&Operation> {
        let operations = &self.config().lifecycle_policy(slp)?.operations;
        operations.iter().find(|operation| operation.use_for == use_for)
    }

    /// A try is over: images may have got a copy, the first one or another.
    pub(super) fn lifecycle_try_over(&mut self, id: u64, ended: &Ended) {
        let Some(job) = self.job(id).filter(|job| job.state == JobState::Active) else { return };
        let Some(asked) = &job.submission else { return };
        let (request, storage, backup_id) =
            (asked.request.clone(), asked.storage.clone(), job.backup_id.clone());
        match request {
            JobRequest::Lifecycle(request) => self.nbstserv.copied(request.operation, &ended.processed),
            JobRequest::ImportReplicas(request) => {
                let Some(slp) = &request.slp else { return };
                self.enter_images(slp, UseFor::Import, &ended.processed, ended.kbytes);
            }
            // With its last copy it has gone.
            JobRequest::Expire(request) if ended.processed.contains(&request.backup_id) => {
                self.nbstserv.forget(&request.backup_id);
            }
            // A synthetic backup gets its id from its owner.
            request if request.kind() == JobKind::Backup && ended.status <= 1 => {
                let made = if request.is_backup() { vec![backup_id] } else { ended.processed.clone() };
                self.enter_images(&storage, UseFor::Backup, &made, ended.kbytes);
            }
            _ => return,
        }
        self.images_changed = true;
    }

    fn enter_images(&mut self, policy: &str, made_by: UseFor, backup_ids: &[String], kbytes: u64) {
        let Some(policy) = self.config().lifecycle_policy(policy).cloned() else { return };
        if !policy.operations.iter().any(|operation| operation.use_for == made_by) {
            return;
        }
        let each = kbytes / u64::try_from(backup_ids.len()).unwrap_or(u64::MAX).max(1);
        let now = self.now();
        for id in backup_ids {
            self.nbstserv.enter(id, &policy, each, now);
        }
    }

    /// A job is done: what it was to do and did not do is due again.
    pub(super) fn lifecycle_job_over(&mut self, id: u64, status: i32) {
        let asked = self.job(id).and_then(|job| job.submission.as_ref());
        if !asked.is_some_and(|asked| asked.request.is_of_lifecycle()) {
            return;
        }
        let (now, parameters) = (self.now(), self.config().lifecycle.clone());
        self.nbstserv.job_over(id, now, &parameters);
        self.nbstserv.imports.job_over(id, status, now, &parameters);
        self.images_changed = true;
    }

    /// Why a job may not run, by the rules of storage lifecycle policies, and the status that it ends with.
    pub(super) fn not_by_lifecycle(&self, request: &JobRequest) -> Option<(i32, String)> {
        let parameters = &self.config().lifecycle;
        match request {
            JobRequest::Expire(request)
                if request.leftovers_of.is_none() && self.nbstserv.needs(&request.backup_id) =>
            {
                let what =
                    format!("not all copies of {} are made that its policy asks for", request.backup_id);
                Some((parameters.not_complete, what))
            }
            JobRequest::ImportReplicas(request) => {
                let slp = request.slp.as_ref()?;
                let Some(policy) = self.config().lifecycle_policy(slp) else {
                    let what = format!("there is no storage lifecycle policy {slp} in this domain");
                    return Some((parameters.no_policy, what));
                };
                let imports = policy.operations.iter().any(|operation| operation.use_for == UseFor::Import);
                let what = || format!("storage lifecycle policy {slp} has no import operation");
                (!imports).then(|| (parameters.no_import, what()))
            }
            _ => None,
        }
    }
}

fn of_batch(batch: Batch) -> Submission {
    let Batch { policy, operation, source, use_for, storage, retention_seconds, backup_ids, again } = batch;
    let name = format!("operation {operation} of {policy}: {}", backup_ids.join(", "));
    let request = JobRequest::Lifecycle(LifecycleRequest {
        job_id: 0,
        slp: policy.clone(),
        operation,
        source,
        replicates: use_for == UseFor::Replication,
        backup_ids,
        retention_seconds,
        again,
        storage_unit: StorageUnit::new("", "", "", ""),
        master_server: PRIMARY.to_owned(),
    });
    // It reads and writes: two I/O streams.
    Submission { io_streams: 2, ..of_nbstserv(&policy, storage, name, request) }
}

fn of_events(batch: ImportBatch, unit: String, retention_seconds: Option<u64>) -> Submission {
    let ImportBatch { slp, numbers } = batch;
    let name = format!("{} events of {slp}", numbers.len());
    let request = JobRequest::ImportReplicas(ReplicaImportRequest {
        job_id: 0,
        storage_unit: StorageUnit::new("", "", "", ""),
        events: Some(numbers),
        slp: Some(slp.clone()),
        retention_seconds,
    });
    of_nbstserv(&slp, unit, name, request)
}

/// A job as the Activity Monitor shows those of nbstserv: policy `SLP_` and the name, and a try for each job.
fn of_nbstserv(slp: &str, storage: String, name: String, request: JobRequest) -> Submission {
    let (policy, client) = (format!("SLP_{slp}"), PRIMARY.to_owned());
    Submission { policy, client, ..Submission::new(request, storage, name) }
}
