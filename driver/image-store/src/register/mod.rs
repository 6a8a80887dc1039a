//! Replacing an object only if it is what its writer expects: every key as a compare-and-swap register, and the one place
//! that decides by what means.
//!
//! With conditional writes it is one request. Without them, writers exclude each other by multipart uploads
//! (`uploads.rs`). On servers that have neither, it is a look and a plain write, and two writers at the same instant
//! could both succeed. What a server has is found out by its behaviour (`proof.rs`), before the first write. The rules
//! are in `docs/image-protocol.md`.

mod proof;
mod uploads;

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::environment::{Entropy, Environment, Notices};
use crate::object_store::{ObjectStore, Payload, Precondition, Put, Retention, StoreError};

/// What keeps two writers of one image apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusivity {
    /// Conditional writes: each change of a state object is one request.
    Conditions,
    /// Multipart uploads, as the server keeps no conditions: each change is [`Self::REQUESTS_BY_UPLOADS`] requests.
    Uploads,
    /// Nothing but the caller's own order, as the server has neither.
    Unguarded,
}

impl Exclusivity {
    /// Requests of one change that nobody interferes with, where multipart uploads keep writers apart.
    pub const REQUESTS_BY_UPLOADS: u64 = 5;
}

/// How a compare-and-swap ended.
#[derive(Debug)]
pub(crate) enum Swapped {
    /// The object is replaced.
    Done(Put),
    /// The object is not what was expected. If the answer to an earlier request of the same call was lost, that may have
    /// replaced it: the caller reads it back.
    Other,
    /// Others wanted to replace it at the same time, again and again. Nothing was written.
    Contended,
}

/// The objects of one bucket as compare-and-swap registers.
pub(crate) struct Registers<S> {
    store: Arc<S>,
    entropy: Arc<dyn Entropy>,
    notices: Arc<dyn Notices>,
    exclusivity: OnceCell<Exclusivity>,
}

impl<S: ObjectStore> Registers<S> {
    pub(crate) fn new(store: Arc<S>, environment: &Environment) -> Self {
        Self {
            store,
            entropy: Arc::clone(&environment.entropy),
            notices: Arc::clone(&environment.notices),
            exclusivity: OnceCell::new(),
        }
    }

    /// What keeps writers apart. Found out once; an error leaves it open, and the next call tries again.
    pub(crate) async fn exclusivity(&self) -> Result<Exclusivity, StoreError> {
        // On the heap, as it is rare: it would be a part of the future of every call.
        self.exclusivity.get_or_try_init(|| Box::pin(self.find_out())).await.copied()
    }

    /// Writes `body` if the object is absent (`expected` is `None`) or still has this entity tag. With a retention, the
    /// new version is kept by the server until then.
    ///
    /// An error that leaves open whether a request was carried out leaves open whether the object was replaced.
    pub(crate) async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&str>,
        body: &Payload,
        retention: Option<Retention>,
    ) -> Result<Swapped, StoreError> {
        match self.exclusivity().await? {
            Exclusivity::Conditions => self.swap_on_condition(key, expected, body, retention).await,
            Exclusivity::Uploads => Box::pin(self.swap_by_upload(key, expected, body, retention)).await,
            Exclusivity::Unguarded => {
                if self.tag(key).await?.as_deref() != expected {
                    return Ok(Swapped::Other);
                }
                let put = self.store.put(key, body.clone(), Precondition::None, retention).await;
                put.map(Swapped::Done)
            }
        }
    }

    async fn swap_on_condition(
        &self,
        key: &str,
        expected: Option<&str>,
        body: &Payload,
        retention: Option<Retention>,
    ) -> Result<Swapped, StoreError> {
        let condition =
            expected.map_or(Precondition::Absent, |expected| Precondition::Matches(expected.to_owned()));
        match self.store.put(key, body.clone(), condition, retention).await {
            Ok(put) => Ok(Swapped::Done(put)),
            Err(StoreError::Precondition(_)) => Ok(Swapped::Other),
            // A server may answer a condition on a missing object with "no such object".
            Err(StoreError::NotFound(_)) if expected.is_some() => Ok(Swapped::Other),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that an object that was just removed, and not by a swap, stays removed; false if somebody has it in its
    /// place again.
    ///
    /// A conditional write that comes later finds that the object is gone. A swap by upload may have looked already: its
    /// upload is ended here. As long as it is not known what the server has, other processes may do it that way.
    pub(crate) async fn stays_removed(&self, key: &str) -> Result<bool, StoreError> {
        if matches!(self.exclusivity.get(), Some(Exclusivity::Conditions | Exclusivity::Unguarded)) {
            return Ok(true);
        }
        match self.end_uploads(key).await {
            Ok(()) => Ok(self.tag(key).await?.is_none()),
            Err(StoreError::Unsupported(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The entity tag of an object; `None` if it is absent.
    async fn tag(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self.store.head(key).await {
            Ok(head) => Ok(Some(head.etag)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
