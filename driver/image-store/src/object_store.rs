//! The object-store trait: everything that the image store needs of a bucket, and nothing more.
//!
//! Two implementations: `s3::S3Store` over the VAST client, and `memory::MemoryStore`. A store is bound to one
//! bucket (one LSU). All calls may be made from any task; none of them blocks a thread.

use std::future::Future;
use std::ops::Range;

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

/// How strictly object lock keeps a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetentionMode {
    /// Users with a special right may lift it, by other means than this trait.
    Governance,
    /// Nobody may lift it.
    Compliance,
}

/// A retention that object lock gives a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retention {
    /// Until when the version is kept: seconds since the epoch by the server's clock, ahead of it.
    pub until: u64,
    /// How strictly.
    pub mode: RetentionMode,
}

/// What a successful write says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Entity tag of the new object, opaque, without surrounding quotes removed or added.
    pub etag: String,
    /// Version id of the new object, where the bucket keeps versions.
    pub version: Option<String>,
}

/// What is known of an object that was read.
///
/// `modified` and `answered` are told by one server in one answer: leases are judged by their difference. A server
/// that tells only one of them, or none, makes the object look as if it had been written this very moment, which
/// is the side on which nobody's work is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Entity tag of the object.
    pub etag: String,
    /// Size in bytes of the whole object.
    pub size: u64,
    /// Version id, where the bucket keeps versions.
    pub version: Option<String>,
    /// Last modification in seconds since the epoch, by the server's clock (`Last-Modified`).
    pub modified: u64,
    /// When the server answered, on the same clock (`Date`).
    pub answered: u64,
    /// What object lock keeps this version for (`x-amz-object-lock-retain-until-date` and `-mode`); may be over already.
    pub retention: Option<Retention>,
}

/// The answer to a get.
#[derive(Debug, Clone)]
pub struct Got {
    /// The bytes asked for; shorter than asked only at the end of the object.
    pub data: Bytes,
    /// What is known of the object the bytes belong to.
    pub head: Head,
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

/// One page of the distinct beginnings of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupPage {
    /// Each begins with the prefix asked for and ends with the first `/` after it; at most 1,000, in order.
    pub groups: Vec<String>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<String>,
}

/// One version or delete marker of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The key, whole.
    pub key: String,
    /// Version id; `null` for an object of a bucket that keeps no versions.
    pub version: String,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// Whether it marks its key as deleted; the size is 0 then.
    pub delete_marker: bool,
    /// Size in bytes.
    pub size: u64,
    /// When it was made, in seconds since the epoch by the server's clock; 0 when the server does not say.
    pub modified: u64,
}

/// Where a listing of versions goes on; only for passing it to the next call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionsNext {
    /// The key that the page ended at.
    pub key: String,
    /// The version that it ended at; `None` behind the last one of the key.
    pub version: Option<String>,
}

/// One page of a listing of versions, in key order; those of one key from the newest to the oldest, as far as the
/// server tells. Rely on `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionPage {
    /// At most 1,000 versions and delete markers.
    pub versions: Vec<ListedVersion>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<VersionsNext>,
}

/// A multipart upload that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// The key of the object that it is to make.
    pub key: String,
    /// Upload id.
    pub upload: String,
    /// When it began, in seconds since the epoch by the server's clock; 0 when the server does not say.
    pub initiated: u64,
}

/// Where a listing of uploads goes on; only for passing it to the next call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadsNext {
    /// The key that the page ended at.
    pub key: String,
    /// The upload that it ended at; `None` behind the last one of the key.
    pub upload: Option<String>,
}

/// One page of a listing of uploads, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadPage {
    /// At most 1,000 uploads.
    pub uploads: Vec<ListedUpload>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<UploadsNext>,
}

/// What a bucket keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BucketKind {
    /// It keeps replaced and deleted objects as versions.
    pub versioned: bool,
    /// Versions can be locked. Then it keeps versions, too.
    pub object_lock: bool,
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
    /// Object lock keeps this version: it can be neither deleted nor kept for a shorter time.
    #[error("{0}: locked")]
    Locked(String),
    /// The multipart upload is not there: completed, aborted, or never was.
    #[error("{0}: no such upload")]
    NoUpload(String),
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
///
/// Implementations may retry. A call whose answer was lost is reported as [`StoreError::Unreachable`] or
/// [`StoreError::Timeout`]: it may have been carried out, or may still be.
pub trait ObjectStore: Send + Sync + 'static {
    /// The bucket's name, for server-side copies from it and for messages.
    fn bucket(&self) -> &str;

    /// Writes one object in a single request, and keeps the new version for `retention` if one is given:
    /// [`StoreError::Unsupported`] where the bucket has no object lock.
    ///
    /// With a precondition, an implementation that had to retry may report [`StoreError::Precondition`] for its own
    /// earlier success: callers resolve it by reading the object back.
    fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
        retention: Option<Retention>,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Reads `range` (byte offsets, end exclusive), or the whole object.
    ///
    /// [`StoreError::Range`] for an empty range and for one that begins at or past the end.
    fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> impl Future<Output = Result<Got, StoreError>> + Send;

    /// What is known of an object, without its bytes.
    fn head(&self, key: &str) -> impl Future<Output = Result<Head, StoreError>> + Send;

    /// Deletes one object; a missing one is success. In a bucket with versions this only hides it behind a delete
    /// marker, a further one each time.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes any number of objects, in as few requests as the server allows; missing ones are success. In a bucket
    /// with versions this only hides them.
    fn delete_many(&self, keys: &[String]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists keys that begin with `prefix`, from `next` of the page before.
    fn list(&self, prefix: &str, next: Option<&str>)
    -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Lists the distinct beginnings of keys under `prefix`, each up to and including the first `/` after it. Keys
    /// without one are not told of.
    fn list_groups(
        &self,
        prefix: &str,
        next: Option<&str>,
    ) -> impl Future<Output = Result<GroupPage, StoreError>> + Send;

    /// Copies an object of a bucket of the same cluster to here, on the server: no data comes through.
    /// [`StoreError::NotFound`] and [`StoreError::NoBucket`] may mean the source.
    fn copy_from(
        &self,
        source_bucket: &str,
        source_key: &str,
        key: &str,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// What the bucket keeps.
    fn kind(&self) -> impl Future<Output = Result<BucketKind, StoreError>> + Send;

    /// Lists all versions and delete markers of keys that begin with `prefix`, from `next` of the page before. In a
    /// bucket without versions, every object is a version `null`.
    fn list_versions(
        &self,
        prefix: &str,
        next: Option<VersionsNext>,
    ) -> impl Future<Output = Result<VersionPage, StoreError>> + Send;

    /// Deletes exactly these versions or delete markers, given as key and version id; missing ones are success.
    /// [`StoreError::Locked`] if object lock keeps one of them; the others are gone then, unless something else
    /// failed, too.
    fn delete_versions(
        &self,
        versions: &[(String, String)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps a version (the latest one if `None`), or keeps it for longer. [`StoreError::Locked`] if that would
    /// keep it for a shorter time or in another mode; [`StoreError::NotFound`] if it is not there.
    fn retain(
        &self,
        key: &str,
        version: Option<&str>,
        retention: Retention,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a multipart upload and gives its id. `retention` is for the version that completing it will make: S3
    /// takes it here and not at the end.
    ///
    /// An implementation that had to retry may leave a further upload behind that nobody knows the id of; it shows in
    /// [`ObjectStore::list_uploads`].
    fn begin_upload(
        &self,
        key: &str,
        retention: Option<Retention>,
    ) -> impl Future<Output = Result<String, StoreError>> + Send;

    /// Lists uploads that have begun and not ended, of keys that begin with `prefix`, from `next` of the page before. All
    /// pages together have every upload that was open from before the first one to after the last one.
    fn list_uploads(
        &self,
        prefix: &str,
        next: Option<UploadsNext>,
    ) -> impl Future<Output = Result<UploadPage, StoreError>> + Send;

    /// Ends an upload without an object and frees its parts; one that is not there is success.
    fn abort_upload(&self, key: &str, upload: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Sends one part of an upload, numbered from 1, and gives its entity tag. All parts but the last have at least
    /// 5 MiB. [`StoreError::NoUpload`] if the upload was aborted or completed.
    fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Payload,
    ) -> impl Future<Output = Result<String, StoreError>> + Send;

    /// Makes the object of an upload out of its parts 1, 2, ..., given by their entity tags; at least one.
    ///
    /// [`StoreError::NoUpload`] if the upload was aborted or completed. An implementation that had to retry may report
    /// it for its own earlier success: callers resolve it by reading the object back.
    fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[String],
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;
}
