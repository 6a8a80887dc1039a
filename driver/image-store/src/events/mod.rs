//! A durable log of numbered events in a bucket.
//!
//! Numbers rise and are never used twice: whoever remembers the last one it has handled goes on behind it. An event
//! stays until it is deleted; its payload is an object of its own. The rules are in `docs/image-protocol.md`.

mod append;
mod record;
mod sweep;

use std::sync::Arc;

use bytes::Bytes;

use crate::checksum::crc32c;
use crate::environment::Notice;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{EVENTS, WriterId};
use crate::object_store::{ListedVersion, ObjectStore, Payload, Precondition, StoreError};
use crate::removal;
use crate::store::{ImageStore, Shared};

use record::{Record, event_key, parse_event_key, payload_key};

/// Where an event is in the log. The order of positions is the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventPosition {
    /// Its number, from 1. 0 is before the first event.
    pub number: u64,
    /// Tells events of one number apart, on servers where nothing keeps appenders apart; `None` on all others.
    pub suffix: Option<[u8; 16]>,
}

impl EventPosition {
    /// Before the first event.
    pub const START: Self = Self { number: 0, suffix: None };

    /// Behind all events of this number.
    pub fn behind(number: u64) -> Self {
        Self { number, suffix: Some([0xff; 16]) }
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it is.
    pub position: EventPosition,
    /// What was appended.
    pub data: Bytes,
    /// Bytes of its payload.
    pub payload_len: u64,
}

/// The events of one bucket. Cheap to clone.
pub struct EventLog<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for EventLog<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> std::fmt::Debug for EventLog<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").finish_non_exhaustive()
    }
}

/// An object of the log as listed.
struct Entry {
    key: String,
    position: EventPosition,
    /// What is left of a deleted event is empty.
    deleted: bool,
    modified: u64,
}

fn failed(during: &str) -> impl Fn(StoreError) -> ImageError {
    move |source| ImageError::Store { during: during.to_owned(), source }
}

fn corrupt(key: &str, problem: String) -> ImageError {
    ImageError::Corrupt { image: ImageIdentity::unknown(key), key: key.to_owned(), problem }
}

impl<S: ObjectStore> ImageStore<S> {
    /// The log of events in this bucket.
    pub fn events(&self) -> EventLog<S> {
        EventLog { shared: Arc::clone(self.shared()) }
    }
}

impl<S: ObjectStore> EventLog<S> {
    /// The first event behind a position; `None` if there is none yet. One request, one for each 1,000 events before it,
    /// and one.
    ///
    /// [`ImageError::Corrupt`] for a damaged event; [`Self::delete`] removes it.
    pub async fn next_after(&self, position: EventPosition) -> Result<Option<Event>, ImageError> {
        let mut next = None;
        loop {
            let (entries, after) = self.shared.event_page(next.as_deref()).await?;
            for entry in entries {
                if entry.deleted || entry.position <= position {
                    continue;
                }
                // It may be deleted by now.
                if let Some(record) = self.shared.event(&entry.key).await? {
                    let Record { data, payload_len, .. } = record;
                    return Ok(Some(Event { position: entry.position, data, payload_len }));
                }
            }
            next = after;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    /// The last position that was ever given, deleted or not; [`EventPosition::START`] if none was.
    pub async fn last(&self) -> Result<EventPosition, ImageError> {
        Ok(self.shared.events().await?.last().map_or(EventPosition::START, |entry| entry.position))
    }

    /// What was appended with an event; `None` if the event is not there, or was deleted.
    pub async fn payload(&self, position: EventPosition) -> Result<Option<Bytes>, ImageError> {
        let shared = &self.shared;
        let key = event_key(position);
        let mut again = 0;
        loop {
            let Some(record) = shared.event(&key).await? else { return Ok(None) };
            let Some(id) = record.payload() else { return Ok(Some(Bytes::new())) };
            let payload = payload_key(id);
            let problem = match shared.store.get(&payload, None).await {
                Ok(got) if crc32c(&got.data) == record.payload_crc => return Ok(Some(got.data)),
                Ok(_) => "it does not match its checksum".to_owned(),
                // Deleted meanwhile, or lost: the event tells.
                Err(StoreError::NotFound(_)) => "the object is missing".to_owned(),
                Err(error) => return Err(failed("reading the payload of an event")(error)),
            };
            if again >= shared.config.reads_again {
                return Err(corrupt(&payload, problem));
            }
            again += 1;
            shared.environment.notices.notice(Notice::ReadAgain { key: payload, what: problem });
        }
    }

    /// Deletes an event and its payload. False if it is not there: deleted already, or never was.
    ///
    /// An empty object stays in its place for [`crate::StoreConfig::sweep_after_seconds`], and the last one for ever: so
    /// its number is not used again. An interrupted delete leaves a payload at most, for the sweep.
    pub async fn delete(&self, position: EventPosition) -> Result<bool, ImageError> {
        let (shared, key) = (&self.shared, event_key(position));
        let payload = match shared.event(&key).await {
            Ok(None) => return Ok(false),
            Ok(Some(record)) => record.payload(),
            // Whatever it was about is for the sweep.
            Err(ImageError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        shared.clear_event(&key, payload).await?;
        Ok(true)
    }
}

impl<S: ObjectStore> Shared<S> {
    /// One page of the log, deleted events included.
    async fn event_page(&self, next: Option<&str>) -> Result<(Vec<Entry>, Option<String>), ImageError> {
        let page = self.store.list(EVENTS, next).await.map_err(failed("listing events"))?;
        let entries = page.objects.into_iter().filter_map(|object| {
            let position = parse_event_key(&object.key)?;
            Some(Entry { position, deleted: object.size == 0, modified: object.modified, key: object.key })
        });
        Ok((entries.collect(), page.next))
    }

    /// The whole log, in order.
    async fn events(&self) -> Result<Vec<Entry>, ImageError> {
        let mut all = Vec::new();
        let mut next = None;
        loop {
            let (entries, after) = self.event_page(next.as_deref()).await?;
            all.extend(entries);
            next = after;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// An event; `None` if it was deleted or never was.
    async fn event(&self, key: &str) -> Result<Option<Record>, ImageError> {
        let mut again = 0;
        loop {
            let got = match self.store.get(key, None).await {
                Ok(got) if got.data.is_empty() => return Ok(None),
                Ok(got) => got,
                Err(StoreError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(failed("reading an event")(error)),
            };
            match Record::decode(&got.data) {
                Ok(record) => return Ok(Some(record)),
                Err(problem) if again >= self.config.reads_again => return Err(corrupt(key, problem)),
                Err(what) => {
                    again += 1;
                    self.environment.notices.notice(Notice::ReadAgain { key: key.to_owned(), what });
                }
            }
        }
    }

    /// Makes an event a deleted one, then removes its payload: what is seen always has one.
    async fn clear_event(&self, key: &str, payload: Option<WriterId>) -> Result<(), ImageError> {
        let versioned = self.versioned().await.map_err(failed("deleting an event"))?;
        let cleared = async {
            self.store.put(key, Payload::default(), Precondition::None, None).await?;
            if versioned {
                let earlier = |version: &ListedVersion| version.key == key && !version.latest;
                let earlier = removal::versions(&*self.store, key, earlier).await?;
                removal::remove_versions(&*self.store, &earlier).await?;
            }
            match payload {
                Some(id) => removal::remove_key(&*self.store, &payload_key(id), versioned).await,
                None => Ok(()),
            }
        };
        cleared.await.map_err(failed("deleting an event"))
    }
}
