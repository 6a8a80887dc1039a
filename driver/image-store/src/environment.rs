//! What the image store takes from outside: time, randomness, and somewhere to say things.

use std::sync::Arc;

pub use vast_client::{Clock, Entropy};

/// Something an administrator should find in the log, that is not an error of the call in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server keeps no conditions, nor uploads that could stand in for them: nothing but the caller's own order
    /// keeps two writers of one image apart. Said once per [`crate::ImageStore`].
    NotExclusive {
        /// What the server answered.
        why: String,
    },
    /// The server keeps no conditions; multipart uploads keep the writers of an image apart, which costs
    /// [`REQUESTS_BY_UPLOADS`](crate::Exclusivity::REQUESTS_BY_UPLOADS) requests for each change of a state object. Said
    /// once per [`crate::ImageStore`].
    ExclusiveByUploads {
        /// What the server answered.
        why: String,
    },
    /// Data read did not match its checksum and is read once more.
    ReadAgain {
        /// The object.
        key: String,
        /// What did not match.
        what: String,
    },
}

/// Receives notices. Called on whatever task noticed; must not block.
pub trait Notices: Send + Sync {
    /// Takes one notice.
    fn notice(&self, notice: Notice);
}

/// Drops every notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Notices for Silent {
    fn notice(&self, _notice: Notice) {}
}

/// Everything injected into an [`crate::ImageStore`].
#[derive(Clone)]
pub struct Environment {
    /// Time of day. Only recorded in manifests, never compared: exclusivity does not depend on this machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for writer ids: two writers must never get the same 16 bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Where notices go.
    pub notices: Arc<dyn Notices>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
