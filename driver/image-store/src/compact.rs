//! Compaction: an image that keeps segments alive of which hardly anything is needed gets those bytes of its own.
//!
//! What the image says does not change. The bytes are read, checked, and written to segments of a new writer; then the
//! state object is exchanged, and only then the old segments are let go. A process that dies before the exchange leaves
//! segments whose writer no image names: the sweep removes them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{WriterId, segment_key};
use crate::manifest::extent::push;
use crate::manifest::{Extent, Manifest, Piece, Stored};
use crate::object_store::{ObjectStore, Payload, Precondition};
use crate::segment::{BlockSums, Series, Shape};
use crate::state::{Exchange, Loaded};
use crate::store::{ImageStore, Shared, unencodable};

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Bytes that were read and written anew.
    pub moved: u64,
    /// Bytes of data in segments that this image does not need any more. They are free once no other image needs them.
    pub let_go: u64,
}

impl<S: ObjectStore> ImageStore<S> {
    /// Writes anew what the image needs of segments of which it needs less than `percent` of the data (1 to 100), at most
    /// `bytes_max` bytes, the worst segments first. Holds one segment at a time. Does nothing to an image that is locked.
    ///
    /// [`ImageError::NotComplete`] for a pending image, [`ImageError::Busy`] if the image changed meanwhile: nothing is
    /// different then.
    pub async fn compact(
        &self,
        identity: &ImageIdentity,
        percent: u64,
        bytes_max: u64,
    ) -> Result<Compacted, ImageError> {
        let there = self.shared().load(identity).await?;
        match there.manifest.state {
            Stored::Created if there.manifest.locked_until.is_some() => Ok(Compacted::default()),
            Stored::Created => Compaction::new(self, there, percent, bytes_max).run().await,
            Stored::Pending | Stored::Deleting => Err(ImageError::NotComplete { image: identity.clone() }),
        }
    }
}

/// A segment by its name in the bucket.
type Place = (WriterId, u32);

struct Compaction<'a, S: ObjectStore> {
    images: &'a ImageStore<S>,
    shared: Arc<Shared<S>>,
    there: Loaded,
    /// Segments to be left, with the bytes of data in them.
    left: HashMap<Place, u64>,
    series: Series,
    next_index: u32,
    done: Compacted,
}

impl<'a, S: ObjectStore> Compaction<'a, S> {
    fn new(images: &'a ImageStore<S>, there: Loaded, percent: u64, bytes_max: u64) -> Self {
        let shared = Arc::clone(images.shared());
        let writer = WriterId::fresh(&*shared.environment.entropy);
        let series = Series { writer, origin: writer, block_size: shared.config.block_size };
        let mut needed: HashMap<Place, (u64, u64)> = HashMap::new();
        for Piece { shape, length, .. } in pieces(&there.manifest.extents) {
            let place = (shape.series.writer, shape.index);
            needed.entry(place).or_insert((0, shape.data_len)).0 += length;
        }
        let mut poor: Vec<_> = needed
            .into_iter()
            .filter(|(_, (used, data_len))| used.saturating_mul(100) < data_len.saturating_mul(percent))
            .collect();
        poor.sort_unstable_by_key(|(place, (used, data_len))| (used.saturating_mul(1000) / data_len, *place));
        let mut left = HashMap::new();
        let mut moved = 0u64;
        for (place, (used, data_len)) in poor {
            moved = moved.saturating_add(used);
            if moved > bytes_max {
                break;
            }
            left.insert(place, data_len);
        }
        let done = Compacted { moved: 0, let_go: left.values().sum() };
        Self { images, shared, there, left, series, next_index: 0, done }
    }

    async fn run(mut self) -> Result<Compacted, ImageError> {
        if self.left.is_empty() {
            return Ok(Compacted::default());
        }
        let image = self.there.manifest.identity.clone();
        let own = self.series.writer;
        let rewritten = self.rewrite().await;
        let exchanged = match rewritten {
            Ok(extents) => self.exchange(extents).await,
            Err(error) => Err(error),
        };
        if let Err(error) = exchanged {
            // Unless it happened after all, what was written is of no use.
            if !matches!(self.shared.load(&image).await, Ok(there) if there.manifest.holders.contains(&own)) {
                let _ = self.shared.let_go(&image, own, &[own]).await;
            }
            return Err(error);
        }
        // The image needs these no more; what fails here, the sweep does.
        let needed = self.there.manifest.sources();
        let before: std::collections::BTreeSet<_> = self.left.keys().map(|(writer, _)| *writer).collect();
        for writer in before.into_iter().filter(|writer| !needed.contains(writer)) {
            let _ = self.shared.let_go(&image, writer, &self.there.manifest.holders).await;
        }
        Ok(self.done)
    }

    /// The image's extents once the poor segments are replaced.
    async fn rewrite(&mut self) -> Result<Vec<Extent>, ImageError> {
        let mut reader = self.images.open_read(&self.there.manifest.identity).await?;
        let (mut extents, mut buffer, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        let limit = self.shared.config.segment_size_max;
        let mut at = 0;
        let before = self.there.manifest.extents.clone();
        for piece in pieces(&before) {
            if self.left.contains_key(&(piece.shape.series.writer, piece.shape.index)) {
                let skip = buffer.len();
                let length = usize::try_from(piece.length).unwrap_or(usize::MAX);
                buffer.resize(skip + length, 0);
                if reader.read_into(at, &mut buffer[skip..]).await? != length {
                    return Err(ImageError::Moved { image: self.there.manifest.identity.clone() });
                }
                waiting.push((skip as u64, piece));
            } else {
                waiting.push((0, piece));
            }
            at += piece.length;
            if buffer.len() as u64 >= limit {
                self.write(&mut buffer, &mut waiting, &mut extents).await?;
            }
        }
        self.write(&mut buffer, &mut waiting, &mut extents).await?;
        Ok(extents)
    }

    /// Writes one segment, and adds what waited for it to the extents.
    async fn write(
        &mut self,
        buffer: &mut Vec<u8>,
        waiting: &mut Vec<(u64, Piece)>,
        extents: &mut Vec<Extent>,
    ) -> Result<(), ImageError> {
        let shape = Shape { series: self.series, index: self.next_index, data_len: buffer.len() as u64 };
        for (skip, piece) in waiting.drain(..) {
            let poor = self.left.contains_key(&(piece.shape.series.writer, piece.shape.index));
            let piece = if poor { Piece { shape, skip, length: piece.length } } else { piece };
            push(extents, piece.into());
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let mut sums = BlockSums::new();
        for block in buffer.chunks(self.series.block_size as usize) {
            sums.add(block, self.series.block_size);
        }
        // Again each time: a marker that no image knows of yet counts only while it is young.
        self.mark().await?;
        let footer = shape.footer(&sums.blocks());
        let data = Bytes::from(std::mem::take(buffer));
        let crc32c = crate::checksum::join(
            crate::checksum::crc32c(&data),
            crate::checksum::crc32c(&footer),
            footer.len() as u64,
        );
        self.done.moved += data.len() as u64;
        self.next_index += 1;
        let key = segment_key(self.series.writer, shape.index);
        let payload = Payload { parts: vec![data, footer], crc32c };
        let put = self.shared.store.put(&key, payload, Precondition::None, None).await;
        let image = &self.there.manifest.identity;
        put.map(drop).map_err(|error| ImageError::from_store(image, &format!("writing {key}"), error))
    }

    async fn mark(&self) -> Result<(), ImageError> {
        let own = self.series.writer;
        self.shared.hold(&self.there.manifest.identity, own, own).await
    }

    async fn exchange(&mut self, extents: Vec<Extent>) -> Result<(), ImageError> {
        self.mark().await?;
        let Loaded { manifest, inline, seal, .. } = &self.there;
        let mut holders = manifest.holders.clone();
        holders.push(self.series.writer);
        let manifest = Manifest { extents, holders, ..manifest.clone() };
        let image = &manifest.identity;
        let encoded = manifest.encode(inline).map_err(|problem| unencodable(image, problem))?;
        match self.shared.states.exchange(image, &encoded, Some(seal), None).await? {
            Exchange::Done(_) => {
                self.there.manifest = manifest;
                Ok(())
            }
            Exchange::Lost(_) => Err(ImageError::Busy { image: image.clone(), writer: "unknown".to_owned() }),
        }
    }
}

fn pieces(extents: &[Extent]) -> impl Iterator<Item = Piece> {
    extents.iter().flat_map(|extent| (0..extent.count).map(|number| extent.piece(number)))
}
