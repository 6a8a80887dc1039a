//! A segment object: data, then a footer with a checksum per block. Building it and checking what was read.
//! The format is in `LAYOUT.md`.

use bytes::Bytes;

use crate::checksum::{BlockJoiner, Running, crc32c, join};
use crate::layout::WriterId;
use crate::object_store::Payload;

const MAGIC: &[u8; 8] = b"VASTSEG\n";
const VERSION: u32 = 1;
/// Size of the trailer, in bytes.
const TRAILER: usize = 48;

/// What all segments of one writer have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Series {
    /// Under whose id they lie in the bucket.
    pub(crate) writer: WriterId,
    /// Whose id their footers carry: another one if they were copied from elsewhere.
    pub(crate) origin: WriterId,
    /// Bytes under one checksum.
    pub(crate) block_size: u32,
}

/// What a segment must be, known from the manifest before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) series: Series,
    pub(crate) index: u32,
    pub(crate) data_len: u64,
}

impl Shape {
    /// Size of the footer in bytes.
    pub(crate) fn footer_len(&self) -> u64 {
        self.data_len.div_ceil(u64::from(self.series.block_size)) * 4 + TRAILER as u64
    }

    /// Size of the whole object in bytes.
    pub(crate) fn object_len(&self) -> u64 {
        self.data_len + self.footer_len()
    }

    /// The footer for data whose blocks have these checksums.
    pub(crate) fn footer(&self, blocks: &[u32]) -> Bytes {
        let mut footer = Vec::with_capacity(blocks.len() * 4 + TRAILER);
        for block in blocks {
            footer.extend_from_slice(&block.to_le_bytes());
        }
        footer.extend_from_slice(&self.trailer());
        let crc = crc32c(&footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        footer.into()
    }

    /// The object again, from checked data and the table that it was checked against. Its checksum comes from the table, not
    /// from the data in memory.
    pub(crate) fn payload(&self, data: Bytes, table: &Table) -> Payload {
        let block_size = u64::from(self.series.block_size);
        let whole = usize::try_from(self.data_len / block_size).unwrap_or(usize::MAX).min(table.blocks.len());
        let (whole, last) = table.blocks.split_at(whole);
        let joiner = BlockJoiner::new(self.series.block_size);
        let crc = whole.iter().fold(0, |crc, block| joiner.join_block(crc, *block));
        let crc = last.first().map_or(crc, |last| join(crc, *last, self.data_len % block_size));
        let footer = self.footer(&table.blocks);
        let crc32c = join(crc, crc32c(&footer), footer.len() as u64);
        Payload { parts: vec![data, footer], crc32c }
    }

    /// The trailer without its last field.
    fn trailer(&self) -> [u8; TRAILER - 4] {
        let mut trailer = [0; TRAILER - 4];
        trailer[0..8].copy_from_slice(MAGIC);
        trailer[8..12].copy_from_slice(&VERSION.to_le_bytes());
        trailer[12..16].copy_from_slice(&self.series.block_size.to_le_bytes());
        trailer[16..24].copy_from_slice(&self.data_len.to_le_bytes());
        trailer[24..40].copy_from_slice(&self.series.origin.0);
        trailer[40..44].copy_from_slice(&self.index.to_le_bytes());
        trailer
    }

    /// Checks a footer as read and gives its table.
    pub(crate) fn parse_footer(&self, footer: &[u8]) -> Result<Table, String> {
        let expected = self.footer_len();
        if footer.len() as u64 != expected {
            return Err(format!("the footer has {} bytes, expected {expected}", footer.len()));
        }
        let (covered, crc) = footer.split_at(footer.len() - 4);
        if crc32c(covered).to_le_bytes() != crc {
            return Err("the footer does not match its checksum".to_owned());
        }
        let (table, trailer) = covered.split_at(covered.len() - (TRAILER - 4));
        if trailer != self.trailer() {
            return Err("the footer belongs to another segment, or to a newer format".to_owned());
        }
        let blocks = table.as_chunks::<4>().0.iter().map(|block| u32::from_le_bytes(*block)).collect();
        Ok(Table { block_size: self.series.block_size, blocks })
    }
}

/// The checksums of one segment's blocks.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    block_size: u32,
    blocks: Vec<u32>,
}

impl Table {
    /// Checks data that begins at the start of block `first`, and ends at the end of a block or of the segment.
    pub(crate) fn check(&self, first: u64, data: &[u8]) -> Result<(), String> {
        for (number, block) in (first..).zip(data.chunks(self.block_size as usize)) {
            let expected = usize::try_from(number).ok().and_then(|at| self.blocks.get(at));
            if expected != Some(&crc32c(block)) {
                let start = number * u64::from(self.block_size);
                return Err(format!(
                    "bytes {start} to {} do not match their checksum",
                    start + block.len() as u64
                ));
            }
        }
        Ok(())
    }
}

/// Checksums of data that arrives in pieces: one per block, and one of everything.
pub(crate) struct BlockSums {
    blocks: Vec<u32>,
    running: Running,
    in_block: u32,
}

impl BlockSums {
    pub(crate) fn new() -> Self {
        Self { blocks: Vec::new(), running: Running::new(), in_block: 0 }
    }

    /// Bytes that still fit into the current block.
    pub(crate) fn room(&self, block_size: u32) -> usize {
        (block_size - self.in_block) as usize
    }

    /// Adds at most [`Self::room`] bytes.
    pub(crate) fn add(&mut self, data: &[u8], block_size: u32) {
        self.running.update(data);
        // At most one block, so it fits.
        self.in_block = self.in_block.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        if self.in_block >= block_size {
            self.blocks.push(self.running.take());
            self.in_block = 0;
        }
    }

    /// Checksum of all bytes so far.
    pub(crate) fn whole(&self, joiner: &BlockJoiner) -> u32 {
        let blocks = self.blocks.iter().fold(0, |whole, block| joiner.join_block(whole, *block));
        if self.in_block == 0 { blocks } else { join(blocks, self.running.value(), u64::from(self.in_block)) }
    }

    /// The table: one checksum per block, the last one short.
    pub(crate) fn blocks(&self) -> Vec<u32> {
        let mut blocks = self.blocks.clone();
        if self.in_block > 0 {
            blocks.push(self.running.value());
        }
        blocks
    }

    /// Back to nothing.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.running.take();
        self.in_block = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> (Vec<u8>, Shape, Bytes, u32) {
        let data: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3).to_le_bytes()[0]).collect();
        let series = Series { writer: WriterId([1; 16]), origin: WriterId([5; 16]), block_size: 64 };
        let shape = Shape { series, index: 3, data_len: len as u64 };
        let mut sums = BlockSums::new();
        let mut rest = &data[..];
        let mut step = 1;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(step.min(rest.len()).min(sums.room(64)));
            sums.add(piece, 64);
            rest = after;
            step = step % 50 + 7;
        }
        let whole = sums.whole(&BlockJoiner::new(64));
        (data, shape, shape.footer(&sums.blocks()), whole)
    }

    #[test]
    fn footers_check_the_data_they_were_made_of() {
        for len in [1, 63, 64, 65, 1000, 1024] {
            let (data, shape, footer, whole) = sample(len);
            assert_eq!(footer.len() as u64, shape.footer_len());
            assert_eq!(whole, crc32c(&data));
            let table = shape.parse_footer(&footer).unwrap();
            table.check(0, &data).unwrap();
            if len > 128 {
                table.check(1, &data[64..128]).unwrap();
                assert!(table.check(0, &data[64..128]).is_err());
            }
        }
    }

    #[test]
    fn every_flipped_byte_of_a_footer_is_noticed() {
        let (_, shape, footer, _) = sample(200);
        for at in 0..footer.len() {
            let mut bad = footer.to_vec();
            bad[at] ^= 1;
            assert!(shape.parse_footer(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_footer_of_another_segment_is_refused() {
        let (_, shape, footer, _) = sample(200);
        for other in [
            Shape { index: 4, ..shape },
            Shape { series: Series { origin: WriterId([6; 16]), ..shape.series }, ..shape },
            Shape { data_len: 199, ..shape },
        ] {
            assert!(other.parse_footer(&footer).is_err());
        }
    }

    #[test]
    fn data_beyond_the_table_is_refused() {
        let (mut data, shape, footer, _) = sample(128);
        data.push(0);
        assert!(shape.parse_footer(&footer).unwrap().check(0, &data).is_err());
    }
}
