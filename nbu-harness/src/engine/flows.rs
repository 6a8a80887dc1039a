//! The jobs of the flows behind a backup: what is made of backups that are there.

use super::SetupError;
use super::jobs::{Action, Backup, Jobs};
use super::record::ImageFacts;
use super::sources::Prepared;
use crate::nbu::{
    self, Catalog, DuplicateRequest, ImportPhase, ImportRequest, Installation, JobControl, JobEvent, JobKind,
    JobResult, StorageUnit, SyntheticRequest,
};
use crate::scenario::{DuplicateStep, ImportStep, SyntheticStep};
use std::sync::Arc;

/// A job that is one call of NetBackup's.
pub(super) trait Flow: Send + Sync {
    /// Runs it to its end.
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult;
}

impl Flow for DuplicateRequest {
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult {
        nbu::duplicate(installation, self, watch)
    }
}

impl Flow for SyntheticRequest {
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult {
        nbu::synthesize(installation, self, watch)
    }
}

impl Flow for ImportRequest {
    fn run(&self, installation: &Installation, watch: &mut dyn FnMut(&JobEvent) -> JobControl) -> JobResult {
        nbu::import(installation, self, watch)
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
        step: &SyntheticStep,
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

    /// Imports what is on the LSU of every storage unit: phase 1 of each, then phase 2 of every backup that was entered.
    pub(super) fn import(
        &mut self,
        step_index: usize,
        step: &ImportStep,
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
