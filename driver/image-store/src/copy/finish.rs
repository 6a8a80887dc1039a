//! The ends of a copy: complete, suspended, aborted, or its target lost.

use std::collections::BTreeSet;

use super::plan::{Plan, translated};
use super::{ATTEMPTS, ImageCopy, Phase};
use crate::error::ImageError;
use crate::layout::WriterId;
use crate::manifest::{Copied, Inline, Manifest, Stored};
use crate::object_store::{ObjectStore, StoreError};
use crate::remove::Marked;
use crate::state::Loaded;
use crate::store::unencodable;

impl<S: ObjectStore> ImageCopy<S> {
    /// Looks whether every segment is there in its full size, and makes the target complete.
    pub(super) async fn commit(&mut self) -> Result<(), ImageError> {
        self.verify().await?;
        let (manifest, encoded) = if let Some(last) = self.last.clone() {
            last
        } else {
            let extents = translated(&self.source.extents, &self.writers());
            let moved = || ImageError::Moved { image: self.source.identity.clone() };
            let copied = self.manifest.copied.clone();
            let copied = copied.map(|copied| Box::new(Copied { writers: Vec::new(), ..*copied }));
            let manifest = Manifest {
                state: Stored::Created,
                busy: false,
                extents: extents.ok_or_else(moved)?,
                committed: Some(self.link.target.now()),
                copied,
                ..self.manifest.clone()
            };
            let encoded =
                manifest.encode(&self.inline).map_err(|problem| unencodable(&self.link.image, problem))?;
            self.last.insert((manifest, encoded)).clone()
        };
        let writers = self.writers();
        self.exchange(manifest, &encoded).await?;
        self.phase = Phase::Done;
        // It is complete whatever becomes of the markers: the sweep takes those that nobody renews.
        let _ = self.unmark_source(&writers).await;
        Ok(())
    }

    /// Fails unless the target has every segment in its full size; those that it has not are copied again.
    async fn verify(&mut self) -> Result<(), ImageError> {
        let moved = || ImageError::Moved { image: self.source.identity.clone() };
        let mut plan = Plan::new(&self.source.extents, &self.writers()).ok_or_else(moved)?;
        let mut there: Option<(WriterId, _)> = None;
        let mut problem = None;
        while let Some(job) = plan.next() {
            let sizes = match there.take() {
                Some((writer, sizes)) if writer == job.to => sizes,
                _ => self.link.there(job.to).await?,
            };
            let (size, expected) =
                (sizes.get(&job.shape.index).copied().unwrap_or(0), job.shape.object_len());
            there = Some((job.to, sizes));
            if size != expected {
                self.again.push(job);
                self.progress.segments_done -= 1;
                self.progress.bytes_done -= expected;
                problem.get_or_insert((
                    job.source_key(),
                    format!("{size} bytes came, {expected} were expected"),
                ));
            }
        }
        self.there = None;
        let Some((key, problem)) = problem else { return Ok(()) };
        // Whoever has the target by now has removed it.
        match self.link.target.states.load(&self.link.image).await? {
            Some(there) if there.manifest.writer == self.manifest.writer => {
                Err(self.link.fetcher.corrupt(&key, problem))
            }
            there => Err(self.fenced(there).await),
        }
    }

    /// Lets the target be, PENDING and not busy, for whoever begins the copy again; until then nothing is lost.
    pub async fn suspend(&mut self) -> Result<(), ImageError> {
        if self.phase != Phase::Copying {
            return Ok(());
        }
        self.drain().await;
        let manifest = Manifest { busy: false, ..self.manifest.clone() };
        let encoded =
            manifest.encode(&Inline::default()).map_err(|problem| unencodable(&self.link.image, problem))?;
        self.exchange(manifest, &encoded).await?;
        self.phase = Phase::Closed;
        Ok(())
    }

    /// Gives the copy up: when it returns, nothing is left of the target and no marker at the source.
    ///
    /// It may be called again after an error, and does nothing once the copy is done.
    pub async fn abort(&mut self) -> Result<(), ImageError> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        self.drain().await;
        let (own, writers) = (self.manifest.writer, self.writers());
        for _ in 0..ATTEMPTS {
            let target = &self.link.target;
            match target.mark_deleting(self.manifest.clone(), &self.seal).await? {
                Marked::Yes(manifest) => target.finish_delete(&manifest, self.seal.is_versioned()).await?,
                Marked::Gone(manifest) => target.release_segments(&manifest).await?,
                Marked::Changed(_) => match target.states.load(&self.link.image).await? {
                    // A write of ours whose answer was lost.
                    Some(there) if there.manifest.writer == own => {
                        (self.manifest, self.seal) = (there.manifest, there.seal);
                        continue;
                    }
                    there => {
                        self.let_go_beyond(there.as_ref().map(|there| &there.manifest), &writers).await?;
                        self.phase = Phase::Closed;
                        return Ok(());
                    }
                },
            }
            self.unmark_source(&writers).await.map_err(|error| {
                ImageError::from_store(&self.source.identity, "taking the marks off its segments", error)
            })?;
            self.phase = Phase::Closed;
            return Ok(());
        }
        Err(ImageError::Busy { image: self.link.image.clone(), writer: "unknown".to_owned() })
    }

    /// The target is not this copier's any more: what its state object does not name goes. Gives the error to be reported.
    pub(super) async fn fenced(&mut self, there: Option<Loaded>) -> ImageError {
        self.drain().await;
        self.phase = Phase::Closed;
        // What cannot be removed now is removed by the sweep.
        let _ = self.let_go_beyond(there.as_ref().map(|there| &there.manifest), &self.writers()).await;
        ImageError::Fenced { image: self.link.image.clone() }
    }

    /// Waits for all transfers. Not cancelling: one that was cancelled could still arrive later.
    async fn drain(&mut self) {
        while let Some(ended) = self.transfers.join_next().await {
            let _ = self.settle(ended);
        }
    }

    /// Lets go of the segments that `there`, what is now in the place of the target's state object, does not need.
    async fn let_go_beyond(
        &self,
        there: Option<&Manifest>,
        writers: &[(WriterId, WriterId)],
    ) -> Result<(), ImageError> {
        let heir = there.filter(|there| there.state != Stored::Deleting);
        let mut needed: BTreeSet<WriterId> =
            heir.map(Manifest::sources).unwrap_or_default().into_iter().collect();
        let copied = heir.and_then(|heir| heir.copied.as_ref());
        needed.extend(copied.into_iter().flat_map(|copied| copied.writers.iter().map(|(_, to)| *to)));
        let holder = self.holder();
        for (_, to) in writers.iter().filter(|(_, to)| !needed.contains(to)) {
            self.link.target.let_go(&self.link.image, *to, &[holder]).await?;
        }
        // Whoever goes on with this copy needs its markers, and takes them off.
        if !writers.iter().any(|(_, to)| needed.contains(to)) {
            self.unmark_source(writers).await.map_err(|error| {
                ImageError::from_store(&self.source.identity, "taking the marks off its segments", error)
            })?;
        }
        Ok(())
    }

    /// Takes this copy's markers off the source. Its segments are the source's own business.
    async fn unmark_source(&self, writers: &[(WriterId, WriterId)]) -> Result<(), StoreError> {
        let holder = self.holder();
        let mut outcome = Ok(());
        for (from, _) in writers {
            outcome = outcome.and(self.link.source.unmark(*from, holder).await);
        }
        outcome
    }
}
