//! Listing the images of a bucket, one page at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{IMAGES, StateKey, parse_state_key};
use crate::object_store::{Listed, ObjectStore};
use crate::store::Shared;

/// One image of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// Who it is. Ask [`crate::ImageStore::properties`] for the rest; it may have been deleted meanwhile.
    pub identity: ImageIdentity,
    /// When its state last changed, in seconds since the epoch by the server's clock.
    pub modified: u64,
}

/// Goes through all images, in the order of their keys. Holds one page at a time, at most 1,000 entries.
///
/// One request per page, and one for each image whose name is too long for a key. Images that are being deleted may
/// be listed; objects under `image/` that are not images,
/// and damaged ones with names too long for a key, are passed over. An image that is created or deleted while
/// the listing goes on may or may not be in it; every other one is, exactly once.
pub struct ImagePager<S> {
    shared: Arc<Shared<S>>,
    waiting: VecDeque<Listed>,
    next: Option<String>,
    started: bool,
}

impl<S> std::fmt::Debug for ImagePager<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImagePager").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<S: ObjectStore> ImagePager<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Self { shared, waiting: VecDeque::new(), next: None, started: false }
    }

    /// The next page; `None` after the last. A page may be empty.
    ///
    /// After an error, the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ImageEntry>>, ImageError> {
        if self.waiting.is_empty() {
            if self.started && self.next.is_none() {
                return Ok(None);
            }
            let page = self
                .shared
                .store
                .list(IMAGES, self.next.as_deref())
                .await
                .map_err(|source| ImageError::Store { during: format!("listing {IMAGES}"), source })?;
            self.waiting = page.objects.into();
            self.next = page.next;
            self.started = true;
        }
        let mut entries = Vec::with_capacity(self.waiting.len());
        for listed in &self.waiting {
            let identity = match parse_state_key(&listed.key) {
                StateKey::Named(identity) => identity,
                StateKey::Hashed => match self.shared.long_name(&listed.key).await {
                    Ok(Some(identity)) => identity,
                    // One damaged object must not hide all others.
                    Ok(None) | Err(ImageError::Corrupt { .. }) => continue,
                    Err(error) => return Err(error),
                },
                StateKey::Foreign => continue,
            };
            entries.push(ImageEntry { identity, modified: listed.modified });
        }
        self.waiting.clear();
        Ok(Some(entries))
    }
}

impl<S: ObjectStore> Shared<S> {
    /// The identity inside a state object whose key is a hash; `None` if it is gone.
    async fn long_name(&self, key: &str) -> Result<Option<ImageIdentity>, ImageError> {
        let loaded = self.states.load_key(&ImageIdentity::unknown(key), key).await?;
        Ok(loaded.map(|loaded| loaded.manifest.identity))
    }
}
