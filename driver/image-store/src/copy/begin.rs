//! How a copy begins, or goes on where another one ended.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::plan::Plan;
use super::transfer::Link;
use super::{ATTEMPTS, CopyOptions, CopyProgress, ImageCopy, Phase};
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::{Copied, Inline, Manifest, Stored};
use crate::object_store::ObjectStore;
use crate::reader::fetch::Fetcher;
use crate::remove::Marked;
use crate::state::{Exchange, Loaded, Seal};
use crate::store::{ImageStore, Shared, unencodable};

/// The target of a copy.
struct Opened {
    manifest: Manifest,
    seal: Seal,
    /// Somebody copied before.
    resumed: bool,
}

impl<S: ObjectStore> ImageStore<S> {
    /// Begins to copy a complete image of this store to `target`, as `name`, or goes on with such a copy; the rest is
    /// [`ImageCopy::step`]. If exactly this image was copied there already, the copy is done at once.
    ///
    /// If it fails for any other reason than those below, or is dropped before it ends, the target may be there, PENDING:
    /// begin again, or delete it.
    ///
    /// [`ImageError::NotFound`] and [`ImageError::NotComplete`] of the source; of the target [`ImageError::Busy`] if
    /// somebody else is copying or writing it, [`ImageError::Exists`] if it is something else.
    pub async fn begin_copy(
        &self,
        image: &ImageIdentity,
        target: &Self,
        name: &ImageIdentity,
        options: CopyOptions,
    ) -> Result<ImageCopy<S>, ImageError> {
        name.check()?;
        let (source, target) = (self.shared(), target.shared());
        let admission = source.read_budget.admit()?;
        for _ in 0..ATTEMPTS {
            let from = source.load(image).await?;
            if from.manifest.state != Stored::Created {
                return Err(ImageError::NotComplete { image: image.clone() });
            }
            let Some(opened) = open(source, target, name, &from.manifest, options).await? else { continue };
            let link = Link {
                source: Arc::clone(source),
                target: Arc::clone(target),
                fetcher: Fetcher::new(Arc::clone(source), image.clone(), from.seal),
                route: options.route,
                image: name.clone(),
            };
            let ends = (link, Arc::clone(&admission));
            let resumed = opened.resumed;
            let mut copy = ImageCopy::new(ends, from.manifest, from.inline, opened)?;
            if copy.is_done() {
                return Ok(copy);
            }
            match copy.mark().await {
                Ok(true) => return Ok(copy),
                // The source was replaced or laid out anew meanwhile: from the beginning.
                Ok(false) => copy.abort().await?,
                Err(error) => {
                    // What this cannot clear away now is cleared away by whoever begins again or deletes, or by the sweep.
                    let gone = matches!(error, ImageError::NotFound { .. } | ImageError::NotComplete { .. });
                    let _ = if resumed && !gone { copy.suspend().await } else { copy.abort().await };
                    return Err(error);
                }
            }
        }
        Err(ImageError::Moved { image: image.clone() })
    }
}

/// Makes the target this copier's. `None` if it changed meanwhile, or a copy of something else had to go first.
async fn open<S: ObjectStore>(
    source: &Shared<S>,
    target: &Shared<S>,
    name: &ImageIdentity,
    from: &Manifest,
    options: CopyOptions,
) -> Result<Option<Opened>, ImageError> {
    let entropy = &*target.environment.entropy;
    let copier = options.copier.map_or_else(|| WriterId::fresh(entropy), WriterId);
    let Some(there) = target.states.load(name).await? else {
        let manifest = target.new_copy(name, from, copier);
        let exchanged = exchange(target, &manifest, None).await?;
        return Ok(exchanged.map(|seal| Opened { manifest, seal, resumed: false }));
    };
    let busy = || ImageError::Busy { image: name.clone(), writer: there.manifest.writer.to_string() };
    let same = there.manifest.copied.as_ref().is_some_and(|copied| copied.is_of(from));
    match (there.manifest.state, &there.manifest.copied) {
        (Stored::Deleting, _) => Err(busy()),
        (Stored::Created, Some(_)) if same => {
            Ok(Some(Opened { manifest: there.manifest, seal: there.seal, resumed: true }))
        }
        (Stored::Pending, Some(copied)) => {
            let goes_on = Some(copied.copier.0) == options.copier;
            if !goes_on && !target.states.may_be_taken(&there).await? {
                return Err(busy());
            }
            if !same || Plan::new(&from.extents, &copied.writers).is_none() {
                clear(source, target, there).await?;
                return Ok(None);
            }
            let copied = Some(Box::new(Copied { copier, ..(**copied).clone() }));
            let Loaded { manifest, seal, .. } = there;
            let manifest = manifest.passed_on_to(WriterId::fresh(entropy), target.config.lease_seconds);
            let manifest = Manifest { copied, ..manifest };
            let exchanged = exchange(target, &manifest, Some(&seal)).await?;
            Ok(exchanged.map(|seal| Opened { manifest, seal, resumed: true }))
        }
        (Stored::Pending, None) if there.is_busy() => Err(busy()),
        (Stored::Pending | Stored::Created, _) => Err(ImageError::Exists { image: name.clone() }),
    }
}

async fn exchange<S: ObjectStore>(
    target: &Shared<S>,
    manifest: &Manifest,
    expected: Option<&Seal>,
) -> Result<Option<Seal>, ImageError> {
    let image = &manifest.identity;
    let encoded = manifest.encode(&Inline::default()).map_err(|problem| unencodable(image, problem))?;
    match target.states.exchange(image, &encoded, expected, None).await? {
        Exchange::Done(seal) => Ok(Some(seal)),
        Exchange::Lost(_) => Ok(None),
    }
}

/// Removes what is left of the copy of an image that is not there any more.
pub(super) async fn clear<S: ObjectStore>(
    source: &Shared<S>,
    target: &Shared<S>,
    there: Loaded,
) -> Result<(), ImageError> {
    let (holder, copied) = (there.manifest.holders.first().copied(), there.manifest.copied.clone());
    match target.mark_deleting(there.manifest, &there.seal).await? {
        Marked::Yes(manifest) => target.finish_delete(&manifest, there.seal.is_versioned()).await?,
        Marked::Gone(manifest) => target.release_segments(&manifest).await?,
        Marked::Changed(_) => return Ok(()),
    }
    for (writer, _) in copied.into_iter().flat_map(|copied| copied.writers) {
        if let Some(holder) = holder {
            // What stays is a copier's marker that nobody renews.
            let _ = source.unmark(writer, holder).await;
        }
    }
    Ok(())
}

impl<S: ObjectStore> Shared<S> {
    /// The first state of an image that is to be a copy.
    fn new_copy(&self, name: &ImageIdentity, from: &Manifest, copier: WriterId) -> Manifest {
        let entropy = &*self.environment.entropy;
        let writers = from.sources().into_iter().map(|writer| (writer, WriterId::fresh(entropy)));
        let copied = Copied {
            identity: from.identity.clone(),
            writer: from.writer,
            epoch: from.epoch,
            copier,
            writers: writers.collect(),
        };
        let writer = WriterId::fresh(entropy);
        Manifest {
            identity: name.clone(),
            state: Stored::Pending,
            epoch: 1,
            writer,
            busy: true,
            lease_seconds: self.config.lease_seconds,
            renewal: 0,
            block_size: from.block_size,
            extents: Vec::new(),
            holders: vec![writer],
            created: self.now(),
            committed: None,
            locked_until: None,
            copied: Some(Box::new(copied)),
        }
    }
}

impl<S: ObjectStore> ImageCopy<S> {
    fn new(
        (link, admission): (Link<S>, Arc<crate::pool::Admission>),
        source: Manifest,
        inline: Inline,
        opened: Opened,
    ) -> Result<Self, ImageError> {
        let Opened { manifest, seal, resumed } = opened;
        let done = manifest.state == Stored::Created;
        let mapped = manifest.copied.as_ref().map(|copied| copied.writers.as_slice()).unwrap_or_default();
        let extents = if done { &[] } else { source.extents.as_slice() };
        let moved = || ImageError::Moved { image: source.identity.clone() };
        let plan = Plan::new(extents, mapped).ok_or_else(moved)?;
        let mut progress = CopyProgress::default();
        let mut all = Plan::new(extents, mapped).ok_or_else(moved)?;
        while let Some(job) = all.next() {
            progress.segments += 1;
            progress.bytes += job.shape.object_len();
        }
        let now = link.target.environment.clock.now();
        Ok(Self {
            link: Arc::new(link),
            admission,
            source,
            inline,
            manifest,
            seal,
            renewed: now,
            marked: now,
            plan,
            again: Vec::new(),
            there: None,
            resumed,
            transfers: JoinSet::new(),
            last: None,
            progress,
            phase: if done { Phase::Done } else { Phase::Copying },
        })
    }

    /// Puts all markers, then looks whether the source is what it was: only after that its segments are sure to stay.
    async fn mark(&mut self) -> Result<bool, ImageError> {
        self.mark_source().await?;
        for (_, to) in self.writers() {
            self.link.target.hold(&self.link.image, to, self.holder()).await?;
        }
        let there = self.link.source.load(&self.source.identity).await?.manifest;
        if there.state != Stored::Created {
            return Err(ImageError::NotComplete { image: self.source.identity.clone() });
        }
        let same = self.manifest.copied.as_ref().is_some_and(|copied| copied.is_of(&there));
        Ok(same && there.extents == self.source.extents)
    }

    /// Says to whoever deletes or sweeps the source that its segments are being copied.
    pub(super) async fn mark_source(&mut self) -> Result<(), ImageError> {
        let holder = self.holder();
        for (from, _) in self.writers() {
            self.link.source.hold_as_copier(&self.source.identity, from, holder).await?;
        }
        self.marked = self.link.target.environment.clock.now();
        Ok(())
    }
}
