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
use crate::manifest::{Encoded, Manifest};
use crate::object_store::{Got, ObjectStore, Payload, Precondition, StoreError};

/// A state object as read.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) tail: Bytes,
    pub(crate) etag: String,
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// Written; the entity tag of the new object.
    Done(String),
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
        let mut second = self.store.put(&key, payload(), Precondition::Absent, None).await;
        if second.is_ok() {
            second = self.store.put(&key, payload(), Precondition::Absent, None).await;
        }
        match second {
            Err(StoreError::Precondition(_)) => self.proven.store(true, Ordering::Relaxed),
            Ok(_) => self.unguarded("it overwrote an object that had to be absent".to_owned()),
            Err(StoreError::Unsupported(why)) => self.unguarded(why),
            Err(error) => return Err(error),
        }
        self.store.delete(&key).await
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
                Ok((manifest, tail)) => return Ok(Some(Loaded { manifest, tail, etag: got.head.etag })),
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

    /// Writes `new` if the object is absent (`expected` is `None`) or still has the entity tag `expected`.
    pub(crate) async fn exchange(
        &self,
        image: &ImageIdentity,
        new: &Encoded,
        expected: Option<&str>,
    ) -> Result<Exchange, ImageError> {
        let key = state_key(image);
        if !self.exclusive() {
            return self.exchange_unguarded(image, &key, new, expected).await;
        }
        let condition = match expected {
            None => Precondition::Absent,
            Some(etag) => Precondition::Matches(etag.to_owned()),
        };
        match self.store.put(&key, new.payload(), condition, None).await {
            Ok(put) => Ok(Exchange::Done(put.etag)),
            Err(StoreError::Precondition(_)) => self.resolve(image, &key, new).await,
            // A server may answer a condition on a missing object with "no such object".
            Err(StoreError::NotFound(_)) if expected.is_some() => self.resolve(image, &key, new).await,
            Err(StoreError::Unsupported(why)) => {
                self.unguarded(why);
                self.exchange_unguarded(image, &key, new, expected).await
            }
            Err(error) => self.resolve_unknown(image, &key, new, error).await,
        }
    }

    async fn exchange_unguarded(
        &self,
        image: &ImageIdentity,
        key: &str,
        new: &Encoded,
        expected: Option<&str>,
    ) -> Result<Exchange, ImageError> {
        let there = self.read(image, key).await?;
        if there.as_ref().map(|got| got.head.etag.as_str()) != expected {
            return self.resolve(image, key, new).await;
        }
        match self.store.put(key, new.payload(), Precondition::None, None).await {
            Ok(put) => Ok(Exchange::Done(put.etag)),
            Err(error) => self.resolve_unknown(image, key, new, error).await,
        }
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
            && let Ok(Exchange::Done(etag)) = self.resolve(image, key, new).await
        {
            return Ok(Exchange::Done(etag));
        }
        Err(ImageError::from_store(image, "writing its state", error))
    }

    async fn resolve(&self, image: &ImageIdentity, key: &str, new: &Encoded) -> Result<Exchange, ImageError> {
        match self.read(image, key).await? {
            Some(got) if new.is(&got.data) => Ok(Exchange::Done(got.head.etag)),
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
