//! The sweep: what writers, deletes and probes that were killed have left goes, and everything that an image needs stays.
//!
//! The rules are in `docs/image-protocol.md`, and are checked there as a model. A sweep may run at any time, beside
//! anything else, and several at once; one that is interrupted is simply run again.

mod usage;
mod writer;

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{
    EVENTS, HOLDERS, IMAGES, LABEL, OPERATION_SETS, OPERATIONS, PAYLOADS, PROBES, SEGMENTS, WriterId,
    writer_in,
};
use crate::manifest::{Inline, Manifest, Stored};
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};
use crate::removal;
use crate::remove::Marked;
use crate::state::{Exchange, Loaded};
use crate::store::{ImageStore, Shared, unencodable};

/// How a sweep is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepOptions {
    /// When the last sweep that ended well began, as [`SweepReport::began`] told: images that have not changed since need
    /// not be read again. Without it, every state object is read.
    pub last_began: Option<u64>,
}

/// What a sweep found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// When it began, in seconds since the epoch by the server's clock.
    pub began: u64,
    /// Writers whose segments were looked at.
    pub writers: u64,
    /// Writers whose segments were left alone because an image that is being written may include any of them.
    pub spared: u64,
    /// Segments that are there afterwards, of writers that were not spared.
    pub segments: u64,
    /// Bytes of these objects.
    pub stored_bytes: u64,
    /// Bytes of data in them that an image needs. The rest, checksum tables apart, is dead.
    pub live_bytes: u64,
    /// Bytes of data in them that no image needs: only [`ImageStore::compact`] can give them back.
    pub dead_bytes: u64,
    /// Segments removed.
    pub freed_segments: u64,
    /// Bytes of these objects.
    pub freed_bytes: u64,
    /// Segments that object lock keeps although no image needs them.
    pub kept_by_lock: u64,
    /// Markers removed.
    pub markers: u64,
    /// Images removed: deletes that were interrupted, and images that a dead writer had nothing durable in.
    pub images: u64,
    /// Images taken from dead writers, to be continued or deleted.
    pub released: u64,
    /// Object versions removed that newer ones had replaced.
    pub versions: u64,
    /// Multipart uploads aborted.
    pub uploads: u64,
    /// Objects removed that deleted events, and events that were never told of, have left.
    pub events: u64,
    /// Operations that were removed: ended more than a day ago, or not heard of for 30.
    pub operations: u64,
}

/// Writers in the order of their ids, as one listing after another tells them.
struct Groups {
    prefix: &'static str,
    waiting: std::collections::VecDeque<WriterId>,
    next: Option<String>,
    ended: bool,
}

impl Groups {
    fn new(prefix: &'static str) -> Self {
        Self { prefix, waiting: std::collections::VecDeque::new(), next: None, ended: false }
    }

    async fn peek<S: ObjectStore>(&mut self, store: &S) -> Result<Option<WriterId>, StoreError> {
        while self.waiting.is_empty() && !self.ended {
            let page = store.list_groups(self.prefix, self.next.as_deref()).await?;
            let writers = page.groups.iter().filter_map(|group| writer_in(group, self.prefix));
            self.waiting.extend(writers.map(|(writer, _)| writer));
            self.next = page.next;
            self.ended = self.next.is_none();
        }
        Ok(self.waiting.front().copied())
    }
}

impl<S: ObjectStore> ImageStore<S> {
    /// Removes what was left behind by writers that were silent for more than
    /// [`crate::StoreConfig::sweep_after_seconds`], by interrupted deletes, and segments that no image needs. Holds one
    /// page of a listing and the manifests of one writer's images at a time.
    ///
    /// Requests: about four per writer that has segments, one per image, and what it removes.
    pub async fn sweep(&self, options: SweepOptions) -> Result<SweepReport, ImageError> {
        let mut report = self.shared().sweep(options).await?;
        self.sweep_operations(&mut report).await?;
        Ok(report)
    }
}

pub(crate) fn failed(source: StoreError) -> ImageError {
    ImageError::Store { during: "sweeping".to_owned(), source }
}

impl<S: ObjectStore> Shared<S> {
    async fn sweep(&self, options: SweepOptions) -> Result<SweepReport, ImageError> {
        let mut report =
            SweepReport { began: self.server_time().await.map_err(failed)?, ..Default::default() };
        self.sweep_images(options, &mut report).await?;
        let (mut segments, mut holders) = (Groups::new(SEGMENTS), Groups::new(HOLDERS));
        loop {
            let first = segments.peek(&*self.store).await.map_err(failed)?;
            let second = holders.peek(&*self.store).await.map_err(failed)?;
            let Some(writer) = first.into_iter().chain(second).min() else { break };
            for groups in [&mut segments, &mut holders] {
                if groups.waiting.front() == Some(&writer) {
                    groups.waiting.pop_front();
                }
            }
            self.sweep_writer(writer, &mut report).await?;
        }
        self.sweep_events(&mut report).await?;
        self.sweep_versions(&mut report).await.map_err(failed)?;
        self.sweep_probes(&mut report).await.map_err(failed)?;
        self.sweep_uploads(&mut report).await.map_err(failed)?;
        Ok(report)
    }

    /// The server's clock, in seconds since the epoch.
    pub(crate) async fn server_time(&self) -> Result<u64, StoreError> {
        let key = WriterId::fresh(&*self.environment.entropy).probe_key();
        let content = bytes::Bytes::from_static(b"time");
        let crc32c = crate::checksum::crc32c(&content);
        let payload = Payload { parts: vec![content], crc32c };
        self.store.put(&key, payload, Precondition::None, None).await?;
        let head = self.store.head(&key).await;
        let removed = removal::remove_key(&*self.store, &key, self.versioned().await?).await;
        removal::unless_locked(removed)?;
        head.map(|head| head.answered)
    }

    pub(crate) fn sweep_after(&self) -> u64 {
        u64::from(self.config.sweep_after_seconds)
    }

    /// Finishes deletes that were interrupted, and takes images from writers that are dead.
    async fn sweep_images(&self, options: SweepOptions, report: &mut SweepReport) -> Result<(), ImageError> {
        // What was older than this when the last sweep looked has not changed since.
        let known = options.last_began.map_or(0, |began| began.saturating_sub(self.sweep_after()));
        let mut next = None;
        loop {
            let page = self.store.list(IMAGES, next.as_deref()).await.map_err(failed)?;
            for listed in page.objects {
                let age = report.began.saturating_sub(listed.modified);
                if listed.modified < known || age <= self.sweep_after() {
                    continue;
                }
                let image = ImageIdentity::unknown(&listed.key);
                match self.states.load_key(&image, &listed.key).await {
                    Ok(Some(there)) => {
                        self.sweep_image(there, report).await?;
                    }
                    // One damaged object must not keep the rest from being swept.
                    Ok(None) | Err(ImageError::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// What a dead writer or an interrupted delete has left of one image. True if there was something to be done.
    pub(super) async fn sweep_image(
        &self,
        there: Loaded,
        report: &mut SweepReport,
    ) -> Result<bool, ImageError> {
        if there.manifest.state == Stored::Deleting {
            match self.finish_delete(&there.manifest, there.seal.is_versioned()).await {
                Ok(()) => report.images += 1,
                // A bucket may keep what nobody asked it to keep: another sweep will finish this.
                Err(ImageError::Store { source: StoreError::Locked(_), .. }) => {}
                Err(error) => return Err(error),
            }
            return Ok(true);
        }
        if !there.manifest.busy || there.silent_for() <= self.sweep_after() {
            return Ok(false);
        }
        let Loaded { manifest, inline, seal, .. } = there;
        if manifest.extents.is_empty() && inline == Inline::default() {
            match self.mark_deleting(manifest, &seal).await {
                Ok(Marked::Yes(manifest)) => self.finish_delete(&manifest, seal.is_versioned()).await?,
                Ok(Marked::Gone(manifest)) => self.release_segments(&manifest).await?,
                // It came back, or somebody else was faster.
                Ok(Marked::Changed(_)) | Err(ImageError::Contended { .. }) => return Ok(true),
                Err(error) => return Err(error),
            }
            report.images += 1;
            return Ok(true);
        }
        // Another epoch: the dead writer must not come back.
        let released = Manifest { busy: false, epoch: manifest.epoch + 1, ..manifest };
        let image = &released.identity;
        let encoded = released.encode(&inline).map_err(|problem| unencodable(image, problem))?;
        match self.states.exchange(image, &encoded, Some(&seal), None).await {
            Ok(Exchange::Done(_)) => report.released += 1,
            Ok(Exchange::Lost(_)) | Err(ImageError::Contended { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Removes versions of objects that newer ones have replaced; object lock may keep some.
    async fn sweep_versions(&self, report: &mut SweepReport) -> Result<(), StoreError> {
        if !self.versioned().await? {
            return Ok(());
        }
        for prefix in [IMAGES, HOLDERS, SEGMENTS, EVENTS, PAYLOADS, OPERATIONS, OPERATION_SETS, LABEL] {
            let replaced =
                removal::versions(&*self.store, prefix, |version| !version.latest && !version.delete_marker);
            for version in replaced.await? {
                let removed = removal::remove_versions(&*self.store, std::slice::from_ref(&version)).await;
                report.versions += u64::from(removal::unless_locked(removed)?);
            }
        }
        Ok(())
    }

    /// Removes what is left of finding out what the server can do.
    async fn sweep_probes(&self, report: &mut SweepReport) -> Result<(), StoreError> {
        let versioned = self.versioned().await?;
        let mut next = None;
        loop {
            let page = self.store.list(PROBES, next.as_deref()).await?;
            for probe in page.objects {
                if report.began.saturating_sub(probe.modified) > self.sweep_after() {
                    removal::unless_locked(removal::remove_key(&*self.store, &probe.key, versioned).await)?;
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Aborts uploads that nobody will complete any more.
    async fn sweep_uploads(&self, report: &mut SweepReport) -> Result<(), StoreError> {
        let mut next = None;
        loop {
            let page = match self.store.list_uploads("", next).await {
                // Then there are none.
                Err(StoreError::Unsupported(_)) => return Ok(()),
                page => page?,
            };
            for upload in page.uploads {
                if report.began.saturating_sub(upload.initiated) > self.sweep_after() {
                    self.store.abort_upload(&upload.key, &upload.upload).await?;
                    report.uploads += 1;
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
