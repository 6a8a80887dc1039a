//! The segment being filled: one copy and one checksum pass per byte, on the caller's thread.

use bytes::Bytes;

use crate::checksum::{BlockJoiner, crc32c, join};
use crate::layout::WriterId;
use crate::object_store::Payload;
use crate::pool::Chunk;
use crate::segment::{BlockSums, Series, Shape};

/// Bytes copied and then summed at a time: they are still in the first-level cache for the second pass.
const PASS: usize = 16 << 10;

/// Data on its way into a segment.
pub(super) struct Filling {
    chunks: Vec<Chunk>,
    sums: BlockSums,
    joiner: BlockJoiner,
    len: u64,
    /// Bytes at which the segment is full.
    target: u64,
}

impl Filling {
    pub(super) fn new(joiner: BlockJoiner, target: u64) -> Self {
        Self { chunks: Vec::new(), sums: BlockSums::new(), joiner, len: 0, target }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.target
    }

    pub(super) fn needs_chunk(&self) -> bool {
        self.chunks.last().is_none_or(|chunk| chunk.room() == 0)
    }

    pub(super) fn add_chunk(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// Takes bytes until the chunk or the segment is full; says how many.
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let Some(chunk) = self.chunks.last_mut() else { return 0 };
        let left = usize::try_from(self.target.saturating_sub(self.len)).unwrap_or(usize::MAX);
        let fits = data.len().min(chunk.room()).min(left);
        let mut rest = &data[..fits];
        let block_size = self.joiner.block_size();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(PASS).min(self.sums.room(block_size)));
            chunk.push(piece);
            self.sums.add(piece, block_size);
            rest = after;
        }
        self.len += fits as u64;
        fits
    }

    /// A copy of everything so far; only for the short tails that go into a manifest.
    pub(super) fn copy(&self) -> Bytes {
        let parts: Vec<&[u8]> = self.chunks.iter().map(AsRef::as_ref).collect();
        parts.concat().into()
    }

    /// Makes a segment object of everything so far and begins the next segment, which is full at `target`.
    pub(super) fn seal(&mut self, writer: WriterId, index: u32, target: u64) -> (Shape, Payload) {
        let series = Series { writer, origin: writer, block_size: self.joiner.block_size() };
        let shape = Shape { series, index, data_len: self.len };
        let footer = shape.footer(&self.sums.blocks());
        let crc = join(self.sums.whole(&self.joiner), crc32c(&footer), footer.len() as u64);
        let mut parts: Vec<Bytes> = self.chunks.drain(..).map(Bytes::from_owner).collect();
        parts.push(footer);
        self.clear(target);
        (shape, Payload { parts, crc32c: crc })
    }

    /// Drops everything so far.
    pub(super) fn clear(&mut self, target: u64) {
        self.chunks.clear();
        self.sums.clear();
        self.len = 0;
        self.target = target;
    }
}
