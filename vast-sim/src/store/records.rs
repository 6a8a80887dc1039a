//! The durable form of the state's records: MessagePack values under MessagePack keys, blobs by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::blob::{Blob, Extent};
use super::namespace::DirectoryInfo;
use super::object::{Attributes, Object, ObjectPart, Part, StoredChecksum, Upload};
use super::version::{Content, Version, VersionId};

/// `(blob, its length, offset, length)`.
type ExtentRecord = (u64, u64, u64, u64);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    size: u64,
    etag: String,
    modified: u64,
    attributes: Attributes,
    checksum: Option<StoredChecksum>,
    parts: Vec<ObjectPart>,
    upload: Option<String>,
    extents: Vec<ExtentRecord>,
}

/// A version under the key `(tenant, path, version id)`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum VersionRecord {
    Object { order: u64, object: Box<ObjectRecord> },
    DeleteMarker { order: u64, modified: u64, owner: String },
}

/// A piece of a snapshot under the key `(snapshot, path)`; the root is at the empty path.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FrozenRecord {
    Root { tenant_id: u64, path: String, directories: BTreeMap<String, DirectoryInfo> },
    Object(Box<ObjectRecord>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    initiated: u64,
    attributes: Attributes,
    algorithm: Option<crate::s3::checksum::Algorithm>,
    full_object_checksum: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    size: u64,
    etag: String,
    modified: u64,
    checksum: Option<StoredChecksum>,
    extents: Vec<ExtentRecord>,
}

/// A record as bytes. Ours are plain data, so this cannot fail; an empty value would be refused at the next start.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap_or_default()
}

/// The inverse of [`encode`].
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

fn extents_out(extents: &[Extent]) -> Vec<ExtentRecord> {
    extents.iter().map(|e| (e.blob.id, e.blob.len, e.offset, e.len)).collect()
}

impl From<&Object> for ObjectRecord {
    fn from(o: &Object) -> Self {
        Self {
            size: o.size,
            etag: o.etag.clone(),
            modified: o.modified,
            attributes: o.attributes.clone(),
            checksum: o.checksum.clone(),
            parts: o.parts.clone(),
            upload: o.upload.clone(),
            extents: extents_out(&o.extents),
        }
    }
}

impl From<&Version> for VersionRecord {
    fn from(v: &Version) -> Self {
        match &v.content {
            Content::Object(object) => {
                Self::Object { order: v.order, object: Box::new(ObjectRecord::from(&**object)) }
            }
            Content::DeleteMarker { modified, owner } => {
                Self::DeleteMarker { order: v.order, modified: *modified, owner: owner.clone() }
            }
        }
    }
}

impl From<&Upload> for UploadRecord {
    fn from(u: &Upload) -> Self {
        Self {
            initiated: u.initiated,
            attributes: u.attributes.clone(),
            algorithm: u.algorithm,
            full_object_checksum: u.full_object_checksum,
        }
    }
}

impl From<UploadRecord> for Upload {
    fn from(r: UploadRecord) -> Self {
        Self {
            initiated: r.initiated,
            attributes: r.attributes,
            algorithm: r.algorithm,
            full_object_checksum: r.full_object_checksum,
            parts: BTreeMap::new(),
        }
    }
}

impl From<&Part> for PartRecord {
    fn from(p: &Part) -> Self {
        Self {
            size: p.size,
            etag: p.etag.clone(),
            modified: p.modified,
            checksum: p.checksum.clone(),
            extents: extents_out(&p.extents),
        }
    }
}

type MakeBlob<'m> = dyn Fn(u64, u64) -> Result<Blob, String> + 'm;

/// The blobs met while loading: one per number, shared by all who refer to it.
#[derive(Debug, Default)]
pub(crate) struct BlobTable {
    /// Length of each blob, filled in the first pass.
    pub(crate) blobs: BTreeMap<u64, Arc<Blob>>,
}

impl BlobTable {
    fn extents(&mut self, records: Vec<ExtentRecord>, make: &MakeBlob<'_>) -> Result<Vec<Extent>, String> {
        let mut out = Vec::with_capacity(records.len());
        for (id, blob_len, offset, len) in records {
            let blob = if let Some(blob) = self.blobs.get(&id) {
                Arc::clone(blob)
            } else {
                let blob = Arc::new(make(id, blob_len)?);
                self.blobs.insert(id, Arc::clone(&blob));
                blob
            };
            out.push(Extent { blob, offset, len });
        }
        Ok(out)
    }

    pub(crate) fn object(&mut self, r: ObjectRecord, make: &MakeBlob<'_>) -> Result<Object, String> {
        Ok(Object {
            size: r.size,
            etag: r.etag,
            modified: r.modified,
            attributes: r.attributes,
            checksum: r.checksum,
            parts: r.parts,
            upload: r.upload,
            extents: self.extents(r.extents, make)?,
        })
    }

    pub(crate) fn version(
        &mut self,
        id: &str,
        record: VersionRecord,
        make: &MakeBlob<'_>,
    ) -> Result<Version, String> {
        let id = VersionId::parse(id).ok_or_else(|| format!("{id:?} is not a version id"))?;
        Ok(match record {
            VersionRecord::Object { order, object } => {
                Version { id, order, content: Content::Object(Arc::new(self.object(*object, make)?)) }
            }
            VersionRecord::DeleteMarker { order, modified, owner } => {
                Version { id, order, content: Content::DeleteMarker { modified, owner } }
            }
        })
    }

    pub(crate) fn part(&mut self, r: PartRecord, make: &MakeBlob<'_>) -> Result<Part, String> {
        Ok(Part {
            size: r.size,
            etag: r.etag,
            modified: r.modified,
            checksum: r.checksum,
            extents: self.extents(r.extents, make)?,
        })
    }
}
