//! The ends of a writer: flush, close, abort, and being fenced off.

use bytes::Bytes;

use super::{Close, Phase, Writer};
use crate::error::ImageError;
use crate::manifest::{Extent, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::state::Exchange;
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
        if self.size == self.saved_size {
            return Ok(());
        }
        self.save(Stored::Pending, true).await
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
        Ok(())
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
        // First, and before any write: in a full bucket this is what makes room.
        self.remove_own().await?;
        let writer = self.manifest.writer;
        let mut manifest = self.manifest.clone();
        manifest.extents.retain(|extent| extent.writer != writer);
        for _ in 0..ATTEMPTS {
            let etag = self.etag.clone();
            let (marked, done) = self.shared.mark_deleting(manifest, &etag).await?;
            if done {
                self.shared.finish_delete(&marked).await?;
                self.phase = Phase::Closed;
                return Ok(());
            }
            match self.shared.states.load(&marked.identity).await? {
                // A write of ours whose answer was lost.
                Some(there) if there.manifest.writer == writer => {
                    self.etag = there.etag;
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
        let own = self.manifest.writer;
        let image = self.manifest.identity.clone();
        match self.shared.states.load(&image).await? {
            Some(there) if there.manifest.writer == own && there.manifest.state == Stored::Created => {
                self.phase = Phase::Closed;
                return Ok(Discarded::Committed);
            }
            Some(there) if there.manifest.writer == own && self.saved_size == 0 => {
                return self.abort().await.map(|()| Discarded::Removed);
            }
            Some(there) if there.manifest.writer == own => {
                let kept = there.manifest.extents.iter().filter(|extent| extent.writer == own);
                self.remove_own_from(kept.map(|extent| extent.first + extent.count).max().unwrap_or(0))
                    .await?;
                if there.manifest.state == Stored::Pending && there.manifest.busy {
                    self.release(Manifest { busy: false, ..there.manifest }, there.tail, &there.etag).await?;
                }
            }
            // Deleted or taken over: only what this writer wrote is its own.
            _ => self.remove_own().await?,
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
    async fn release(&self, manifest: Manifest, tail: Bytes, etag: &str) -> Result<(), ImageError> {
        let image = &manifest.identity;
        let encoded = manifest.encode(tail).map_err(|problem| unencodable(image, problem))?;
        self.shared.states.exchange(image, &encoded, Some(etag)).await.map(drop)
    }

    /// Waits for all uploads.
    async fn drain(&mut self) -> Result<(), ImageError> {
        while let Some(ended) = self.uploads.join_next().await {
            self.settle(ended)?;
        }
        Ok(())
    }

    /// Brings everything into the bucket and exchanges the state object.
    async fn save(&mut self, state: Stored, busy: bool) -> Result<(), ImageError> {
        if self.filling.len() > self.shared.config.inline_limit {
            self.launch().await?;
        }
        self.drain().await?;
        let committed = (state == Stored::Created).then(|| self.shared.now());
        let manifest = Manifest { state, busy, committed, ..self.manifest.clone() };
        let tail = if self.filling.len() == 0 { Bytes::new() } else { self.filling.copy() };
        let image = &self.manifest.identity;
        let encoded = match manifest.encode(tail) {
            Ok(encoded) => encoded,
            Err(problem) => {
                let error = unencodable(image, problem);
                return Err(self.fail(error));
            }
        };
        // Until the answer is here. If the caller drops this future, the outcome stays open, and only abort is left.
        self.phase = Phase::Failed(ImageError::Interrupted { image: image.clone() });
        match self.shared.states.exchange(image, &encoded, Some(&self.etag)).await {
            Ok(Exchange::Done(etag)) => {
                self.phase = Phase::Open;
                self.etag = etag;
                self.saved_size = self.size;
                Ok(())
            }
            Ok(Exchange::Lost(_)) => {
                let error = self.fail(ImageError::Fenced { image: self.manifest.identity.clone() });
                // What cannot be removed now is tried again by abort.
                let _ = self.remove_own().await;
                Err(error)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Removes the segments this writer has started to write, whether they arrived or not.
    async fn remove_own(&self) -> Result<(), ImageError> {
        self.remove_own_from(0).await
    }

    /// Removes this writer's segments from a number on.
    async fn remove_own_from(&self, first: u32) -> Result<(), ImageError> {
        let own = Extent {
            writer: self.manifest.writer,
            first,
            count: self.next_index.saturating_sub(first),
            segment_size: 0,
            length: 0,
        };
        self.shared.remove_segments(&self.manifest.identity, &own).await
    }
}
