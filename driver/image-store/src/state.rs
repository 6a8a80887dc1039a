//! Reading and exchanging state objects.
//!
//! Every change is a compare-and-swap (`register`): absent, or unchanged since it was read. When the answer does not tell
//! whether the write happened (a retry met its own success, or the connection was lost), the object is read back: if it
//! is exactly what was to be written, it was written.

use std::sync::Arc;

use crate::environment::{Environment, Notice, Notices};
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::state_key;
use crate::manifest::{Encoded, Inline, Manifest};
use crate::object_store::{Got, Head, ObjectStore, Put, Retention, RetentionMode, StoreError};
use crate::register::{Exclusivity, Registers, Swapped};
use crate::removal;

/// What is being done, in messages.
pub(crate) const FINDING_OUT: &str = "finding out what the server has that keeps writers apart";

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
    registers: Arc<Registers<S>>,
    notices: Arc<dyn Notices>,
    reads_again: u32,
}

impl<S: ObjectStore> StateObjects<S> {
    pub(crate) fn new(
        store: Arc<S>,
        registers: Arc<Registers<S>>,
        environment: &Environment,
        reads_again: u32,
    ) -> Self {
        Self { store, registers, notices: Arc::clone(&environment.notices), reads_again }
    }

    /// Whether a writer may get a PENDING image that was opened before: nobody has it, or whoever had it was silent for
    /// too long, and would be told if he came back.
    pub(crate) async fn may_be_taken(&self, there: &Loaded) -> Result<bool, ImageError> {
        if !there.manifest.busy || there.is_busy() {
            return Ok(!there.manifest.busy);
        }
        let image = &there.manifest.identity;
        let exclusivity = self.registers.exclusivity().await;
        exclusivity
            .map(|exclusivity| exclusivity != Exclusivity::Unguarded)
            .map_err(|error| ImageError::from_store(image, FINDING_OUT, error))
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
        let expected = expected.map(|seal| seal.etag.as_str());
        match self.registers.compare_and_swap(&key, expected, &new.payload(), retention).await {
            Ok(Swapped::Done(put)) => Ok(Exchange::Done(Seal::written(put))),
            Ok(Swapped::Other) => self.resolve(image, &key, new).await,
            Ok(Swapped::Contended) => Err(ImageError::Contended { image: image.clone() }),
            Err(error) => self.resolve_unknown(image, &key, new, error).await,
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
        let key = state_key(image);
        let failed = |error| ImageError::from_store(image, "removing its state", error);
        let removed = if let Some(version) = &seal.version {
            removal::remove_up_to(&*self.store, &key, version).await.map_err(failed)?
        } else {
            let unchanged = self.load(image).await?.is_some_and(|there| there.seal == *seal);
            if unchanged {
                self.remove(image, false).await?;
            }
            unchanged
        };
        Ok(removed && self.registers.stays_removed(&key).await.map_err(failed)?)
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
