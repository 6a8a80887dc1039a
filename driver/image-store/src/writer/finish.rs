//! The ends of a writer: flush, close, abort, and being fenced off.

use bytes::Bytes;

use super::{Close, Open, Phase, Writer};
use crate::error::ImageError;
use crate::layout::{SEGMENTS, segment_index, writer_in, writer_prefix};
use crate::manifest::extent::push;
use crate::manifest::{Inline, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::removal;
use crate::remove::Marked;
use crate::state::{Exchange, Loaded, Seal};
use crate::store::unencodable;

/// What [`Writer::discard`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// What was not durable before is gone.
    Removed,
    /// The complete close had happened after all: the image is complete and durable.
    Committed,
}

/// Times that an abort looks again when the image changed under it.
const ATTEMPTS: usize = 4;

impl<S: ObjectStore> Writer<S> {
    /// Makes everything accepted so far durable and named by the state object; the image stays open.
    ///
    /// Costs one or two requests if anything was appended since the last time, and a short segment if more than the
    /// inline limit is pending.
    pub async fn flush(&mut self) -> Result<(), ImageError> {
        self.check()?;
        self.drain().await?;
        if self.unsaved { self.save(Stored::Pending, true).await } else { self.renew_if_due().await }
    }

    /// Closes the image. Success means that it is durable, complete or to be continued as asked.
    ///
    /// After an error the image is as it was and the writer has failed; [`Self::abort`] removes the image.
    pub async fn close(&mut self, how: Close) -> Result<(), ImageError> {
        self.check()?;
        match how {
            Close::Complete => self.save(Stored::Created, false).await?,
            Close::Incomplete => self.save(Stored::Pending, false).await?,
        }
        self.phase = Phase::Closed;
        self.let_go_unused().await;
        Ok(())
    }

    /// Takes back the markers on segments that did not become part of the image, such as those of a source of which only
    /// inline bytes were included. The close has happened: what this cannot remove, the sweep does.
    async fn let_go_unused(&mut self) {
        let (own, needed) = (self.manifest.writer, self.manifest.sources());
        for writer in std::mem::take(&mut self.held).into_iter().filter(|writer| !needed.contains(writer)) {
            let _ = self.shared.let_go(&self.manifest.identity, writer, &[own]).await;
        }
    }

    /// Removes the image and everything this writer may have written, earlier checkpoints included.
    ///
    /// When it returns successfully nothing is left. It may be called again after an error, and does nothing after a
    /// successful close.
    pub async fn abort(&mut self) -> Result<(), ImageError> {
        if matches!(self.phase, Phase::Closed) {
            return Ok(());
        }
        self.phase = Phase::Aborting;
        // Waiting and not cancelling: a cancelled upload could still arrive after the delete.
        while self.uploads.join_next().await.is_some() {}
        self.filling.clear(0);
        self.open.clear();
        // First, and before any write: in a full bucket this is what makes room. Nobody includes from an image that is
        // not complete, so what this writer wrote is its own.
        self.let_go_beyond(None).await?;
        let writer = self.manifest.writer;
        let mut manifest = self.manifest.clone();
        manifest.extents.retain(|extent| extent.series.writer != writer);
        for _ in 0..ATTEMPTS {
            let seal = self.seal.clone();
            let marked = match self.shared.mark_deleting(manifest, &seal).await? {
                Marked::Yes(marked) => {
                    self.shared.finish_delete(&marked, seal.is_versioned()).await?;
                    self.phase = Phase::Closed;
                    return Ok(());
                }
                Marked::Gone(marked) => {
                    self.shared.release_segments(&marked).await?;
                    self.phase = Phase::Closed;
                    return Ok(());
                }
                Marked::Changed(marked) => marked,
            };
            match self.shared.states.load(&marked.identity).await? {
                // A write of ours whose answer was lost.
                Some(there) if there.manifest.writer == writer => {
                    self.seal = there.seal;
                    manifest = Manifest { busy: true, ..there.manifest };
                }
                // Deleted or taken over: what is there is not ours.
                _ => {
                    self.phase = Phase::Closed;
                    return Ok(());
                }
            }
        }
        let image = self.manifest.identity.clone();
        Err(ImageError::Busy { image, writer: "unknown".to_owned() })
    }

    /// Ends a writer whose close failed: removes what it wrote since its last [`Self::flush`], and nothing that was
    /// durable before. An image that was never flushed nor closed is removed; one that was stays PENDING, not busy, as
    /// it was then, and may be opened for writing again.
    ///
    /// A complete close whose answer was lost may turn out to have happened: that is [`Discarded::Committed`], nothing
    /// is removed, and the close did succeed. It may be called again after an error.
    pub async fn discard(&mut self) -> Result<Discarded, ImageError> {
        if matches!(self.phase, Phase::Closed) {
            return Ok(Discarded::Removed);
        }
        self.phase = Phase::Aborting;
        // Waiting and not cancelling, as in an abort.
        while self.uploads.join_next().await.is_some() {}
        self.filling.clear(0);
        self.open.clear();
        let own = self.manifest.writer;
        let image = self.manifest.identity.clone();
        match self.shared.states.load(&image).await? {
            Some(there) if there.manifest.writer == own && there.manifest.state == Stored::Created => {
                self.phase = Phase::Closed;
                return Ok(Discarded::Committed);
            }
            Some(there) if there.manifest.writer == own && self.never_saved() => {
                return self.abort().await.map(|()| Discarded::Removed);
            }
            Some(there) => {
                self.let_go_beyond(Some(&there.manifest)).await?;
                let Loaded { manifest, inline, seal, .. } = there;
                if manifest.writer == own && manifest.state == Stored::Pending && manifest.busy {
                    self.release(Manifest { busy: false, ..manifest }, &inline, &seal).await?;
                }
            }
            None => self.let_go_beyond(None).await?,
        }
        self.phase = Phase::Closed;
        Ok(Discarded::Removed)
    }

    /// Makes the writer fail because the caller gave up waiting for one of its calls: how far that got is unknown.
    pub fn interrupt(&mut self) {
        if matches!(self.phase, Phase::Open) {
            let image = self.manifest.identity.clone();
            self.fail(ImageError::Interrupted { image });
        }
    }

    /// Writes the state object that lets others open the image; losing the exchange means that somebody has it.
    async fn release(&self, manifest: Manifest, inline: &Inline, seal: &Seal) -> Result<(), ImageError> {
        let image = &manifest.identity;
        let encoded = manifest.encode(inline).map_err(|problem| unencodable(image, problem))?;
        self.shared.states.exchange(image, &encoded, Some(seal), None).await.map(drop)
    }

    /// Whether no state object names anything that this image would have to keep.
    fn never_saved(&self) -> bool {
        let (manifest, inline) = &self.saved;
        manifest.extents.is_empty() && *inline == Inline::default()
    }

    /// This writer lost its image: whatever the state object does not name goes. Gives the error to be reported.
    pub(super) async fn fenced(&mut self, there: Option<Loaded>) -> ImageError {
        let error = self.fail(ImageError::Fenced { image: self.manifest.identity.clone() });
        while self.uploads.join_next().await.is_some() {}
        // What cannot be removed now is tried again by abort.
        let _ = self.let_go_beyond(there.as_ref().map(|there| &there.manifest)).await;
        error
    }

    /// Lets go of every segment that this writer wrote or holds and `there`, what is now in the place of its state
    /// object, does not need.
    async fn let_go_beyond(&mut self, there: Option<&Manifest>) -> Result<(), ImageError> {
        let (own, image) = (self.manifest.writer, self.manifest.identity.clone());
        let heir = there.filter(|there| there.state != Stored::Deleting && there.holders.contains(&own));
        let needed = heir.map(Manifest::sources).unwrap_or_default();
        for writer in self.held.clone() {
            if !needed.contains(&writer) {
                self.shared.let_go(&image, writer, &[own]).await?;
                self.held.remove(&writer);
            }
        }
        if needed.contains(&own) {
            let named = heir.into_iter().flat_map(|heir| &heir.extents);
            let named = named.filter(|extent| extent.series.writer == own);
            let kept = named.map(|extent| extent.first + extent.count).max().unwrap_or(0);
            let beyond = |key: &str| {
                let index = writer_in(key, SEGMENTS).and_then(|(_, rest)| segment_index(rest));
                index.is_some_and(|index| index >= kept)
            };
            if self.next_index > kept {
                let (store, prefix) = (&*self.shared.store, writer_prefix(own));
                let removed = match self.shared.versioned().await {
                    Ok(versioned) => removal::remove_where(store, &prefix, versioned, beyond).await,
                    Err(error) => Err(error),
                };
                removed.map_err(|error| ImageError::from_store(&image, "removing its segments", error))?;
            }
        }
        Ok(())
    }

    /// Waits for all uploads.
    async fn drain(&mut self) -> Result<(), ImageError> {
        while let Some(ended) = self.uploads.join_next().await {
            self.settle(ended)?;
        }
        Ok(())
    }

    /// Whether what is there is a renewal of ours whose answer was lost: nobody else writes under this id, and every other
    /// change of ours whose outcome is unknown ends the writer.
    fn renewed_after_all(&self, there: &Manifest) -> bool {
        there.writer == self.manifest.writer && there.state == Stored::Pending && there.busy
    }

    /// Brings everything into the bucket and exchanges the state object.
    async fn save(&mut self, state: Stored, busy: bool) -> Result<(), ImageError> {
        let mixed = self.open.iter().any(|part| matches!(part, Open::Shared(_)));
        if self.filling.len() > self.shared.config.inline_limit || mixed && self.filling.len() > 0 {
            self.launch().await?;
        }
        for part in std::mem::take(&mut self.open) {
            match part {
                Open::Shared(extent) => push(&mut self.manifest.extents, extent),
                own @ Open::Own { .. } => self.open.push(own),
            }
        }
        self.drain().await?;
        let committed = (state == Stored::Created).then(|| self.shared.now());
        let manifest = Manifest { state, busy, committed, ..self.manifest.clone() };
        let tail = if self.filling.len() == 0 { Bytes::new() } else { self.filling.copy() };
        let inline = Inline { tail, meta: self.meta.clone() };
        let image = &self.manifest.identity;
        let encoded = match manifest.encode(&inline) {
            Ok(encoded) => encoded,
            Err(problem) => {
                let error = unencodable(image, problem);
                return Err(self.fail(error));
            }
        };
        // Until the answer is here. If the caller drops this future, the outcome stays open, and only abort is left.
        self.phase = Phase::Failed(ImageError::Interrupted { image: image.clone() });
        let states = &self.shared.states;
        let mut exchanged = states.exchange(image, &encoded, Some(&self.seal), None).await;
        for _ in 0..ATTEMPTS {
            match &exchanged {
                Ok(Exchange::Lost(Some(there))) if self.renewed_after_all(&there.manifest) => {
                    let seal = there.seal.clone();
                    exchanged = states.exchange(image, &encoded, Some(&seal), None).await;
                }
                _ => break,
            }
        }
        match exchanged {
            Ok(Exchange::Done(seal)) => {
                self.phase = Phase::Open;
                self.seal = seal;
                self.saved = (manifest, inline);
                self.unsaved = false;
                self.renewed = self.shared.environment.clock.now();
                Ok(())
            }
            Ok(Exchange::Lost(there)) => Err(self.fenced(there).await),
            Err(error) => Err(self.fail(error)),
        }
    }
}
