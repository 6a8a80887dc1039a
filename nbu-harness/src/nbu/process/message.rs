//! What the processes of a job say to each other.

use serde::{Deserialize, Serialize};

use crate::nbu::catalog::{FileRecord, FragmentRecord, ImageRecord};
use crate::nbu::held::Footprint;
use crate::nbu::install::{Installation, StorageUnit};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::request::{BackupRequest, ExpireRequest, HeaderOrder, RestoreRequest, Source, VerifyRequest};
use crate::nbu::result::{BadRange, BufferWaits, JobEvent, JobResult, StsFailure, Warning};

/// nbjm to the owner of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToOwner {
    /// The job; first and once.
    Start(Box<JobOrder>),
    /// The operator cancels.
    Cancel,
}

/// A job as its owner gets it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobOrder {
    pub(crate) installation: Installation,
    pub(crate) request: JobRequest,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JobRequest {
    Backup(BackupRequest),
    Restore(RestoreRequest),
    Verify(VerifyRequest),
    Expire(ExpireRequest),
}

/// The owner of a job to nbjm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromOwner {
    Event(JobEvent),
    /// Last.
    Done(Box<JobResult>),
}

/// bpbrm to bpbkar or tar.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToClient {
    /// bpbkar: send this.
    Backup {
        source: Source,
        /// Modification time of generated files.
        backup_time: u64,
        timeout_ms: u64,
    },
    /// tar: put what comes here.
    Restore(RestoreOrder),
}

/// What tar does with the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RestoreOrder {
    pub(crate) destination: PathBytes,
    /// Where the stream comes from: generated files are checked and not created.
    pub(crate) source: Source,
    pub(crate) placements: Vec<Placement>,
    pub(crate) timeout_ms: u64,
}

/// A member of the stream that is needed under other names than its own: hard links were selected, their file not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) member: PathBytes,
    /// The first becomes the file, the others hard links to it.
    pub(crate) outputs: Vec<PathBytes>,
}

/// bpbkar or tar to bpbrm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromClient {
    Log(String),
    Warning(Warning),
    /// bpbkar: files whose place in the stream is decided.
    Files(Vec<FileRecord>),
    /// tar: how many files have been restored.
    Restored(u64),
    /// Last.
    Done(ClientReport),
}

/// How the client side ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ClientReport {
    pub(crate) status: i32,
    /// Why, when `status` is neither 0 nor 1.
    pub(crate) text: String,
    pub(crate) files: u64,
    /// Length of the stream.
    pub(crate) bytes: u64,
    pub(crate) bad_ranges: Vec<BadRange>,
}

/// bpbrm to bptm or bpdm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToMover {
    Order(Box<MoverOrder>),
    /// After `Held`: go on.
    Resume,
    /// The client side has ended well: complete the image.
    Finish,
    /// Give up, delete what was created.
    Abort,
}

/// Work for bptm or bpdm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MoverOrder {
    pub(crate) installation: Installation,
    pub(crate) storage_unit: StorageUnit,
    pub(crate) job_id: u64,
    pub(crate) backup_id: String,
    pub(crate) backup_time: u64,
    pub(crate) policy: String,
    pub(crate) task: MoverTask,
}

/// What bptm or bpdm does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum MoverTask {
    Write { client: String, schedule: String, header_order: HeaderOrder, hold_at: Option<u64> },
    Read { image: Box<ImageRecord>, extents: Vec<Extent> },
    Verify { image: Box<ImageRecord> },
    Delete { images: Vec<String> },
}

/// A range of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// bptm or bpdm to bpbrm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromMover {
    /// A line of bptm's log, complete.
    Log(String),
    Warning(Warning),
    /// The forked half.
    Child {
        pid: u32,
    },
    Progress {
        bytes: u64,
    },
    /// An image is about to be created: from now on it may exist.
    Creating(String),
    /// `hold_at` was reached; waits for `Resume` or `Abort`.
    Held {
        bytes: u64,
    },
    /// The stream has ended; waits for `Finish` or `Abort`.
    EndOfData {
        bytes: u64,
    },
    /// Last.
    Done(Box<MoverReport>),
}

/// How bptm or bpdm ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MoverReport {
    pub(crate) status: i32,
    /// Why, when `status` is not 0.
    pub(crate) text: String,
    pub(crate) sts: Option<StsFailure>,
    /// Bytes of the stream moved.
    pub(crate) bytes: u64,
    /// Files verified.
    pub(crate) files: u64,
    pub(crate) bytes_written: u64,
    pub(crate) bytes_read: u64,
    pub(crate) waits: BufferWaits,
    pub(crate) peak_rss_bytes: u64,
    /// What the plug-in left in the process; none when it was not loaded.
    pub(crate) footprint: Option<Footprint>,
    pub(crate) buffer_size: u32,
    pub(crate) fragments: Vec<FragmentRecord>,
    pub(crate) header: String,
    /// All images in the order they were created or deleted.
    pub(crate) images: Vec<String>,
    /// Images that should have been deleted and were not.
    pub(crate) left_behind: Vec<String>,
}
