//! Everything that can go wrong with an image, in the words of whoever has to act on it.

use crate::identity::ImageIdentity;
use crate::object_store::StoreError;

/// Why a call on an image failed. Each text says what, where, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// There is no such image, or it is being deleted.
    #[error("image {image}: not found")]
    NotFound {
        /// Which.
        image: ImageIdentity,
    },
    /// Create of an image that is there already.
    #[error("image {image}: exists already; delete it first, or open it for writing if it is incomplete")]
    Exists {
        /// Which.
        image: ImageIdentity,
    },
    /// Another writer has the image open.
    #[error("image {image}: busy, writer {writer} has it open; let it close, or delete the image")]
    Busy {
        /// Which.
        image: ImageIdentity,
        /// Id of the writer that has it, as in its segments' keys.
        writer: String,
    },
    /// Others changed the state of the image at the same time, again and again, and this change came to nothing.
    #[error("image {image}: others are changing it at the same time; try again")]
    Contended {
        /// Which.
        image: ImageIdentity,
    },
    /// The image is complete and can never be written again.
    #[error("image {image}: complete, cannot be opened for writing; create a new image")]
    NotWritable {
        /// Which.
        image: ImageIdentity,
    },
    /// Someone else deleted the image or took it over; what this writer wrote has been removed.
    #[error("image {image}: deleted or taken over by another writer while this one had it open")]
    Fenced {
        /// Which.
        image: ImageIdentity,
    },
    /// A write that does not continue where the last one ended.
    #[error("image {image}: write at offset {offset}, but the next byte is {expected}; write in order")]
    InvalidOffset {
        /// Which.
        image: ImageIdentity,
        /// Offset asked for.
        offset: u64,
        /// Offset that would have been right: the image's size.
        expected: u64,
    },
    /// A range that the image does not have.
    #[error("image {image}: has {size} bytes, none from {offset} to {end}; name a range within the image")]
    InvalidRange {
        /// Which.
        image: ImageIdentity,
        /// Where the range begins.
        offset: u64,
        /// Where it ends.
        end: u64,
        /// Size of the image.
        size: u64,
    },
    /// Only a complete image can be a source of others or be locked.
    #[error(
        "image {image}: not complete, so it can be no source and cannot be locked; close it complete first"
    )]
    NotComplete {
        /// Which.
        image: ImageIdentity,
    },
    /// The image is locked and may not be deleted yet.
    #[error("image {image}: locked until {until} (seconds since the epoch), cannot be deleted before")]
    Locked {
        /// Which.
        image: ImageIdentity,
        /// Until when, in seconds since the epoch by the server's clock.
        until: u64,
    },
    /// A lock that would end too soon.
    #[error(
        "image {image}: a lock until {until} ends too soon; lock until {earliest} (seconds since the epoch) or later"
    )]
    LockTooShort {
        /// Which.
        image: ImageIdentity,
        /// The end asked for.
        until: u64,
        /// The earliest end by the server's clock and the LSU's minimum.
        earliest: u64,
    },
    /// A lock that would last too long.
    #[error(
        "image {image}: a lock until {until} lasts too long; lock until {latest} (seconds since the epoch) at most"
    )]
    LockTooLong {
        /// Which.
        image: ImageIdentity,
        /// The end asked for.
        until: u64,
        /// The latest end by the server's clock and the LSU's maximum.
        latest: u64,
    },
    /// A lock that would end before the one in force.
    #[error(
        "image {image}: locked until {locked_until}, no lock can end sooner, at {until}; extend it or leave it"
    )]
    LockShortened {
        /// Which.
        image: ImageIdentity,
        /// The end asked for.
        until: u64,
        /// When the lock in force ends.
        locked_until: u64,
    },
    /// Only a lock in force can be extended.
    #[error("image {image}: no lock is in force that could be extended; lock it anew")]
    NotLocked {
        /// Which.
        image: ImageIdentity,
    },
    /// The bucket cannot lock anything.
    #[error("image {image}: the bucket has no object lock; enable locking on the view, or do without locks")]
    NoObjectLock {
        /// Which.
        image: ImageIdentity,
    },
    /// Something that the image consists of is locked in a mode that is not strict enough and cannot be changed.
    #[error(
        "image {image}: {key} is kept in a laxer mode than asked for ({reason}); lock in that mode, or when it is over"
    )]
    LockMode {
        /// Which.
        image: ImageIdentity,
        /// The object.
        key: String,
        /// What the server said.
        reason: String,
    },
    /// The image was laid out anew again and again while it was read.
    #[error("image {image}: its segments moved while it was read; read again")]
    Moved {
        /// Which.
        image: ImageIdentity,
    },
    /// A name that no image can have.
    #[error("invalid image identity: {problem}")]
    InvalidIdentity {
        /// What is wrong with it.
        problem: String,
    },
    /// The bucket, its quota or the cluster is full.
    #[error("image {image}: no space left: {reason}; free space or raise the quota")]
    NoSpace {
        /// Which.
        image: ImageIdentity,
        /// What the server said.
        reason: String,
    },
    /// Stored bytes do not match their checksum, or an object of the image is missing or malformed.
    #[error("image {image}: damaged: {key}: {problem}")]
    Corrupt {
        /// Which.
        image: ImageIdentity,
        /// Key of the damaged object.
        key: String,
        /// What does not match, with the range.
        problem: String,
    },
    /// The writer failed earlier, said so then, and takes nothing more; abort it.
    #[error("image {image}: this writer failed earlier: {first}; abort it")]
    WriterFailed {
        /// Which.
        image: ImageIdentity,
        /// The failure that was reported.
        first: Box<ImageError>,
    },
    /// The writer was closed or aborted.
    #[error("image {image}: this writer is closed")]
    Closed {
        /// Which.
        image: ImageIdentity,
    },
    /// More images open at once than the memory budget serves.
    #[error("{open} images are open, the memory budget serves no more; close some or raise memory_budget")]
    TooManyOpen {
        /// How many are open in this direction (reading or writing).
        open: usize,
    },
    /// An image outgrew what a manifest can describe.
    #[error("image {image}: {problem}")]
    LimitReached {
        /// Which.
        image: ImageIdentity,
        /// The limit, and how to stay below it.
        problem: String,
    },
    /// The object store failed.
    #[error("{during}: {source}")]
    Store {
        /// What was being done, with the image or key.
        during: String,
        /// The store's own error.
        source: StoreError,
    },
    /// A call or a transfer was cut off before its end, by a deadline of the caller or because the runtime is shutting
    /// down.
    #[error("image {image}: cut off before it ended; abort the writer, or read again")]
    Interrupted {
        /// Which.
        image: ImageIdentity,
    },
    /// There is no operation of that number: it never was, or it ended more than a day ago.
    #[error("operation {number:#018x}: not found; it never was, or ended long ago")]
    NoOperation {
        /// Which.
        number: u64,
    },
    /// A setting that cannot work.
    #[error("invalid setting: {problem}")]
    Config {
        /// Which setting, and its legal range.
        problem: String,
    },
}

impl ImageError {
    /// Turns a store error met while working on `image` into ours.
    pub(crate) fn from_store(image: &ImageIdentity, during: &str, source: StoreError) -> Self {
        match source {
            StoreError::NoSpace(reason) => Self::NoSpace { image: image.clone(), reason },
            source => Self::Store { during: format!("image {image}: {during}"), source },
        }
    }
}
