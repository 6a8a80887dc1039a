//! Requests of the jobs that make something of backups that are there: copies, replicas, synthetic backups.

use serde::{Deserialize, Serialize};

use crate::nbu::install::StorageUnit;

/// A duplication job: makes another copy of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DuplicateRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// The copy that is read; the primary one by default.
    #[serde(default)]
    pub source_copy: Option<u32>,
    /// Where the new copy goes: another LSU than that of the source, on the same storage server.
    pub storage_unit: StorageUnit,
    /// How the data gets there.
    #[serde(default)]
    pub method: DuplicateMethod,
    /// When data goes through the media server although an optimized duplication was wanted.
    #[serde(default)]
    pub fall_back: FallBack,
    /// Bytes that an extent copy asks for at a time (default 262 144, as NetBackup); a multiple of 512.
    #[serde(default = "DuplicateRequest::default_extent")]
    pub extent_bytes: u64,
    /// What a storage lifecycle policy asks for with the copy; none: it is made by hand, and kept as long as its source.
    #[serde(default)]
    pub lifecycle: Option<LifecycleCopy>,
    /// Another job of that operation may have left something: it is deleted before anything is written.
    #[serde(default)]
    pub again: bool,
}

impl DuplicateRequest {
    /// NetBackup's unit of an optimized duplication by extents.
    pub const fn default_extent() -> u64 {
        256 << 10
    }
}

/// A copy of a storage lifecycle policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleCopy {
    /// Number of the operation that asks for it, from 1: an image has one copy of each.
    pub operation: u32,
    /// How long it is kept after the backup, in seconds; none: until somebody expires it.
    pub retention_seconds: Option<u64>,
}

/// How a duplication moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateMethod {
    /// Optimized: whole images if the storage server can copy them, else extents.
    #[default]
    Optimized,
    /// Optimized, whole images only.
    WholeImage,
    /// Optimized, extents only.
    Extents,
    /// Read and written by the media server.
    Normal,
}

/// When a normal duplication takes the place of an optimized one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FallBack {
    /// Never: the job fails.
    Never,
    /// When the storage server does not offer it.
    #[default]
    NotOffered,
    /// Also when it was tried and failed (`RESUME_ORIG_DUP_ON_OPT_DUP_FAIL`).
    Failed,
}

/// A synthetic full backup: made of the last full backup of a stream and the incremental ones after it, without the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyntheticRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Client name.
    pub client: String,
    /// Policy name.
    pub policy: String,
    /// Schedule name.
    pub schedule: String,
    /// Number of the policy's data stream, from 1.
    pub stream: u32,
    /// Where it goes.
    pub storage_unit: StorageUnit,
    /// Whether the storage server composes the image (optimized) or the media server reads and writes.
    pub optimized: bool,
    /// When a normal synthetic backup takes the place of an optimized one.
    #[serde(default)]
    pub fall_back: FallBack,
    /// How long it is kept after the backup, in seconds; none: until somebody expires it.
    #[serde(default)]
    pub retention_seconds: Option<u64>,
}

/// A replication job (A.I.R.): the storage copies a backup to the replication targets of its LSU.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicateRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// A unit of the storage server that it is on.
    pub storage_unit: StorageUnit,
    /// Master server of this domain, as the target is told.
    pub master_server: String,
    /// Storage life-cycle policy, as the target is told.
    pub slp: String,
    /// The copy that is replicated; the primary one by default.
    #[serde(default)]
    pub source_copy: Option<u32>,
}

/// The import job of a target domain: takes in what the events of an LSU tell of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicaImportRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// The LSU that backups were replicated to.
    pub storage_unit: StorageUnit,
    /// Numbers of the events that it is about; none: all that there are.
    #[serde(default)]
    pub events: Option<Vec<u64>>,
    /// The storage lifecycle policy that they name; none: nobody looks.
    #[serde(default)]
    pub slp: Option<String>,
    /// How long they are kept after the backup, in seconds; none: until somebody expires them.
    #[serde(default)]
    pub retention_seconds: Option<u64>,
}

/// A job of nbstserv: one operation of a storage lifecycle policy, done for a batch of images, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LifecycleRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// The storage lifecycle policy.
    pub slp: String,
    /// Number of the operation in it, from 1.
    pub operation: u32,
    /// Number of the operation whose copy it works from.
    pub source: u32,
    /// Whether the images are replicated to another domain; otherwise they are duplicated.
    pub replicates: bool,
    /// The images.
    pub backup_ids: Vec<String>,
    /// How long the copies are kept after the backup, in seconds; none: until somebody expires them.
    #[serde(default)]
    pub retention_seconds: Option<u64>,
    /// Another job has tried it for some of them before: what is left of that is deleted first.
    pub again: bool,
    /// Where copies go; of a replication a unit of the storage server that the images are on.
    pub storage_unit: StorageUnit,
    /// Master server of this domain, as the target of a replication is told.
    pub master_server: String,
}
