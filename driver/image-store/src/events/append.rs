//! Appending: the payload first, then the event under the next number.

use bytes::Bytes;

use super::record::{Record, event_key, payload_key};
use super::{EventLog, EventPosition, failed};
use crate::checksum::crc32c;
use crate::error::ImageError;
use crate::layout::WriterId;
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};
use crate::register::{Exclusivity, Swapped};
use crate::state::FINDING_OUT;

/// Times that an event is tried under another number because somebody else was faster.
const ATTEMPTS: u64 = 1000;
/// Most requests that somebody waits for who met others, as a power of two.
const WAITS_LOG_MAX: u64 = 6;
/// What is being done, in messages.
const APPENDING: &str = "appending an event";

impl<S: ObjectStore> EventLog<S> {
    /// Appends an event and gives its position, behind all that were given before. `payload` may be empty.
    ///
    /// When it fails, the event may be in the log nevertheless: appended again, it is there twice.
    pub async fn append(&self, data: &[u8], payload: &[u8]) -> Result<EventPosition, ImageError> {
        let exclusivity = self.shared.registers.exclusivity().await.map_err(failed(FINDING_OUT))?;
        let record = self.put_payload(Bytes::copy_from_slice(data), Bytes::copy_from_slice(payload)).await?;
        if exclusivity == Exclusivity::Unguarded {
            return self.append_unguarded(&record).await;
        }
        let last = self.last().await?.number;
        // Every number that is taken means that somebody else appended.
        for number in last + 1..=last + ATTEMPTS {
            let position = EventPosition { number, suffix: None };
            if self.put_if_absent(position, &record).await? {
                return Ok(position);
            }
        }
        let taken =
            StoreError::Precondition(event_key(EventPosition { number: last + ATTEMPTS, suffix: None }));
        Err(failed(APPENDING)(taken))
    }

    /// Where nothing keeps appenders apart: under a key of its own, and again further behind, until no reader can have
    /// passed it before it was there. Who meets others waits for a random number of requests, so that one of them is alone.
    async fn append_unguarded(&self, record: &Record) -> Result<EventPosition, ImageError> {
        let shared = &self.shared;
        for attempt in 0..ATTEMPTS {
            let suffix = WriterId::fresh(&*shared.environment.entropy);
            let mut waits = u64::from(suffix.0[0]) % (1 << attempt.min(WAITS_LOG_MAX));
            let number = loop {
                let number = self.last().await?.number + 1;
                if waits == 0 {
                    break number;
                }
                waits -= 1;
            };
            let position = EventPosition { number, suffix: Some(suffix.0) };
            self.put_event(position, record).await?;
            let mut others = shared.events().await?.into_iter().map(|entry| entry.position);
            if !others.any(|other| other != position && other.number >= number) {
                return Ok(position);
            }
            shared.clear_event(&event_key(position), None).await?;
        }
        Err(failed(APPENDING)(StoreError::Precondition("every position met another one".to_owned())))
    }

    async fn put_payload(&self, data: Bytes, payload: Bytes) -> Result<Record, ImageError> {
        let (payload_len, payload_crc) = (payload.len() as u64, crc32c(&payload));
        let id = WriterId::fresh(&*self.shared.environment.entropy);
        if !payload.is_empty() {
            let body = Payload { parts: vec![payload], crc32c: payload_crc };
            let put = self.shared.store.put(&payload_key(id), body, Precondition::None, None).await;
            put.map_err(failed("writing the payload of an event"))?;
        }
        Ok(Record { data, id, payload_len, payload_crc })
    }

    /// False if the position is taken.
    async fn put_if_absent(&self, position: EventPosition, record: &Record) -> Result<bool, ImageError> {
        let (key, object) = encoded(position, record)?;
        match self.shared.registers.compare_and_swap(&key, None, &payload_of(&object), None).await {
            Ok(Swapped::Done(_)) => Ok(true),
            // A retry may have met its own success: no other event has this id.
            Ok(Swapped::Other) => match self.shared.store.get(&key, None).await {
                Ok(got) => Ok(got.data == object),
                // It was there, and a sweep has taken what was left of it.
                Err(StoreError::NotFound(_)) => Ok(false),
                Err(error) => Err(failed(APPENDING)(error)),
            },
            // Not under the next number: this one is free, and somebody slower could fill it behind a reader.
            Ok(Swapped::Contended) => Err(failed(APPENDING)(StoreError::Precondition(format!(
                "{key}: others append at the same time"
            )))),
            Err(error) => self.resolve_unknown(&key, &object, error).await.map(|()| true),
        }
    }

    async fn put_event(&self, position: EventPosition, record: &Record) -> Result<(), ImageError> {
        let (key, object) = encoded(position, record)?;
        match self.shared.store.put(&key, payload_of(&object), Precondition::None, None).await {
            Ok(_) => Ok(()),
            Err(error) => self.resolve_unknown(&key, &object, error).await,
        }
    }

    /// After an error that may have come too late: the write counts if it is there.
    async fn resolve_unknown(&self, key: &str, object: &Bytes, error: StoreError) -> Result<(), ImageError> {
        if matches!(error, StoreError::Timeout(_) | StoreError::Unreachable(_) | StoreError::Protocol(_))
            && let Ok(got) = self.shared.store.get(key, None).await
            && got.data == *object
        {
            return Ok(());
        }
        Err(failed(APPENDING)(error))
    }
}

fn encoded(position: EventPosition, record: &Record) -> Result<(String, Bytes), ImageError> {
    let object = record.encode().map_err(|problem| failed(APPENDING)(StoreError::Protocol(problem)))?;
    Ok((event_key(position), object))
}

fn payload_of(object: &Bytes) -> Payload {
    Payload { crc32c: crc32c(object), parts: vec![object.clone()] }
}
