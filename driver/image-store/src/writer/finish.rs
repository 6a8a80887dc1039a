//! The ends of a writer: flush, close, abort, and being fenced off.

use bytes::Bytes;

use super::{Close, Phase, Writer};
use crate::error::ImageError;
use crate::manifest::{Extent, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::state::Exchange;
use crate::store::unencodable;

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
        let own = Extent {
            writer: self.manifest.writer,
            first: 0,
            count: self.next_index,
            segment_size: 0,
            length: 0,
        };
        self.shared.remove_segments(&self.manifest.identity, &own).await
    }
}
