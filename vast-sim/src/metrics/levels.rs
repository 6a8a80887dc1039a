//! How much space something took over time: the level at every change, at most one per slot, coarser the older it is.

use std::collections::VecDeque;

use super::series::RINGS;

/// Bytes that clients see, and bytes that are held for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) logical: u64,
    pub(crate) physical: u64,
}

/// The levels of one subject.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    rings: [VecDeque<(u64, Level)>; RINGS.len()],
}

impl Levels {
    /// Notes the level at a time (milliseconds since 1970) that is not before the last one.
    pub(crate) fn note(&mut self, at: u64, level: Level) {
        for (ring, (width, kept)) in self.rings.iter_mut().zip(RINGS) {
            match ring.back_mut() {
                Some((_, last)) if *last == level => continue,
                Some((since, last)) if *since / width == at / width => (*since, *last) = (at, level),
                _ => ring.push_back((at, level)),
            }
            if ring.len() > kept {
                ring.pop_front();
            }
        }
    }

    /// The level at a time, by the finest slots that reach back to it; none before the first one that was noted.
    pub(crate) fn at(&self, time: u64) -> Option<Level> {
        let ring = self.rings.iter().find(|ring| ring.front().is_some_and(|(since, _)| *since <= time))?;
        let behind = ring.partition_point(|(since, _)| *since <= time);
        ring.get(behind.checked_sub(1)?).map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::SLOT;
    use super::*;

    fn level(n: u64) -> Level {
        Level { logical: n, physical: n }
    }

    #[test]
    fn levels_hold_until_the_next_and_old_ones_grow_coarser() {
        let mut levels = Levels::default();
        assert_eq!(levels.at(u64::MAX), None);
        for slot in 1..=2_000 {
            levels.note(slot * SLOT, level(slot));
            levels.note(slot * SLOT + 1, level(slot));
        }
        assert_eq!(levels.at(SLOT - 1), None);
        assert_eq!(levels.at(2_000 * SLOT), Some(level(2_000)));
        assert_eq!(levels.at(1_999 * SLOT + 5), Some(level(1_999)));
        assert_eq!(levels.at(u64::MAX), Some(level(2_000)));
        // The finest slots reach back an hour; before that there is one level a minute.
        assert_eq!(levels.at(1_700 * SLOT), Some(level(1_700)));
        assert_eq!(levels.at(605 * SLOT), Some(level(605)));
        assert_eq!(levels.at(604 * SLOT), Some(level(599)));
        assert!(levels.rings.iter().zip(RINGS).all(|(ring, (_, kept))| ring.len() <= kept));
        levels.note(3_000 * SLOT, level(2_000));
        assert_eq!(levels.rings[0].len(), RINGS[0].1, "no change is nothing new");
    }
}
