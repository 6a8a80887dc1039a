//! nbstserv: what storage lifecycle policies still have to do, image by image. Pure, as its neighbours are: nbjm tells it
//! what became of backups and of its own jobs and when it is time to look; it says what is to be copied together.
//!
//! * this file: the images, their operations and the batches of what is due;
//! * `imports`: the import manager of a domain that others replicate to;
//! * `kept`: both on disk, for `nbstlutil`.
//!
//! An operation is done for an image once: while a job has it, no other job gets it, and what a job did not do is due
//! again. So nothing is copied twice and nothing is lost, whatever happens to jobs.

mod imports;
mod kept;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use imports::PendingImport;
pub(crate) use imports::{ImportBatch, Imports, ToldEvent};
pub use kept::LifecycleImages;
pub(crate) use kept::{keep, kept};

use super::config::LifecycleParameters;
use crate::emm::{LifecyclePolicy, UseFor};

/// States of an image, and of one operation for it, with their numbers in `nbstlutil`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum LifecycleState {
    /// 1: nothing was tried yet.
    NotStarted = 1,
    /// 2: a job is at it, or one has failed and another will be.
    InProcess = 2,
    /// 3: done.
    Complete = 3,
}

impl LifecycleState {
    /// As `nbstlutil` has it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotStarted => "NOT_STARTED",
            Self::InProcess => "IN_PROCESS",
            Self::Complete => "COMPLETE",
        }
    }
}

/// How far something is that jobs do, until one of them has done it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Whether it is done.
    pub done: bool,
    /// The job that is at it.
    pub job: Option<u64>,
    /// Jobs that did not do it.
    pub failures: u32,
    /// When it is due, at the earliest.
    pub not_before: u64,
}

impl Work {
    const fn new(not_before: u64) -> Self {
        Self { done: false, job: None, failures: 0, not_before }
    }

    /// Its state.
    pub const fn state(&self) -> LifecycleState {
        match (self.done, self.job, self.failures) {
            (true, ..) => LifecycleState::Complete,
            (false, None, 0) => LifecycleState::NotStarted,
            _ => LifecycleState::InProcess,
        }
    }

    const fn is_open(&self) -> bool {
        !self.done && self.job.is_none()
    }

    /// The job that was at it is over and did not do it: soon once more, and after a number of failures less often.
    const fn failed(&mut self, now: u64, parameters: &LifecycleParameters) {
        self.job = None;
        self.failures = self.failures.saturating_add(1);
        let soon = self.failures < parameters.fast_tries;
        self.not_before = if soon { now } else { now + parameters.extended_retry_interval };
    }
}

/// An image that a storage lifecycle policy looks after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleImage {
    /// Backup id.
    pub backup_id: String,
    /// The policy in the version that the image was made under.
    pub policy: LifecyclePolicy,
    /// Its size, as far as it is known.
    pub kbytes: u64,
    /// When it was entered.
    pub entered: u64,
    /// How far each operation of the policy is.
    pub operations: Vec<Work>,
}

impl LifecycleImage {
    /// Its state: complete exactly when every operation is.
    pub fn state(&self) -> LifecycleState {
        // Its first copy is what made it an image.
        let later = self.policy.operations.iter().zip(&self.operations);
        let later =
            later.filter(|(operation, _)| is_copying(operation.use_for)).map(|(_, work)| work.state());
        let (least, most) = later
            .fold((LifecycleState::Complete, LifecycleState::NotStarted), |(least, most), state| {
                (least.min(state), most.max(state))
            });
        if least == LifecycleState::NotStarted && most > least { LifecycleState::InProcess } else { least }
    }
}

/// Whether an operation makes something of a copy that is there.
const fn is_copying(use_for: UseFor) -> bool {
    matches!(use_for, UseFor::Duplication | UseFor::Replication)
}

/// What one job is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The storage lifecycle policy.
    pub(crate) policy: String,
    /// Number of its operation, from 1.
    pub(crate) operation: u32,
    /// Number of the operation whose copy it works from.
    pub(crate) source: u32,
    /// Duplication or replication.
    pub(crate) use_for: UseFor,
    /// The storage that the job needs: where a duplication writes, where a replication reads.
    pub(crate) storage: String,
    /// Images, those that came first in front.
    pub(crate) backup_ids: Vec<String>,
    /// Whether another job has tried it for some of them before.
    pub(crate) again: bool,
}

/// All images of storage lifecycle policies.
#[derive(Debug, Default)]
pub(crate) struct Nbstserv {
    images: BTreeMap<String, LifecycleImage>,
    pub(crate) imports: Imports,
}

impl Nbstserv {
    pub(crate) fn images(&self) -> impl Iterator<Item = &LifecycleImage> {
        self.images.values()
    }

    /// An image has its first copy. One that is known stays what it is.
    pub(crate) fn enter(&mut self, backup_id: &str, policy: &LifecyclePolicy, kbytes: u64, now: u64) {
        self.images.entry(backup_id.to_owned()).or_insert_with(|| LifecycleImage {
            backup_id: backup_id.to_owned(),
            policy: policy.clone(),
            kbytes,
            entered: now,
            operations: policy
                .operations
                .iter()
                .map(|operation| Work { done: !is_copying(operation.use_for), ..Work::new(now) })
                .collect(),
        });
    }

    /// An image was expired.
    pub(crate) fn forget(&mut self, backup_id: &str) {
        self.images.remove(backup_id);
    }

    /// Whether an image must not be expired yet.
    pub(crate) fn needs(&self, backup_id: &str) -> bool {
        self.images.get(backup_id).is_some_and(|image| image.state() != LifecycleState::Complete)
    }

    /// Operations that wait for a job: the source's copy is there, and no job is at it.
    fn open(&self) -> impl Iterator<Item = (&LifecycleImage, usize, &Work)> {
        self.images.values().flat_map(|image| {
            let open = image.operations.iter().enumerate().filter(|(_, work)| work.is_open());
            open.filter_map(move |(at, work)| {
                let source = image.policy.operations.get(at)?.source?;
                image.operations.get(source)?.done.then_some((image, at, work))
            })
        })
    }

    /// When something is due next; none when nothing waits.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.open().map(|(.., work)| work.not_before).min()
    }

    /// What is due, by policy and operation, which name source and target, in batches of limited size.
    pub(crate) fn batches(&self, now: u64, parameters: &LifecycleParameters) -> Vec<Batch> {
        let mut due: Vec<(&LifecycleImage, usize)> = self
            .open()
            .filter(|(.., work)| work.not_before <= now)
            .map(|(image, at, _)| (image, at))
            .collect();
        due.sort_by_key(|(image, at)| {
            (&image.policy.name, image.policy.version, *at, image.entered, &image.backup_id)
        });
        let mut batches: Vec<(u32, u64, Batch)> = Vec::new();
        for (image, at) in due {
            let Some(operation) = image.policy.operations.get(at) else { continue };
            let Some(source) =
                operation.source.and_then(|source| Some((source, image.policy.operations.get(source)?)))
            else {
                continue;
            };
            let (number, version) = (number(at), image.policy.version);
            let again = image.operations.get(at).is_some_and(|work| work.failures > 0);
            if let Some((of_version, kbytes, batch)) = batches.last_mut()
                && (&batch.policy, *of_version, batch.operation) == (&image.policy.name, version, number)
                && kbytes.saturating_add(image.kbytes) <= parameters.max_batch_kbytes
            {
                *kbytes += image.kbytes;
                batch.backup_ids.push(image.backup_id.clone());
                batch.again |= again;
                continue;
            }
            let storage = match operation.use_for {
                UseFor::Replication => &source.1.storage,
                _ => &operation.storage,
            };
            let batch = Batch {
                policy: image.policy.name.clone(),
                operation: number,
                source: self::number(source.0),
                use_for: operation.use_for,
                storage: storage.clone(),
                backup_ids: vec![image.backup_id.clone()],
                again,
            };
            batches.push((version, image.kbytes, batch));
        }
        batches.into_iter().map(|(.., batch)| batch).collect()
    }

    /// A job was submitted for a batch.
    pub(crate) fn submitted(&mut self, batch: &Batch, job: u64) {
        for id in &batch.backup_ids {
            if let Some(work) = self.work(id, batch.operation) {
                work.job = Some(job);
            }
        }
    }

    /// A job has done an operation for these images.
    pub(crate) fn copied(&mut self, operation: u32, backup_ids: &[String]) {
        for id in backup_ids {
            if let Some(work) = self.work(id, operation) {
                (work.done, work.job) = (true, None);
            }
        }
    }

    /// A job is over: what it did not do is to be done by another one.
    pub(crate) fn job_over(&mut self, job: u64, now: u64, parameters: &LifecycleParameters) {
        let works = self.images.values_mut().flat_map(|image| &mut image.operations);
        works.filter(|work| work.job == Some(job)).for_each(|work| work.failed(now, parameters));
    }

    fn work(&mut self, backup_id: &str, operation: u32) -> Option<&mut Work> {
        let at = usize::try_from(operation).ok()?.checked_sub(1)?;
        self.images.get_mut(backup_id)?.operations.get_mut(at)
    }
}

/// The number of an operation, from 1.
fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}
