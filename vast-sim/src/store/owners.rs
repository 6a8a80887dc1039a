//! What each user holds below the paths that have user quotas.
//!
//! A path is counted once, when somebody first asks, and kept up with every change from then on: paths that nobody asks
//! about cost nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::lock;
use super::namespace::{Namespace, Usage};

/// By name of the user.
pub(crate) type Owners = BTreeMap<String, Usage>;

/// The counted paths of a tenant.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<BTreeMap<String, Owners>>);

impl Counted {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Takes part in a change of what an owner holds below a directory.
    pub(super) fn account(&mut self, dir: &str, owner: &str, plus: Usage, minus: Usage) {
        let counted = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(owners) = counted.get_mut(dir) else { return };
        let usage = owners.entry(owner.to_owned()).or_default();
        *usage += plus;
        *usage -= minus;
        if *usage == Usage::default() {
            owners.remove(owner);
        }
    }

    fn of<T>(&self, files: &Namespace, dir: &str, take: impl FnOnce(&Owners) -> T) -> T {
        take(lock(&self.0).entry(dir.to_owned()).or_insert_with(|| count(files, dir)))
    }

    pub(super) fn forget(&mut self, dir: &str) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).remove(dir);
    }
}

/// Counts a directory by looking at everything in it.
pub(super) fn count(files: &Namespace, dir: &str) -> Owners {
    let mut owners = Owners::new();
    for version in files.walk(dir).flat_map(|(_, entry)| entry.versions()) {
        *owners.entry(version.owner().to_owned()).or_default() += Usage::of_version(version);
    }
    for (_, _, upload) in files.walk_uploads(dir) {
        let usage = owners.entry(upload.attributes.owner.clone()).or_default();
        *usage += Usage::UPLOAD;
        *usage += Usage::of_bytes(upload.parts.values().map(|p| p.size).sum());
    }
    owners
}

impl Namespace {
    /// What one user holds below a directory.
    pub(crate) fn usage_of(&self, dir: &str, owner: &str) -> Usage {
        self.counted
            .of(self, super::namespace::normal(dir), |all| all.get(owner).copied().unwrap_or_default())
    }

    /// Stops counting a directory.
    pub(super) fn forget_owners(&mut self, dir: &str) {
        self.counted.forget(super::namespace::normal(dir));
    }

    /// What every user holds below a directory.
    pub(crate) fn owners(&self, dir: &str) -> Owners {
        self.counted.of(self, super::namespace::normal(dir), Owners::clone)
    }
}
