//! Including ranges of other images: no data moves, the new image names the segments of the old one.

use super::{Open, Writer};
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::extent::{push, slice};
use crate::manifest::{EXTENTS_MAX, Stored};
use crate::object_store::ObjectStore;
use crate::state::Loaded;

/// Times that a source is looked at again because it is being laid out anew.
const ATTEMPTS: usize = 4;

impl<S: ObjectStore> Writer<S> {
    /// Appends `length` bytes of a complete image of the same store, from `from` on, without moving them. The image's
    /// size, which is where they go, must be `offset`.
    ///
    /// A writer goes by what an image was at its first include from it, also once that was deleted or is another one. The
    /// first include from an image costs two requests and one for each writer whose segments it has; further ones
    /// from the same image cost none. The bytes that an image keeps inside its manifest are copied.
    ///
    /// [`ImageError::InvalidOffset`], [`ImageError::InvalidRange`] and, of the source, [`ImageError::NotFound`] and
    /// [`ImageError::NotComplete`] leave the writer as it was.
    pub async fn include(
        &mut self,
        source: &ImageIdentity,
        from: u64,
        length: u64,
        offset: u64,
    ) -> Result<(), ImageError> {
        self.include_of(source, None, from, length, offset).await
    }

    /// As [`Self::include`], of the image of that name that this writer created; [`ImageError::NotFound`] if the writer
    /// goes by another one.
    pub(super) async fn include_of(
        &mut self,
        source: &ImageIdentity,
        creator: Option<WriterId>,
        from: u64,
        length: u64,
        offset: u64,
    ) -> Result<(), ImageError> {
        let meant = |there: &Loaded| match creator {
            Some(_) if there.manifest.holders.first() != creator.as_ref() => {
                Err(ImageError::NotFound { image: source.clone() })
            }
            _ => Ok(()),
        };
        self.renew_if_due().await?;
        if offset != self.size {
            let image = self.manifest.identity.clone();
            return Err(ImageError::InvalidOffset { image, offset, expected: self.size });
        }
        if !self.sources.contains_key(source) {
            // A complete image keeps its size; a range that it does not have shall leave no marker.
            let there = self.complete(source).await?;
            meant(&there)?;
            if end_of(source, &there, from, length)? > from {
                let loaded = self.take_as_source(source, there).await?;
                self.sources.insert(source.clone(), loaded);
            }
        }
        let Some(loaded) = self.sources.get(source) else { return Ok(()) };
        meant(loaded)?;
        let end = end_of(source, loaded, from, length)?;
        let in_segments = loaded.manifest.extents_len();
        if length == 0 {
            return Ok(());
        }
        let extents = slice(&loaded.manifest.extents, from, end.min(in_segments));
        let at = |offset: u64| usize::try_from(offset.saturating_sub(in_segments)).unwrap_or(usize::MAX);
        let copied = loaded.inline.tail.slice(at(from.max(in_segments))..at(end.max(in_segments)));
        for extent in extents {
            self.size += extent.length;
            if self.open.is_empty() {
                push(&mut self.manifest.extents, extent);
            } else if let Some(Open::Shared(last)) = self.open.last_mut() {
                if let Some(apart) = last.join(extent) {
                    self.open.push(Open::Shared(apart));
                }
            } else {
                self.open.push(Open::Shared(extent));
            }
        }
        self.unsaved = true;
        if self.manifest.extents.len() + self.open.len() > EXTENTS_MAX {
            return Err(self.too_many_extents());
        }
        self.append(self.size, &copied).await
    }

    /// Makes sure that what an image consists of stays, and tells what that is. The markers come before the look that
    /// counts: whoever deletes the image makes it unfit first and looks for markers then.
    async fn take_as_source(
        &mut self,
        source: &ImageIdentity,
        mut there: Loaded,
    ) -> Result<Loaded, ImageError> {
        for _ in 0..ATTEMPTS {
            let missing: Vec<_> =
                there.manifest.sources().into_iter().filter(|writer| !self.held.contains(writer)).collect();
            if missing.is_empty() {
                return Ok(there);
            }
            let own = self.manifest.writer;
            for writer in missing {
                self.shared.hold(&self.manifest.identity, writer, own).await?;
                self.held.insert(writer);
            }
            there = self.complete(source).await?;
        }
        Err(ImageError::Moved { image: source.clone() })
    }

    async fn complete(&self, source: &ImageIdentity) -> Result<Loaded, ImageError> {
        let there = self.shared.load(source).await?;
        match there.manifest.state {
            Stored::Created => Ok(there),
            Stored::Pending | Stored::Deleting => Err(ImageError::NotComplete { image: source.clone() }),
        }
    }
}

/// Where a range of a source ends, if the source has it.
fn end_of(source: &ImageIdentity, there: &Loaded, from: u64, length: u64) -> Result<u64, ImageError> {
    let size = there.manifest.extents_len() + there.inline.tail.len() as u64;
    from.checked_add(length).filter(|end| *end <= size).ok_or_else(|| {
        let end = from.saturating_add(length);
        ImageError::InvalidRange { image: source.clone(), offset: from, end, size }
    })
}
