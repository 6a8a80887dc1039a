//! Restores: what is asked for, and what came of it, also of those that were suspended and go on in a later step.

use super::SetupError;
use super::expected::{Expected, LIST, bytes_in_stream, pick, remove_tree};
use super::jobs::{Backup, Jobs, chosen, nowhere};
use super::record::JobRecord;
use crate::nbu::order::JobRequest;
use crate::nbu::{JobState, PathBytes, RestoreRequest, Selection};
use crate::oracle::Comparison;
use crate::primary::Submission;
use crate::scenario::{RestoreSelection, RestoreStep};
use std::path::Path;
use std::sync::Arc;

/// What a restore step found.
#[derive(Default)]
pub(super) struct RestoreOutcome {
    pub(super) full: Option<Comparison>,
    pub(super) single: Option<Comparison>,
}

/// A restore that can go on.
pub(super) struct Unfinished {
    job: u64,
    expected: Expected,
    /// Whether it restores everything.
    whole: bool,
}

/// A restore job, and what it must give.
struct RestorePlan {
    submission: Submission,
    wanted_bytes: Option<u64>,
    expected: Expected,
}

impl Jobs<'_> {
    pub(super) fn restore(
        &mut self,
        step_index: usize,
        step: &RestoreStep,
        backups: &[Backup],
        target: &Path,
    ) -> Result<RestoreOutcome, SetupError> {
        let plans = self.plan_restores(step, backups, target)?;
        let (wanted, plans): (Vec<Option<u64>>, Vec<_>) =
            plans.into_iter().map(|plan| (plan.wanted_bytes, (plan.submission, plan.expected))).unzip();
        let (jobs, expected): (Vec<Submission>, Vec<Expected>) = plans.into_iter().unzip();
        let mut results = self.run_in(step.domain, step_index, jobs)?;
        for (record, wanted) in results.iter_mut().zip(wanted) {
            record.wanted_bytes = wanted;
        }
        let whole = step.selection == RestoreSelection::All;
        let mut outcome = RestoreOutcome::default();
        for (record, expected) in results.iter().zip(expected) {
            self.compare(record, expected, whole, &mut outcome)?;
        }
        self.records.extend(results);
        Ok(outcome)
    }

    /// What resumed restores gave, together with what they had given before.
    pub(super) fn restored(&mut self, results: &[JobRecord]) -> Result<RestoreOutcome, SetupError> {
        let mut outcome = RestoreOutcome::default();
        for record in results {
            let known = self.unfinished.iter().position(|one| one.job == record.result.job_id);
            if let Some(index) = known {
                let Unfinished { expected, whole, .. } = self.unfinished.remove(index);
                self.compare(record, expected, whole, &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    /// Compares what a restore gave with what it must give; one that can go on is waited for.
    fn compare(
        &mut self,
        record: &JobRecord,
        expected: Expected,
        whole: bool,
        outcome: &mut RestoreOutcome,
    ) -> Result<(), SetupError> {
        if matches!(record.state, JobState::Suspended | JobState::Incomplete) {
            self.unfinished.push(Unfinished { job: record.result.job_id, expected, whole });
            return Ok(());
        }
        self.observer.note("comparing what was restored with what was backed up");
        let compared = expected.compare(&record.result)?;
        let total = if whole { &mut outcome.full } else { &mut outcome.single };
        match total {
            Some(total) => total.add(compared, LIST),
            None => *total = Some(compared),
        }
        if expected.destination.exists() {
            remove_tree(&expected.destination)?;
        }
        Ok(())
    }

    fn plan_restores(
        &self,
        step: &RestoreStep,
        backups: &[Backup],
        target: &Path,
    ) -> Result<Vec<RestorePlan>, SetupError> {
        let mut plans = Vec::new();
        let catalog = self.catalog(step.domain)?;
        for backup in chosen(backups, step.images).filter(|backup| backup.full) {
            let choices: Vec<Option<Vec<PathBytes>>> = match &step.selection {
                RestoreSelection::All => vec![None],
                RestoreSelection::Files(files) => {
                    vec![Some(files.iter().map(|path| PathBytes::from_text(path)).collect())]
                }
                RestoreSelection::SingleFiles(count) => {
                    let picked = pick(&backup.content, *count, self.scenario.seed);
                    picked.into_iter().map(|path| Some(vec![path])).collect()
                }
            };
            for paths in choices {
                let destination = target.join(format!("{}-{}", backup.backup_id, plans.len()));
                let name = match &paths {
                    None => backup.backup_id.clone(),
                    Some(paths) => paths.iter().map(PathBytes::to_string).collect::<Vec<_>>().join(" "),
                };
                let request = JobRequest::Restore(RestoreRequest {
                    job_id: 0,
                    backup_id: backup.backup_id.clone(),
                    copy: step.copy,
                    storage_unit: nowhere(),
                    destination: destination.clone(),
                    selection: paths.clone().map_or(Selection::All, Selection::Files),
                    checkpoint: step.checkpoint,
                    suspend_after: step.suspend_after.map(|bytes| bytes.0),
                    resume: false,
                });
                let mut submission = self.about(backup, name, request);
                submission.media_server.clone_from(&step.media);
                let wanted_bytes = match &paths {
                    None => None,
                    Some(paths) => Some(bytes_in_stream(&catalog, &backup.backup_id, paths)?),
                };
                let expected = Expected { content: Arc::clone(&backup.content), destination, paths };
                plans.push(RestorePlan { submission, wanted_bytes, expected });
            }
        }
        Ok(plans)
    }
}
