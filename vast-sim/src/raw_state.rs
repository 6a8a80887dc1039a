//! Everything that is stored, as a test wants to see it: past the protocol, past permissions, with nothing hidden.

use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::store::object::{Bucket, Object, Upload};
use crate::store::state::State;

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

/// A version that a plain listing does not show, or that has a version id: everything but a lone unversioned object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawVersion {
    /// Its key.
    pub key: String,
    /// Its version id; `null` for one written while versioning was off.
    pub version_id: String,
    /// Bytes; none for a delete marker.
    pub size: Option<u64>,
    /// Whether it is the newest of its key.
    pub is_latest: bool,
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
    /// Versions and delete markers by key, newest first.
    #[serde(default)]
    pub versions: Vec<RawVersion>,
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
        core.store.read(|state| Self {
            buckets: state.buckets().iter().map(|(name, b)| RawBucket::of(state, name, b)).collect(),
        })
    }
}

impl RawBucket {
    fn of(state: &State, name: &str, bucket: &Bucket) -> Self {
        let files = state.files(bucket.tenant_id);
        let base = bucket.base().len();
        let object =
            |key: &str, o: &Object| RawObject { key: key.to_owned(), size: o.size, etag: o.etag.clone() };
        let parts = |upload: &Upload| {
            upload.parts.iter().map(|(n, p)| RawPart { number: *n, size: p.size }).collect()
        };
        Self {
            name: name.to_owned(),
            owner: bucket.owner.clone(),
            path: bucket.path.clone(),
            bytes: files.usage(&bucket.path).bytes,
            objects: files
                .walk(&bucket.path)
                .filter_map(|(path, entry)| Some(object(&path[base..], entry.current()?)))
                .collect(),
            versions: files
                .walk(&bucket.path)
                .filter(|(_, entry)| !entry.is_plain())
                .flat_map(|(path, entry)| {
                    entry.versions().enumerate().map(move |(n, version)| RawVersion {
                        key: path[base..].to_owned(),
                        version_id: version.id.to_string(),
                        size: version.object().map(|o| o.size),
                        is_latest: n == 0,
                    })
                })
                .collect(),
            uploads: files
                .walk_uploads(&bucket.path)
                .map(|(path, id, upload)| RawUpload {
                    key: path[base..].to_owned(),
                    upload_id: id.to_owned(),
                    parts: parts(upload),
                })
                .collect(),
        }
    }

    /// The object of that key.
    pub fn object(&self, key: &str) -> Option<&RawObject> {
        self.objects.iter().find(|o| o.key == key)
    }
}

/// Everything, with the VMS objects: what `vast-sim state dump` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Dump {
    buckets: Vec<RawBucket>,
    /// Rows by resource, as stored; without events.
    vms: std::collections::BTreeMap<String, Vec<serde_json::Value>>,
}

impl Dump {
    pub(crate) fn of(core: &Core) -> Self {
        let buckets = RawState::of(core).buckets;
        let vms = core.store.read(|state| {
            let rows = |kind: &str| state.vms.rows(kind).map(|(_, row)| row.clone().into()).collect();
            // What happened is no part of what there is.
            let kinds = state.vms.kinds().filter(|kind| *kind != "events");
            kinds.map(|kind| (kind.to_owned(), rows(kind))).collect()
        });
        Self { buckets, vms }
    }
}
