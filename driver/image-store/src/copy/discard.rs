//! Taking away what is there of a copy without going on with it, and finding out whether a copy is complete.

use super::begin::clear;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::manifest::Stored;
use crate::object_store::ObjectStore;
use crate::store::ImageStore;

/// Times that this starts over when the target changed meanwhile.
const ATTEMPTS: usize = 4;

impl<S: ObjectStore> ImageStore<S> {
    /// Removes an unfinished copy of an image of this store from `target`, whoever is making it: he finds out. True if it
    /// is complete; then, and if it is anything else than a copy of that image, it is left alone.
    pub(crate) async fn discard_copy(
        &self,
        image: &ImageIdentity,
        target: &Self,
        name: &ImageIdentity,
    ) -> Result<bool, ImageError> {
        let mut writer = String::new();
        for _ in 0..ATTEMPTS {
            let Some(there) = target.shared().states.load(name).await? else { return Ok(false) };
            if there.manifest.copied.as_ref().is_none_or(|copied| copied.identity != *image) {
                return Ok(false);
            }
            if there.manifest.state == Stored::Created {
                return Ok(true);
            }
            writer = there.manifest.writer.to_string();
            clear(self.shared(), target.shared(), there).await?;
        }
        match target.shared().states.load(name).await? {
            None => Ok(false),
            Some(_) => Err(ImageError::Busy { image: name.clone(), writer }),
        }
    }

    /// Whether `name` is a complete copy of an image of that name.
    pub(crate) async fn is_copy_of(
        &self,
        name: &ImageIdentity,
        image: &ImageIdentity,
    ) -> Result<bool, ImageError> {
        let there = self.shared().states.load(name).await?;
        Ok(there.is_some_and(|there| {
            let copied = there.manifest.copied.as_ref();
            there.manifest.state == Stored::Created && copied.is_some_and(|copied| copied.identity == *image)
        }))
    }
}
