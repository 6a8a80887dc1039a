//! The generated tree: ordinary files from a seed, and next to them everything that a file system allows and backup
//! programs get wrong.

use super::{ChangingFile, DataError, History, SyntheticStream, oddities};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to generate. Equal specifications give equal trees, times included, on any machine with the same rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeSpec {
    /// Decides names, sizes and content.
    pub seed: u64,
    /// Number of ordinary files.
    pub files: u32,
    /// Bytes of all ordinary files together (approximately: sizes are drawn, then scaled).
    pub bytes: u64,
    /// Also makes a file for a [`super::Mutator`] to change while it is read.
    pub changing: bool,
}

/// A tree that was generated.
#[derive(Debug, Clone)]
pub struct GeneratedTree {
    /// Its top directory.
    pub root: PathBuf,
    /// The file that is meant to change while it is read, when the specification asked for one.
    pub changing: Option<ChangingFile>,
    /// What this file system or user cannot hold, each with the reason; everything else is there.
    pub left_out: Vec<String>,
}

impl TreeSpec {
    /// Generates the tree in `root`, which is created and must not have the tree already.
    ///
    /// # Errors
    /// When the file system refuses something that every file system can hold.
    pub fn generate(&self, root: &Path) -> Result<GeneratedTree, DataError> {
        fs::create_dir_all(root).map_err(DataError::io("create", root))?;
        self.ordinary_files(&root.join("files"))?;
        let changing = self.changing.then(|| ChangingFile::create(root, self.seed)).transpose()?;
        let left_out = oddities::generate(&root.join("odd"), self.seed)?;
        for dir in [root.to_path_buf(), root.join("odd")] {
            oddities::set_mtime(&dir, 1_500_000_001, 1)?;
        }
        Ok(GeneratedTree { root: root.to_path_buf(), changing, left_out })
    }

    /// Files of very different sizes: most are small, some hold most of the bytes, as in real file systems.
    fn ordinary_files(&self, dir: &Path) -> Result<(), DataError> {
        fs::create_dir_all(dir).map_err(DataError::io("create", dir))?;
        let mut random = Random::new(self.seed);
        let weights: Vec<u64> = (0..self.files).map(|_| 1 << random.below(16)).collect();
        let total_weight: u64 = weights.iter().sum::<u64>().max(1);
        let mut buffer = vec![0; 256 * 1024];
        for (i, weight) in weights.iter().enumerate() {
            let folder = dir.join(format!("d{:02}", i % 17)).join(format!("e{:02}", i % 5));
            if i < 17 * 5 {
                fs::create_dir_all(&folder).map_err(DataError::io("create", &folder))?;
            }
            let path = folder.join(format!("f{i:06}.{}", ["txt", "rs", "bin", "html"][i % 4]));
            let share = u128::from(self.bytes) * u128::from(*weight) / u128::from(total_weight);
            let stream = SyntheticStream {
                seed: random.next(),
                bytes: u64::try_from(share).unwrap_or(self.bytes),
                percent_random: if i % 3 == 0 { 100 } else { 40 },
                history: History::default(),
            };
            write_stream(&path, &stream, &mut buffer)?;
            let seconds = 1_500_000_000 + i64::from(random.below(100_000_000));
            oddities::set_mtime(&path, seconds, random.below(1_000_000_000))?;
        }
        oddities::set_directory_times(dir, 1_500_000_000)
    }
}

/// Writes a whole synthetic stream into a new file.
pub(crate) fn write_stream(
    path: &Path,
    stream: &SyntheticStream,
    buffer: &mut [u8],
) -> Result<(), DataError> {
    let mut file = fs::File::create_new(path).map_err(DataError::io("create", path))?;
    let mut offset = 0;
    while offset < stream.bytes {
        let len = stream.fill(offset, buffer);
        file.write_all(&buffer[..len]).map_err(DataError::io("write", path))?;
        offset += len as u64;
    }
    Ok(())
}

/// A small generator of equally likely numbers; the same seed always gives the same numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(SyntheticStream, u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(SyntheticStream::new(seed ^ 0x7472_6565, u64::MAX), 0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        let mut word = [0; 8];
        self.0.fill(self.1, &mut word);
        self.1 += 8;
        u64::from_le_bytes(word)
    }

    /// A number below `limit` (which must not be 0; the bias for small limits is below 2⁻³²).
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{CompareOptions, Snapshot, compare};

    fn generate(spec: &TreeSpec) -> (tempfile::TempDir, GeneratedTree) {
        let dir = tempfile::tempdir().unwrap();
        let tree = spec.generate(&dir.path().join("tree")).unwrap();
        (dir, tree)
    }

    const SPEC: TreeSpec = TreeSpec { seed: 42, files: 200, bytes: 2_000_000, changing: true };

    #[test]
    fn the_same_seed_gives_the_same_tree_and_another_seed_another_one() {
        let (_a, first) = generate(&SPEC);
        let (_b, second) = generate(&SPEC);
        let (_c, other) = generate(&TreeSpec { seed: 43, ..SPEC });
        let [first, second, other] =
            [&first, &second, &other].map(|tree| Snapshot::take(&tree.root, 2).unwrap());
        let options = CompareOptions::default();
        assert_eq!(compare(&first, &second, &options).total, 0, "{}", compare(&first, &second, &options));
        assert!(compare(&first, &other, &options).total > 100);
    }

    #[test]
    fn sizes_add_up_to_about_what_was_asked_for() {
        let (_dir, tree) = generate(&SPEC);
        let snapshot = Snapshot::take(&tree.root.join("files"), 2).unwrap();
        let bytes = snapshot.total_bytes();
        assert!((1_990_000..=2_000_000).contains(&bytes), "{bytes}");
        assert_eq!(snapshot.files(), 200);
    }
}
