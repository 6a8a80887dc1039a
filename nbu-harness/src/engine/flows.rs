//! The jobs of the flows behind a backup: what is made of backups that are there.

use super::SetupError;
use super::jobs::{Action, Backup, Jobs, can_resume};
use super::record::{ImageFacts, JobRecord};
use super::sources::Prepared;
use crate::nbu::{
    self, BackupRequest, Catalog, CleanupRequest, DuplicateRequest, ExpireRequest, ImportPhase,
    ImportRequest, Installation, JobControl, JobEvent, JobKind, JobResult, ReplicaImportRequest,
    ReplicateRequest, RestoreRequest, StorageUnit, SyntheticRequest, VerifyRequest,
};
use crate::scenario::{DuplicateStep, ImportReplicasStep, ImportStep, ResumeStep, SyntheticStep};
use std::path::PathBuf;
use std::sync::Arc;

/// A job that is one call of NetBackup's.
pub(super) trait Flow: Send + Sync {
    /// Runs it to its end.
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult;
}

macro_rules! flows {
    ($($request:ty => $call:path;)+) => {$(
        impl Flow for $request {
            fn run(
                &self,
                installation: &Installation,
                watch: &mut dyn FnMut(&JobEvent) -> JobControl,
            ) -> JobResult {
                $call(installation, self, watch)
            }
        }
    )+};
}

flows! {
    RestoreRequest => nbu::restore;
    VerifyRequest => nbu::verify;
    ExpireRequest => nbu::expire;
    CleanupRequest => nbu::cleanup;
    DuplicateRequest => nbu::duplicate;
    SyntheticRequest => nbu::synthesize;
    ImportRequest => nbu::import;
    ReplicateRequest => nbu::replicate;
    ReplicaImportRequest => nbu::import_replicas;
}

/// A job of the target domain: the same media server, a catalogue of its own.
pub(super) struct AtTarget<T>(pub(super) T);

impl<T: Flow> Flow for AtTarget<T> {
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult {
        self.0.run(&Installation { work_dir: target_dir(installation), ..installation.clone() }, watch)
    }
}

/// Where the target domain's catalogue is.
pub(super) fn target_dir(installation: &Installation) -> PathBuf {
    let mut work_dir = installation.work_dir.clone().into_os_string();
    work_dir.push("-target");
    work_dir.into()
}

/// A backup that is resumed, possibly with another buffer size.
struct Resumed {
    request: BackupRequest,
    size_data_buffers_disk: Option<u32>,
}

impl Flow for Resumed {
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult {
        let mut installation = installation.clone();
        if let Some(size) = self.size_data_buffers_disk {
            installation.data_buffers.size_data_buffers_disk = size;
        }
        nbu::backup(&installation, &self.request, watch)
    }
}

/// What a step made.
pub(super) struct Made {
    pub(super) made: Vec<Backup>,
    pub(super) images: Vec<ImageFacts>,
}

impl Jobs<'_> {
    /// The time by NetBackup's clock, which then goes on: what changes now is later than every backup so far.
    pub(super) fn tick(&mut self) -> i64 {
        let now = self.next_time;
        self.next_time += 2;
        i64::try_from(now).unwrap_or(i64::MAX)
    }

    /// Makes a synthetic full backup of every stream.
    pub(super) fn synthesize(
        &mut self,
        step_index: usize,
        step: SyntheticStep,
        prepared: &[Prepared],
    ) -> Result<Made, SetupError> {
        let mut jobs = Vec::new();
        for stream in prepared {
            let request = SyntheticRequest {
                job_id: 0,
                client: self.scenario.client.clone(),
                policy: self.scenario.policy.clone(),
                schedule: self.scenario.schedule.clone(),
                stream: u32::try_from(stream.facts.number).unwrap_or(u32::MAX),
                storage_unit: self.unit.clone(),
                optimized: step.optimized,
                fall_back: step.fall_back,
            };
            let name = format!("synthetic full, {}", stream.facts.source);
            jobs.push(self.job(stream.facts.number, JobKind::Backup, name, |job_id| {
                Action::Flow(Box::new(SyntheticRequest { job_id, ..request }))
            }));
        }
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.made(results, prepared)
    }

    /// Imports what is on the LSU of every storage unit: phase 1 of each, then phase 2 of every backup that was entered.
    pub(super) fn import(
        &mut self,
        step_index: usize,
        step: ImportStep,
        backups: &[Backup],
    ) -> Result<(), SetupError> {
        let mut units: Vec<StorageUnit> = Vec::new();
        for spec in &self.scenario.units {
            let unit = self.stand.storage_unit(spec);
            if units.iter().all(|other| other.lsu != unit.lsu) {
                units.push(unit);
            }
        }
        for storage_unit in units {
            let name = format!("phase 1, LSU {}", storage_unit.lsu);
            let request = ImportRequest { job_id: 0, storage_unit, phase: ImportPhase::One };
            // One after the other: copies of one backup on several LSUs become one image.
            let job = self.job(0, JobKind::Import, name, |job_id| {
                Action::Flow(Box::new(ImportRequest { job_id, ..request }))
            });
            let (results, _) = self.run_all(step_index, vec![job], &[]);
            self.records.extend(results);
        }
        if step.phase_one_only {
            return Ok(());
        }
        let entered = Catalog::open(&self.installation.work_dir)?.images()?;
        let mut jobs = Vec::new();
        for image in entered.into_iter().filter(|image| image.not_imported) {
            let stream = backups.iter().find(|backup| backup.backup_id == image.backup_id);
            let request = ImportRequest {
                job_id: 0,
                storage_unit: self.unit.clone(),
                phase: ImportPhase::Two { backup_id: image.backup_id.clone() },
            };
            let name = format!("phase 2, {}", image.backup_id);
            jobs.push(self.job(stream.map_or(0, |b| b.stream), JobKind::Import, name, |job_id| {
                Action::Flow(Box::new(ImportRequest { job_id, ..request }))
            }));
        }
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.records.extend(results);
        Ok(())
    }

    /// Resumes the backups of the last step that can be resumed, each under its job id.
    pub(super) fn resume(
        &mut self,
        step_index: usize,
        step: &ResumeStep,
        prepared: &[Prepared],
    ) -> Result<Made, SetupError> {
        let requests = std::mem::take(&mut self.incomplete);
        if requests.is_empty() {
            return Err(SetupError::Impossible("no job can be resumed".into()));
        }
        let size = step.size_data_buffers_disk.and_then(|size| u32::try_from(size.0).ok());
        let jobs = requests.iter().map(|request| {
            let stream = usize::try_from(request.stream).unwrap_or_default();
            let request = BackupRequest { resume: true, abort_after: None, ..request.clone() };
            let name = format!("resumed, {}", request.backup_id());
            let resumed = Resumed { request, size_data_buffers_disk: size };
            let id = resumed.request.job_id;
            Self::again(id, stream, name, Action::Flow(Box::new(resumed)))
        });
        let jobs = jobs.collect();
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.incomplete =
            requests.into_iter().filter(|request| can_resume(&results, request.job_id)).collect();
        self.made(results, prepared)
    }

    /// The backups that jobs made, as the catalogue has them.
    fn made(&mut self, results: Vec<JobRecord>, prepared: &[Prepared]) -> Result<Made, SetupError> {
        let catalog = Catalog::open(&self.installation.work_dir)?;
        let mut outcome = Made { made: Vec::new(), images: Vec::new() };
        for job in &results {
            let stream = prepared.iter().find(|stream| stream.facts.number == job.stream);
            let (Some(stream), true) = (stream, job.result.is_successful()) else { continue };
            if let Some(image) = catalog.image(&job.result.backup_id)? {
                outcome.made.push(Backup {
                    backup_id: image.backup_id.clone(),
                    stream: job.stream,
                    content: Arc::clone(&stream.content),
                    full: true,
                });
                outcome.images.push(ImageFacts {
                    stream: job.stream,
                    image,
                    made: job.result.images.clone(),
                });
            }
        }
        self.records.extend(results);
        Ok(outcome)
    }

    /// Replicates every backup.
    pub(super) fn replicate(&mut self, step_index: usize, backups: &[Backup]) {
        let jobs = backups.iter().map(|backup| {
            let request = ReplicateRequest {
                job_id: 0,
                backup_id: backup.backup_id.clone(),
                storage_unit: self.unit.clone(),
                master_server: "primary1".into(),
                slp: self.scenario.policy.clone(),
            };
            self.job(backup.stream, JobKind::Replication, backup.backup_id.clone(), |job_id| {
                Action::Flow(Box::new(ReplicateRequest { job_id, ..request }))
            })
        });
        let jobs = jobs.collect();
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.records.extend(results);
    }

    /// The backups that the target domain has, of those that were made and those that it had.
    pub(super) fn at_target(&self, made: &[Backup], had: &[Backup]) -> Result<Vec<Backup>, SetupError> {
        let catalog = Catalog::open(&target_dir(self.installation))?;
        let mut there: Vec<Backup> = Vec::new();
        for backup in had.iter().chain(made) {
            let listed = there.iter().any(|other| other.backup_id == backup.backup_id);
            if !listed && catalog.image(&backup.backup_id)?.is_some() {
                there.push(backup.clone());
            }
        }
        Ok(there)
    }

    /// Image cleanup of what has not expired: locks that were refused are tried again.
    pub(super) fn cleanup(&mut self, step_index: usize) {
        let storage_unit = self.unit.clone();
        let job = self.job(0, JobKind::ImageCleanup, "locks".into(), |job_id| {
            Action::Flow(Box::new(CleanupRequest { job_id, storage_unit }))
        });
        let (results, _) = self.run_all(step_index, vec![job], &[]);
        self.records.extend(results);
    }

    /// The target domain imports what was replicated.
    pub(super) fn import_replicas(&mut self, step_index: usize, step: ImportReplicasStep) {
        let storage_unit = self.stand.storage_unit(&self.scenario.units[step.unit]);
        let name = format!("events of LSU {}", storage_unit.lsu);
        let job = self.job(0, JobKind::ReplicationImport, name, |job_id| {
            Action::Flow(Box::new(AtTarget(ReplicaImportRequest { job_id, storage_unit })))
        });
        let (results, _) = self.run_all(step_index, vec![job], &[]);
        self.records.extend(results);
    }

    /// Duplicates every backup; returns how many copies each has then.
    pub(super) fn duplicate(
        &mut self,
        step_index: usize,
        step: &DuplicateStep,
        backups: &[Backup],
    ) -> Result<Vec<(String, u64)>, SetupError> {
        let storage_unit = self.stand.storage_unit(&self.scenario.units[step.to]);
        let jobs = backups.iter().map(|backup| {
            let request = DuplicateRequest {
                job_id: 0,
                backup_id: backup.backup_id.clone(),
                source_copy: step.source_copy,
                storage_unit: storage_unit.clone(),
                method: step.method,
                fall_back: step.fall_back,
                extent_bytes: step.extent.0,
            };
            self.job(backup.stream, JobKind::Duplicate, backup.backup_id.clone(), |job_id| {
                Action::Flow(Box::new(DuplicateRequest { job_id, ..request }))
            })
        });
        let jobs = jobs.collect();
        let (results, _) = self.run_all(step_index, jobs, &[]);
        self.records.extend(results);
        let catalog = Catalog::open(&self.installation.work_dir)?;
        let mut copies = Vec::new();
        for backup in backups {
            let count = catalog.image(&backup.backup_id)?.map_or(0, |image| image.copies.len() as u64);
            copies.push((backup.backup_id.clone(), count));
        }
        Ok(copies)
    }
}
