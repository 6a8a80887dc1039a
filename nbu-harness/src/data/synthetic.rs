//! Synthetic streams: content that is a pure function of a seed and an offset, so that nothing is stored and every
//! byte of a restore can still be checked, in any order and from any position.

use std::ops::Range;

/// Bytes of one block: the unit in which random and compressible content alternate.
const BLOCK: u64 = BLOCK_LEN as u64;
const BLOCK_LEN: usize = 4096;
const WORD: u64 = 8;
/// Bytes of one unit of change: what a generation replaces or leaves alone.
pub(super) const UNIT: u64 = 128 << 10;

/// A stream of `bytes` bytes; two streams with the same seed are equal wherever both exist.
///
/// Content is made of blocks of 4 KiB. A random block neither compresses nor deduplicates; a plain block repeats one
/// word that still depends on seed and position, so that a misplaced block is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntheticStream {
    /// Decides the whole content.
    pub seed: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Share of random blocks, 0 to 100 (NetBackup's `GEN_PERCENT_RANDOM`).
    pub percent_random: u8,
    /// How often the data has moved on, and how.
    pub history: History,
    /// How well it compresses and deduplicates.
    pub shape: Shape,
}

/// How well a stream compresses and deduplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// A random block is random in one part of so many, at least 1; the rest of it repeats one word.
    pub compress_ratio: u8,
    /// Share of units of 128 KiB, 0 to 100, whose content is one of a pool of 16.
    pub dedup_percent: u8,
    /// Decides the pool: streams with the same one share it.
    pub pool: u64,
}

impl Shape {
    /// Random blocks are random, and no unit is there twice.
    pub const PLAIN: Self = Self { compress_ratio: 1, dedup_percent: 0, pool: 0 };
}

impl SyntheticStream {
    /// A stream with only random blocks, that never changed.
    pub const fn new(seed: u64, bytes: u64) -> Self {
        let history = History { generation: 0, change_percent: 0 };
        Self { seed, bytes, percent_random: 100, history, shape: Shape::PLAIN }
    }

    /// The generation that changed the stream last; 0 if none did.
    pub fn changed_in(&self) -> u32 {
        (1..=self.history.generation).rev().find(|g| self.history.changes(self.seed, *g)).unwrap_or(0)
    }

    /// The seed of the content of a unit: that of the generation that changed it last.
    fn seed_of_unit(&self, unit: u64) -> u64 {
        let units = self.bytes.div_ceil(UNIT).max(1);
        let changed = |generation: &u32| {
            let dice = mix(self.seed ^ mix(u64::from(*generation) << 32 ^ unit));
            self.history.changes(self.seed, *generation)
                && (dice.is_multiple_of(4) || unit == mix(self.seed ^ u64::from(*generation)) % units)
        };
        match (1..=self.history.generation).rev().find(changed) {
            Some(generation) => mix(self.seed ^ mix(u64::from(generation)).rotate_left(17)),
            None => self.seed,
        }
    }

    /// Fills `out` with the content from `offset` on, and returns how many bytes that is: less than `out.len()` only
    /// where the stream ends. Bytes of `out` behind the stream's end are left alone.
    pub fn fill(&self, offset: u64, out: &mut [u8]) -> usize {
        let wanted = u64::try_from(out.len()).unwrap_or(u64::MAX);
        let len = usize::try_from(self.bytes.saturating_sub(offset).min(wanted)).unwrap_or(out.len());
        let (mut at, mut out) = (offset, &mut out[..len]);
        while !out.is_empty() {
            let left_in_block = usize::try_from(BLOCK - at % BLOCK).unwrap_or(out.len());
            let (part, rest) = out.split_at_mut(left_in_block.min(out.len()));
            self.fill_in_block(at, part);
            at += part.len() as u64;
            out = rest;
        }
        len
    }

    /// Compares `data`, read from `offset` on, with the stream. Returns the first range of the stream (in stream
    /// offsets) that differs: from the first wrong byte to the end of the wrong bytes that follow it without a gap.
    /// Data behind the stream's end is wrong.
    pub fn check(&self, offset: u64, data: &[u8]) -> Option<Range<u64>> {
        let mut expected = [0u8; BLOCK_LEN];
        let mut bad: Option<Range<u64>> = None;
        let mut at = offset;
        for chunk in data.chunks(expected.len()) {
            let filled = self.fill(at, &mut expected[..chunk.len()]);
            if bad.is_none() && filled == chunk.len() && expected[..filled] == *chunk {
                at += chunk.len() as u64;
                continue;
            }
            for (i, byte) in chunk.iter().enumerate() {
                let here = at + i as u64;
                let wrong = i >= filled || expected[i] != *byte;
                match (&mut bad, wrong) {
                    (None, true) => bad = Some(here..here + 1),
                    (Some(range), true) => range.end = here + 1,
                    (Some(_), false) => return bad,
                    (None, false) => {}
                }
            }
            at += chunk.len() as u64;
        }
        bad
    }

    /// The seed of the block at `at`, and where in the content of that seed it is: units of the pool have one content
    /// wherever they are.
    fn content_at(&self, at: u64) -> (u64, u64) {
        let unit = at / UNIT;
        let seed = if self.history.generation == 0 { self.seed } else { self.seed_of_unit(unit) };
        let dice = mix(seed ^ mix(unit).rotate_left(7));
        if dice % 100 < u64::from(self.shape.dedup_percent) {
            return (mix(self.shape.pool ^ mix((dice >> 32) % POOL)), at % UNIT);
        }
        (seed, at)
    }

    fn fill_in_block(&self, at: u64, out: &mut [u8]) {
        let (seed, at) = self.content_at(at);
        let block = at / BLOCK;
        let block_word = mix(seed ^ mix(block.wrapping_add(0x9e37_79b9)));
        let random = block_word % 100 < u64::from(self.percent_random);
        let random_words = BLOCK / WORD / u64::from(self.shape.compress_ratio.max(1));
        let word_at = |index: u64| {
            if random && index % (BLOCK / WORD) < random_words {
                mix(seed.wrapping_add(index.wrapping_mul(GOLDEN)))
            } else {
                block_word
            }
        };
        let mut index = at / WORD;
        let skip = usize::try_from(at % WORD).unwrap_or_default();
        let mut out = out;
        if skip != 0 {
            let word = word_at(index).to_le_bytes();
            let take = (word.len() - skip).min(out.len());
            let (head, rest) = out.split_at_mut(take);
            head.copy_from_slice(&word[skip..skip + take]);
            index += 1;
            out = rest;
        }
        let (words, tail) = out.as_chunks_mut::<8>();
        if random && self.shape.compress_ratio > 1 {
            for (word, index) in words.iter_mut().zip(index..) {
                *word = word_at(index).to_le_bytes();
            }
        } else if random {
            let mut state = seed.wrapping_add(index.wrapping_mul(GOLDEN));
            for word in words.iter_mut() {
                *word = mix(state).to_le_bytes();
                state = state.wrapping_add(GOLDEN);
            }
        } else {
            repeat(words.as_flattened_mut(), block_word);
        }
        let last = word_at(index + words.len() as u64).to_le_bytes();
        tail.copy_from_slice(&last[..tail.len()]);
    }
}

/// Fills whole words with one word, by copies that double: memory speed whatever the compiler makes of loops.
fn repeat(out: &mut [u8], word: u64) {
    let Some((first, _)) = out.split_first_chunk_mut::<8>() else { return };
    *first = word.to_le_bytes();
    let mut filled = first.len();
    while filled < out.len() {
        let count = filled.min(out.len() - filled);
        out.copy_within(..count, filled);
        filled += count;
    }
}
/// Different units in a pool.
const POOL: u64 = 16;

/// How data moves on from generation to generation: each replaces some units of some streams, the same for everybody
/// who knows the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Generations so far.
    pub generation: u32,
    /// Share of streams that a generation changes, 0 to 100. In a stream that it changes it replaces one unit of 128 KiB
    /// for certain, and every other one with a chance of a quarter.
    pub change_percent: u8,
}

impl History {
    fn changes(self, seed: u64, generation: u32) -> bool {
        mix(seed ^ mix(u64::from(generation).wrapping_add(GOLDEN))) % 100 < u64::from(self.change_percent)
    }
}

pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_piece_equals_the_same_piece_of_the_whole(
            seed: u64, percent in 0u8..=100, from in 0usize..20_000, len in 0usize..9_000,
        ) {
            let stream = SyntheticStream { percent_random: percent, ..SyntheticStream::new(seed, 20_000) };
            let mut whole = vec![0; 20_000];
            prop_assert_eq!(stream.fill(0, &mut whole), 20_000);
            let mut piece = vec![0xaa; len];
            let got = stream.fill(from as u64, &mut piece);
            prop_assert_eq!(got, len.min(20_000 - from));
            prop_assert_eq!(&piece[..got], &whole[from..from + got]);
            prop_assert!(piece[got..].iter().all(|b| *b == 0xaa));
            prop_assert_eq!(stream.check(from as u64, &piece[..got]), None);
        }

        #[test]
        fn a_changed_byte_is_found_where_it_is(seed: u64, percent in 0u8..=100, at in 0usize..20_000) {
            let stream = SyntheticStream { percent_random: percent, ..SyntheticStream::new(seed, 20_000) };
            let mut whole = vec![0; 20_000];
            stream.fill(0, &mut whole);
            whole[at] ^= 1;
            let at = at as u64;
            prop_assert_eq!(stream.check(0, &whole), Some(at..at + 1));
        }
    }

    #[test]
    fn a_bad_range_spans_block_borders_and_stops_at_the_first_good_byte() {
        let stream = SyntheticStream::new(7, 16_384);
        let mut data = vec![0; 16_384];
        stream.fill(0, &mut data);
        for byte in &mut data[4_000..8_200] {
            *byte ^= 0xff;
        }
        data[9_000] ^= 0xff;
        assert_eq!(stream.check(0, &data), Some(4_000..8_200));
    }

    #[test]
    fn bytes_behind_the_end_are_wrong() {
        let stream = SyntheticStream::new(7, 10);
        let mut data = vec![0; 12];
        assert_eq!(stream.fill(0, &mut data), 10);
        assert_eq!(stream.check(0, &data), Some(10..12));
        assert_eq!(stream.check(0, &data[..10]), None);
    }

    #[test]
    fn a_block_in_the_wrong_place_is_noticed_even_when_it_compresses() {
        let stream = SyntheticStream { percent_random: 0, ..SyntheticStream::new(3, 1 << 20) };
        let mut block = vec![0; 4096];
        stream.fill(8192, &mut block);
        assert!(block.chunks(8).all(|word| word == &block[..8]), "a plain block repeats one word");
        assert_eq!(stream.check(4096, &block).map(|bad| bad.start), Some(4096));
    }

    #[test]
    fn the_share_of_random_blocks_is_what_was_asked_for() {
        let stream = SyntheticStream { percent_random: 30, ..SyntheticStream::new(11, 4096 * 4000) };
        let mut block = [0; 4096];
        let random = (0..4000u64)
            .filter(|i| {
                stream.fill(i * 4096, &mut block);
                block[..8] != block[8..16]
            })
            .count();
        assert!((1080..=1320).contains(&random), "{random} of 4000 blocks are random, 1200 expected");
    }

    #[test]
    fn random_content_compresses_as_often_as_was_asked_for() {
        let shape = Shape { compress_ratio: 4, ..Shape::PLAIN };
        let stream = SyntheticStream { shape, ..SyntheticStream::new(5, 1 << 20) };
        let mut block = vec![0; 4096];
        stream.fill(8192, &mut block);
        let words: std::collections::BTreeSet<&[u8]> = block.chunks(8).collect();
        assert_eq!(words.len(), 512 / 4 + 1, "a quarter is random, the rest one word");
        let mut piece = vec![0; 1000];
        stream.fill(8192 + 1001, &mut piece);
        assert_eq!(piece, block[1001..2001], "any piece is the same as that of the whole");
        assert_eq!(stream.check(8192, &block), None);
    }
}
