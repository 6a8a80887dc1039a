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
