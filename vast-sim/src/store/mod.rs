//! The cluster's state behind one lock, and its durable copy.
//!
//! All metadata is in memory in both modes; durable mode writes every change through a journal before it is answered.
//! A request that has only *seen* a change also waits for it ([`Store::settled`]), so that nothing a client was told
//! can be undone by a crash.

pub(crate) mod blob;
pub(crate) mod capacity;
mod files;
pub(crate) mod frozen;
mod journal;
mod load;
pub(crate) mod namespace;
pub(crate) mod object;
mod owners;
pub(crate) mod pack;
mod records;
pub(crate) mod registry;
mod reset;
#[cfg(test)]
mod scale;
pub(crate) mod state;
#[cfg(test)]
mod tests;
mod tree;
pub(crate) mod user_quotas;
pub(crate) mod version;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blob::{BlobStore, Discarded};
use journal::Journal;
pub(crate) use journal::JournalError;
use state::State;

use crate::config::Retention;
use crate::error::StartError;

/// Locks, also after a panic elsewhere: the data behind our locks is changed in steps that hold together.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state and its durable side. Shared by all listeners; callable from any thread.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    journal: Journal,
    blobs: BlobStore,
}

impl Store {
    /// A cluster that forgets.
    pub(crate) fn in_memory(retention: Retention) -> Self {
        let blobs = match retention {
            Retention::Keep => BlobStore::memory(),
            Retention::Discard => BlobStore::discard(Discarded::Nothing),
            Retention::Zeros => BlobStore::discard(Discarded::Zeros),
        };
        Self { state: Mutex::default(), journal: Journal::Memory, blobs }
    }

    /// A cluster that remembers: loads what `dir` holds and removes what a crash left unfinished.
    pub(crate) fn open(dir: &Path) -> Result<Self, StartError> {
        load::open(dir)
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Changes the state. When `change` fails it must have changed nothing.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        let batch = state.take_batch();
        if self.journal.is_durable() {
            if !batch.changes.is_empty() || !batch.retired.is_empty() {
                // Under the lock, so that the journal sees changes in the order in which they were made.
                self.journal.append(batch);
            }
        } else {
            state.vms.drop_changes();
            drop(state);
            // Frees large memory outside the lock.
            drop(batch);
        }
        result
    }

    /// Completes when everything that this caller changed or saw is durable.
    pub(crate) async fn settled(&self) -> Result<(), JournalError> {
        self.journal.barrier().await
    }

    /// A change that was made never becomes durable, and nothing after it.
    #[cfg(test)]
    pub(crate) fn lose_a_change(&self) {
        self.journal.lose_a_change();
    }

    pub(crate) fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// Finishes outstanding writes. Blocks until they are on the disk.
    pub(crate) fn close(&self) {
        self.journal.close();
    }
}
