//! Compare-and-swap by multipart uploads, for servers without conditional writes.
//!
//! Whoever wants to replace an object begins an upload of it, ends every other upload of it, looks whether the object is
//! what he expects, and completes his own. Between his look and his completion nobody else completes: an upload that
//! began before he listed them was ended by him, and whoever began later finds his, and ends it before looking. So all
//! may fail, and of two with the same expectation at most one succeeds.

use super::{Registers, Swapped};
use crate::object_store::{ObjectStore, Payload, Put, Retention, StoreError};

/// Times that a swap is tried again because somebody else ended its upload.
const ROUNDS: u32 = 8;
/// Most looks that somebody waits for who met others, as a power of two.
const LOOKS_LOG_MAX: u32 = 5;

/// How one round ended.
enum Round {
    Done(Put),
    /// The object is not what was expected.
    Other,
    /// Somebody else ended the upload. Nothing was written, unless the answer to its completion was lost before.
    Ended,
}

impl<S: ObjectStore> Registers<S> {
    pub(super) async fn swap_by_upload(
        &self,
        key: &str,
        expected: Option<&str>,
        body: &Payload,
        retention: Option<Retention>,
    ) -> Result<Swapped, StoreError> {
        for round in 0..ROUNDS {
            match self.round(key, expected, body, retention).await? {
                Round::Done(put) => return Ok(Swapped::Done(put)),
                Round::Other => return Ok(Swapped::Other),
                Round::Ended => {}
            }
            // Whoever met others waits for a random number of looks, so that one of them is alone.
            for _ in 0..=self.random() % (1 << round.min(LOOKS_LOG_MAX)) {
                if self.tag(key).await?.as_deref() != expected {
                    return Ok(Swapped::Other);
                }
            }
        }
        Ok(Swapped::Contended)
    }

    async fn round(
        &self,
        key: &str,
        expected: Option<&str>,
        body: &Payload,
        retention: Option<Retention>,
    ) -> Result<Round, StoreError> {
        let own = self.store.begin_upload(key, retention).await?;
        let ended = self.exclude_others_and_write(key, &own, expected, body).await;
        if !matches!(ended, Ok(Round::Done(_))) {
            // If the completion may still come, this decides it. What stays is ended by the next swap, or by the sweep.
            let _ = self.store.abort_upload(key, &own).await;
        }
        ended
    }

    async fn exclude_others_and_write(
        &self,
        key: &str,
        own: &str,
        expected: Option<&str>,
        body: &Payload,
    ) -> Result<Round, StoreError> {
        let there = self.uploads_of(key).await?;
        // Ended by somebody else; or this is a listing that nobody can rely on.
        if !there.iter().any(|upload| upload == own) {
            return Ok(Round::Ended);
        }
        for other in there.iter().filter(|upload| *upload != own) {
            // Only an answer tells that it cannot be completed any more.
            self.store.abort_upload(key, other).await?;
        }
        if self.tag(key).await?.as_deref() != expected {
            return Ok(Round::Other);
        }
        let part = match self.store.upload_part(key, own, 1, body.clone()).await {
            Err(StoreError::NoUpload(_)) => return Ok(Round::Ended),
            part => part?,
        };
        match self.store.complete_upload(key, own, &[part]).await {
            Ok(put) => Ok(Round::Done(put)),
            Err(StoreError::NoUpload(_)) => Ok(Round::Ended),
            Err(error) => Err(error),
        }
    }

    /// Ends all uploads of a key.
    pub(super) async fn end_uploads(&self, key: &str) -> Result<(), StoreError> {
        for upload in self.uploads_of(key).await? {
            self.store.abort_upload(key, &upload).await?;
        }
        Ok(())
    }

    /// All uploads of a key. One that begins while they are listed may be missing.
    pub(super) async fn uploads_of(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            // Of other keys that begin like this one, too.
            let page = self.store.list_uploads(key, next).await?;
            found.extend(page.uploads.into_iter().filter(|listed| listed.key == key).map(|l| l.upload));
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    fn random(&self) -> u32 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }
}
