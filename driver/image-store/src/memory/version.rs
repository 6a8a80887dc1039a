//! Versions of objects in memory, and what object lock forbids to do with them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::object_store::{Head, Retention};

/// A version id: 0 is S3's `null`, that of objects of buckets without versions; later ones are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VersionId(pub(super) u64);

impl VersionId {
    pub(super) const NULL: Self = Self(0);

    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::NULL);
        }
        text.strip_prefix('v')?.parse().ok().map(Self)
    }

    pub(super) fn text(self) -> String {
        if self == Self::NULL { "null".to_owned() } else { format!("v{}", self.0) }
    }

    /// As answers about objects name it: only in buckets that keep versions.
    pub(super) fn named(self) -> Option<String> {
        (self != Self::NULL).then(|| self.text())
    }
}

/// An object or a delete marker.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: VersionId,
    /// `None` is a delete marker.
    pub(super) data: Option<Bytes>,
    pub(super) etag: String,
    pub(super) modified: u64,
    pub(super) retention: Option<Retention>,
}

impl Version {
    pub(super) fn len(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.len() as u64)
    }

    pub(super) fn locked(&self, now: u64) -> bool {
        self.retention.is_some_and(|retention| retention.until > now)
    }

    pub(super) fn head(&self, now: u64) -> Head {
        Head {
            etag: self.etag.clone(),
            size: self.len(),
            version: self.id.named(),
            modified: self.modified,
            answered: now,
            retention: self.retention,
        }
    }
}

/// All versions of all keys, those of one key from the oldest to the newest.
#[derive(Debug, Default)]
pub(super) struct Versions {
    keys: BTreeMap<String, Vec<Version>>,
    bytes: u64,
}

impl Versions {
    /// Bytes of all versions.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The object of a key, with its data; none behind a delete marker.
    pub(super) fn current(&self, key: &str) -> Option<(&Version, &Bytes)> {
        let newest = self.keys.get(key)?.last()?;
        newest.data.as_ref().map(|data| (newest, data))
    }

    /// The objects of keys from this one on.
    pub(super) fn currents_from(&self, key: &str) -> impl Iterator<Item = (&str, &Version)> {
        self.keys.range(key.to_owned()..).filter_map(|(key, versions)| {
            versions.last().filter(|version| version.data.is_some()).map(|version| (key.as_str(), version))
        })
    }

    /// All versions of keys from this one on, each with whether it is the newest; those of a key from the newest.
    pub(super) fn from(&self, key: &str) -> impl Iterator<Item = (&str, &Version, bool)> {
        self.keys.range(key.to_owned()..).flat_map(|(key, versions)| {
            versions.iter().rev().enumerate().map(move |(age, version)| (key.as_str(), version, age == 0))
        })
    }

    /// One version, or the newest.
    pub(super) fn get_mut(&mut self, key: &str, id: Option<VersionId>) -> Option<&mut Version> {
        let versions = self.keys.get_mut(key)?;
        match id {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|version| version.id == id),
        }
    }

    pub(super) fn get(&self, key: &str, id: VersionId) -> Option<&Version> {
        self.keys.get(key)?.iter().find(|version| version.id == id)
    }

    /// Adds a version, in place of one with the same id.
    pub(super) fn insert(&mut self, key: &str, version: Version) {
        self.remove(key, version.id);
        self.bytes += version.len();
        self.keys.entry(key.to_owned()).or_default().push(version);
    }

    pub(super) fn remove(&mut self, key: &str, id: VersionId) {
        let Some(versions) = self.keys.get_mut(key) else { return };
        if let Some(at) = versions.iter().position(|version| version.id == id) {
            self.bytes -= versions.remove(at).len();
        }
        if versions.is_empty() {
            self.keys.remove(key);
        }
    }

    /// Replaces the data of the newest version and nothing else; false if there is none.
    pub(super) fn tamper(&mut self, key: &str, data: Bytes) -> bool {
        let Some(newest) = self.get_mut(key, None).filter(|version| version.data.is_some()) else {
            return false;
        };
        let (before, after) = (newest.len(), data.len() as u64);
        newest.data = Some(data);
        self.bytes = self.bytes - before + after;
        true
    }
}
