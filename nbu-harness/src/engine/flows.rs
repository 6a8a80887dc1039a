//! The jobs of the flows behind a backup: what is made of backups that are there.

use super::SetupError;
use super::jobs::{Backup, Jobs, nowhere};
use super::record::ImageFacts;
use super::sources::Prepared;
use crate::nbu::order::JobRequest;
use crate::nbu::{Catalog, DuplicateRequest, SyntheticRequest};
use crate::primary::Submission;
use crate::scenario::{DuplicateStep, SyntheticStep};
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
        step: &SyntheticStep,
        prepared: &[Prepared],
    ) -> Result<Made, SetupError> {
        let jobs = prepared.iter().map(|stream| {
            let request = JobRequest::Synthetic(SyntheticRequest {
                job_id: 0,
                client: self.scenario.client.clone(),
                policy: self.scenario.policy.clone(),
                schedule: self.scenario.schedule.clone(),
                stream: u32::try_from(stream.facts.number).unwrap_or(u32::MAX),
                storage_unit: nowhere(),
                optimized: step.optimized,
                fall_back: step.fall_back,
            });
            let name = format!("synthetic full, {}", stream.facts.source);
            self.asked(self.scenario.policy_storage.clone(), stream.facts.number, name, request)
        });
        let ran = self.domain.run(step_index, jobs.collect(), Vec::new())?;
        let results = self.taken(ran);
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
            });
            // It reads and writes: two I/O streams.
            let asked = self.asked(to.clone(), backup.stream, backup.backup_id.clone(), request);
            Submission { io_streams: 2, ..asked }
        });
        let ran = self.domain.run(step_index, jobs.collect(), Vec::new())?;
        let results = self.taken(ran);
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
