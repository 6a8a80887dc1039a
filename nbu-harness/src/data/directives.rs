//! NetBackup's `GEN_DATA` directives, and those of this harness: what files a synthetic stream has.

use super::synthetic::{GOLDEN, History, Shape, SyntheticStream, mix};

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
    /// `GEN_COMPRESS_RATIO` (an extension of this harness): what is random compresses so many times, 1 to 64 (default 1).
    #[serde(default = "not_at_all")]
    pub compress_ratio: u8,
    /// `GEN_DEDUP_PERCENT` (an extension of this harness): share of units of 128 KiB that are there again and again, in all
    /// files of the stream (default 0).
    #[serde(default)]
    pub dedup_percent: u8,
    /// `GEN_FILE_SIZES` (an extension of this harness): smallest and largest file in KiB instead of one size; every
    /// doubling between them is equally likely, and sizes are no multiples of anything.
    #[serde(default)]
    pub file_sizes: Option<(u64, u64)>,
    /// `GEN_KB_PER_SECOND` (an extension of this harness): the client reads no faster than this; none: as fast as it can.
    #[serde(default)]
    pub kb_per_second: Option<u64>,
    /// How often the data has moved on.
    #[serde(default)]
    pub generation: u32,
}

const fn not_at_all() -> u8 {
    1
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
            compress_ratio: 1,
            dedup_percent: 0,
            file_sizes: None,
            kb_per_second: None,
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

    /// Size of the file with this seed, in bytes.
    fn size_of(&self, seed: u64) -> u64 {
        let Some((smallest, largest)) = self.file_sizes else { return self.kb_size.saturating_mul(1024) };
        let smallest = smallest.max(1);
        let doublings = (largest / smallest).max(1).ilog2();
        let dice = mix(seed ^ GOLDEN.rotate_left(9));
        let base = smallest << (dice % u64::from(doublings + 1));
        let kbytes = (base + (dice >> 8) % base).min(largest.max(smallest));
        kbytes * 1024 - (dice >> 40) % 1024
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
            bytes: self.size_of(seed),
            percent_random: self.percent_random,
            shape: Shape {
                compress_ratio: self.compress_ratio,
                dedup_percent: self.dedup_percent,
                pool: self.seed,
            },
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
    use super::super::synthetic::UNIT;
    use super::*;
    use std::collections::BTreeMap;

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
    fn a_share_of_units_is_there_again_in_all_files() {
        let data = GenData { kb_size: 1024, max_files: 50, dedup_percent: 40, ..GenData::with_seed(4) };
        let mut seen = BTreeMap::new();
        for (_, stream) in data.files() {
            for unit in 0..8 {
                let mut content = vec![0; 4096];
                stream.fill(unit * UNIT + 4096, &mut content);
                *seen.entry(content).or_insert(0u32) += 1;
            }
        }
        let again: u32 = seen.values().filter(|count| **count > 1).sum();
        assert!((120..=200).contains(&again), "{again} of 400 units are there again, 160 expected");
        assert!(seen.values().filter(|count| **count > 1).count() <= 16);
        // They move on like any other.
        let next = GenData { generation: 1, change_percent: 100, ..data };
        let changed = data.files().zip(next.files()).filter(|((_, before), (_, now))| {
            let mut bytes = (vec![0; 1 << 20], vec![0; 1 << 20]);
            before.fill(0, &mut bytes.0);
            now.fill(0, &mut bytes.1);
            bytes.0 != bytes.1
        });
        assert!(changed.count() >= 45);
    }

    #[test]
    fn sizes_are_spread_over_every_doubling() {
        let data = GenData { max_files: 400, file_sizes: Some((1, 1024)), ..GenData::with_seed(4) };
        let sizes: Vec<u64> = data.files().map(|(_, stream)| stream.bytes).collect();
        assert!(sizes.iter().all(|size| (1..=1 << 20).contains(size)));
        let small = sizes.iter().filter(|size| **size < 32 << 10).count();
        assert!((120..=280).contains(&small), "{small} of 400 files are below 32 KiB");
        assert!(sizes.iter().filter(|size| **size % 512 != 0).count() > 350);
        assert_eq!(data.total_bytes(), sizes.iter().sum::<u64>());
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
