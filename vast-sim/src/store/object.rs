//! Buckets, objects and multipart uploads as the state holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::Extent;

/// The headers of an object that S3 stores and returns as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectHeaders {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A checksum kept with an object or part, in the protocol's base64 form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredChecksum {
    pub(crate) algorithm: crate::s3::checksum::Algorithm,
    pub(crate) value: String,
    /// Over the parts' checksums instead of the bytes.
    pub(crate) composite: bool,
}

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) headers: ObjectHeaders,
    pub(crate) checksum: Option<StoredChecksum>,
    /// Sizes of the parts it was completed from; empty for a plain PUT.
    pub(crate) part_sizes: Vec<u64>,
    pub(crate) extents: Vec<Extent>,
}

/// A part of an open multipart upload.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: u64,
    pub(crate) checksum: Option<StoredChecksum>,
    pub(crate) extents: Vec<Extent>,
}

/// An open multipart upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// Milliseconds since 1970.
    pub(crate) initiated: u64,
    pub(crate) headers: ObjectHeaders,
    pub(crate) algorithm: Option<crate::s3::checksum::Algorithm>,
    pub(crate) full_object_checksum: bool,
    pub(crate) parts: BTreeMap<u16, Part>,
}

/// A bucket: the S3 face of a view.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Name of the VMS user who owns it.
    pub(crate) owner: String,
    pub(crate) view_id: u64,
    pub(crate) tenant_id: u64,
    /// The view's path.
    pub(crate) path: String,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    /// By key, then upload id.
    pub(crate) uploads: BTreeMap<(String, String), Upload>,
    /// Bytes of all objects and all parts of open uploads.
    pub(crate) bytes: u64,
}

impl Bucket {
    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.uploads.is_empty()
    }
}
