//! What a job is asked to do.

mod copies;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::inline::InlineCopies;
use super::install::StorageUnit;
use super::interval::CheckpointEvery;
use super::path_bytes::{PathBytes, lossless};
use crate::data::GenData;

pub use copies::{
    DuplicateMethod, DuplicateRequest, FallBack, LifecycleCopy, LifecycleRequest, ReplicaImportRequest,
    ReplicateRequest, SyntheticRequest,
};

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
    /// What kind of backup the schedule makes. An incremental one without an earlier backup becomes a full one.
    #[serde(default)]
    pub schedule_type: ScheduleType,
    /// Number of the policy's data stream, from 1.
    #[serde(default = "first_stream")]
    pub stream: u32,
    /// Backup time in seconds since the epoch; the backup id is made of client and time and must be new.
    pub backup_time: u64,
    /// What is backed up.
    pub source: Source,
    /// Where it goes.
    pub storage_unit: StorageUnit,
    /// Copies that are written at the same time; none: one copy is.
    #[serde(default)]
    pub inline: Option<InlineCopies>,
    /// The multiplexed backup that it is a part of; none: it is written by itself.
    #[serde(default)]
    pub multiplexed: Option<MultiplexGroup>,
    /// Whether the header image is written before or after the fragments.
    #[serde(default)]
    pub header_order: HeaderOrder,
    /// Whether the true image restore information becomes an image on the storage, so that an import has it.
    #[serde(default)]
    pub collect_tir: bool,
    /// How far apart checkpoints are; none: it takes none.
    #[serde(default)]
    pub checkpoint: Option<CheckpointEvery>,
    /// Goes on from the last checkpoint of an incomplete or suspended job of this backup id.
    #[serde(default)]
    pub resume: bool,
    /// At [`Self::abort_after`] the operator suspends the job instead of cancelling it.
    #[serde(default)]
    pub suspend: bool,
    /// How long the images are locked on the storage after the backup (WORM), in seconds; none: not at all. The unlock time
    /// is the time of the lock and this, by the media server's clock.
    #[serde(default)]
    pub worm_seconds: Option<u64>,
    /// Whether the backup is accelerated: a full one of which only changed blocks leave the client.
    #[serde(default)]
    pub accelerator: Option<Accelerator>,
    /// The operator cancels the job when this many bytes of the stream have been written to storage. The point is
    /// exact: `bptm` holds there until `bpbrm` has decided.
    #[serde(default)]
    pub abort_after: Option<u64>,
    /// How many tries of this job came before. What they left is deleted before anything is written.
    #[serde(default)]
    pub earlier_tries: u32,
    /// How long its copies are kept after the backup, in seconds; none: until somebody expires them.
    #[serde(default)]
    pub retention_seconds: Option<u64>,
}

impl BackupRequest {
    /// The backup id of this request.
    pub fn backup_id(&self) -> String {
        backup_id(&self.client, self.backup_time)
    }

    /// Where its copies go, copy 1 first.
    pub(crate) fn copy_units(&self) -> impl Iterator<Item = &StorageUnit> {
        let further = self.inline.iter().flat_map(|inline| &inline.storage_units);
        std::iter::once(&self.storage_unit).chain(further)
    }
}

const fn first_stream() -> u32 {
    1
}

/// Backups that are written at the same time as parts of one multiplexed backup. On disk each keeps an image, a bpbrm, a
/// bptm and buffers of its own; none goes on behind its first buffer before the images of all are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiplexGroup {
    /// Number of the group in its domain.
    pub number: u64,
    /// How many backups it has, at least 2.
    pub images: u32,
}

/// NetBackup's types of schedules, with their numbers in `bpdbjobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ScheduleType {
    /// 0: everything.
    #[default]
    Full = 0,
    /// 1: what changed since the last backup of any type.
    Differential = 1,
    /// 4: what changed since the last full backup.
    Cumulative = 4,
}

/// Settings of an accelerated backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// Reads and sends everything again, as a new base.
    #[serde(default)]
    pub forced_rescan: bool,
    /// Bytes of one block of the track log (default 131 072); a multiple of 512.
    #[serde(default = "Accelerator::default_block")]
    pub block_bytes: u32,
}

impl Accelerator {
    /// 128 KiB, which is what is said of NetBackup; not verified.
    pub const fn default_block() -> u32 {
        128 << 10
    }
}

impl Default for Accelerator {
    fn default() -> Self {
        Self { forced_rescan: false, block_bytes: Self::default_block() }
    }
}

/// What a backup reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A directory and everything below it. Paths in the backup are relative to it; it is itself the path `.`.
    Directory(#[serde(with = "lossless")] PathBuf),
    /// Generated files with no disk behind them (NetBackup's `GEN_DATA`). A restore checks them and creates no files.
    Synthetic(GenData),
}

/// Where the header image comes in the order of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Which copy; the primary one by default.
    #[serde(default)]
    pub copy: Option<u32>,
    /// A unit of the storage server that it is read from; the catalogue names the LSU and the images.
    pub storage_unit: StorageUnit,
    /// Directory that the paths of the backup are put under. Created when missing. Nothing outside it is written.
    #[serde(with = "lossless")]
    pub destination: PathBuf,
    /// Which files.
    #[serde(default)]
    pub selection: Selection,
    /// How far apart checkpoints are; bytes are those of the files' content.
    #[serde(default = "every_minute")]
    pub checkpoint: CheckpointEvery,
    /// The operator suspends the job when this many bytes of the stream have been read.
    #[serde(default)]
    pub suspend_after: Option<u64>,
    /// Goes on from the last checkpoint of the job of this id.
    #[serde(default)]
    pub resume: bool,
}

const fn every_minute() -> CheckpointEvery {
    CheckpointEvery::RESTORE
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
    /// Which copy; the primary one by default.
    #[serde(default)]
    pub copy: Option<u32>,
    /// A unit of the storage server that it is read from.
    pub storage_unit: StorageUnit,
}

/// An image cleanup job: deletes the images of one copy of a backup or of all, and the backup with its last copy; or, of a
/// backup that failed and could not clean up after itself, whatever there is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpireRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// Which backup.
    pub backup_id: String,
    /// Which copy; all of them by default.
    #[serde(default)]
    pub copy: Option<u32>,
    /// A unit of the storage server that it is on.
    pub storage_unit: StorageUnit,
    /// Backup time of a failed backup, which is in no catalogue; none for one that is.
    #[serde(default)]
    pub leftovers_of: Option<u64>,
}

/// An import job: takes what is on the storage into the catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// The LSU that is imported from.
    pub storage_unit: StorageUnit,
    /// Which of the two phases.
    pub phase: ImportPhase,
}

impl ImportRequest {
    /// The backup that phase 2 is about; empty for phase 1.
    pub fn backup_id(&self) -> &str {
        match &self.phase {
            ImportPhase::One => "",
            ImportPhase::Two { backup_id } => backup_id,
        }
    }
}

/// The phases of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportPhase {
    /// Reads the headers of all backups of the LSU and enters them, without their files.
    One,
    /// Reads one of these backups and makes its file list anew.
    Two {
        /// Which backup.
        backup_id: String,
    },
}

/// An image cleanup job that deletes nothing: it locks what could not be locked when it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CleanupRequest {
    /// Job id as the activity monitor shows it.
    pub job_id: u64,
    /// A unit of the storage server whose images are looked after.
    pub storage_unit: StorageUnit,
}
