//! Copying a complete image to another store: on the server within one cluster, through this process between two.
//!
//! The copy is an image of its own from the beginning: PENDING and busy under its own name, with segments of its own
//! writers, and complete in one last write when everything is there. Of the source, markers are all that it ever changes.
//! What a killed copier has brought is found and used by the next one. The rules are in `docs/image-protocol.md`.

mod begin;
mod discard;
mod finish;
mod plan;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{JoinError, JoinSet};

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::{Encoded, Inline, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::pool::{Admission, Permit};
use crate::state::{Exchange, Loaded, Seal};
use crate::store::unencodable;

use plan::{Job, Plan};
use transfer::Link;

/// The part of a lease after which it is renewed.
const DUE_AFTER: u32 = 3;
/// Times that an exchange is tried again because of an earlier write of ours whose answer was lost.
const ATTEMPTS: usize = 4;

/// Which way the data takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Both buckets are on one cluster, which copies by itself: no data comes through this process.
    SameCluster,
    /// Every segment is read, checked and written.
    OtherCluster,
}

/// How an image is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOptions {
    /// Which way the data takes.
    pub route: Route,
    /// Who copies. A copier that begins a copy again continues at once, and anybody else when its lease has run out; so
    /// no two may use one id for one target at the same time. `None`: somebody new.
    pub copier: Option<[u8; 16]>,
}

/// How far [`ImageCopy::step`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CopyStatus {
    /// There is more to do.
    More,
    /// The target is complete and durable.
    Done,
}

/// How much of a copy is done. Segments that an earlier copier brought are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyProgress {
    /// Segments that are there.
    pub segments_done: u64,
    /// Segments in all.
    pub segments: u64,
    /// Bytes that are there, checksum tables included.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes: u64,
}

/// What a copy can still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Copying,
    /// The target is complete.
    Done,
    /// Suspended, aborted, or the target was lost.
    Closed,
}

/// A transfer that ended.
type Ended = (Job, Result<(), ImageError>);

/// A copy in progress. [`Self::step`] goes on with it until it is done.
///
/// **Lease.** As with a writer, the target is this copier's as long as it calls: a step renews the lease when it is due.
///
/// **Errors.** Every step may be tried again after an error, and a copy may be begun again, by the same copier at once.
/// [`ImageError::Fenced`] ends it: the target was deleted or taken over.
///
/// **Threads.** Transfers are tasks of the runtime that the steps run in; they advance while it runs.
///
/// **Dropped** before it is done: like after a crash. The target stays PENDING and busy, to be begun again, or deleted.
pub struct ImageCopy<S: ObjectStore> {
    link: Arc<Link<S>>,
    /// Of the source's memory budget.
    admission: Arc<Admission>,
    source: Manifest,
    inline: Inline,
    /// The target's state object as this copier last wrote it.
    manifest: Manifest,
    seal: Seal,
    /// When that was, by this machine's clock.
    renewed: SystemTime,
    /// When the segments of the source were last marked.
    marked: SystemTime,
    plan: Plan,
    /// Segments to be copied before those of the plan.
    again: Vec<Job>,
    /// What the target had of a writer; not asked for if nobody copied before.
    there: Option<(WriterId, HashMap<u32, u64>)>,
    resumed: bool,
    transfers: JoinSet<(Ended, Option<Permit>)>,
    /// The last write, always the same one: it may have happened.
    last: Option<(Manifest, Encoded)>,
    progress: CopyProgress,
    phase: Phase,
}

impl<S: ObjectStore> std::fmt::Debug for ImageCopy<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageCopy")
            .field("source", &self.source.identity)
            .field("target", &self.link.image)
            .field("progress", &self.progress)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<S: ObjectStore> ImageCopy<S> {
    /// The image that is being made.
    pub fn identity(&self) -> &ImageIdentity {
        &self.link.image
    }

    /// How much is done.
    pub fn progress(&self) -> CopyProgress {
        self.progress
    }

    /// Whether the target is complete.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Goes on with the copy until it is done.
    pub async fn run(&mut self) -> Result<(), ImageError> {
        while self.step().await? == CopyStatus::More {}
        Ok(())
    }

    /// Goes on with the copy for a while: until one more segment is there, or the target is complete.
    ///
    /// It may be dropped at any await, and called again.
    pub async fn step(&mut self) -> Result<CopyStatus, ImageError> {
        match self.phase {
            Phase::Done => return Ok(CopyStatus::Done),
            Phase::Closed => return Err(ImageError::Closed { image: self.link.image.clone() }),
            Phase::Copying => {}
        }
        self.renew_if_due().await?;
        self.launch().await?;
        if let Some(ended) = self.transfers.join_next().await {
            self.settle(ended)?;
            return Ok(CopyStatus::More);
        }
        if !self.again.is_empty() {
            return Ok(CopyStatus::More);
        }
        self.commit().await?;
        Ok(CopyStatus::Done)
    }

    /// Starts as many transfers as may go on at once.
    async fn launch(&mut self) -> Result<(), ImageError> {
        while self.transfers.len() < self.link.target.config.uploads_per_writer {
            let Some(job) = self.again.pop().or_else(|| self.plan.next()) else { break };
            if self.resumed && self.there.as_ref().is_none_or(|(writer, _)| *writer != job.to) {
                // Put back first: the wait may be the end of this call.
                self.again.push(job);
                self.there = Some((job.to, self.link.there(job.to).await?));
                continue;
            }
            let there = self.there.as_ref().and_then(|(_, sizes)| sizes.get(&job.shape.index));
            if there == Some(&job.shape.object_len()) {
                self.count(&job);
                continue;
            }
            let permit = match self.link.route {
                Route::SameCluster => None,
                Route::OtherCluster => {
                    let chunk = u64::from(self.link.source.config.chunk_size);
                    let chunks =
                        usize::try_from(job.shape.object_len().div_ceil(chunk)).unwrap_or(usize::MAX);
                    let permit = self.admission.try_take_shared(chunks);
                    // While memory is short, one segment goes on nevertheless, on the chunk set aside for this copy.
                    if permit.is_none() && !self.transfers.is_empty() {
                        self.again.push(job);
                        break;
                    }
                    permit.or_else(|| self.admission.try_take(1))
                }
            };
            let link = Arc::clone(&self.link);
            self.transfers.spawn(async move { ((job, link.transfer(job).await), permit) });
        }
        Ok(())
    }

    /// Takes note of a transfer that ended.
    fn settle(&mut self, ended: Result<(Ended, Option<Permit>), JoinError>) -> Result<(), ImageError> {
        match ended {
            Ok(((job, Ok(())), _)) => {
                self.count(&job);
                Ok(())
            }
            Ok(((job, Err(error)), _)) => {
                self.again.push(job);
                Err(error)
            }
            // The runtime is going away, and which segment it was is lost.
            Err(_) => {
                self.phase = Phase::Closed;
                Err(ImageError::Interrupted { image: self.link.image.clone() })
            }
        }
    }

    fn count(&mut self, job: &Job) {
        self.progress.segments_done += 1;
        self.progress.bytes_done += job.shape.object_len();
    }

    /// Whether so much of a time has passed since then that what it is for is due.
    fn is_due(&self, since: SystemTime, seconds: u32) -> bool {
        let due = Duration::from_secs(u64::from(seconds)) / DUE_AFTER;
        let now = self.link.target.environment.clock.now();
        now.duration_since(since).map_or(true, |passed| passed >= due)
    }

    /// Renews the lease on the target and the markers on the source when they are due.
    async fn renew_if_due(&mut self) -> Result<(), ImageError> {
        if self.is_due(self.marked, self.link.source.config.sweep_after_seconds) {
            self.mark_source().await?;
        }
        // After the last write nothing is left to be renewed.
        if self.last.is_some() || !self.is_due(self.renewed, self.manifest.lease_seconds) {
            return Ok(());
        }
        let renewed = Manifest { renewal: self.manifest.renewal + 1, ..self.manifest.clone() };
        let encoded =
            renewed.encode(&Inline::default()).map_err(|problem| unencodable(&self.link.image, problem))?;
        match self.exchange(renewed, &encoded).await {
            // Not renewed, but not lost either: the next step tries again.
            Err(ImageError::Store { .. } | ImageError::NoSpace { .. } | ImageError::Contended { .. }) => {
                Ok(())
            }
            other => other,
        }
    }

    /// Replaces the target's state object.
    async fn exchange(&mut self, manifest: Manifest, encoded: &Encoded) -> Result<(), ImageError> {
        for _ in 0..ATTEMPTS {
            let exchanged =
                self.link.target.states.exchange(&self.link.image, encoded, Some(&self.seal), None).await?;
            match exchanged {
                Exchange::Done(seal) => {
                    self.seal = seal;
                    self.manifest = manifest;
                    self.renewed = self.link.target.environment.clock.now();
                    return Ok(());
                }
                // An earlier write of ours that came late.
                Exchange::Lost(Some(Loaded { manifest: there, seal, .. }))
                    if there.writer == self.manifest.writer && there.state == Stored::Pending =>
                {
                    self.seal = seal;
                }
                Exchange::Lost(there) => return Err(self.fenced(there).await),
            }
        }
        Err(ImageError::Busy { image: self.link.image.clone(), writer: self.manifest.writer.to_string() })
    }

    /// Whose markers hold the segments on both sides: the same one whoever goes on with the copy.
    fn holder(&self) -> WriterId {
        self.manifest.holders.first().copied().unwrap_or(self.manifest.writer)
    }

    /// The writers of the source, and those of the target in their place.
    fn writers(&self) -> Vec<(WriterId, WriterId)> {
        self.manifest.copied.as_ref().map(|copied| copied.writers.clone()).unwrap_or_default()
    }
}
