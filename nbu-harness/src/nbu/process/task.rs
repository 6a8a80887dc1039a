//! What bptm, bpdm and nbrmms are asked to do.

use serde::{Deserialize, Serialize};

use crate::nbu::catalog::{CopyRecord, FragmentRecord, ImageRecord, StoredCopy};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::request::{DuplicateMethod, HeaderOrder, ScheduleType, Source};

/// A checkpoint as bptm made it: what is on the storage, complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) buffer_size: u32,
    pub(crate) fragments: Vec<FragmentRecord>,
    /// Header image, if it came first.
    pub(crate) header: String,
    /// All images.
    pub(crate) images: Vec<String>,
    /// Images of the failed attempt that could not be deleted.
    #[serde(default)]
    pub(crate) left: Vec<String>,
}

/// What bptm or bpdm does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum MoverTask {
    /// Writes the stream that comes over the data socket.
    Write(WriteTask),
    /// Sends pieces of the streams of stored backups, one after the other, and zeros behind them.
    Read {
        images: Vec<StoredCopy>,
        pieces: Vec<Piece>,
        zeros: u64,
        /// Bytes after which the stream ends early: the operator suspends the job there.
        stop_after: Option<u64>,
    },
    Verify {
        image: Box<ImageRecord>,
        copy: u32,
    },
    Delete {
        images: Vec<String>,
    },
    /// Delete whatever earlier tries of the backup left, or of one copy of it, but for what is before its checkpoint.
    Discard {
        keep: Vec<String>,
        copy: Option<u32>,
    },
    /// Reads the headers of all backups of the LSU.
    ReadHeaders,
    /// Reads a backup's stream for its file list.
    ReadFiles(StoredCopy),
    /// Has the storage make an image of pieces of others.
    Compose(ComposeTask),
    /// Has the storage copy a backup to another domain.
    Replicate(ReplicateTask),
    /// nbrmms: asks for the events of the LSU.
    PollEvents,
    /// nbrmms: deletes events that were dealt with.
    DeleteEvents {
        numbers: Vec<u64>,
    },
    /// Reads catalogue images that came from another domain.
    ReadCatalogImages {
        images: Vec<CatalogImage>,
    },
    /// Locks images until a time.
    Lock {
        images: Vec<String>,
        until: u64,
    },
    /// Has the storage copy a backup.
    Copy(CopyTask),
}

/// What bptm writes besides the stream itself, and when it stops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WriteTask {
    pub(crate) client: String,
    pub(crate) schedule: String,
    pub(crate) schedule_type: ScheduleType,
    /// Number of the policy's stream.
    pub(crate) stream: u32,
    pub(crate) source: Source,
    /// Number of the copy that is written.
    pub(crate) copy: u32,
    pub(crate) header_order: HeaderOrder,
    /// The file list that becomes the true image restore information on the storage; it is whole when the stream is. None:
    /// there is none there.
    pub(crate) tir: Option<PathBytes>,
    /// Goes on behind this checkpoint.
    pub(crate) resume: Option<Checkpoint>,
    /// How long the images are locked afterwards, in seconds.
    pub(crate) worm_seconds: Option<u64>,
    /// The stream comes in frames: that of a backup with checkpoints, and that of an accelerated one.
    pub(crate) framed: bool,
    /// The earlier backup that frames of an accelerated one may refer to.
    pub(crate) base: Option<StoredCopy>,
    /// Bytes of the stream after which bptm waits for bpbrm's decision.
    pub(crate) hold_at: Option<u64>,
    /// Part of a multiplexed backup: bptm waits with its image open until bpbrm says that the others are.
    pub(crate) multiplexed: bool,
}

/// An optimized synthetic backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ComposeTask {
    pub(crate) write: WriteTask,
    pub(crate) images: Vec<StoredCopy>,
    pub(crate) pieces: Vec<Piece>,
    /// Zeros behind the last piece.
    pub(crate) zeros: u64,
}

/// A replication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReplicateTask {
    pub(crate) stored: StoredCopy,
    pub(crate) master_server: String,
    pub(crate) slp: String,
}

/// An image that holds the catalogue entry of a replicated backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CatalogImage {
    pub(crate) name: String,
    pub(crate) date: u64,
    pub(crate) policy: String,
}

/// An optimized duplication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CopyTask {
    pub(crate) source: StoredCopy,
    /// Number of the copy that is made.
    pub(crate) copy: u32,
    pub(crate) method: DuplicateMethod,
    pub(crate) extent_bytes: u64,
}

/// A range of the stream of one of several backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Index of the backup.
    pub(crate) image: usize,
    pub(crate) extent: Extent,
}

/// A range of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// A copy of a backup on the storage, as its header and its images tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FoundCopy {
    pub(crate) backup_id: String,
    pub(crate) client: String,
    pub(crate) policy: String,
    pub(crate) schedule: String,
    pub(crate) schedule_type: ScheduleType,
    pub(crate) stream: u32,
    pub(crate) backup_time: u64,
    pub(crate) stream_bytes: u64,
    pub(crate) source: Option<Source>,
    pub(crate) copy: CopyRecord,
}
