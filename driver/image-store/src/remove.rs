//! Taking images away: delete, the end of an interrupted delete, and what an abort leaves to remove.
//!
//! The order is: make the image unfit as a source (its state object DELETING, or gone), take back its markers, remove the
//! segments that nobody else holds, remove the state object. Whatever is interrupted is finished by doing it again. A
//! complete image without segments is one object that never changes, unless it can be locked: it is removed at once.

use std::collections::BTreeSet;

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::{Inline, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::state::{Exchange, Seal};
use crate::store::{Shared, unencodable};

/// Times that a delete starts over when the image changed under it.
const ATTEMPTS: usize = 4;

/// How marking an image as being deleted ended.
pub(crate) enum Marked {
    /// It is DELETING.
    Yes(Manifest),
    /// There was no room even for that; the state object was removed in its place.
    Gone(Manifest),
    /// It changed since it was read.
    Changed(Manifest),
}

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn delete(&self, image: &ImageIdentity) -> Result<(), ImageError> {
        for _ in 0..ATTEMPTS {
            let Some(there) = self.states.load(image).await? else {
                return Err(ImageError::NotFound { image: image.clone() });
            };
            if there.is_locked() {
                let until = there.manifest.locked_until.unwrap_or_default();
                return Err(ImageError::Locked { image: image.clone(), until });
            }
            let versioned = there.seal.is_versioned();
            let manifest = there.manifest;
            // Where it can be locked between two looks, it has to be made unfit for that first.
            let one_object = manifest.state == Stored::Created
                && manifest.extents.is_empty()
                && manifest.holders.len() == 1
                && !(versioned && self.object_lock(image).await?);
            if manifest.state == Stored::Deleting || one_object {
                return self.finish_delete(&manifest, versioned).await;
            }
            match self.mark_deleting(manifest, &there.seal).await? {
                Marked::Yes(manifest) => return self.finish_delete(&manifest, versioned).await,
                Marked::Gone(manifest) => return self.release_segments(&manifest).await,
                Marked::Changed(_) => {}
            }
        }
        Err(ImageError::Busy { image: image.clone(), writer: "unknown".to_owned() })
    }

    /// Marks an image as being deleted.
    ///
    /// A full bucket refuses even this write, and deleting is how it gets room again: then the state object itself is
    /// removed first. If the rest is interrupted, the sweep finishes it.
    pub(crate) async fn mark_deleting(&self, manifest: Manifest, seal: &Seal) -> Result<Marked, ImageError> {
        let manifest = Manifest { state: Stored::Deleting, ..manifest };
        let image = &manifest.identity;
        let encoded = manifest.encode(&Inline::default()).map_err(|problem| unencodable(image, problem))?;
        match self.states.exchange(image, &encoded, Some(seal), None).await {
            Ok(Exchange::Done(_)) => Ok(Marked::Yes(manifest)),
            Ok(Exchange::Lost(_)) => Ok(Marked::Changed(manifest)),
            Err(ImageError::NoSpace { .. }) => {
                let gone = self.states.remove_unchanged(image, seal).await?;
                Ok(if gone { Marked::Gone(manifest) } else { Marked::Changed(manifest) })
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the segments, then the state object.
    pub(crate) async fn finish_delete(&self, manifest: &Manifest, versioned: bool) -> Result<(), ImageError> {
        self.release_segments(manifest).await?;
        self.states.remove(&manifest.identity, versioned).await
    }

    /// Takes back all markers of an image and removes the segments that nobody else holds.
    pub(crate) async fn release_segments(&self, manifest: &Manifest) -> Result<(), ImageError> {
        let Manifest { identity, holders, state, extents, copied, .. } = manifest;
        let mut held: BTreeSet<WriterId> = manifest.sources().into_iter().collect();
        // What its writers wrote, whether or not it is named; a complete image of one object never had any.
        if *state != Stored::Created || !extents.is_empty() || holders.len() > 1 {
            held.extend(holders);
        }
        held.extend(copied.iter().flat_map(|copied| copied.writers.iter().map(|(_, writer)| *writer)));
        for writer in held {
            self.let_go(identity, writer, holders).await?;
        }
        Ok(())
    }
}
