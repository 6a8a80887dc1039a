//! Synthetic streams: content that is a pure function of a seed and an offset, so that nothing is stored and every
//! byte of a restore can still be checked, in any order and from any position.

use std::ops::Range;

/// Bytes of one block: the unit in which random and compressible content alternate.
const BLOCK: u64 = BLOCK_LEN as u64;
const BLOCK_LEN: usize = 4096;
const WORD: u64 = 8;
/// Bytes of one unit of change: what a generation replaces or leaves alone.
const UNIT: u64 = 128 << 10;

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
}

impl SyntheticStream {
    /// A stream with only random blocks, that never changed.
    pub const fn new(seed: u64, bytes: u64) -> Self {
        Self { seed, bytes, percent_random: 100, history: History { generation: 0, change_percent: 0 } }
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
                && (dice % 4 == 0 || unit == mix(self.seed ^ u64::from(*generation)) % units)
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

    fn fill_in_block(&self, at: u64, out: &mut [u8]) {
        let block = at / BLOCK;
        let seed = if self.history.generation == 0 { self.seed } else { self.seed_of_unit(at / UNIT) };
        let block_word = mix(seed ^ mix(block.wrapping_add(0x9e37_79b9)));
        let random = block_word % 100 < u64::from(self.percent_random);
        let word_at = |index: u64| {
            if random { mix(seed.wrapping_add(index.wrapping_mul(GOLDEN))) } else { block_word }
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
        if random {
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

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What NetBackup's `GEN_DATA` directives in a policy's file list describe: a stream of `max_files` files of `kb_size`
/// KiB each, with no disk behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GenData {
    /// `GEN_KBSIZE`: size of each file in KiB (default 100).
    pub kb_size: u64,
    /// `GEN_MAXFILES`: number of files (default 100).
    pub max_files: u64,
    /// `GEN_PERCENT_RANDOM`: share of incompressible content, 0 to 100 (default 100).
    pub percent_random: u8,
    /// `GEN_FILENAME_OFFSET`: number of the first file, so that streams do not produce the same names (default 0).
    pub filename_offset: u64,
    /// `GEN_SEED` (an extension of this harness): decides all content (default: the scenario's seed).
    pub seed: u64,
    /// `GEN_CHANGE_PERCENT` (an extension of this harness): share of the files that change from one generation of the data to
    /// the next, each in about a quarter of its content (default 0).
    #[serde(default)]
    pub change_percent: u8,
    /// `GEN_DELETE_PERCENT` (an extension of this harness): share of the files that go from one generation to the next
    /// (default 0).
    #[serde(default)]
    pub delete_percent: u8,
    /// How often the data has moved on.
    #[serde(default)]
    pub generation: u32,
}

impl GenData {
    /// The defaults of every directive, with the given seed.
    pub const fn with_seed(seed: u64) -> Self {
        Self {
            kb_size: 100,
            max_files: 100,
            percent_random: 100,
            filename_offset: 0,
            seed,
            change_percent: 0,
            delete_percent: 0,
            generation: 0,
        }
    }

    /// Number of files that there are.
    pub fn file_count(&self) -> u64 {
        self.files().fold(0, |count, _| count + 1)
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.files().map(|(_, stream)| stream.bytes).sum()
    }

    /// Name and content of each file in stream order. Names are relative paths.
    pub fn files(&self) -> impl Iterator<Item = (String, SyntheticStream)> + use<> {
        let this = *self;
        (0..this.max_files).filter_map(move |index| {
            let number = this.filename_offset.saturating_add(index);
            Some((format!("gen_data/{number:08}"), this.stream(number)?))
        })
    }

    /// The content of the file of this number; `None` if it has gone.
    fn stream(&self, number: u64) -> Option<SyntheticStream> {
        let seed = mix(self.seed ^ mix(number.wrapping_add(GOLDEN)));
        let goes = |generation| {
            mix(seed ^ mix(u64::from(generation)).rotate_left(31)) % 100 < u64::from(self.delete_percent)
        };
        if (1..=self.generation).any(goes) {
            return None;
        }
        Some(SyntheticStream {
            seed,
            bytes: self.kb_size.saturating_mul(1024),
            percent_random: self.percent_random,
            history: History { generation: self.generation, change_percent: self.change_percent },
        })
    }

    /// The content of the file with this name, when this description has such a file.
    pub fn file(&self, name: &str) -> Option<SyntheticStream> {
        let number: u64 = name.rsplit('/').next()?.parse().ok()?;
        let index = number.checked_sub(self.filename_offset)?;
        if index < self.max_files { self.stream(number) } else { None }
    }
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
    fn a_generation_changes_its_share_of_files_in_part_and_takes_others_away() {
        let first = GenData {
            kb_size: 1024,
            max_files: 400,
            change_percent: 30,
            delete_percent: 5,
            ..GenData::with_seed(9)
        };
        let second = GenData { generation: 1, ..first };
        let third = GenData { generation: 2, ..first };
        let (mut changed, mut units) = (0u32, 0u32);
        let unit_at = |stream: SyntheticStream, unit: u64| {
            let mut bytes = vec![0; 64];
            stream.fill(unit * UNIT, &mut bytes);
            bytes
        };
        for (name, now) in second.files() {
            let before = first.file(&name).unwrap();
            let differ = (0..8).filter(|unit| unit_at(before, *unit) != unit_at(now, *unit)).count();
            assert_eq!(differ > 0, now.changed_in() == 1, "{name}");
            changed += u32::from(differ > 0);
            units += u32::try_from(differ).unwrap();
            // What a later generation leaves alone stays what it was.
            if let Some(later) = third.file(&name)
                && later.changed_in() == now.changed_in()
            {
                assert!((0..8).all(|unit| unit_at(later, unit) == unit_at(now, unit)), "{name}");
            }
        }
        assert!((85..=150).contains(&changed), "{changed} of 400 files changed, 114 expected");
        let share = f64::from(units) / f64::from(changed * 8);
        assert!((0.25..0.45).contains(&share), "{share} of a changed file is new");
        let gone = 400 - second.file_count();
        assert!((8..=35).contains(&gone), "{gone} of 400 files have gone, 20 expected");
        assert!(third.files().all(|(name, _)| second.file(&name).is_some()), "what is gone stays gone");
    }

    #[test]
    fn directives_describe_files_with_their_own_content() {
        let gen_data = GenData { kb_size: 4, max_files: 3, filename_offset: 10, ..GenData::with_seed(1) };
        let files: Vec<_> = gen_data.files().collect();
        assert_eq!(
            files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["gen_data/00000010", "gen_data/00000011", "gen_data/00000012"]
        );
        assert_eq!(gen_data.total_bytes(), 12_288);
        assert_ne!(files[0].1.seed, files[1].1.seed);
        assert_eq!(gen_data.file("gen_data/00000011"), Some(files[1].1));
        assert_eq!(gen_data.file("gen_data/00000013"), None);
        assert_eq!(gen_data.file("other"), None);
    }
}
