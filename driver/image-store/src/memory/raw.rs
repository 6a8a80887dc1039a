//! Everything that a bucket in memory holds, with nothing hidden: what checks for leavings look at.

use bytes::Bytes;

use super::bucket::Bucket;
use crate::object_store::Retention;

/// The whole content of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw {
    /// All versions and delete markers in key order, those of one key from the newest to the oldest.
    pub versions: Vec<RawVersion>,
    /// All uploads that have begun and not ended, in key order, those of one key in the order of their ids.
    pub uploads: Vec<RawUpload>,
}

/// A version or delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawVersion {
    /// Its key.
    pub key: String,
    /// Its version id; `null` in a bucket without versions.
    pub version: String,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// Its bytes; `None` for a delete marker.
    pub data: Option<Bytes>,
    /// When it was made, in seconds since the epoch.
    pub modified: u64,
    /// What object lock keeps it for; may be over already.
    pub retention: Option<Retention>,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUpload {
    /// The key of the object that it is to make.
    pub key: String,
    /// Upload id.
    pub upload: String,
    /// When it began, in seconds since the epoch.
    pub initiated: u64,
    /// Parts sent so far: number and bytes.
    pub parts: Vec<(u32, Bytes)>,
}

impl Raw {
    pub(super) fn of(bucket: &Bucket) -> Self {
        let versions = bucket.versions.from("").map(|(key, version, latest)| RawVersion {
            key: key.to_owned(),
            version: version.id.text(),
            latest,
            data: version.data.clone(),
            modified: version.modified,
            retention: version.retention,
        });
        let uploads = bucket.uploads.iter().map(|((key, upload), open)| RawUpload {
            key: key.clone(),
            upload: upload.clone(),
            initiated: open.initiated,
            parts: open.parts.iter().map(|(number, (data, _))| (*number, data.clone())).collect(),
        });
        Self { versions: versions.collect(), uploads: uploads.collect() }
    }

    /// Whether nothing at all is left.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.uploads.is_empty()
    }

    /// Versions that do not show in a plain listing: replaced ones, deleted ones, delete markers.
    pub fn hidden(&self) -> impl Iterator<Item = &RawVersion> {
        self.versions.iter().filter(|version| !version.latest || version.data.is_none())
    }
}
