//! Reading and exchanging state objects: the one place where exclusivity between writers is decided.
//!
//! Every change is a conditional write: absent, or unchanged since it was read. When the answer does not tell whether
//! the write happened (a retry met its own success, or the connection was lost), the object is read back: if it is
//! exactly what was to be written, it was written. Without conditional writes on the server, each change is a read,
//! a comparison, and a plain write; two writers at the same instant could then both succeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::checksum;
use crate::environment::{Notice, Notices};
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{WriterId, state_key};
use crate::manifest::{Encoded, Inline, Manifest};
use crate::object_store::{
    Got, Head, ObjectStore, Payload, Precondition, Put, Retention, RetentionMode, StoreError,
};
use crate::removal;

/// What the next exchange of a state object is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    etag: String,
    /// The version to be removed once it is replaced.
    version: Option<String>,
}

/// A state object as read.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) inline: Inline,
    pub(crate) seal: Seal,
    /// When it was written, in seconds since the epoch by the server's clock.
    pub(crate) modified: u64,
    /// When it was read, on the same clock.
    pub(crate) answered: u64,
    /// What object lock keeps this version of it for.
    pub(crate) retention: Option<Retention>,
}

impl Seal {
    fn written(put: Put) -> Self {
        Self { etag: put.etag, version: put.version }
    }

    fn read(got: &Got) -> Self {
        Self { etag: got.head.etag.clone(), version: got.head.version.clone() }
    }

    /// Whether the bucket keeps versions.
    pub(crate) fn is_versioned(&self) -> bool {
        self.version.is_some()
    }
}

impl Loaded {
    /// Seconds since the last sign of life of its writer.
    pub(crate) fn silent_for(&self) -> u64 {
        self.answered.saturating_sub(self.modified)
    }

    /// Whether a writer has the image open and its lease has not run out.
    pub(crate) fn is_busy(&self) -> bool {
        self.manifest.busy && self.silent_for() <= u64::from(self.manifest.lease_seconds)
    }

    /// Whether the image may not be deleted yet.
    pub(crate) fn is_locked(&self) -> bool {
        self.lock().is_some()
    }

    /// The lock in force.
    pub(crate) fn lock(&self) -> Option<Retention> {
        let until = self.manifest.locked_until.filter(|until| *until > self.answered)?;
        // Who may not see the mode is told the strict one: what might be kept must not be promised to go.
        let mode = self.retention.map_or(RetentionMode::Compliance, |retention| retention.mode);
        Some(Retention { until, mode })
    }
}

/// How an exchange ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(crate) enum Exchange {
    /// Written; what the next exchange is conditional on.
    Done(Seal),
    /// The object is another one, or gone.
    Lost(Option<Loaded>),
}

/// State objects of one bucket.
pub(crate) struct StateObjects<S> {
    store: Arc<S>,
    notices: Arc<dyn Notices>,
    reads_again: u32,
    conditional: AtomicBool,
    proven: AtomicBool,
}

impl<S: ObjectStore> StateObjects<S> {
    pub(crate) fn new(store: Arc<S>, notices: Arc<dyn Notices>, reads_again: u32) -> Self {
        Self {
            store,
            notices,
            reads_again,
            conditional: AtomicBool::new(true),
            proven: AtomicBool::new(false),
        }
    }

    /// Whether the server has conditional writes, as far as is known.
    pub(crate) fn exclusive(&self) -> bool {
        self.conditional.load(Ordering::Relaxed)
    }

    /// Finds out by behaviour whether the server keeps conditions: a second write of an object that must be absent has
    /// to fail. Some servers ignore the header, and believing them would let one image overwrite another. Three
    /// requests, once.
    pub(crate) async fn prove(&self, probe: WriterId) -> Result<(), StoreError> {
        if self.proven.load(Ordering::Relaxed) || !self.exclusive() {
            return Ok(());
        }
        let key = probe.probe_key();
        let content = Bytes::from_static(b"probe");
        let crc32c = checksum::crc32c(&content);
        let payload = || Payload { parts: vec![content.clone()], crc32c };
        let put = || self.store.put(&key, payload(), Precondition::Absent, None);
        let first = put().await;
        let versioned = first.as_ref().is_ok_and(|put| put.version.is_some());
        let second = if first.is_ok() { put().await } else { first };
        match second {
            Err(StoreError::Precondition(_)) => self.proven.store(true, Ordering::Relaxed),
            Ok(_) => self.unguarded("it overwrote an object that had to be absent".to_owned()),
            Err(StoreError::Unsupported(why)) => self.unguarded(why),
            Err(error) => return Err(error),
        }
        removal::unless_locked(removal::remove_key(&*self.store, &key, versioned).await).map(drop)
    }

    fn unguarded(&self, why: String) {
        if self.conditional.swap(false, Ordering::Relaxed) {
            self.notices.notice(Notice::NotExclusive { why });
        }
    }

    /// Reads an image's state object; `None` if there is none.
    pub(crate) async fn load(&self, image: &ImageIdentity) -> Result<Option<Loaded>, ImageError> {
        let key = state_key(image);
        let loaded = self.load_key(image, &key).await?;
        match loaded {
            Some(loaded) if loaded.manifest.identity != *image => Err(ImageError::Corrupt {
                image: image.clone(),
                key,
                problem: format!("the object belongs to image {}", loaded.manifest.identity),
            }),
            loaded => Ok(loaded),
        }
    }

    /// Reads a state object whose image is known by its key only; `image` is for messages.
    pub(crate) async fn load_key(
        &self,
        image: &ImageIdentity,
        key: &str,
    ) -> Result<Option<Loaded>, ImageError> {
        let mut again = 0;
        loop {
            let Some(got) = self.read(image, key).await? else { return Ok(None) };
            match Manifest::decode(&got.data) {
                Ok((manifest, inline)) => {
                    let Head { modified, answered, retention, .. } = got.head;
                    let seal = Seal::read(&got);
                    return Ok(Some(Loaded { manifest, inline, seal, modified, answered, retention }));
                }
                Err(problem) if again < self.reads_again => {
                    again += 1;
                    self.notices.notice(Notice::ReadAgain { key: key.to_owned(), what: problem });
                }
                Err(problem) => {
                    return Err(ImageError::Corrupt { image: image.clone(), key: key.to_owned(), problem });
                }
            }
        }
    }

    /// Writes `new` if the object is absent (`expected` is `None`) or still what `expected` says. With a retention, the
    /// new version is kept by the server until then.
    pub(crate) async fn exchange(
        &self,
        image: &ImageIdentity,
        new: &Encoded,
        expected: Option<&Seal>,
        retention: Option<Retention>,
    ) -> Result<Exchange, ImageError> {
        let exchanged = self.exchange_once(image, new, expected, retention).await?;
        if let (Exchange::Done(_), Some(version)) =
            (&exchanged, expected.and_then(|seal| seal.version.clone()))
        {
            // What this leaves behind, or object lock keeps, the sweep removes later.
            let _ = self.store.delete_versions(&[(state_key(image), version)]).await;
        }
        Ok(exchanged)
    }

    async fn exchange_once(
        &self,
        image: &ImageIdentity,
        new: &Encoded,
        expected: Option<&Seal>,
        retention: Option<Retention>,
    ) -> Result<Exchange, ImageError> {
        let key = state_key(image);
        if !self.exclusive() {
            return self.exchange_unguarded(image, &key, new, expected, retention).await;
        }
        let condition = match expected {
            None => Precondition::Absent,
            Some(seal) => Precondition::Matches(seal.etag.clone()),
        };
        match self.store.put(&key, new.payload(), condition, retention).await {
            Ok(put) => Ok(Exchange::Done(Seal::written(put))),
            Err(StoreError::Precondition(_)) => self.resolve(image, &key, new).await,
            // A server may answer a condition on a missing object with "no such object".
            Err(StoreError::NotFound(_)) if expected.is_some() => self.resolve(image, &key, new).await,
            Err(StoreError::Unsupported(why)) => {
                let ended = self.exchange_unguarded(image, &key, new, expected, retention).await;
                // Otherwise it is the retention that the server does not have.
                if !matches!(&ended, Err(ImageError::Store { source: StoreError::Unsupported(_), .. })) {
                    self.unguarded(why);
                }
                ended
            }
            Err(error) => self.resolve_unknown(image, &key, new, error).await,
        }
    }

    async fn exchange_unguarded(
        &self,
        image: &ImageIdentity,
        key: &str,
        new: &Encoded,
        expected: Option<&Seal>,
        retention: Option<Retention>,
    ) -> Result<Exchange, ImageError> {
        let there = self.read(image, key).await?;
        if there.as_ref().map(|got| &got.head.etag) != expected.map(|seal| &seal.etag) {
            return self.resolve(image, key, new).await;
        }
        match self.store.put(key, new.payload(), Precondition::None, retention).await {
            Ok(put) => Ok(Exchange::Done(Seal::written(put))),
            Err(error) => self.resolve_unknown(image, key, new, error).await,
        }
    }

    /// Removes a state object for good, with all its versions. A missing one is success.
    pub(crate) async fn remove(&self, image: &ImageIdentity, versioned: bool) -> Result<(), ImageError> {
        let key = state_key(image);
        removal::remove_key(&*self.store, &key, versioned)
            .await
            .map_err(|error| ImageError::from_store(image, "removing its state", error))
    }

    /// Removes a state object for good if it is still the one that was read; false if it is another one.
    pub(crate) async fn remove_unchanged(
        &self,
        image: &ImageIdentity,
        seal: &Seal,
    ) -> Result<bool, ImageError> {
        let Some(version) = &seal.version else {
            let unchanged = self.load(image).await?.is_some_and(|there| there.seal == *seal);
            if unchanged {
                self.remove(image, false).await?;
            }
            return Ok(unchanged);
        };
        removal::remove_up_to(&*self.store, &state_key(image), version)
            .await
            .map_err(|error| ImageError::from_store(image, "removing its state", error))
    }

    /// After an error that may have come too late: the write counts if it is there.
    async fn resolve_unknown(
        &self,
        image: &ImageIdentity,
        key: &str,
        new: &Encoded,
        error: StoreError,
    ) -> Result<Exchange, ImageError> {
        if matches!(error, StoreError::Timeout(_) | StoreError::Unreachable(_) | StoreError::Protocol(_))
            && let Ok(Exchange::Done(seal)) = self.resolve(image, key, new).await
        {
            return Ok(Exchange::Done(seal));
        }
        Err(ImageError::from_store(image, "writing its state", error))
    }

    async fn resolve(&self, image: &ImageIdentity, key: &str, new: &Encoded) -> Result<Exchange, ImageError> {
        match self.read(image, key).await? {
            Some(got) if new.is(&got.data) => Ok(Exchange::Done(Seal::read(&got))),
            Some(_) => Ok(Exchange::Lost(self.load(image).await?)),
            None => Ok(Exchange::Lost(None)),
        }
    }

    async fn read(&self, image: &ImageIdentity, key: &str) -> Result<Option<Got>, ImageError> {
        match self.store.get(key, None).await {
            Ok(got) => Ok(Some(got)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(ImageError::from_store(image, "reading its state", error)),
        }
    }
}
