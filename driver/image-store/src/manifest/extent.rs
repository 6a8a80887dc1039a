//! Runs of segments, and the ranges of them that make up an image.
//!
//! An image is a list of extents. An extent is a range of bytes that lies in consecutive segments of one writer, so that
//! ten terabytes in one piece are one line, and a range of somebody else's image is one line as well.

use crate::segment::{Series, Shape};

/// Largest segment that is believed, in bytes.
const SEGMENT_SIZE_MAX: u64 = 5 << 30;

/// A range of bytes in consecutive segments of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) series: Series,
    /// Index of the first segment.
    pub(crate) first: u32,
    /// How many segments the range touches.
    pub(crate) count: u32,
    /// Bytes of data in each of them but the last.
    pub(crate) segment_size: u64,
    /// Bytes of data in the last.
    pub(crate) last_size: u64,
    /// Bytes of the first that come before the range.
    pub(crate) skip: u64,
    /// Bytes of the range.
    pub(crate) length: u64,
}

/// The part of an extent that lies in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) shape: Shape,
    /// Where it begins in the segment's data.
    pub(crate) skip: u64,
    pub(crate) length: u64,
}

impl From<Piece> for Extent {
    fn from(piece: Piece) -> Self {
        let data_len = piece.shape.data_len;
        Self {
            series: piece.shape.series,
            first: piece.shape.index,
            count: 1,
            segment_size: data_len,
            last_size: data_len,
            skip: piece.skip,
            length: piece.length,
        }
    }
}

impl Extent {
    /// The part in the `number`th segment of the extent, which must be below `count`.
    pub(crate) fn piece(&self, number: u32) -> Piece {
        let start = u64::from(number) * self.segment_size;
        let data_len = if number + 1 == self.count { self.last_size } else { self.segment_size };
        let begin = self.skip.max(start);
        let end = (self.skip + self.length).min(start + data_len);
        let shape = Shape { series: self.series, index: self.first + number, data_len };
        Piece { shape, skip: begin - start, length: end.saturating_sub(begin) }
    }

    /// Which of its segments holds the byte at `offset` of the extent, which must be below `length`.
    pub(crate) fn number_at(&self, offset: u64) -> u32 {
        let number = (self.skip + offset) / self.segment_size;
        // The last segment may be larger than the others.
        u32::try_from(number).unwrap_or(u32::MAX).min(self.count - 1)
    }

    /// The bytes from `from` to `to` of the extent; `from` must be below `to`, and `to` at most `length`.
    fn part(&self, from: u64, to: u64) -> Self {
        let (begin, end) = (self.number_at(from), self.number_at(to - 1));
        let last_size = if end + 1 == self.count { self.last_size } else { self.segment_size };
        Self {
            first: self.first + begin,
            count: end - begin + 1,
            // One segment alone has one size, so that equal extents look equal.
            segment_size: if begin == end { last_size } else { self.segment_size },
            last_size,
            skip: self.skip + from - u64::from(begin) * self.segment_size,
            length: to - from,
            ..*self
        }
    }

    /// Where the extent ends in its last segment's data.
    fn end_in_last(&self) -> u64 {
        self.skip + self.length - u64::from(self.count - 1) * self.segment_size
    }

    /// Bytes of data in the first segment.
    fn first_size(&self) -> u64 {
        if self.count == 1 { self.last_size } else { self.segment_size }
    }

    /// Takes `next` in if it follows in the same segments; gives it back otherwise.
    pub(crate) fn join(&mut self, next: Self) -> Option<Self> {
        if self.series != next.series {
            return Some(next);
        }
        // In the same segment, or at the beginning of the one after a whole one.
        let within = self.first + (self.count - 1) == next.first
            && self.end_in_last() == next.skip
            && self.last_size == next.first_size();
        let behind = self.first.checked_add(self.count) == Some(next.first)
            && self.end_in_last() == self.last_size
            && next.skip == 0;
        let shared = match (within, behind) {
            (true, _) => 1,
            (_, true) => 0,
            _ => return Some(next),
        };
        // All segments but the last of the two together must have one size.
        let count = self.count + next.count - shared;
        let segment_size = match (within, self.count, next.count) {
            (true, _, 1) => self.segment_size,
            (true, 1, _) => next.segment_size,
            (true, ..) if self.segment_size == next.segment_size => self.segment_size,
            (false, _, 1) if self.last_size == self.segment_size => self.segment_size,
            (false, ..) if self.last_size == self.segment_size && self.segment_size == next.segment_size => {
                self.segment_size
            }
            _ => return Some(next),
        };
        self.count = count;
        self.segment_size = if count == 1 { next.last_size } else { segment_size };
        self.last_size = next.last_size;
        self.length += next.length;
        None
    }

    /// Whether the numbers fit together.
    pub(crate) fn is_sound(&self) -> bool {
        let sizes = 1..=SEGMENT_SIZE_MAX;
        let known = self.count > 0
            && self.length > 0
            && sizes.contains(&self.segment_size)
            && sizes.contains(&self.last_size)
            && self.skip < self.first_size()
            && self.first.checked_add(self.count).is_some()
            && self.series.block_size > 0
            && (self.count > 1 || self.segment_size == self.last_size);
        let before_last = u64::from(self.count.saturating_sub(1)) * self.segment_size;
        known
            && self
                .skip
                .checked_add(self.length)
                .is_some_and(|end| end > before_last && end - before_last <= self.last_size)
    }
}

/// Adds an extent at the end of a list, as part of the one before it where it can be.
pub(crate) fn push(extents: &mut Vec<Extent>, extent: Extent) {
    let apart = match extents.last_mut() {
        Some(last) => last.join(extent),
        None => Some(extent),
    };
    extents.extend(apart);
}

/// The extents that hold the bytes from `from` to `to` of what the list makes up; cut off where the list ends.
pub(crate) fn slice(extents: &[Extent], from: u64, to: u64) -> Vec<Extent> {
    let mut found = Vec::new();
    let mut start = 0;
    for extent in extents {
        let end = start + extent.length;
        let (begin, until) = (from.max(start), to.min(end));
        if begin < until {
            push(&mut found, extent.part(begin - start, until - start));
        }
        if end >= to {
            break;
        }
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::WriterId;
    use proptest::prelude::*;

    fn series(writer: u8) -> Series {
        Series { writer: WriterId([writer; 16]), origin: WriterId([writer; 16]), block_size: 16 }
    }

    fn piece(writer: u8, index: u32, data_len: u64, skip: u64, length: u64) -> Extent {
        Piece { shape: Shape { series: series(writer), index, data_len }, skip, length }.into()
    }

    fn of(pieces: &[Extent]) -> Vec<Extent> {
        let mut extents = Vec::new();
        for piece in pieces {
            push(&mut extents, *piece);
        }
        extents
    }

    /// Every byte, as segment and place in it.
    fn bytes(extents: &[Extent]) -> Vec<(u8, u32, u64, u64)> {
        let mut bytes = Vec::new();
        for extent in extents {
            assert!(extent.is_sound(), "{extent:?}");
            for number in 0..extent.count {
                let Piece { shape, skip, length } = extent.piece(number);
                assert!(length > 0 && skip + length <= shape.data_len, "{extent:?} {number}");
                bytes.extend(
                    (skip..skip + length)
                        .map(|at| (shape.series.writer.0[0], shape.index, shape.data_len, at)),
                );
            }
        }
        bytes
    }

    #[test]
    fn whole_segments_of_one_size_are_one_extent() {
        let extents = of(&[
            piece(8, 0, 64, 0, 64),
            piece(8, 1, 64, 0, 64),
            piece(8, 2, 10, 0, 10),
            piece(9, 0, 64, 0, 64),
            piece(9, 1, 128, 0, 128),
            piece(9, 2, 128, 0, 128),
        ]);
        let seen: Vec<_> = extents.iter().map(|e| (e.first, e.count, e.segment_size, e.last_size)).collect();
        assert_eq!(seen, [(0, 3, 64, 10), (0, 2, 64, 128), (2, 1, 128, 128)]);
    }

    #[test]
    fn neighbouring_ranges_are_one_extent() {
        let extents = of(&[piece(1, 0, 64, 8, 8), piece(1, 0, 64, 16, 48), piece(1, 1, 64, 0, 3)]);
        assert_eq!(extents.len(), 1);
        assert_eq!((extents[0].skip, extents[0].length, extents[0].count), (8, 59, 2));
        assert_eq!(of(&[piece(1, 0, 64, 8, 8), piece(1, 0, 64, 17, 8)]).len(), 2);
        assert_eq!(of(&[piece(1, 0, 64, 8, 8), piece(1, 1, 64, 0, 8)]).len(), 2);
    }

    proptest! {
        #[test]
        fn a_slice_has_the_same_bytes(
            sizes in prop::collection::vec(1u64..20, 1..8),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        ) {
            let whole: Vec<Extent> =
                sizes.iter().zip(0..).map(|(size, index)| piece(1, index, *size, 0, *size)).collect();
            let mut extents = of(&whole);
            let mut model = bytes(&extents);
            for (from, len) in cuts {
                let from = from.index(model.len());
                let len = len.index(model.len() - from) + 1;
                extents = slice(&extents, from as u64, (from + len) as u64);
                model = model[from..from + len].to_vec();
                prop_assert_eq!(bytes(&extents), model.clone());
            }
        }

        #[test]
        fn joined_ranges_have_the_same_bytes(
            sizes in prop::collection::vec(1u64..6, 1..8),
            ranges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12),
        ) {
            let whole: Vec<Extent> =
                sizes.iter().zip(0..).map(|(size, index)| piece(1, index, *size, 0, *size)).collect();
            let source = of(&whole);
            let all = bytes(&source);
            let (mut extents, mut model) = (Vec::new(), Vec::new());
            for (from, len) in ranges {
                let from = from.index(all.len());
                let to = from + len.index(all.len() - from) + 1;
                for extent in slice(&source, from as u64, to as u64) {
                    push(&mut extents, extent);
                }
                model.extend_from_slice(&all[from..to]);
            }
            prop_assert_eq!(bytes(&extents), model);
        }
    }
}
