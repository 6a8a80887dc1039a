//! The jobs of the flows behind a backup: what is made of backups that are there.

use super::SetupError;
use super::jobs::{Backup, Jobs, nowhere};
use super::record::{ImageFacts, JobRecord};
use super::sources::Prepared;
use crate::nbu::order::JobRequest;
use crate::nbu::{
    Catalog, CleanupRequest, DuplicateRequest, ImportPhase, ImportRequest, ReplicaImportRequest,
    ReplicateRequest, ScheduleType, SyntheticRequest,
};
use crate::primary::Submission;
use crate::scenario::{Domain as Side, DuplicateStep, ImportReplicasStep, ImportStep, SyntheticStep};
use std::sync::Arc;

/// What a step made.
pub(super) struct Made {
    pub(super) made: Vec<Backup>,
    pub(super) images: Vec<ImageFacts>,
}

impl Jobs<'_> {
    /// Makes a synthetic full backup of every stream.
    pub(super) fn synthesize(
        &mut self,
        step_index: usize,
        step: SyntheticStep,
        prepared: &[Prepared],
    ) -> Result<Made, SetupError> {
        let retention = self.schedule(ScheduleType::Full).retention;
        let streams = prepared.iter().zip(&self.scenario.streams);
        let jobs = streams.map(|(stream, of)| {
            let request = JobRequest::Synthetic(SyntheticRequest {
                job_id: 0,
                client: of.client.clone(),
                policy: self.scenario.policy.clone(),
                schedule: self.scenario.schedule.clone(),
                stream: of.of_client,
                storage_unit: nowhere(),
                optimized: step.optimized,
                fall_back: step.fall_back,
                retention_seconds: retention,
            });
            let name = format!("synthetic full, {}", stream.facts.source);
            self.asked(self.scenario.policy_storage.clone(), stream.facts.number, name, request)
        });
        let results = self.run_in(Side::Source, step_index, jobs.collect())?;
        self.made(results, prepared)
    }

    /// Imports what is on the LSU of every storage unit: phase 1 of each, then phase 2 of every backup that was entered.
    pub(super) fn import(
        &mut self,
        step_index: usize,
        step: ImportStep,
        backups: &[Backup],
    ) -> Result<(), SetupError> {
        let mut lsus: Vec<&str> = Vec::new();
        for unit in &self.scenario.units {
            if lsus.contains(&unit.lsu.as_str()) {
                continue;
            }
            lsus.push(&unit.lsu);
            let request = ImportRequest { job_id: 0, storage_unit: nowhere(), phase: ImportPhase::One };
            let name = format!("phase 1, LSU {}", unit.lsu);
            let job = self.asked(unit.label.clone(), 0, name, JobRequest::Import(request));
            // One after the other: copies of one backup on several LSUs become one image.
            let results = self.run_in(Side::Source, step_index, vec![job])?;
            self.records.extend(results);
        }
        if step.phase_one_only {
            return Ok(());
        }
        let entered = Catalog::open(&self.installation.work_dir)?.images()?;
        let jobs = entered.into_iter().filter(|image| image.not_imported).map(|image| {
            let backup = backups.iter().find(|backup| backup.backup_id == image.backup_id);
            let phase = ImportPhase::Two { backup_id: image.backup_id.clone() };
            let request = ImportRequest { job_id: 0, storage_unit: nowhere(), phase };
            let unit = backup.map_or(&self.scenario.unit().label, |backup| &backup.unit);
            let name = format!("phase 2, {}", image.backup_id);
            let stream = backup.map_or(0, |backup| backup.stream);
            self.asked(unit.clone(), stream, name, JobRequest::Import(request))
        });
        let results = self.run_in(Side::Source, step_index, jobs.collect())?;
        self.records.extend(results);
        Ok(())
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
                    unit: job.unit.clone(),
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
    pub(super) fn replicate(&mut self, step_index: usize, backups: &[Backup]) -> Result<(), SetupError> {
        let jobs = backups.iter().map(|backup| {
            let request = JobRequest::Replicate(ReplicateRequest {
                job_id: 0,
                backup_id: backup.backup_id.clone(),
                storage_unit: nowhere(),
                master_server: "primary1".into(),
                slp: self.scenario.policy.clone(),
                source_copy: None,
            });
            let asked = self.asked(backup.unit.clone(), backup.stream, backup.backup_id.clone(), request);
            Submission { io_streams: 2, ..asked }
        });
        let results = self.run_in(Side::Source, step_index, jobs.collect())?;
        self.records.extend(results);
        Ok(())
    }

    /// The backups that the target domain has, of those that were made and those that it had.
    /// New ones are on the storage unit that they were imported with.
    pub(super) fn at_target(
        &self,
        unit: &str,
        made: &[Backup],
        had: &[Backup],
    ) -> Result<Vec<Backup>, SetupError> {
        let catalog = self.catalog(Side::Target)?;
        let made = made.iter().map(|backup| Backup { unit: unit.to_owned(), ..backup.clone() });
        let mut there: Vec<Backup> = Vec::new();
        for backup in had.iter().cloned().chain(made) {
            let listed = there.iter().any(|other| other.backup_id == backup.backup_id);
            if !listed && catalog.image(&backup.backup_id)?.is_some() {
                there.push(backup);
            }
        }
        Ok(there)
    }

    /// Image cleanup of what has not expired: locks that were refused are tried again.
    pub(super) fn cleanup(&mut self, step_index: usize) -> Result<(), SetupError> {
        let request = JobRequest::Cleanup(CleanupRequest { job_id: 0, storage_unit: nowhere() });
        let job = self.asked(self.scenario.unit().label.clone(), 0, "locks".into(), request);
        let results = self.run_in(Side::Source, step_index, vec![job])?;
        self.records.extend(results);
        Ok(())
    }

    /// The target domain imports what was replicated.
    pub(super) fn import_replicas(
        &mut self,
        step_index: usize,
        step: ImportReplicasStep,
    ) -> Result<(), SetupError> {
        let unit = &self.scenario.units[step.unit];
        let request = ReplicaImportRequest {
            job_id: 0,
            storage_unit: nowhere(),
            events: None,
            slp: None,
            retention_seconds: None,
        };
        let name = format!("events of LSU {}", unit.lsu);
        let job = self.asked(unit.label.clone(), 0, name, JobRequest::ImportReplicas(request));
        let results = self.run_in(Side::Target, step_index, vec![job])?;
        self.records.extend(results);
        Ok(())
    }

    /// Duplicates every backup; returns how many copies each has then.
    pub(super) fn duplicate(
        &mut self,
        step_index: usize,
        step: &DuplicateStep,
        backups: &[Backup],
    ) -> Result<Vec<(String, u64)>, SetupError> {
        let to = self.scenario.units[step.to].label.clone();
        let jobs = backups.iter().map(|backup| {
            let request = JobRequest::Duplicate(DuplicateRequest {
                job_id: 0,
                backup_id: backup.backup_id.clone(),
                source_copy: step.source_copy,
                storage_unit: nowhere(),
                method: step.method,
                fall_back: step.fall_back,
                extent_bytes: step.extent.0,
                lifecycle: None,
                again: false,
            });
            // It reads and writes: two I/O streams.
            let asked = self.asked(to.clone(), backup.stream, backup.backup_id.clone(), request);
            Submission { io_streams: 2, ..asked }
        });
        let results = self.run_in(Side::Source, step_index, jobs.collect())?;
        self.records.extend(results);
        self.copies_of(backups)
    }

    /// How many copies each backup has.
    pub(super) fn copies_of(&self, backups: &[Backup]) -> Result<Vec<(String, u64)>, SetupError> {
        let catalog = Catalog::open(&self.installation.work_dir)?;
        let mut copies = Vec::new();
        for backup in backups {
            let count = catalog.image(&backup.backup_id)?.map_or(0, |image| image.copies.len() as u64);
            copies.push((backup.backup_id.clone(), count));
        }
        Ok(copies)
    }
}
