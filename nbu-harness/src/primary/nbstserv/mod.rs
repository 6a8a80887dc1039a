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
use crate::emm::{LifecyclePolicy, Operation, UseFor};

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
    /// How long the copies are kept, in seconds; none: for ever.
    pub(crate) retention_seconds: Option<u64>,
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
    fn waiting(&self) -> impl Iterator<Item = Waiting<'_>> {
        self.images.values().flat_map(|image| {
            (0..image.operations.len()).filter_map(move |at| {
                let (work, operation) = (image.operations.get(at)?, image.policy.operations.get(at)?);
                let source = operation.source?;
                let there = image.operations.get(source)?.done;
                (work.is_open() && there).then_some(Waiting { image, at, work, operation, source })
            })
        })
    }

    /// When something is due next; none when nothing waits.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.waiting().map(|one| one.work.not_before).min()
    }

    /// What is due, by policy and operation, which name source and target, in batches of limited size.
    pub(crate) fn batches(&self, now: u64, parameters: &LifecycleParameters) -> Vec<Batch> {
        let mut due: Vec<Waiting<'_>> = self.waiting().filter(|one| one.work.not_before <= now).collect();
        due.sort_by_key(|one| (one.kind(), one.image.entered, &one.image.backup_id));
        let mut batches = Vec::new();
        let mut rest = due.as_slice();
        while let Some(first) = rest.first() {
            let mut kbytes = 0u64;
            // A larger image has a batch of its own.
            let fits = |one: &Waiting<'_>| {
                kbytes = kbytes.saturating_add(one.image.kbytes);
                one.kind() == first.kind() && kbytes <= parameters.max_batch_kbytes
            };
            let count = 1 + rest.iter().map(fits).skip(1).take_while(|fits| *fits).count();
            let (together, others) = rest.split_at(count);
            batches.push(first.batch(together));
            rest = others;
        }
        batches
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

/// An operation of an image that waits for a job.
struct Waiting<'a> {
    image: &'a LifecycleImage,
    /// Its place in the policy.
    at: usize,
    work: &'a Work,
    operation: &'a Operation,
    /// The place of the operation whose copy it works from.
    source: usize,
}

impl<'a> Waiting<'a> {
    /// What goes together is of one version of one policy, and one operation of it.
    fn kind(&self) -> (&'a str, u32, usize) {
        (&self.image.policy.name, self.image.policy.version, self.at)
    }

    /// The batch of these, of which this is one.
    fn batch(&self, together: &[Self]) -> Batch {
        let policy = &self.image.policy;
        let storage = match self.operation.use_for {
            UseFor::Replication => policy.operations.get(self.source).map_or("", |source| &source.storage),
            _ => &self.operation.storage,
        };
        Batch {
            policy: policy.name.clone(),
            operation: number(self.at),
            source: number(self.source),
            use_for: self.operation.use_for,
            storage: storage.to_owned(),
            retention_seconds: self.operation.retention_seconds,
            backup_ids: together.iter().map(|one| one.image.backup_id.clone()).collect(),
            again: together.iter().any(|one| one.work.failures > 0),
        }
    }
}

/// The number of an operation, from 1.
fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}
