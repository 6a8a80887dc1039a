//! Objects, parts, multipart uploads and buckets as the state holds them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::blob::Extent;
use crate::s3::checksum::Algorithm;

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
    pub(crate) algorithm: Algorithm,
    pub(crate) value: String,
    /// Over the parts' checksums instead of the bytes.
    pub(crate) composite: bool,
}

/// How strictly a retention period is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RetentionMode {
    /// May be lifted by those who are allowed to.
    Governance,
    /// Lifted by nobody.
    Compliance,
}

/// Until when a version may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    pub(crate) mode: RetentionMode,
    /// Milliseconds since 1970.
    pub(crate) until: u64,
}

/// What keeps a version from being deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectLock {
    pub(crate) retention: Option<Retention>,
    /// None when nobody ever set it.
    pub(crate) legal_hold: Option<bool>,
    /// Until when the view's indestructible object mode keeps it, in milliseconds since 1970. Clients do not see it.
    pub(crate) indestructible_until: Option<u64>,
}

/// A part that an object was completed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectPart {
    /// As it was uploaded: numbers may have gaps.
    pub(crate) number: u16,
    pub(crate) size: u64,
    /// In the algorithm of the object's checksum.
    pub(crate) checksum: Option<String>,
}

/// What belongs to an object beside its bytes and can be set when it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    /// Name of the VMS user who wrote it.
    pub(crate) owner: String,
    pub(crate) headers: ObjectHeaders,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) lock: ObjectLock,
    /// The access control list, in the form that the permission check keeps it; none is the default one.
    pub(crate) acl: Option<serde_json::Value>,
    /// Whether the writer asked for encryption by the cluster's own keys, and is told of it.
    pub(crate) encrypted: bool,
}

/// An object: one version of it.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) attributes: Attributes,
    pub(crate) checksum: Option<StoredChecksum>,
    /// The parts it was completed from; empty for a plain PUT.
    pub(crate) parts: Vec<ObjectPart>,
    /// The upload that it was completed from: one who asks again for its completion gets the same answer.
    pub(crate) upload: Option<String>,
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
    pub(crate) attributes: Attributes,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) full_object_checksum: bool,
    pub(crate) parts: BTreeMap<u16, Part>,
}

/// A bucket: the S3 face of a view, a window onto the view's path. It holds no objects itself.
///
/// Versioning and object lock are fields of the view; see [`super::state::State::view_of`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Name of the VMS user who owns it.
    pub(crate) owner: String,
    pub(crate) view_id: u64,
    pub(crate) tenant_id: u64,
    /// The view's path.
    pub(crate) path: String,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// What clients attached to the bucket (policy, ACL, tags, lifecycle, ...), by the name of its subresource.
    pub(crate) documents: BTreeMap<String, serde_json::Value>,
}

impl Bucket {
    /// What every path of its objects starts with.
    pub(crate) fn base(&self) -> String {
        format!("{}/", self.path.trim_end_matches('/'))
    }

    /// The path of a key. The key is appended as it is, so that no two keys share a path.
    pub(crate) fn path_of(&self, key: &str) -> String {
        format!("{}/{key}", self.path.trim_end_matches('/'))
    }
}
