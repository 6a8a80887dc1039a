//! The import manager: events that tell of backups of other domains, and which of them a job is to take in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Work;
use crate::primary::config::LifecycleParameters;

/// An event of a disk volume, as nbrmms was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldEvent {
    /// Its number on the volume.
    pub(crate) number: u64,
    /// The storage lifecycle policy of the domain that the backup is from.
    pub(crate) slp: String,
}

/// What one import job is to take in: events of one volume that name one storage lifecycle policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportBatch {
    pub(crate) slp: String,
    pub(crate) numbers: Vec<u64>,
}

/// A backup, or several, of another domain that an event told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingImport {
    /// Disk volume.
    pub volume: String,
    /// Number of the event.
    pub number: u64,
    /// Storage lifecycle policy.
    pub slp: String,
    /// When it was heard of.
    pub heard: u64,
    /// How far its import is.
    pub work: Work,
}

/// All events that were heard of, by disk volume and number.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    events: BTreeMap<(String, u64), PendingImport>,
}

impl Imports {
    pub(crate) fn events(&self) -> impl Iterator<Item = &PendingImport> {
        self.events.values()
    }

    /// The events that a volume has now. Returns what is due of them, by storage lifecycle policy: an event that was
    /// imported is not due again, and one that the storage does not have any more is not either.
    pub(crate) fn told(&mut self, volume: &str, events: &[ToldEvent], now: u64) -> Vec<ImportBatch> {
        let mut due: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for event in events {
            let pending =
                self.events.entry((volume.to_owned(), event.number)).or_insert_with(|| PendingImport {
                    volume: volume.to_owned(),
                    number: event.number,
                    slp: event.slp.clone(),
                    heard: now,
                    work: Work::new(now),
                });
            if pending.work.is_open() && pending.work.not_before <= now {
                due.entry(&event.slp).or_default().push(event.number);
            }
        }
        due.into_iter().map(|(slp, numbers)| ImportBatch { slp: slp.to_owned(), numbers }).collect()
    }

    /// A job was submitted for events of a volume.
    pub(crate) fn submitted(&mut self, volume: &str, numbers: &[u64], job: u64) {
        for number in numbers {
            if let Some(pending) = self.events.get_mut(&(volume.to_owned(), *number)) {
                pending.work.job = Some(job);
            }
        }
    }

    /// A job is over.
    pub(crate) fn job_over(&mut self, job: u64, status: i32, now: u64, parameters: &LifecycleParameters) {
        for pending in self.events.values_mut().filter(|pending| pending.work.job == Some(job)) {
            if status == 0 {
                (pending.work.done, pending.work.job) = (true, None);
            } else {
                pending.work.failed(now, parameters);
            }
        }
    }
}
