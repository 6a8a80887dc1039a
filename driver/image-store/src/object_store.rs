//! The object-store trait: everything that the image store needs of a bucket, and nothing more.
//!
//! Two implementations: `s3::S3Store` over the VAST client, and `memory::MemoryStore`. A store is bound to one
//! bucket (one LSU). All calls may be made from any task; none of them blocks a thread.

use std::future::Future;

use bytes::Bytes;

/// What must hold of a key for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Write whatever is there.
    #[default]
    None,
    /// Only if no object has this key (`If-None-Match: *`).
    Absent,
    /// Only if the object still has this entity tag (`If-Match`).
    Matches(String),
}

/// The body of a put: the parts are sent one after another, without being joined.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// The bytes, in order.
    pub parts: Vec<Bytes>,
    /// CRC-32C (Castagnoli) of all parts together, sent along so that the server refuses a damaged body.
    pub crc32c: u32,
}

/// What a successful put says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Entity tag of the new object, opaque, without surrounding quotes removed or added.
    pub etag: String,
}

/// The answer to a get.
#[derive(Debug, Clone)]
pub struct Got {
    /// The bytes asked for; shorter than asked only at the end of the object.
    pub data: Bytes,
    /// Entity tag of the object the bytes belong to.
    pub etag: String,
    /// Size in bytes of the whole object.
    pub size: u64,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key, whole.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Last modification in seconds since the epoch, by the server's clock.
    pub modified: u64,
}

/// One page of a listing, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most 1,000 objects.
    pub objects: Vec<Listed>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<String>,
}

/// Why a call failed, in the terms that decide what the image store does next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no object with this key.
    #[error("{0}: no such object")]
    NotFound(String),
    /// The precondition of a write did not hold; nothing was written.
    #[error("{0}: precondition failed")]
    Precondition(String),
    /// A range that begins at or past the end of the object, or is empty.
    #[error("{0}: the range is outside of the object")]
    Range(String),
    /// The bucket, its quota or the cluster is full; nothing was written.
    #[error("no space left: {0}")]
    NoSpace(String),
    /// The key pair is unknown, revoked or has no right to this.
    #[error("access denied: {0}")]
    Denied(String),
    /// The bucket is not there.
    #[error("no such bucket: {0}")]
    NoBucket(String),
    /// The server does not offer this operation or header.
    #[error("not supported by the server: {0}")]
    Unsupported(String),
    /// Gave up after retries on several VIPs. A write may or may not have happened.
    #[error("cannot reach the data path: {0}")]
    Unreachable(String),
    /// The deadline of the call passed. A write may or may not have happened.
    #[error("timed out: {0}")]
    Timeout(String),
    /// An answer that makes no sense, or a request the server calls malformed.
    #[error("protocol error: {0}")]
    Protocol(String),
}

/// A bucket. Implementations are cheap to clone through an `Arc` and hold no lock across a wait.
pub trait ObjectStore: Send + Sync + 'static {
    /// Writes one object in a single request.
    ///
    /// With a precondition, an implementation that had to retry must not report [`StoreError::Precondition`]
    /// for its own earlier success without saying so: callers resolve it by reading the object back.
    fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Reads `range` (byte offsets, end exclusive), or the whole object.
    ///
    /// [`StoreError::Range`] for an empty range and for one that begins at or past the end.
    fn get(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> impl Future<Output = Result<Got, StoreError>> + Send;

    /// Deletes one object; a missing one is success.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes any number of objects, in as few requests as the server allows; missing ones are success.
    fn delete_many(&self, keys: &[String]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists keys that begin with `prefix`, from `next` of the page before.
    fn list(&self, prefix: &str, next: Option<&str>)
    -> impl Future<Output = Result<Page, StoreError>> + Send;
}
