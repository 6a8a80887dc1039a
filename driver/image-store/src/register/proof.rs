//! Finding out by behaviour what a server has that keeps writers apart. Some ignore what they do not know, and believing
//! them would let one image overwrite another.

use bytes::Bytes;

use super::{Exclusivity, Registers};
use crate::checksum;
use crate::environment::Notice;
use crate::layout::WriterId;
use crate::object_store::{ObjectStore, Payload, Precondition, Put, StoreError};
use crate::removal;

/// What was found, and why not more.
enum Found {
    Yes,
    /// The server does not have it.
    No(String),
}

impl Found {
    /// A server that does not know a request does not have what it is for. Any other error says nothing about that, and
    /// a process that took it for an answer would write without regard to those who were luckier.
    fn refused(error: StoreError) -> Result<Self, StoreError> {
        match error {
            StoreError::Unsupported(why) => Ok(Self::No(why)),
            error => Err(error),
        }
    }
}

fn body() -> Payload {
    let content = Bytes::from_static(b"probe");
    Payload { crc32c: checksum::crc32c(&content), parts: vec![content] }
}

/// What the probe has to be removed with.
struct Probe {
    key: String,
    /// Whether the bucket keeps versions, once a write has told.
    versioned: Option<bool>,
}

impl Probe {
    fn written(&mut self, put: &Put) {
        self.versioned = Some(put.version.is_some());
    }
}

impl<S: ObjectStore> Registers<S> {
    /// Three requests on a server with conditional writes, eight on one that has multipart uploads in their place.
    pub(super) async fn find_out(&self) -> Result<Exclusivity, StoreError> {
        let key = WriterId::fresh(&*self.entropy).probe_key();
        let mut probe = Probe { key, versioned: None };
        let found = self.find_out_with(&mut probe).await;
        // What this leaves, or a write whose answer was lost, the sweep removes.
        if let Some(versioned) = probe.versioned {
            let _ = removal::remove_key(&*self.store, &probe.key, versioned).await;
        }
        let (exclusivity, notice) = found?;
        // Last: a call that is given up is no answer, and the next one says it again.
        if let Some(notice) = notice {
            self.notices.notice(notice);
        }
        Ok(exclusivity)
    }

    async fn find_out_with(&self, probe: &mut Probe) -> Result<(Exclusivity, Option<Notice>), StoreError> {
        let why = match self.keeps_conditions(probe).await? {
            Found::Yes => return Ok((Exclusivity::Conditions, None)),
            Found::No(why) => why,
        };
        Ok(match self.keeps_uploads(probe).await? {
            Found::Yes => (Exclusivity::Uploads, Some(Notice::ExclusiveByUploads { why })),
            Found::No(instead) => {
                let why = format!("{why}; {instead}");
                (Exclusivity::Unguarded, Some(Notice::NotExclusive { why }))
            }
        })
    }

    /// Whether a second write of an object that must be absent fails.
    async fn keeps_conditions(&self, probe: &mut Probe) -> Result<Found, StoreError> {
        for _ in 0..2 {
            match self.store.put(&probe.key, body(), Precondition::Absent, None).await {
                Ok(put) => probe.written(&put),
                Err(StoreError::Precondition(_)) => {
                    // Met by the first write: an earlier try of it was carried out, and its answer lost.
                    if probe.versioned.is_none() {
                        let there = self.store.head(&probe.key).await;
                        probe.versioned = there.ok().map(|head| head.version.is_some());
                    }
                    return Ok(Found::Yes);
                }
                Err(StoreError::Unsupported(why)) => return Ok(Found::No(why)),
                Err(error) => return Err(error),
            }
        }
        Ok(Found::No("it overwrote an object that had to be absent".to_owned()))
    }

    /// Whether an upload that has begun is listed, and cannot be completed once it was aborted.
    async fn keeps_uploads(&self, probe: &mut Probe) -> Result<Found, StoreError> {
        let upload = match self.store.begin_upload(&probe.key, None).await {
            Ok(upload) => upload,
            Err(error) => return Found::refused(error),
        };
        let kept = self.keeps_upload(probe, &upload).await;
        if !matches!(kept, Ok(Found::Yes)) {
            // Whatever it is that does not work.
            let _ = self.store.abort_upload(&probe.key, &upload).await;
        }
        kept.or_else(Found::refused)
    }

    async fn keeps_upload(&self, probe: &mut Probe, upload: &str) -> Result<Found, StoreError> {
        let part = self.store.upload_part(&probe.key, upload, 1, body()).await?;
        if !self.uploads_of(&probe.key).await?.iter().any(|listed| listed == upload) {
            return Ok(Found::No("it does not list an upload that has begun".to_owned()));
        }
        self.store.abort_upload(&probe.key, upload).await?;
        match self.store.complete_upload(&probe.key, upload, &[part]).await {
            Err(StoreError::NoUpload(_)) => Ok(Found::Yes),
            Ok(put) => {
                probe.written(&put);
                Ok(Found::No("it completed an upload that was aborted".to_owned()))
            }
            // A refusal, but one that a writer could not tell from any other failure.
            Err(StoreError::Protocol(why)) => Ok(Found::No(why)),
            Err(error) => Err(error),
        }
    }
}
