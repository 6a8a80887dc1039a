//! Everything that is stored, as a test wants to see it: past the protocol, past permissions, with nothing hidden.

use serde::{Deserialize, Serialize};

use crate::core::Core;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawObject {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
}

/// A part of an open multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPart {
    /// Part number.
    pub number: u16,
    /// Bytes.
    pub size: u64,
}

/// An open multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawUpload {
    /// The key it would make.
    pub key: String,
    /// Its upload id.
    pub upload_id: String,
    /// Parts stored so far.
    pub parts: Vec<RawPart>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawBucket {
    /// Its name.
    pub name: String,
    /// Name of the VMS user who owns it.
    pub owner: String,
    /// Path of its view.
    pub path: String,
    /// Bytes of objects and parts.
    pub bytes: u64,
    /// Objects by key.
    pub objects: Vec<RawObject>,
    /// Open uploads by key and upload id.
    pub uploads: Vec<RawUpload>,
}

/// The whole cluster's data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawState {
    /// Buckets by name.
    pub buckets: Vec<RawBucket>,
}

impl RawState {
    /// The bucket of that name.
    pub fn bucket(&self, name: &str) -> Option<&RawBucket> {
        self.buckets.iter().find(|b| b.name == name)
    }

    pub(crate) fn of(core: &Core) -> Self {
        core.store.read(|state| {
            let buckets = state.buckets().iter().map(|(name, bucket)| RawBucket {
                name: name.clone(),
                owner: bucket.owner.clone(),
                path: bucket.path.clone(),
                bytes: bucket.bytes,
                objects: bucket
                    .objects
                    .iter()
                    .map(|(key, o)| RawObject { key: key.clone(), size: o.size, etag: o.etag.clone() })
                    .collect(),
                uploads: bucket
                    .uploads
                    .iter()
                    .map(|((key, id), upload)| RawUpload {
                        key: key.clone(),
                        upload_id: id.clone(),
                        parts: upload
                            .parts
                            .iter()
                            .map(|(n, p)| RawPart { number: *n, size: p.size })
                            .collect(),
                    })
                    .collect(),
            });
            Self { buckets: buckets.collect() }
        })
    }
}

impl RawBucket {
    /// The object of that key.
    pub fn object(&self, key: &str) -> Option<&RawObject> {
        self.objects.iter().find(|o| o.key == key)
    }
}
