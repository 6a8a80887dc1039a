//! The jobs of the flows behind a backup: what is made of backups that are there.

use super::SetupError;
use super::jobs::{Action, Backup, Jobs};
use crate::nbu::{self, Catalog, DuplicateRequest, Installation, JobControl, JobEvent, JobKind, JobResult};
use crate::scenario::DuplicateStep;

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

impl Jobs<'_> {
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
