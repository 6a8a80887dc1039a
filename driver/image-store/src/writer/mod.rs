//! Writing an image: bytes in order, in segments that are uploaded while the next one fills, and ranges of other images.

mod filling;
mod finish;
mod include;
mod lease;
mod range;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::checksum::BlockJoiner;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{WriterId, segment_key};
use crate::manifest::extent::push;
use crate::manifest::{EXTENTS_MAX, Extent, Inline, Manifest, Piece};
use crate::object_store::{ObjectStore, Precondition, StoreError};
use crate::pool::{Admission, Chunk};
use crate::state::{Loaded, Seal};
use crate::store::{ImageInfo, ImageState, Shared};

use filling::Filling;
pub use finish::Discarded;

/// Most bytes that a host may keep beside an image.
pub const METADATA_BYTES_MAX: usize = 64 << 10;

/// How far [`Writer::try_append`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AppendOutcome {
    /// All bytes were taken.
    Done,
    /// The first `consumed` bytes were taken. Await [`Writer::make_room`], then append the rest.
    NeedsIo {
        /// Bytes taken, fewer than were given.
        consumed: usize,
    },
}

/// How [`Writer::close`] leaves the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Complete: readable, never written again.
    Complete,
    /// To be continued: everything accepted is durable, and the image may be opened for writing again.
    Incomplete,
}

/// What a writer can still do.
#[derive(Debug)]
enum Phase {
    Open,
    /// Reported this; only abort is left.
    Failed(ImageError),
    /// An abort began and has not finished.
    Aborting,
    /// Closed or aborted.
    Closed,
}

/// A part of the image that is not in the manifest yet.
#[derive(Debug, Clone, Copy)]
enum Open {
    /// So many bytes of the segment being filled, from there on.
    Own { skip: u64, length: u64 },
    /// A range of others' segments.
    Shared(Extent),
}

/// An image open for writing.
///
/// **Lease.** The image is this writer's as long as it calls: any call that sends requests, and [`Self::try_append`] by
/// asking for [`Self::make_room`], renews the lease when a third of it has passed. A writer silent for longer than
/// [`crate::StoreConfig::lease_seconds`] may lose its image to another one; its next exchange then fails with
/// [`ImageError::Fenced`].
///
/// **Threads.** [`Self::try_append`] never waits, makes no request and needs no runtime: it copies into the current
/// segment. It asks for [`Self::make_room`] about once per segment (or while memory is short), which must run in the
/// runtime the writer was opened in, as all other methods. Uploads are tasks of that runtime; they advance while it
/// runs. A writer may be moved between threads but serves one call at a time.
///
/// **Errors.** What goes wrong with an upload is reported by the next call, whichever it is, once; after that every
/// call answers [`ImageError::WriterFailed`], and only [`Self::abort`] is left. [`ImageError::InvalidOffset`] alone
/// leaves the writer as it was.
///
/// **Dropped** without close or abort: uploads are cut off and the image stays PENDING and busy, like after a crash.
pub struct Writer<S: ObjectStore> {
    shared: Arc<Shared<S>>,
    admission: Arc<Admission>,
    /// Includes the segments that are on their way, but not what is open.
    manifest: Manifest,
    /// Of the state object as this writer last wrote it.
    seal: Seal,
    /// What that state object says.
    saved: (Manifest, Inline),
    /// Something changed since then.
    unsaved: bool,
    /// When it was written, by this machine's clock.
    renewed: SystemTime,
    size: u64,
    /// What comes after the extents of the manifest: parts of the segment being filled, and what was included between
    /// them.
    open: Vec<Open>,
    filling: Filling,
    meta: Bytes,
    next_index: u32,
    /// The writers, this one among them, whose segments are held by a marker of this writer.
    held: BTreeSet<WriterId>,
    sources: HashMap<ImageIdentity, Loaded>,
    uploads: JoinSet<(String, Result<(), StoreError>)>,
    phase: Phase,
}

impl<S: ObjectStore> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("image", &self.manifest.identity)
            .field("size", &self.size)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<S: ObjectStore> Writer<S> {
    /// A writer of an image whose state object it has just written.
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        admission: Arc<Admission>,
        (manifest, inline): (Manifest, Inline),
        seal: Seal,
    ) -> Self {
        let size = manifest.extents_len();
        let joiner = if shared.joiner.block_size() == manifest.block_size {
            shared.joiner.clone()
        } else {
            BlockJoiner::new(manifest.block_size)
        };
        let target = shared.config.segment_size_at(size);
        Self {
            filling: Filling::new(joiner, target),
            admission,
            seal,
            unsaved: false,
            renewed: shared.environment.clock.now(),
            size,
            open: Vec::new(),
            meta: inline.meta.clone(),
            saved: (manifest.clone(), inline),
            manifest,
            next_index: 0,
            held: BTreeSet::new(),
            sources: HashMap::new(),
            uploads: JoinSet::new(),
            phase: Phase::Open,
            shared,
        }
    }

    /// Takes over the tail of a reopened image.
    pub(crate) async fn resume(&mut self) -> Result<(), ImageError> {
        let tail = self.saved.1.tail.clone();
        self.append(self.size, &tail).await?;
        self.unsaved = false;
        Ok(())
    }

    /// Whose image it is.
    pub fn identity(&self) -> &ImageIdentity {
        &self.manifest.identity
    }

    /// Bytes accepted so far: the only offset at which the next append may begin.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The image as this writer sees it, bytes that are not durable yet included.
    pub fn info(&self) -> ImageInfo {
        ImageInfo {
            identity: self.manifest.identity.clone(),
            size: self.size,
            state: ImageState::Pending,
            busy: true,
            created: self.manifest.created,
            committed: None,
            metadata_length: self.meta.len() as u64,
            locked_until: None,
            locked: None,
        }
    }

    /// What the host keeps beside the image, as this writer last set it.
    pub fn metadata(&self) -> &[u8] {
        &self.meta
    }

    /// Sets what the host keeps beside the image, at most [`METADATA_BYTES_MAX`] bytes; durable with the next flush or
    /// close. [`ImageError::LimitReached`] beyond that.
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), ImageError> {
        self.check()?;
        if metadata.len() > METADATA_BYTES_MAX {
            let image = self.manifest.identity.clone();
            let problem = format!("{} bytes of metadata are more than {METADATA_BYTES_MAX}", metadata.len());
            return Err(ImageError::LimitReached { image, problem });
        }
        self.meta = Bytes::copy_from_slice(metadata);
        self.unsaved = true;
        Ok(())
    }

    /// Appends without waiting. `offset` must be [`Self::size`]; otherwise [`ImageError::InvalidOffset`].
    ///
    /// The bytes are copied once, and belong to the writer when this returns.
    pub fn try_append(&mut self, offset: u64, data: &[u8]) -> Result<AppendOutcome, ImageError> {
        self.check()?;
        if offset != self.size {
            let image = self.manifest.identity.clone();
            return Err(ImageError::InvalidOffset { image, offset, expected: self.size });
        }
        if self.lease_is_due() {
            return Ok(AppendOutcome::NeedsIo { consumed: 0 });
        }
        let mut consumed = 0;
        while consumed < data.len() {
            if self.filling.is_full() {
                return Ok(AppendOutcome::NeedsIo { consumed });
            }
            if self.filling.needs_chunk() {
                let Some(permit) = self.admission.try_take(1) else {
                    return Ok(AppendOutcome::NeedsIo { consumed });
                };
                self.filling.add_chunk(Chunk::new(permit));
            }
            let skip = self.filling.len();
            let taken = self.filling.fill(&data[consumed..]);
            self.opened(skip, taken as u64);
            consumed += taken;
        }
        Ok(AppendOutcome::Done)
    }

    /// Takes note of bytes that were added to the segment being filled.
    fn opened(&mut self, skip: u64, length: u64) {
        self.size += length;
        self.unsaved = true;
        match self.open.last_mut() {
            Some(Open::Own { skip: from, length: before }) if *from + *before == skip => *before += length,
            _ => self.open.push(Open::Own { skip, length }),
        }
    }

    /// Makes room for at least one more byte: renews the lease when it is due, starts the upload of a full segment,
    /// waits for memory.
    ///
    /// While the memory budget is used up, a segment may be cut short so that this image goes on without waiting
    /// for others.
    pub async fn make_room(&mut self) -> Result<(), ImageError> {
        self.check()?;
        self.renew_if_due().await?;
        if self.filling.is_full() {
            self.launch().await?;
        }
        if !self.filling.needs_chunk() {
            return Ok(());
        }
        let admission = Arc::clone(&self.admission);
        let mut permit = admission.try_take(1);
        if permit.is_none() {
            let turn = admission.take();
            tokio::pin!(turn);
            permit = loop {
                if self.uploads.is_empty() && self.filling.len() > 0 {
                    self.launch().await?;
                }
                tokio::select! {
                    biased;
                    permit = &mut turn => break permit,
                    Some(ended) = self.uploads.join_next() => self.settle(ended)?,
                }
            };
        }
        let permit =
            permit.ok_or_else(|| ImageError::Interrupted { image: self.manifest.identity.clone() })?;
        self.filling.add_chunk(Chunk::new(permit));
        Ok(())
    }

    /// Appends, waiting as necessary: [`Self::try_append`] and [`Self::make_room`] in turn.
    pub async fn append(&mut self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        let mut rest = data;
        let mut offset = offset;
        loop {
            match self.try_append(offset, rest)? {
                AppendOutcome::Done => return Ok(()),
                AppendOutcome::NeedsIo { consumed } => {
                    rest = &rest[consumed..];
                    offset += consumed as u64;
                    self.make_room().await?;
                }
            }
        }
    }

    /// Refuses a writer that is not open any more, and reports uploads that failed meanwhile.
    fn check(&mut self) -> Result<(), ImageError> {
        let image = &self.manifest.identity;
        match &self.phase {
            Phase::Open => {}
            Phase::Failed(first) => {
                let first = Box::new(first.clone());
                return Err(ImageError::WriterFailed { image: image.clone(), first });
            }
            Phase::Aborting | Phase::Closed => return Err(ImageError::Closed { image: image.clone() }),
        }
        while let Some(ended) = self.uploads.try_join_next() {
            self.settle(ended)?;
        }
        Ok(())
    }

    /// Starts the upload of the current segment, after waiting for a free place.
    async fn launch(&mut self) -> Result<(), ImageError> {
        while self.uploads.len() >= self.shared.config.uploads_per_writer
            && let Some(ended) = self.uploads.join_next().await
        {
            self.settle(ended)?;
        }
        if self.next_index == u32::MAX {
            return Err(self.too_many_extents());
        }
        let own = self.manifest.writer;
        if !self.held.contains(&own) {
            // Before the first segment: whoever frees segments looks for markers.
            if let Err(error) = self.shared.hold(&self.manifest.identity, own, own).await {
                return Err(self.fail(error));
            }
            self.held.insert(own);
        }
        let target = self.shared.config.segment_size_at(self.size);
        let (shape, payload) = self.filling.seal(own, self.next_index, target);
        for part in std::mem::take(&mut self.open) {
            let extent = match part {
                Open::Own { skip, length } => Piece { shape, skip, length }.into(),
                Open::Shared(extent) => extent,
            };
            push(&mut self.manifest.extents, extent);
        }
        self.next_index += 1;
        let store = Arc::clone(&self.shared.store);
        let key = segment_key(own, shape.index);
        self.uploads.spawn(async move {
            let result = store.put(&key, payload, Precondition::None, None).await;
            (key, result.map(|_| ()))
        });
        if self.manifest.extents.len() > EXTENTS_MAX {
            return Err(self.too_many_extents());
        }
        Ok(())
    }

    fn too_many_extents(&mut self) -> ImageError {
        let problem = format!(
            "it has more than {EXTENTS_MAX} runs of segments, the most a manifest holds; include larger ranges, or flush \
             less often"
        );
        let image = self.manifest.identity.clone();
        self.fail(ImageError::LimitReached { image, problem })
    }

    /// Takes note of an upload that ended.
    fn settle(
        &mut self,
        ended: Result<(String, Result<(), StoreError>), tokio::task::JoinError>,
    ) -> Result<(), ImageError> {
        let image = &self.manifest.identity;
        let error = match ended {
            Ok((_, Ok(()))) => return Ok(()),
            Ok((key, Err(error))) => ImageError::from_store(image, &format!("writing {key}"), error),
            Err(_) => ImageError::Interrupted { image: image.clone() },
        };
        Err(self.fail(error))
    }

    /// Makes the writer fail; gives the error back to be reported.
    fn fail(&mut self, error: ImageError) -> ImageError {
        self.phase = Phase::Failed(error.clone());
        error
    }
}
