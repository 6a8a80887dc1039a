//! Which segment holds which byte of the image.

use crate::manifest::Extent;
use crate::segment::Shape;

/// A segment and where its data begins in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) start: u64,
    pub(super) shape: Shape,
}

impl Located {
    /// Offset in the image of the first byte after this segment.
    pub(super) fn end(&self) -> u64 {
        self.start + self.shape.data_len
    }
}

/// The extents of an image with their offsets.
#[derive(Debug)]
pub(super) struct SegmentMap {
    extents: Vec<(u64, Extent)>,
    block_size: u32,
    len: u64,
}

impl SegmentMap {
    pub(super) fn new(extents: Vec<Extent>, block_size: u32) -> Self {
        let mut len = 0;
        let extents = extents
            .into_iter()
            .map(|extent| {
                let start = len;
                len += extent.length;
                (start, extent)
            })
            .collect();
        Self { extents, block_size, len }
    }

    /// Bytes in segments; the image's tail begins here.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The segment that holds the byte at `offset`; `None` beyond the last.
    pub(super) fn find(&self, offset: u64) -> Option<Located> {
        if offset >= self.len {
            return None;
        }
        let after = self.extents.partition_point(|(start, _)| *start <= offset);
        let (start, extent) = self.extents.get(after.checked_sub(1)?)?;
        let number = u32::try_from((offset - start) / extent.segment_size).ok()?;
        let shape = extent.segment(number, self.block_size);
        Some(Located { start: start + u64::from(number) * extent.segment_size, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::WriterId;

    #[test]
    fn every_byte_is_found_in_its_segment() {
        let extent = |writer, first, count, segment_size, length| Extent {
            writer: WriterId([writer; 16]),
            first,
            count,
            segment_size,
            length,
        };
        let map =
            SegmentMap::new(vec![extent(1, 0, 3, 10, 25), extent(2, 5, 1, 7, 7), extent(1, 3, 2, 4, 8)], 4);
        let mut at = 0;
        let mut seen = Vec::new();
        while let Some(located) = map.find(at) {
            assert!((located.start..located.end()).contains(&at));
            for inside in located.start..located.end() {
                assert_eq!(map.find(inside), Some(located));
            }
            seen.push((located.start, located.shape.writer.0[0], located.shape.index));
            at = located.end();
        }
        assert_eq!(seen, [(0, 1, 0), (10, 1, 1), (20, 1, 2), (25, 2, 5), (32, 1, 3), (36, 1, 4)]);
        assert_eq!((at, map.len()), (40, 40));
    }
}
