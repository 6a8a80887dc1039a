//! What a job reports: while it runs ([`JobEvent`]) and at its end ([`JobResult`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalog::FragmentRecord;
use super::held::Footprint;
use super::path_bytes::PathBytes;
use super::status::Place;
pub use crate::jobs_db::{JobState, Operation};

/// NetBackup's job types, with their numbers in `bpdbjobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum JobKind {
    /// 0.
    Backup = 0,
    /// 2.
    Restore = 2,
    /// 3.
    Verify = 3,
    /// 4.
    Duplicate = 4,
    /// 5.
    Import = 5,
    /// 17.
    ImageCleanup = 17,
    /// 20.
    Replication = 20,
    /// 21.
    ReplicationImport = 21,
}

/// What happens while a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEvent {
    /// The job changed its state.
    State(JobState),
    /// The job does something else now.
    Operation(Operation),
    /// A process of the job has started.
    ProcessStarted {
        /// NetBackup's name, such as `bptm`; the forked half of bptm is `bptm child`.
        name: String,
        /// Process id.
        pid: u32,
    },
    /// Data has moved: written to storage in a backup, read from storage otherwise.
    Progress {
        /// Bytes of the stream so far.
        bytes: u64,
        /// Files so far, as the client side counts them.
        files: u64,
        /// Bytes expected, when known beforehand.
        total_bytes: Option<u64>,
    },
    /// A line of the job's details.
    Log(String),
    /// The image of a multiplexed backup is open, and bptm holds there until those of its whole group are.
    ImageOpen,
    /// A file that was skipped or changed, or something else that makes the job partially successful.
    Warning(Warning),
    /// Nothing has happened for a while: an occasion to cancel.
    Quiet,
}

/// What the caller wants after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobControl {
    /// Go on.
    Continue,
    /// Cancel the job, as an operator does: it ends with status 150 and leaves nothing behind.
    Cancel,
    /// Suspend the job, as an operator does: it ends with status 157.
    Suspend,
    /// So many images of the multiplexed group that the job is in are open, all that there will be: it writes on.
    Interleave {
        /// The images.
        images: u32,
    },
}

/// One thing that did not go as it should but did not fail the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The file concerned, relative to the backup's directory; empty when it is about none.
    pub path: PathBytes,
    /// What happened.
    pub text: String,
}

/// Waits of one side for shared-memory buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WaitDelay {
    /// Buffers that were not ready when they were wanted.
    pub waits: u64,
    /// Time spent waiting in units of NetBackup's sleep (parent 15 ms, child 10 ms), rounded down.
    pub delays: u64,
    /// Time spent waiting, in nanoseconds.
    pub waited_ns: u64,
}

/// Waits of both halves of bptm.
///
/// In a backup the parent waits for full buffers (slow client or network) and the child for empty ones (slow storage
/// or plug-in). In a restore the roles are swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BufferWaits {
    /// The half that calls the plug-in.
    pub parent: WaitDelay,
    /// The half at the socket.
    pub child: WaitDelay,
}

/// A process that took part, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// NetBackup's name.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// Exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// The first error that the plug-in reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsFailure {
    /// What was being done.
    pub place: Place,
    /// The call, such as `stspi_write_image`.
    pub call: String,
    /// The image concerned, or empty.
    pub image: String,
    /// The code, 2060000 + n.
    pub code: i32,
    /// NetBackup's text for the code.
    pub text: String,
}

/// Restored data that is not what was backed up (synthetic sources only).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRange {
    /// The generated file.
    pub path: PathBytes,
    /// First wrong byte.
    pub from: u64,
    /// First byte behind the wrong ones.
    pub to: u64,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    /// As requested.
    pub job_id: u64,
    /// Job type.
    pub kind: JobKind,
    /// [`JobState::Done`] in a returned result, unless the job can be resumed.
    pub state: JobState,
    /// NetBackup status: 0 successful, 1 partially successful, anything else failed.
    pub status: i32,
    /// NetBackup's text for the status.
    pub text: String,
    /// For jobs whose status wraps another one (191 of a verify): that one.
    pub cause: Option<i32>,
    /// The backup concerned.
    pub backup_id: String,
    /// Of a job about several backups: those that it was successful with. One that found its work done counts.
    #[serde(default)]
    pub processed: Vec<String>,
    /// KiB of the stream that were moved (backup: only what was kept).
    pub kbytes: u64,
    /// Files, directories and links that were backed up, restored, verified or expired.
    pub files: u64,
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
    /// KiB per second of wall time.
    pub kbytes_per_sec: u64,
    /// Buffer waits of bptm.
    pub waits: BufferWaits,
    /// Bytes that the plug-in accepted in write calls.
    pub bytes_written: u64,
    /// Bytes that the plug-in returned from read calls: how much of the storage a restore touched.
    pub bytes_read: u64,
    /// Largest resident size of the bptm parent in bytes, shared buffers included (`VmHWM`).
    pub peak_rss_bytes: u64,
    /// What the plug-in left in bptm or bpdm: their descriptors and threads after `stspi_terminate` beside those before the
    /// load. One entry for each process that loaded it and lived to report.
    #[serde(default)]
    pub footprints: Vec<Footprint>,
    /// The data fragments of the backup, as the catalogue has them.
    pub fragments: Vec<FragmentRecord>,
    /// Names of all images of the backup (fragments and header) in the order they were created or deleted.
    pub images: Vec<String>,
    /// Images that had been created and could not be deleted after a failure; empty when nothing is left.
    pub left_behind: Vec<String>,
    /// Job details, at most 10 000 lines.
    pub log: Vec<String>,
    /// At most 10 000 warnings.
    pub warnings: Vec<Warning>,
    /// First error of the plug-in, if any.
    pub sts_error: Option<StsFailure>,
    /// Ranges of synthetic files that came back wrong, at most 10 000.
    pub bad_ranges: Vec<BadRange>,
    /// Processes in the order they were started.
    pub processes: Vec<ProcessRecord>,
    /// What it did, one operation after the other.
    #[serde(default)]
    pub operations: Vec<Operation>,
}

impl JobResult {
    /// Wall time.
    pub const fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms)
    }

    /// Whether everything (0) or everything but some files (1) worked.
    pub const fn is_successful(&self) -> bool {
        self.status == 0 || self.status == 1
    }
}

impl JobResult {
    /// The result of a job that has done nothing yet.
    pub(crate) fn empty(kind: JobKind, job_id: u64, backup_id: String) -> Self {
        Self {
            job_id,
            kind,
            state: JobState::Queued,
            status: 0,
            text: String::new(),
            cause: None,
            backup_id,
            processed: Vec::new(),
            kbytes: 0,
            files: 0,
            elapsed_ms: 0,
            kbytes_per_sec: 0,
            waits: BufferWaits::default(),
            bytes_written: 0,
            bytes_read: 0,
            peak_rss_bytes: 0,
            footprints: Vec::new(),
            fragments: Vec::new(),
            images: Vec::new(),
            left_behind: Vec::new(),
            log: Vec::new(),
            warnings: Vec::new(),
            sts_error: None,
            bad_ranges: Vec::new(),
            processes: Vec::new(),
            operations: Vec::new(),
        }
    }
}
