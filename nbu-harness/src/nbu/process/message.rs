//! What the processes of a job say to each other.

use serde::{Deserialize, Serialize};

use crate::nbu::catalog::{CopyRecord, FileRecord, FragmentRecord, ImageRecord};
use crate::nbu::held::Footprint;
use crate::nbu::install::{Installation, StorageUnit};
use crate::nbu::interval::CheckpointEvery;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::request::{
    BackupRequest, CleanupRequest, DuplicateRequest, ExpireRequest, HeaderOrder, ImportRequest,
    LifecycleRequest, ReplicaImportRequest, ReplicateRequest, RestoreRequest, Source, SyntheticRequest,
    VerifyRequest,
};
use crate::nbu::result::{BadRange, BufferWaits, JobEvent, JobResult, ProcessRecord, StsFailure, Warning};

pub(crate) use super::task::{
    CatalogImage, Checkpoint, ComposeTask, CopyTask, Extent, FoundCopy, MoverTask, Piece, ReplicateTask,
    WriteTask,
};

/// nbjm to the owner of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToOwner {
    /// The job; first and once.
    Start(Box<JobOrder>),
    /// The operator cancels.
    Cancel,
    /// The operator suspends.
    Suspend,
    /// All images of the multiplexed group are open.
    Interleave { images: u32 },
}

/// A job as its owner gets it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobOrder {
    pub(crate) installation: Installation,
    pub(crate) request: JobRequest,
}

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum JobRequest {
    Backup(BackupRequest),
    Restore(RestoreRequest),
    Verify(VerifyRequest),
    Expire(ExpireRequest),
    Duplicate(DuplicateRequest),
    Synthetic(SyntheticRequest),
    Import(ImportRequest),
    Cleanup(CleanupRequest),
    Replicate(ReplicateRequest),
    ImportReplicas(ReplicaImportRequest),
    Lifecycle(LifecycleRequest),
}

/// The owner of a job to nbjm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromOwner {
    Event(JobEvent),
    /// The owner's last.
    Done(Box<JobResult>),
    /// The media server says how the owner ended; the last of all.
    Ended(ProcessRecord),
}

/// bpbrm to bpbkar or tar.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToClient {
    /// bpbkar: send this.
    Backup {
        source: Source,
        /// For an incremental backup: what is known from earlier ones.
        reference: Option<Reference>,
        /// For an accelerated backup.
        track: Option<TrackOrder>,
        /// For a backup with checkpoints.
        checkpoints: Option<CheckpointOrder>,
        timeout_ms: u64,
    },
    /// tar: put what comes here.
    Restore(RestoreOrder),
}

/// What an incremental backup compares with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Backup time of the earlier backup: what was modified later is sent.
    pub(crate) since: u64,
    /// Its file list: what is not in it, or differs in anything but content, is sent too.
    pub(crate) list: PathBytes,
}

/// Checkpoints at the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CheckpointOrder {
    pub(crate) every: CheckpointEvery,
    /// Where to go on: everything up to this file is in the backup already.
    pub(crate) resume: Option<ResumePoint>,
}

/// The end of what a backup has at a checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResumePoint {
    /// The last file.
    pub(crate) path: PathBytes,
    /// How many there are.
    pub(crate) files: u64,
    /// Length of the stream.
    pub(crate) bytes: u64,
}

/// What an accelerated backup needs at the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TrackOrder {
    /// Directory of the client's track logs for this policy and stream.
    pub(crate) dir: PathBytes,
    /// The backup that is being made.
    pub(crate) backup_id: String,
    /// The full backup whose blocks can be used again, if there is one.
    pub(crate) base: Option<String>,
    pub(crate) forced_rescan: bool,
    /// Bytes of one block.
    pub(crate) block_bytes: u32,
}

/// What tar does with the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RestoreOrder {
    pub(crate) destination: PathBytes,
    /// Where the stream comes from: generated files are checked and not created.
    pub(crate) source: Source,
    pub(crate) placements: Vec<Placement>,
    pub(crate) checkpoint: CheckpointEvery,
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
    /// tar: a checkpoint. So many files have been restored, the last of them is that member of the stream.
    RestoredTo {
        files: u64,
        path: PathBytes,
    },
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
    /// After `Held` and `Open`: go on.
    Resume,
    /// The client side has ended well: complete the image.
    Finish,
    /// Give up, delete what was created.
    Abort,
    /// Give up and touch nothing: the job may be another's by now, with images of the same names.
    Leave,
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
    /// A checkpoint was made.
    Checkpoint(Box<Checkpoint>),
    /// `hold_at` was reached; waits for `Resume` or `Abort`.
    Held {
        bytes: u64,
    },
    /// The image of a multiplexed backup is open; waits for `Resume` or `Abort`.
    Open,
    /// The stream has ended; waits for `Finish` or `Abort`.
    EndOfData {
        bytes: u64,
    },
    /// It has failed and asks whether what it made is still its own to delete: `Abort` or `Leave`.
    Failing,
    /// A backup that was found on the LSU.
    Found(Box<FoundCopy>),
    /// A backup, or an image, on the LSU that cannot be imported: its name, the status, and why.
    Unreadable {
        name: String,
        status: i32,
        why: String,
    },
    /// An event of the LSU, with the catalogue images that it names.
    Event {
        number: u64,
        images: Vec<CatalogImage>,
    },
    /// The catalogue entry of a replicated backup; its files follow.
    Replica(Box<ImageRecord>),
    /// Files of the stream, in its order.
    Files(Vec<FileRecord>),
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
    /// Image of the true image restore information that was written, or read.
    pub(crate) tir: Option<String>,
    /// Until when the images are locked.
    pub(crate) unlock_time: Option<u64>,
    /// Until when they should be.
    pub(crate) lock_wanted: Option<u64>,
    /// Why they are not, although they should be: status, text and the plug-in's error. The backup exists all the same.
    pub(crate) lock_refused: Option<(i32, String, Option<StsFailure>)>,
    /// Images up to the last checkpoint: they stay when the job fails.
    pub(crate) kept: Vec<String>,
    /// All images in the order they were created or deleted.
    pub(crate) images: Vec<String>,
    /// Images that should have been deleted and were not.
    pub(crate) left_behind: Vec<String>,
}

impl MoverReport {
    /// The copy that was written.
    pub(crate) fn copy_record(&self, number: u32, at: &StorageUnit, header_order: HeaderOrder) -> CopyRecord {
        CopyRecord {
            number,
            storage_server: at.server.clone(),
            lsu: at.lsu.clone(),
            buffer_size: self.buffer_size,
            header: self.header.clone(),
            header_order,
            fragments: self.fragments.clone(),
            tir: self.tir.clone(),
            catalog_image: None,
            unlock_time: self.unlock_time,
            lock_wanted: self.lock_wanted,
            lifecycle_operation: None,
            expires: None,
        }
    }
}
