//! Copies that outlive whoever asked for them, and the events that tell their targets.
//!
//! An operation is a handful of objects in the bucket of its source: what was asked for, and one fact after another, each
//! written once and never changed. So whoever reads them can go on, several may at once, and nothing has to be locked;
//! the copies themselves are kept apart by the leases of their targets. The rules are in `docs/image-protocol.md`.

mod cancel;
mod event;
mod facts;
mod record;
mod run;
mod sweep;

use std::future::Future;
use std::sync::Arc;

use crate::copy::Route;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::object_store::ObjectStore;
use crate::store::{ImageStore, Shared};

pub use event::{ReplicatedImage, ReplicationEvent};

/// Longest name of an operation, in bytes.
pub const OPERATION_NAME_BYTES_MAX: usize = 4096;

/// An LSU of a storage server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Name of the server.
    pub server: String,
    /// Name of the LSU.
    pub lsu: String,
}

/// The backup that an image belongs to, for whoever imports it at the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Number of the copy.
    pub copy: u32,
    /// The image set: the images of one backup that are replicated together.
    pub image_set: u64,
    /// The server that the backup was made for. Bytes of no encoding.
    pub server: Vec<u8>,
    /// The policy by which it is replicated. Bytes of no encoding.
    pub lifecycle_policy: Vec<u8>,
}

/// What is to be copied where, and what the targets are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A complete image of this store.
    pub source: ImageIdentity,
    /// What it is called at the targets.
    pub target: ImageIdentity,
    /// The targets, at least one, none twice.
    pub places: Vec<Place>,
    /// Needed for the two that follow.
    pub origin: Option<Origin>,
    /// The image is named in the event of its image set.
    pub in_event: bool,
    /// When it is complete, and all images of the set that are in the event, each target gets the event.
    pub triggers: bool,
    /// Asked for again under the same name, it is the same operation.
    pub name: Option<Vec<u8>>,
}

/// How an operation ended, or why it goes on no further here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every target has the image, and its event.
    Done,
    /// It was cancelled.
    Cancelled,
    /// Whoever ran it was asked to stop. It can be gone on with.
    Stopped,
}

/// What running an operation needs of its surroundings.
pub trait Surroundings<S: ObjectStore>: Send + Sync {
    /// The images of a place, and the way to it from the source. Sends no request.
    fn open(&self, place: &Place) -> Result<(ImageStore<S>, Route), ImageError>;

    /// The images of every LSU of the source's server: an image set may lie on several.
    fn sources(&self) -> impl Future<Output = Result<Vec<ImageStore<S>>, ImageError>> + Send;

    /// False when whoever runs the operation shall stop. Asked before every segment.
    fn goes_on(&self) -> bool;
}

/// The operations whose source is in one bucket. Cheap to clone.
///
/// Like an [`ImageStore`], it may be used from any task of a tokio runtime.
pub struct Operations<S> {
    images: ImageStore<S>,
}

impl<S> Clone for Operations<S> {
    fn clone(&self) -> Self {
        Self { images: self.images.clone() }
    }
}

impl<S> std::fmt::Debug for Operations<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

impl<S: ObjectStore> ImageStore<S> {
    /// The operations whose source is in this bucket.
    pub fn operations(&self) -> Operations<S> {
        Operations { images: self.clone() }
    }
}

impl<S: ObjectStore> Operations<S> {
    fn shared(&self) -> &Arc<Shared<S>> {
        self.images.shared()
    }

    /// How an operation ended; `None` while it has not. Two requests.
    ///
    /// [`ImageError::NoOperation`] if there is none of that number.
    pub async fn outcome(&self, number: u64) -> Result<Option<Outcome>, ImageError> {
        Ok(self.load(number).await?.outcome())
    }

    /// What was asked for. Two requests.
    ///
    /// [`ImageError::NoOperation`] if there is none of that number.
    pub async fn request(&self, number: u64) -> Result<Request, ImageError> {
        Ok(self.load(number).await?.request)
    }
}
