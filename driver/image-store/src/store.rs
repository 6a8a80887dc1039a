//! The image store of one bucket: create, open, ask, delete, list.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tokio::sync::OnceCell;

use crate::checksum::BlockJoiner;
use crate::config::StoreConfig;
use crate::environment::Environment;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::{Inline, Manifest, Stored};
use crate::object_store::{BucketKind, ObjectStore, RetentionMode, StoreError};
use crate::pager::ImagePager;
use crate::pool::{Budget, MemoryUse};
use crate::reader::Reader;
use crate::register::{Exclusivity, Registers};
use crate::state::{Exchange, FINDING_OUT, Loaded, StateObjects};
use crate::writer::Writer;

/// Times that an operation starts over when the image changed under it.
const ATTEMPTS: usize = 4;

/// State of an image that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// Not complete: being written, or closed as incomplete to be continued later.
    Pending,
    /// Complete; never changes any more.
    Created,
}

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Who it is.
    pub identity: ImageIdentity,
    /// Bytes. Of a busy image: as of its last flush.
    pub size: u64,
    /// Life-cycle state.
    pub state: ImageState,
    /// A writer has it open, and its lease has not run out.
    pub busy: bool,
    /// When it was created, seconds since the epoch by the media server's clock.
    pub created: u64,
    /// When it was completed, on the same clock.
    pub committed: Option<u64>,
    /// Bytes that the host keeps beside it.
    pub metadata_length: u64,
    /// Until when it may not be deleted, in seconds since the epoch by the server's clock; may be over already.
    pub locked_until: Option<u64>,
    /// How strictly it is locked; `None` if no lock is in force.
    pub locked: Option<RetentionMode>,
}

/// What all images of one store share.
pub(crate) struct Shared<S> {
    pub(crate) store: Arc<S>,
    pub(crate) config: StoreConfig,
    pub(crate) environment: Environment,
    pub(crate) registers: Arc<Registers<S>>,
    pub(crate) states: StateObjects<S>,
    pub(crate) joiner: BlockJoiner,
    pub(crate) write_budget: Arc<Budget>,
    pub(crate) read_budget: Arc<Budget>,
    kind: OnceCell<BucketKind>,
}

impl<S: ObjectStore> Shared<S> {
    /// What the bucket keeps. Asked for once.
    pub(crate) async fn kind(&self) -> Result<BucketKind, StoreError> {
        self.kind.get_or_try_init(|| self.store.kind()).await.copied()
    }

    /// Whether the bucket keeps versions. Asked for once.
    pub(crate) async fn versioned(&self) -> Result<bool, StoreError> {
        self.kind().await.map(|kind| kind.versioned)
    }

    /// Whether the bucket has object lock, asked for on behalf of an image.
    pub(crate) async fn object_lock(&self, image: &ImageIdentity) -> Result<bool, ImageError> {
        let kind = self.kind().await;
        let kind =
            kind.map_err(|error| ImageError::from_store(image, "asking what the bucket keeps", error))?;
        Ok(kind.object_lock)
    }

    /// The state of an image that can be seen.
    pub(crate) async fn load(&self, identity: &ImageIdentity) -> Result<Loaded, ImageError> {
        identity.check()?;
        match self.states.load(identity).await? {
            Some(there) if there.manifest.state != Stored::Deleting => Ok(there),
            _ => Err(ImageError::NotFound { image: identity.clone() }),
        }
    }
}

impl<S> Shared<S> {
    /// Seconds since the epoch; 0 for a clock before it.
    pub(crate) fn now(&self) -> u64 {
        self.environment.clock.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Images in one bucket. Cheap to clone; clones share the memory budgets.
///
/// Where a method says how many requests it sends, each change of a state object is one of them. That is so with
/// conditional writes; on other servers a change costs more, see [`Exclusivity`]. The first change of all is preceded by
/// finding out which it is, see [`Self::exclusivity`].
///
/// Methods may be called from any task of a tokio runtime, current-thread or multi-thread. A store may be used from
/// several runtimes one after another, but a [`Writer`] or [`Reader`] only within the one it was opened in: its
/// transfers in progress are tasks of that runtime and advance only while it runs.
pub struct ImageStore<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for ImageStore<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> std::fmt::Debug for ImageStore<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageStore").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<S: ObjectStore> ImageStore<S> {
    /// Makes the image store of a bucket. No request is sent. [`ImageError::Config`] for settings out of range.
    pub fn new(store: Arc<S>, config: StoreConfig, environment: Environment) -> Result<Self, ImageError> {
        config.check()?;
        let registers = Arc::new(Registers::new(Arc::clone(&store), &environment));
        let states =
            StateObjects::new(Arc::clone(&store), Arc::clone(&registers), &environment, config.reads_again);
        let shared = Shared {
            registers,
            states,
            joiner: BlockJoiner::new(config.block_size),
            write_budget: Budget::new(config.memory_budget, config.chunk_size),
            read_budget: Budget::new(config.read_budget, config.chunk_size),
            kind: OnceCell::new(),
            store,
            config,
            environment,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Creates an image, PENDING and busy, and opens it for writing. One request.
    ///
    /// If it fails for any other reason than those below, or is dropped before it ends, the image may be there, busy:
    /// delete it.
    ///
    /// [`ImageError::Exists`] if it is there (complete or not), [`ImageError::Busy`] if it is there and being
    /// written or deleted. Deleting it again finishes an interrupted delete.
    pub async fn create(&self, identity: &ImageIdentity) -> Result<Writer<S>, ImageError> {
        identity.check()?;
        let admission = self.shared.write_budget.admit()?;
        let writer = WriterId::fresh(&*self.shared.environment.entropy);
        let manifest = Manifest {
            identity: identity.clone(),
            state: Stored::Pending,
            epoch: 1,
            writer,
            busy: true,
            lease_seconds: self.shared.config.lease_seconds,
            renewal: 0,
            block_size: self.shared.config.block_size,
            extents: Vec::new(),
            holders: vec![writer],
            created: self.shared.now(),
            committed: None,
            locked_until: None,
            copied: None,
        };
        let inline = Inline::default();
        let encoded = manifest.encode(&inline).map_err(|problem| unencodable(identity, problem))?;
        for _ in 0..ATTEMPTS {
            match self.shared.states.exchange(identity, &encoded, None, None).await? {
                Exchange::Done(seal) => {
                    return Ok(Writer::new(Arc::clone(&self.shared), admission, (manifest, inline), seal));
                }
                Exchange::Lost(None) => {}
                // Also while it is being deleted: whoever does that ends with an unconditional delete of this key.
                Exchange::Lost(Some(there))
                    if there.is_busy() || there.manifest.state == Stored::Deleting =>
                {
                    return Err(busy(&there.manifest));
                }
                Exchange::Lost(Some(_)) => return Err(ImageError::Exists { image: identity.clone() }),
            }
        }
        Err(ImageError::Exists { image: identity.clone() })
    }

    /// Opens a PENDING image to continue at its size: one that was closed as incomplete, or whose writer has been silent
    /// for longer than its lease and loses it. Two requests. What an unfinished copy has brought is given up.
    ///
    /// [`ImageError::NotWritable`] if it is complete, [`ImageError::Busy`] if a writer has it.
    pub async fn open_write(&self, identity: &ImageIdentity) -> Result<Writer<S>, ImageError> {
        let admission = self.shared.write_budget.admit()?;
        let there = self.shared.load(identity).await?;
        if there.manifest.state == Stored::Created {
            return Err(ImageError::NotWritable { image: identity.clone() });
        }
        if !self.shared.states.may_be_taken(&there).await? {
            return Err(busy(&there.manifest));
        }
        let Loaded { mut manifest, inline, seal, .. } = there;
        let given_up = manifest.copied.take();
        let manifest = manifest.passed_on_to(
            WriterId::fresh(&*self.shared.environment.entropy),
            self.shared.config.lease_seconds,
        );
        let encoded = manifest.encode(&inline).map_err(|problem| unencodable(identity, problem))?;
        match self.shared.states.exchange(identity, &encoded, Some(&seal), None).await? {
            Exchange::Done(seal) => {
                for (_, writer) in given_up.into_iter().flat_map(|copied| copied.writers) {
                    self.shared.let_go(identity, writer, &manifest.holders).await?;
                }
                let mut writer = Writer::new(Arc::clone(&self.shared), admission, (manifest, inline), seal);
                writer.resume().await?;
                Ok(writer)
            }
            Exchange::Lost(Some(other)) if other.manifest.state == Stored::Pending => {
                Err(busy(&other.manifest))
            }
            Exchange::Lost(Some(other)) if other.manifest.state == Stored::Created => {
                Err(ImageError::NotWritable { image: identity.clone() })
            }
            Exchange::Lost(_) => Err(ImageError::NotFound { image: identity.clone() }),
        }
    }

    /// Opens an image for reading. One request, which also brings the whole of a small image.
    ///
    /// A PENDING image can be read as far as it was flushed or closed as incomplete; [`Reader::info`] tells.
    pub async fn open_read(&self, identity: &ImageIdentity) -> Result<Reader<S>, ImageError> {
        let admission = self.shared.read_budget.admit()?;
        let there = self.shared.load(identity).await?;
        Ok(Reader::new(Arc::clone(&self.shared), admission, there))
    }

    /// What is known of an image. One request.
    pub async fn properties(&self, identity: &ImageIdentity) -> Result<ImageInfo, ImageError> {
        let there = self.shared.load(identity).await?;
        Ok(info(&there))
    }

    /// Deletes an image, complete or not, busy or not. When it returns, nothing of the image is left.
    ///
    /// [`ImageError::Locked`] until a [lock](Self::lock) is over. Segments that object lock keeps for another reason, such
    /// as a lock that was interrupted, are left to the sweep.
    ///
    /// A writer that has the image open finds out at its next flush or close, and removes what it wrote since.
    /// An interrupted delete is finished by deleting again. Requests: 2 for a complete image without segments; otherwise
    /// 3, plus 1 for every 1,000 segments, plus the listing of an unfinished writer's segments.
    pub async fn delete(&self, identity: &ImageIdentity) -> Result<(), ImageError> {
        identity.check()?;
        self.shared.delete(identity).await
    }

    /// All images of the bucket, page by page.
    pub fn list(&self) -> ImagePager<S> {
        ImagePager::new(Arc::clone(&self.shared))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
    }

    /// The settings in use.
    pub fn config(&self) -> &StoreConfig {
        &self.shared.config
    }

    /// What keeps two writers of one image apart on this server. Found out by its behaviour, once: here, or when a state
    /// object is first changed. Three requests then on a server with conditional writes, eight on one without.
    pub async fn exclusivity(&self) -> Result<Exclusivity, ImageError> {
        let failed = |source| ImageError::Store { during: FINDING_OUT.to_owned(), source };
        self.shared.registers.exclusivity().await.map_err(failed)
    }

    /// Buffer memory of all writers.
    pub fn write_memory(&self) -> MemoryUse {
        self.shared.write_budget.memory()
    }

    /// Buffer memory of all readers.
    pub fn read_memory(&self) -> MemoryUse {
        self.shared.read_budget.memory()
    }
}

/// What a state object tells to the outside. A DELETING one is never shown.
pub(crate) fn info(there: &Loaded) -> ImageInfo {
    let Manifest { identity, state, created, committed, locked_until, .. } = &there.manifest;
    ImageInfo {
        identity: identity.clone(),
        size: there.manifest.extents_len() + there.inline.tail.len() as u64,
        state: if *state == Stored::Created { ImageState::Created } else { ImageState::Pending },
        busy: there.is_busy(),
        created: *created,
        committed: *committed,
        metadata_length: there.inline.meta.len() as u64,
        locked_until: *locked_until,
        locked: there.lock().map(|lock| lock.mode),
    }
}

pub(crate) fn unencodable(image: &ImageIdentity, problem: String) -> ImageError {
    ImageError::LimitReached { image: image.clone(), problem }
}

fn busy(manifest: &Manifest) -> ImageError {
    ImageError::Busy { image: manifest.identity.clone(), writer: manifest.writer.to_string() }
}
