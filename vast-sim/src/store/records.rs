//! The durable form of the state's records: JSON values under JSON keys, blobs by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::{Blob, Extent};
use super::object::{Bucket, Object, ObjectHeaders, Part, StoredChecksum, Upload};

/// `(blob, its length, offset, length)`.
type ExtentRecord = (u64, u64, u64, u64);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    owner: String,
    view_id: u64,
    tenant_id: u64,
    path: String,
    created: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    size: u64,
    etag: String,
    modified: u64,
    headers: ObjectHeaders,
    checksum: Option<StoredChecksum>,
    part_sizes: Vec<u64>,
    extents: Vec<ExtentRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    initiated: u64,
    headers: ObjectHeaders,
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

/// A record as bytes. Our records hold no maps with non-string keys, so this cannot fail; an empty value would be
/// refused at the next start.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn extents_out(extents: &[Extent]) -> Vec<ExtentRecord> {
    extents.iter().map(|e| (e.blob.id, e.blob.len, e.offset, e.len)).collect()
}

impl From<&Bucket> for BucketRecord {
    fn from(b: &Bucket) -> Self {
        Self {
            owner: b.owner.clone(),
            view_id: b.view_id,
            tenant_id: b.tenant_id,
            path: b.path.clone(),
            created: b.created,
        }
    }
}

impl From<BucketRecord> for Bucket {
    fn from(r: BucketRecord) -> Self {
        Self {
            owner: r.owner,
            view_id: r.view_id,
            tenant_id: r.tenant_id,
            path: r.path,
            created: r.created,
            ..Self::default()
        }
    }
}

impl From<&Object> for ObjectRecord {
    fn from(o: &Object) -> Self {
        Self {
            size: o.size,
            etag: o.etag.clone(),
            modified: o.modified,
            headers: o.headers.clone(),
            checksum: o.checksum.clone(),
            part_sizes: o.part_sizes.clone(),
            extents: extents_out(&o.extents),
        }
    }
}

impl From<&Upload> for UploadRecord {
    fn from(u: &Upload) -> Self {
        Self {
            initiated: u.initiated,
            headers: u.headers.clone(),
            algorithm: u.algorithm,
            full_object_checksum: u.full_object_checksum,
        }
    }
}

impl From<UploadRecord> for Upload {
    fn from(r: UploadRecord) -> Self {
        Self {
            initiated: r.initiated,
            headers: r.headers,
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

/// The blobs met while loading: one per number, shared by all who refer to it.
#[derive(Debug, Default)]
pub(crate) struct BlobTable {
    /// Length of each blob, filled in the first pass.
    pub(crate) blobs: BTreeMap<u64, Arc<Blob>>,
}

impl BlobTable {
    fn extents(
        &mut self,
        records: Vec<ExtentRecord>,
        make: &dyn Fn(u64, u64) -> Result<Blob, String>,
    ) -> Result<Vec<Extent>, String> {
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

    pub(crate) fn object(
        &mut self,
        r: ObjectRecord,
        make: &dyn Fn(u64, u64) -> Result<Blob, String>,
    ) -> Result<Object, String> {
        Ok(Object {
            size: r.size,
            etag: r.etag,
            modified: r.modified,
            headers: r.headers,
            checksum: r.checksum,
            part_sizes: r.part_sizes,
            extents: self.extents(r.extents, make)?,
        })
    }

    pub(crate) fn part(
        &mut self,
        r: PartRecord,
        make: &dyn Fn(u64, u64) -> Result<Blob, String>,
    ) -> Result<Part, String> {
        Ok(Part {
            size: r.size,
            etag: r.etag,
            modified: r.modified,
            checksum: r.checksum,
            extents: self.extents(r.extents, make)?,
        })
    }
}
