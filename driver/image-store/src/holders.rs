//! Markers: who needs the segments of a writer. The rules are in `docs/image-protocol.md`; each function is one of its
//! steps.

use crate::checksum::crc32c;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{HOLDERS, WriterId, holders_prefix, marker_key, state_key, writer_in, writer_prefix};
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};
use crate::removal;
use crate::store::Shared;

/// Ends the key in a marker; the checksum follows.
const SEPARATOR: char = '\n';
/// Begins the marker of a copier, which has no image in this bucket; the key of the image that it copies follows.
const COPIER: &str = "copier of ";

/// A marker as listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) holder: WriterId,
    /// When it was written, in seconds since the epoch by the server's clock.
    pub(crate) made: u64,
}

/// What a marker says.
pub(crate) enum Marker {
    /// The key of the state object of the holder's image.
    Names(String),
    /// Somebody copies the segments, and said so this many seconds ago.
    Copier(u64),
    /// It is damaged: whatever it held must stay.
    Damaged,
    /// It is not there any more.
    Gone,
}

fn content(key: &str) -> String {
    format!("{key}{SEPARATOR}{:08x}{SEPARATOR}", crc32c(key.as_bytes()))
}

impl<S: ObjectStore> Shared<S> {
    /// Says, for everybody to see, that the image of `holder` may need segments of `writer`.
    pub(crate) async fn hold(
        &self,
        image: &ImageIdentity,
        writer: WriterId,
        holder: WriterId,
    ) -> Result<(), ImageError> {
        self.mark(image, writer, holder, &state_key(image)).await
    }

    /// Says that segments of `writer`, which `image` consists of, are being copied to somewhere else by `copier`. Has to
    /// be said again and again, for nobody else can tell whether it is still true.
    pub(crate) async fn hold_as_copier(
        &self,
        image: &ImageIdentity,
        writer: WriterId,
        copier: WriterId,
    ) -> Result<(), ImageError> {
        self.mark(image, writer, copier, &format!("{COPIER}{}", state_key(image))).await
    }

    async fn mark(
        &self,
        image: &ImageIdentity,
        writer: WriterId,
        holder: WriterId,
        text: &str,
    ) -> Result<(), ImageError> {
        let content = bytes::Bytes::from(content(text));
        let crc32c = crc32c(&content);
        let payload = Payload { parts: vec![content], crc32c };
        let put = self.store.put(&marker_key(writer, holder), payload, Precondition::None, None).await;
        put.map(drop).map_err(|error| ImageError::from_store(image, "marking segments as needed", error))
    }

    /// Takes one marker back.
    pub(crate) async fn unmark(&self, writer: WriterId, holder: WriterId) -> Result<(), StoreError> {
        removal::remove_key(&*self.store, &marker_key(writer, holder), self.versioned().await?).await
    }

    /// Who holds segments of a writer now.
    pub(crate) async fn holders(&self, writer: WriterId) -> Result<Vec<WriterId>, StoreError> {
        Ok(self.marks(writer).await?.into_iter().map(|mark| mark.holder).collect())
    }

    /// The markers on segments of a writer.
    pub(crate) async fn marks(&self, writer: WriterId) -> Result<Vec<Mark>, StoreError> {
        let prefix = holders_prefix(writer);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self.store.list(&prefix, next.as_deref()).await?;
            found.extend(page.objects.iter().filter_map(|marker| {
                let holder = WriterId::parse(writer_in(&marker.key, HOLDERS)?.1)?;
                Some(Mark { holder, made: marker.modified })
            }));
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// What a marker says.
    pub(crate) async fn marker(&self, writer: WriterId, holder: WriterId) -> Result<Marker, StoreError> {
        let got = match self.store.get(&marker_key(writer, holder), None).await {
            Ok(got) => got,
            Err(StoreError::NotFound(_)) => return Ok(Marker::Gone),
            Err(error) => return Err(error),
        };
        let key = std::str::from_utf8(&got.data).ok().and_then(|text| text.split_once(SEPARATOR));
        Ok(match key {
            Some((text, _)) if *got.data == *content(text).as_bytes() => {
                if text.starts_with(COPIER) {
                    Marker::Copier(got.head.answered.saturating_sub(got.head.modified))
                } else {
                    Marker::Names(text.to_owned())
                }
            }
            _ => Marker::Damaged,
        })
    }

    /// Takes back whatever markers `holders` have on segments of `writer`, and removes the segments if that leaves none.
    /// The image of the holders must not be fit as a source any more.
    pub(crate) async fn let_go(
        &self,
        image: &ImageIdentity,
        writer: WriterId,
        holders: &[WriterId],
    ) -> Result<(), ImageError> {
        self.let_go_of(writer, holders)
            .await
            .map_err(|error| ImageError::from_store(image, "removing its segments", error))
    }

    async fn let_go_of(&self, writer: WriterId, own: &[WriterId]) -> Result<(), StoreError> {
        match own {
            // The usual case: nothing to be looked up.
            [holder] => self.unmark(writer, *holder).await?,
            _ => {
                for holder in self.holders(writer).await?.iter().filter(|holder| own.contains(holder)) {
                    self.unmark(writer, *holder).await?;
                }
            }
        }
        if self.holders(writer).await?.is_empty() {
            self.free_all_of(writer).await?;
        }
        Ok(())
    }

    /// Removes every segment of a writer that nobody holds. What object lock keeps, because a lock was not completed or
    /// outlasts its image, the sweep removes when that is over.
    pub(crate) async fn free_all_of(&self, writer: WriterId) -> Result<(), StoreError> {
        let versioned = self.versioned().await?;
        let removed = removal::remove_where(&*self.store, &writer_prefix(writer), versioned, |_| true).await;
        removal::unless_locked(removed.map(drop)).map(drop)
    }
}
