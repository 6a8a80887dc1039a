//! Appending ranges of images of other stores: what is copied is read and checked on the way.

use std::sync::Arc;

use super::Writer;
use crate::error::ImageError;
use crate::object_store::ObjectStore;
use crate::reader::Reader;
use crate::store::ImageState;

impl<S: ObjectStore> Writer<S> {
    /// Appends `length` bytes of a complete image, from `from` on. The size of the image being written, which is where
    /// they go, must be `offset`.
    ///
    /// From an image of the same [`crate::ImageStore`] that is still there it is an [`Self::include`]; from any other the
    /// bytes are read, checked and appended. When it fails on the way, [`Self::size`] tells how far it got, and the rest may be asked for
    /// again.
    pub async fn copy_range(
        &mut self,
        source: &mut Reader<S>,
        from: u64,
        length: u64,
        offset: u64,
    ) -> Result<(), ImageError> {
        let image = source.info().identity.clone();
        if source.info().state != ImageState::Created {
            return Err(ImageError::NotComplete { image });
        }
        if Arc::ptr_eq(source.shared(), &self.shared) {
            match self.include_of(&image, source.creator(), from, length, offset).await {
                // Deleted since it was opened, or this writer goes by another one of that name: as far as it can be read.
                Err(ImageError::NotFound { .. }) => {}
                included => return included,
            }
        }
        self.renew_if_due().await?;
        if offset != self.size {
            let image = self.manifest.identity.clone();
            return Err(ImageError::InvalidOffset { image, offset, expected: self.size });
        }
        let size = source.size();
        let Some(end) = from.checked_add(length).filter(|end| *end <= size) else {
            let end = from.saturating_add(length);
            return Err(ImageError::InvalidRange { image, offset: from, end, size });
        };
        let piece = usize::try_from(length).unwrap_or(usize::MAX).min(self.shared.config.chunk_size as usize);
        let mut buffer = vec![0; piece];
        let mut at = from;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece);
            let count = source.read_into(at, &mut buffer[..wanted]).await?;
            self.append(self.size, &buffer[..count]).await?;
            at += count as u64;
        }
        Ok(())
    }
}
