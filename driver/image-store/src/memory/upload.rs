//! Multipart uploads in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::bucket::{Bucket, Server, receive};
use crate::object_store::{Payload, Put, Retention, StoreError};

/// An upload that has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Upload {
    pub(super) initiated: u64,
    /// By number, with their entity tags.
    pub(super) parts: BTreeMap<u32, (Bytes, String)>,
    pub(super) retention: Option<Retention>,
}

impl Upload {
    pub(super) fn bytes(&self) -> u64 {
        self.parts.values().map(|(data, _)| data.len() as u64).sum()
    }
}

/// Numbers that a part may have.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=10_000;

fn name(key: &str, upload: &str) -> (String, String) {
    (key.to_owned(), upload.to_owned())
}

impl Bucket {
    fn check_multipart(&self) -> Result<(), StoreError> {
        if self.lacks.multipart {
            return Err(StoreError::Unsupported("multipart uploads are switched off".to_owned()));
        }
        Ok(())
    }

    pub(super) fn begin_upload(
        &mut self,
        server: &mut Server,
        key: &str,
        retention: Option<Retention>,
    ) -> Result<String, StoreError> {
        self.check_multipart()?;
        self.check_retention(server.now, key, retention)?;
        // Ids that are listed in the order in which the uploads began.
        let upload = format!("u{:08}", server.next());
        let begun = Upload { initiated: server.now, retention, ..Upload::default() };
        self.uploads.insert(name(key, &upload), begun);
        Ok(upload)
    }

    pub(super) fn abort_upload(&mut self, key: &str, upload: &str) -> Result<(), StoreError> {
        self.check_multipart()?;
        if !self.lacks.aborts {
            self.uploads.remove(&name(key, upload));
        }
        Ok(())
    }

    pub(super) fn upload_part(
        &mut self,
        server: &mut Server,
        key: &str,
        upload: &str,
        number: u32,
        body: &Payload,
    ) -> Result<String, StoreError> {
        self.check_multipart()?;
        if !NUMBERS.contains(&number) {
            return Err(StoreError::Protocol(format!("{key}: no part can have number {number}")));
        }
        let data = receive(key, body)?;
        let open = self.uploads.get(&name(key, upload)).ok_or_else(|| no_upload(key, upload))?;
        let before = open.parts.get(&number).map_or(0, |(data, _)| data.len() as u64);
        self.check_room(key, data.len() as u64, before)?;
        let etag = format!("\"part-{}\"", server.next());
        if let Some(open) = self.uploads.get_mut(&name(key, upload)) {
            open.parts.insert(number, (data, etag.clone()));
        }
        Ok(etag)
    }

    pub(super) fn complete_upload(
        &mut self,
        server: &mut Server,
        key: &str,
        upload: &str,
        parts: &[String],
    ) -> Result<Put, StoreError> {
        self.check_multipart()?;
        let open = self.uploads.get(&name(key, upload)).ok_or_else(|| no_upload(key, upload))?;
        if parts.is_empty() {
            return Err(StoreError::Protocol(format!("{key}: an upload without parts makes no object")));
        }
        let mut data = Vec::new();
        for (number, etag) in (1..).zip(parts) {
            match open.parts.get(&number) {
                Some((part, sent)) if sent == etag => data.extend_from_slice(part),
                _ => return Err(StoreError::Protocol(format!("{key}: there is no part {number} {etag}"))),
            }
        }
        self.check_room(key, data.len() as u64, open.bytes() + self.replaced(key))?;
        let retention = open.retention;
        self.uploads.remove(&name(key, upload));
        Ok(self.store(server, key, data.into(), retention))
    }
}

fn no_upload(key: &str, upload: &str) -> StoreError {
    StoreError::NoUpload(format!("{key} upload {upload}"))
}
