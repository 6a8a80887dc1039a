//! Which segment holds which byte of the image, and how much of it is worth fetching.

use std::collections::HashMap;
use std::ops::Range;

use crate::layout::WriterId;
use crate::manifest::{Extent, Piece};
use crate::segment::Shape;

/// A piece of a segment and where it begins in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    /// Offset in the image.
    pub(super) start: u64,
    pub(super) piece: Piece,
    /// Most of the segment's data belongs to this image: all of it is worth fetching at once.
    dense: bool,
}

impl Located {
    /// Offset in the image of the first byte after this piece.
    pub(super) fn end(&self) -> u64 {
        self.start + self.piece.length
    }

    pub(super) fn shape(&self) -> Shape {
        self.piece.shape
    }

    /// Where the image's byte at `offset`, which must be in the piece, is in the segment's data.
    pub(super) fn place(&self, offset: u64) -> u64 {
        self.piece.skip + (offset - self.start)
    }

    /// The blocks of the segment that reading on is likely to need, as a range of its data.
    pub(super) fn worth(&self) -> Range<u64> {
        let Shape { series, data_len, .. } = self.piece.shape;
        if self.dense {
            return 0..data_len;
        }
        let block = u64::from(series.block_size);
        let end = (self.piece.skip + self.piece.length).div_ceil(block).saturating_mul(block);
        self.piece.skip / block * block..end.min(data_len)
    }
}

/// The extents of an image with their offsets.
#[derive(Debug)]
pub(super) struct SegmentMap {
    extents: Vec<(u64, Extent)>,
    /// How many bytes the image has of segments that an extent does not use wholly.
    partly: HashMap<(WriterId, u32), u64>,
    len: u64,
}

impl SegmentMap {
    pub(super) fn new(extents: Vec<Extent>) -> Self {
        let mut len = 0;
        let mut partly = HashMap::new();
        let extents = extents
            .into_iter()
            .map(|extent| {
                for number in [0, extent.count - 1].into_iter().take(extent.count.min(2) as usize) {
                    let Piece { shape, length, .. } = extent.piece(number);
                    if length < shape.data_len {
                        *partly.entry((shape.series.writer, shape.index)).or_insert(0) += length;
                    }
                }
                let start = len;
                len += extent.length;
                (start, extent)
            })
            .collect();
        Self { extents, partly, len }
    }

    /// Bytes in segments; the image's tail begins here.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The piece that holds the byte at `offset`; `None` beyond the last.
    pub(super) fn find(&self, offset: u64) -> Option<Located> {
        if offset >= self.len {
            return None;
        }
        let after = self.extents.partition_point(|(start, _)| *start <= offset);
        let (start, extent) = self.extents.get(after.checked_sub(1)?)?;
        let number = extent.number_at(offset - start);
        let piece = extent.piece(number);
        let before = (u64::from(number) * extent.segment_size).saturating_sub(extent.skip);
        let used = self.partly.get(&(piece.shape.series.writer, piece.shape.index));
        let dense = used.is_none_or(|used| used.saturating_mul(2) >= piece.shape.data_len);
        Some(Located { start: start + before, piece, dense })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::extent::push;
    use crate::segment::Series;

    fn map(pieces: &[(u8, u32, u64, u64, u64)]) -> SegmentMap {
        let mut extents = Vec::new();
        for &(writer, index, data_len, skip, length) in pieces {
            let writer = WriterId([writer; 16]);
            let series = Series { writer, origin: writer, block_size: 4 };
            let shape = Shape { series, index, data_len };
            push(&mut extents, Piece { shape, skip, length }.into());
        }
        SegmentMap::new(extents)
    }

    #[test]
    fn every_byte_is_found_in_its_segment() {
        let map = map(&[
            (1, 0, 10, 3, 7),
            (1, 1, 10, 0, 10),
            (1, 2, 10, 0, 5),
            (2, 5, 7, 0, 7),
            (1, 3, 8, 6, 1),
            (1, 3, 8, 2, 3),
        ]);
        let mut at = 0;
        let mut seen = Vec::new();
        while let Some(located) = map.find(at) {
            assert_eq!(located.start, at);
            for inside in located.start..located.end() {
                assert_eq!(map.find(inside), Some(located));
                let place = located.place(inside);
                assert!(located.worth().contains(&place) && place < located.shape().data_len);
            }
            seen.push((located.start, located.shape().index, located.place(located.start)));
            at = located.end();
        }
        assert_eq!(seen, [(0, 0, 3), (7, 1, 0), (17, 2, 0), (22, 5, 0), (29, 3, 6), (30, 3, 2)]);
        assert_eq!((at, map.len()), (33, 33));
    }

    #[test]
    fn a_small_part_of_a_segment_is_fetched_by_its_blocks() {
        let map = map(&[(1, 0, 100, 9, 6), (2, 0, 10, 3, 3), (2, 0, 10, 8, 2)]);
        assert_eq!(map.find(0).unwrap().worth(), 8..16);
        assert_eq!(map.find(6).unwrap().worth(), 0..10, "half of it is used");
    }
}
