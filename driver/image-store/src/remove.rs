//! Taking images away: delete, the end of an interrupted delete, and what an abort leaves to remove.
//!
//! The order is: mark the state object DELETING (readers and writers then find nothing, a writer's next exchange
//! fails), remove the segments, remove the state object. Whatever is interrupted is finished by doing it again. A
//! complete image without segments is one object that never changes: it is removed at once.

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{WriterId, segment_key, state_key, writer_prefix};
use crate::manifest::{Extent, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::state::Exchange;
use crate::store::{Shared, unencodable};

/// Keys in one bulk delete.
const KEYS_PER_CALL: u32 = 1000;
/// Times that a delete starts over when the image changed under it.
const ATTEMPTS: usize = 4;

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn delete(&self, image: &ImageIdentity) -> Result<(), ImageError> {
        for _ in 0..ATTEMPTS {
            let Some(there) = self.states.load(image).await? else {
                return Err(ImageError::NotFound { image: image.clone() });
            };
            let manifest = there.manifest;
            let one_object = manifest.state == Stored::Created && manifest.extents.is_empty();
            if manifest.state == Stored::Deleting || one_object {
                return self.finish_delete(&manifest).await;
            }
            let (manifest, marked) = self.mark_deleting(manifest, &there.etag).await?;
            if marked {
                return self.finish_delete(&manifest).await;
            }
        }
        Err(ImageError::Busy { image: image.clone(), writer: "unknown".to_owned() })
    }

    /// Marks an image as being deleted. False: it changed since it was read.
    ///
    /// A full bucket refuses even this write, and deleting is how it gets room again: then the image is deleted
    /// without the mark, segments first.
    pub(crate) async fn mark_deleting(
        &self,
        manifest: Manifest,
        etag: &str,
    ) -> Result<(Manifest, bool), ImageError> {
        let manifest = Manifest { state: Stored::Deleting, ..manifest };
        let image = &manifest.identity;
        let encoded = manifest.encode(bytes::Bytes::new()).map_err(|problem| unencodable(image, problem))?;
        match self.states.exchange(image, &encoded, Some(etag)).await {
            Ok(Exchange::Done(_)) => Ok((manifest, true)),
            Ok(Exchange::Lost(_)) => Ok((manifest, false)),
            Err(ImageError::NoSpace { .. }) => {
                let unchanged = self.states.load(image).await?.is_some_and(|there| there.etag == etag);
                Ok((manifest, unchanged))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the segments, then the state object.
    pub(crate) async fn finish_delete(&self, manifest: &Manifest) -> Result<(), ImageError> {
        let image = &manifest.identity;
        for extent in &manifest.extents {
            self.remove_segments(image, extent).await?;
        }
        if manifest.busy {
            self.remove_all_of(image, manifest.writer).await?;
        }
        self.store
            .delete(&state_key(image))
            .await
            .map_err(|error| ImageError::from_store(image, "removing its state", error))
    }

    /// Removes the segments of an extent; their sizes do not matter.
    pub(crate) async fn remove_segments(
        &self,
        image: &ImageIdentity,
        extent: &Extent,
    ) -> Result<(), ImageError> {
        let mut next = extent.first;
        let end = extent.first.saturating_add(extent.count);
        while next < end {
            let after = end.min(next.saturating_add(KEYS_PER_CALL));
            let keys: Vec<String> = (next..after).map(|index| segment_key(extent.writer, index)).collect();
            self.remove(image, &keys).await?;
            next = after;
        }
        Ok(())
    }

    /// Removes whatever a writer has written.
    async fn remove_all_of(&self, image: &ImageIdentity, writer: WriterId) -> Result<(), ImageError> {
        let prefix = writer_prefix(writer);
        let mut next = None;
        loop {
            let page = self
                .store
                .list(&prefix, next.as_deref())
                .await
                .map_err(|error| ImageError::from_store(image, "listing its segments", error))?;
            let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
            for keys in keys.chunks(KEYS_PER_CALL as usize) {
                self.remove(image, keys).await?;
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    async fn remove(&self, image: &ImageIdentity, keys: &[String]) -> Result<(), ImageError> {
        self.store
            .delete_many(keys)
            .await
            .map_err(|error| ImageError::from_store(image, "removing its segments", error))
    }
}
