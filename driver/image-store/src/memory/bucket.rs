//! One bucket in memory: writing, reading and deleting, as S3 does it.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::operation::Counters;
use super::script::Scripts;
use super::upload::Upload;
use super::version::{Version, VersionId, Versions};
use crate::checksum::Running;
use crate::object_store::{
    BucketKind, Got, Head, Payload, Precondition, Put, Retention, RetentionMode, StoreError,
};

/// What all buckets of a cluster share.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Seconds since the epoch.
    pub(super) now: u64,
    /// Writes so far: makes entity tags, versions and uploads distinct.
    writes: u64,
}

impl Server {
    pub(super) fn next(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }
}

/// How a server behaves; all `false` is one with everything.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    /// Writes with a condition are refused.
    pub(super) conditions: bool,
    /// Conditions are not looked at.
    pub(super) heed: bool,
    /// Multipart uploads are refused.
    pub(super) multipart: bool,
    /// Listings of uploads are empty.
    pub(super) upload_listing: bool,
    /// Uploads that are aborted stay.
    pub(super) aborts: bool,
    /// Listings of versions are refused.
    pub(super) version_listing: bool,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) versions: Versions,
    /// By key and upload id.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
    pub(super) kind: BucketKind,
    /// Seconds that every new version is locked for, whatever its writer asks for.
    pub(super) default_retention: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) counters: Counters,
    pub(super) scripts: Scripts,
    pub(super) lacks: Lacks,
    /// 0 is S3's own.
    pub(super) page_size: usize,
}

/// Checks a body's checksum and joins its parts.
pub(super) fn receive(key: &str, body: &Payload) -> Result<Bytes, StoreError> {
    let mut crc = Running::new();
    for part in &body.parts {
        crc.update(part);
    }
    if crc.value() != body.crc32c {
        return Err(StoreError::Protocol(format!("{key}: the body does not match its checksum")));
    }
    Ok(body.parts.concat().into())
}

impl Bucket {
    /// Bytes held: all versions and all parts of uploads.
    pub(super) fn used(&self) -> u64 {
        self.versions.bytes() + self.uploads.values().map(Upload::bytes).sum::<u64>()
    }

    pub(super) fn page_size(&self) -> usize {
        if self.page_size == 0 { 1000 } else { self.page_size }
    }

    /// Refuses `more` bytes that do not fit once `freed` bytes are gone.
    pub(super) fn check_room(&self, key: &str, more: u64, freed: u64) -> Result<(), StoreError> {
        let used = self.used().saturating_sub(freed) + more;
        match self.capacity {
            Some(capacity) if used > capacity => {
                Err(StoreError::NoSpace(format!("{key}: {used} bytes are more than the capacity")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a retention that the bucket cannot keep or that is over.
    pub(super) fn check_retention(
        &self,
        now: u64,
        key: &str,
        retention: Option<Retention>,
    ) -> Result<(), StoreError> {
        match retention {
            Some(_) if !self.kind.object_lock => {
                Err(StoreError::Unsupported(format!("{key}: the bucket has no object lock")))
            }
            Some(retention) if retention.until <= now => {
                Err(StoreError::Protocol(format!("{key}: the retention must end in the future")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn put(
        &mut self,
        server: &mut Server,
        key: &str,
        body: &Payload,
        condition: &Precondition,
        retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        self.check_condition(key, condition)?;
        let data = receive(key, body)?;
        self.check_retention(server.now, key, retention)?;
        self.check_room(key, data.len() as u64, self.replaced(key))?;
        Ok(self.store(server, key, data, retention))
    }

    /// Bytes that a write to this key would replace.
    pub(super) fn replaced(&self, key: &str) -> u64 {
        if self.kind.versioned { 0 } else { self.versions.get(key, VersionId::NULL).map_or(0, Version::len) }
    }

    fn check_condition(&self, key: &str, condition: &Precondition) -> Result<(), StoreError> {
        if self.lacks.conditions && *condition != Precondition::None {
            return Err(StoreError::Unsupported("conditional writes are switched off".to_owned()));
        }
        let there = self.versions.current(key);
        match condition {
            _ if self.lacks.heed => Ok(()),
            Precondition::None => Ok(()),
            Precondition::Absent if there.is_none() => Ok(()),
            Precondition::Matches(etag) => match there {
                Some((object, _)) if object.etag == *etag => Ok(()),
                Some(_) => Err(StoreError::Precondition(key.to_owned())),
                None => Err(StoreError::NotFound(key.to_owned())),
            },
            Precondition::Absent => Err(StoreError::Precondition(key.to_owned())),
        }
    }

    /// Writes an object that was found to be fine.
    pub(super) fn store(
        &mut self,
        server: &mut Server,
        key: &str,
        data: Bytes,
        retention: Option<Retention>,
    ) -> Put {
        let number = server.next();
        // Like the entity tags of S3, quotes included; unlike them never the same for the same content.
        let etag = format!("\"{:08x}-{number}\"", crate::checksum::crc32c(&data));
        let id = if self.kind.versioned { VersionId(number) } else { VersionId::NULL };
        let default = self.default_retention.filter(|_| self.kind.object_lock);
        let retention = retention.or_else(|| {
            default.map(|seconds| Retention { until: server.now + seconds, mode: RetentionMode::Governance })
        });
        let version = Version { id, data: Some(data), etag: etag.clone(), modified: server.now, retention };
        self.versions.insert(key, version);
        Put { etag, version: id.named() }
    }

    /// The object of a key with its data.
    pub(super) fn current(&self, key: &str) -> Result<(&Version, &Bytes), StoreError> {
        self.versions.current(key).ok_or_else(|| StoreError::NotFound(key.to_owned()))
    }

    pub(super) fn get(
        &mut self,
        now: u64,
        key: &str,
        range: Option<Range<u64>>,
        flip: Option<u64>,
    ) -> Result<Got, StoreError> {
        let (object, data) = self.current(key)?;
        let (head, size, mut data) = (object.head(now), data.len(), data.clone());
        if let Some(range) = range {
            let clip = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(size);
            if clip(range.start) >= clip(range.end) {
                return Err(StoreError::Range(key.to_owned()));
            }
            data = data.slice(clip(range.start)..clip(range.end));
        }
        if let Some(at) = flip.and_then(|at| at.checked_rem(data.len() as u64)) {
            let mut bad = data.to_vec();
            // `at` is below the length.
            bad[usize::try_from(at).unwrap_or(0)] ^= 0x10;
            data = bad.into();
        }
        self.counters.bytes_out += data.len() as u64;
        Ok(Got { data, head })
    }

    pub(super) fn head(&self, now: u64, key: &str) -> Result<Head, StoreError> {
        self.current(key).map(|(object, _)| object.head(now))
    }

    /// Deletes an object, or hides it where versions are kept.
    pub(super) fn delete(&mut self, server: &mut Server, key: &str) {
        if !self.kind.versioned {
            self.versions.remove(key, VersionId::NULL);
            return;
        }
        let marker = Version {
            id: VersionId(server.next()),
            data: None,
            etag: String::new(),
            modified: server.now,
            retention: None,
        };
        self.versions.insert(key, marker);
    }

    pub(super) fn delete_versions(
        &mut self,
        now: u64,
        versions: &[(String, String)],
    ) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for (key, id) in versions {
            let Some(id) = VersionId::parse(id) else {
                outcome = outcome.and(Err(StoreError::Protocol(format!("{key}: {id} is no version id"))));
                continue;
            };
            if self.versions.get(key, id).is_some_and(|version| version.locked(now)) {
                outcome = outcome.and(Err(StoreError::Locked(format!("{key} version {}", id.text()))));
            } else {
                self.versions.remove(key, id);
            }
        }
        outcome
    }

    pub(super) fn retain(
        &mut self,
        now: u64,
        key: &str,
        version: Option<&str>,
        retention: Retention,
    ) -> Result<(), StoreError> {
        self.check_retention(now, key, Some(retention))?;
        let missing = || StoreError::NotFound(key.to_owned());
        let id = match version {
            None => None,
            Some(text) => Some(VersionId::parse(text).ok_or_else(missing)?),
        };
        let version = self.versions.get_mut(key, id).filter(|version| version.data.is_some());
        let version = version.ok_or_else(missing)?;
        match version.retention.filter(|present| present.until > now) {
            Some(present) if present.until > retention.until || present.mode != retention.mode => {
                Err(StoreError::Locked(format!("{key} version {}", version.id.text())))
            }
            _ => {
                version.retention = Some(retention);
                Ok(())
            }
        }
    }
}
