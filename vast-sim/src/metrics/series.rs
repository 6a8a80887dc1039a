//! How numbers went over time: slots of ten seconds, and coarser ones for longer. Only slots in which something happened
//! are kept, and a bounded number of those.

use std::collections::VecDeque;

use super::tally::Tally;

/// Width of the finest slots, in milliseconds.
pub(crate) const SLOT: u64 = 10_000;

/// Width in milliseconds and number of slots kept: an hour, half a day, three days, a month.
pub(super) const RINGS: [(u64, usize); 4] = [(SLOT, 360), (60_000, 720), (600_000, 432), (3_600_000, 720)];

/// The changes of one subject over time.
#[derive(Debug, Default)]
pub(crate) struct Series {
    rings: [VecDeque<(u64, Tally)>; RINGS.len()],
}

impl Series {
    /// Puts a change into the slots around `at` (milliseconds since 1970).
    pub(crate) fn add(&mut self, at: u64, change: &Tally) {
        for (ring, (width, kept)) in self.rings.iter_mut().zip(RINGS) {
            let start = at / width * width;
            match ring.back_mut() {
                Some((last, tally)) if *last >= start => tally.add(change),
                _ => ring.push_back((start, *change)),
            }
            if ring.len() > kept {
                ring.pop_front();
            }
        }
    }

    /// The finest ring of slots not wider than `width` that still knows what happened at `from`.
    fn ring(&self, from: u64, width: u64) -> (u64, &VecDeque<(u64, Tally)>) {
        let mut best = (RINGS[0].0, &self.rings[0]);
        for (ring, (slot, kept)) in self.rings.iter().zip(RINGS) {
            if slot > width {
                break;
            }
            best = (slot, ring);
            let forgot = ring.len() >= kept && ring.front().is_some_and(|(first, _)| *first > from);
            if !forgot {
                break;
            }
        }
        best
    }

    /// The sum of everything that happened from `from` on and before `to`, to the precision of what is still known.
    pub(crate) fn sum(&self, from: u64, to: u64) -> Tally {
        let (width, ring) = self.ring(from, u64::MAX);
        let mut total = Tally::default();
        for (start, change) in ring {
            if start + width > from && *start < to {
                total.add(change);
            }
        }
        total
    }

    /// What happened in each slot of `width` milliseconds, by its start; slots without a happening are left out.
    pub(crate) fn slots(&self, from: u64, to: u64, width: u64) -> Vec<(u64, Tally)> {
        let (slot, ring) = self.ring(from, width);
        let mut out: Vec<(u64, Tally)> = Vec::new();
        for (start, change) in ring.iter().filter(|(s, _)| s + slot > from && *s < to) {
            let start = start / width * width;
            match out.last_mut() {
                Some((last, tally)) if *last == start => tally.add(change),
                _ => out.push((start, *change)),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Count, LiveTally};
    use super::*;

    fn writes(n: u64) -> Tally {
        let live = LiveTally::default();
        live.add(Count::Writes, n);
        live.read()
    }

    #[test]
    fn sums_are_exact_and_old_slots_grow_coarser() {
        let mut series = Series::default();
        for slot in 0..2_000 {
            series.add(slot * SLOT, &writes(1));
        }
        let count = |from, to| series.sum(from, to).get(Count::Writes);
        assert_eq!(count(1_990 * SLOT, 2_000 * SLOT), 10);
        assert_eq!(count(1_990 * SLOT, 1_995 * SLOT), 5);
        // The finest slots of the beginning are gone; minutes still know.
        assert_eq!(count(0, 600 * SLOT), 600);
        assert_eq!(count(0, u64::MAX), 2_000);
        assert_eq!(series.rings[0].len(), 360);
        let minutes = series.slots(0, 12 * SLOT, 60_000);
        assert_eq!(minutes, [(0, writes(6)), (60_000, writes(6))]);
        assert_eq!(series.slots(1_998 * SLOT, u64::MAX, SLOT).len(), 2);
    }

    #[test]
    fn nothing_grows_without_bound_and_idle_times_cost_nothing() {
        let mut series = Series::default();
        series.add(0, &writes(1));
        series.add(1_000_000 * SLOT, &writes(2));
        assert_eq!(series.rings.iter().map(VecDeque::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
        assert_eq!(series.sum(0, u64::MAX).get(Count::Writes), 3);
    }
}
