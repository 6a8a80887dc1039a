//! What a job is asked to do.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::install::StorageUnit;
use super::path_bytes::{PathBytes, lossless};
use crate::data::GenData;

/// A backup id: `<client>_<ctime>`, the time as at least ten digits.
pub fn backup_id(client: &str, backup_time: u64) -> String {
    format!("{client}_{backup_time:010}")
}

/// A backup job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Client name: 1 to 128 bytes of letters, digits, `.`, `-` and `_`.
    pub client: String,
    /// Policy name, at most 255 bytes.
    pub policy: String,
    /// Schedule name.
    pub schedule: String,
    /// Backup time in seconds since the epoch; the backup id is made of client and time and must be new.
    pub backup_time: u64,
    /// What is backed up.
    pub source: Source,
    /// Where it goes.
    pub storage_unit: StorageUnit,
    /// Whether the header image is written before or after the fragments.
    #[serde(default)]
    pub header_order: HeaderOrder,
    /// The operator cancels the job when this many bytes of the stream have been written to storage. The point is
    /// exact: `bptm` holds there until `bpbrm` has decided.
    #[serde(default)]
    pub abort_after: Option<u64>,
}

impl BackupRequest {
    /// The backup id of this request.
    pub fn backup_id(&self) -> String {
        backup_id(&self.client, self.backup_time)
    }
}

/// What a backup reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A directory and everything below it. Paths in the backup are relative to it; it is itself the path `.`.
    Directory(#[serde(with = "lossless")] PathBuf),
    /// Generated files with no disk behind them (NetBackup's `GEN_DATA`). A restore checks them and creates no files.
    Synthetic(GenData),
}

/// Where the header image comes in the order of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderOrder {
    /// Before the first fragment.
    First,
    /// After the last fragment.
    #[default]
    Last,
}

/// A restore job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// Where it is read from; the catalogue names the images.
    pub storage_unit: StorageUnit,
    /// Directory that the paths of the backup are put under. Created when missing. Nothing outside it is written.
    #[serde(with = "lossless")]
    pub destination: PathBuf,
    /// Which files.
    #[serde(default)]
    pub selection: Selection,
}

/// Which files of a backup a restore takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All of them, reading the whole stream.
    #[default]
    All,
    /// The named paths, relative to the backup's directory; a directory stands for everything below it. Only the
    /// blocks that hold them are read.
    Files(Vec<PathBytes>),
}

/// A verify job: reads every block and compares the headers in the stream with the catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// Where it is read from.
    pub storage_unit: StorageUnit,
}

/// An image cleanup job: deletes every image of a backup and its catalogue entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpireRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// Where it is.
    pub storage_unit: StorageUnit,
}
