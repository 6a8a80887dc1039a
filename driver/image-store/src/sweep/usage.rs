//! Which bytes of one writer's segments images need.

use std::collections::BTreeMap;

use crate::manifest::{Extent, Piece};

/// What images use of the segments of one writer.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Runs of segments that an extent uses wholly: first, count.
    whole: Vec<(u32, u32)>,
    /// Ranges of segments that an extent uses in part.
    parts: BTreeMap<u32, Vec<(u64, u64)>>,
}

impl Usage {
    pub(super) fn add(&mut self, extent: &Extent) {
        let last = extent.count - 1;
        let mut whole = (extent.first, extent.count);
        for number in [0, last].into_iter().take(extent.count.min(2) as usize) {
            let Piece { shape, skip, length } = extent.piece(number);
            if length < shape.data_len {
                self.parts.entry(shape.index).or_default().push((skip, skip + length));
                whole.1 -= 1;
                if number == 0 {
                    whole.0 += 1;
                }
            }
        }
        if whole.1 > 0 {
            self.whole.push(whole);
        }
    }

    /// To be called when all is added: makes looking up fast.
    pub(super) fn settle(&mut self) {
        self.whole.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, count) in self.whole.drain(..) {
            match merged.last_mut() {
                Some((start, so_far)) if first <= *start + *so_far => {
                    *so_far = (*so_far).max(first + count - *start);
                }
                _ => merged.push((first, count)),
            }
        }
        self.whole = merged;
    }

    fn is_whole(&self, index: u32) -> bool {
        let after = self.whole.partition_point(|(first, _)| *first <= index);
        let run = after.checked_sub(1).and_then(|at| self.whole.get(at));
        run.is_some_and(|(first, count)| index - first < *count)
    }

    /// Whether any byte of a segment is used.
    pub(super) fn uses(&self, index: u32) -> bool {
        self.is_whole(index) || self.parts.contains_key(&index)
    }

    /// How many bytes of a segment are used; `data_len` if all of them are.
    pub(super) fn live(&self, index: u32, data_len: u64) -> u64 {
        if self.is_whole(index) {
            return data_len;
        }
        let mut ranges = self.parts.get(&index).cloned().unwrap_or_default();
        ranges.sort_unstable();
        let (mut live, mut reached) = (0, 0);
        for (begin, end) in ranges {
            live += end.saturating_sub(begin.max(reached));
            reached = reached.max(end);
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::WriterId;
    use crate::segment::Series;

    #[test]
    fn overlapping_uses_count_once() {
        let writer = WriterId([1; 16]);
        let series = Series { writer, origin: writer, block_size: 4 };
        let extent = |first, count, skip, length| Extent {
            series,
            first,
            count,
            segment_size: 10,
            last_size: 10,
            skip,
            length,
        };
        let mut usage = Usage::default();
        for extent in [extent(0, 3, 5, 25), extent(1, 2, 0, 20), extent(5, 1, 2, 3), extent(5, 1, 4, 3)] {
            usage.add(&extent);
        }
        usage.add(&extent(7, 2, 0, 12));
        usage.settle();
        let seen: Vec<_> = (0..10).map(|index| (usage.uses(index), usage.live(index, 10))).collect();
        let expected = [5, 10, 10, 0, 0, 5, 0, 10, 2, 0];
        assert_eq!(seen, expected.map(|live| (live > 0, live)));
    }
}
