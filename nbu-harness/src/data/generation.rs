//! The next generation of a generated tree: some of its ordinary files change, go, move or get another mode, and others
//! come.

use super::{DataError, SyntheticStream};
use crate::data::tree::Random;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a generation does to the ordinary files of a tree, in percent of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeChange {
    /// Decides which files, and what becomes of them.
    pub seed: u64,
    /// Number of the generation, from 1.
    pub generation: u32,
    /// Files that change: in the middle, in length, in name or in mode.
    pub change_percent: u8,
    /// Files that go. Half as many come anew.
    pub delete_percent: u8,
    /// Modification time of what changes, in seconds since the epoch.
    pub mtime: i64,
}

/// Changes the ordinary files of a tree that [`super::TreeSpec`] generated; returns how many changed, went or came.
///
/// # Errors
/// When the file system refuses something.
pub fn change_tree(root: &Path, change: &TreeChange) -> Result<u64, DataError> {
    let dir = root.join("files");
    let mut files = Vec::new();
    collect(&dir, &mut files)?;
    files.sort();
    let mut random = Random::new(change.seed ^ u64::from(change.generation) << 40);
    let (delete, modify) = (u64::from(change.delete_percent), u64::from(change.change_percent));
    let (mut touched, mut gone) = (0, 0u64);
    for path in &files {
        let dice = u64::from(random.below(100));
        if dice < delete {
            fs::remove_file(path).map_err(DataError::io("remove", path))?;
            gone += 1;
        } else if dice < delete + modify {
            modify_file(path, &mut random, change.mtime)?;
        } else {
            continue;
        }
        touched += 1;
    }
    for number in 0..gone.div_ceil(2) {
        let path = dir.join(format!("new-{}-{number}.bin", change.generation));
        let mut content = vec![0; usize::try_from(random.below(200_000)).unwrap_or(1000)];
        SyntheticStream::new(random.next(), content.len() as u64).fill(0, &mut content);
        fs::write(&path, &content).map_err(DataError::io("write", &path))?;
        super::oddities::set_mtime(&path, change.mtime, 0)?;
        touched += 1;
    }
    Ok(touched)
}

/// One of the things that happen to a file.
fn modify_file(path: &Path, random: &mut Random, mtime: i64) -> Result<(), DataError> {
    let io = |what| DataError::io(what, path);
    let metadata = fs::symlink_metadata(path).map_err(io("examine"))?;
    match random.below(5) {
        0 => {
            // Same name before the dot, same content and times: only the catalogue can tell that it moved.
            let moved = path.with_extension("moved");
            return fs::rename(path, moved).map_err(io("rename"));
        }
        1 => {
            let mode = fs::Permissions::from_mode(metadata.permissions().mode() ^ 0o040);
            return fs::set_permissions(path, mode).map_err(io("change the mode of"));
        }
        kind => {
            let file = fs::OpenOptions::new().write(true).open(path).map_err(io("open"))?;
            let size = metadata.len();
            let mut piece = vec![0; usize::try_from(size / 4 + 100).unwrap_or(100)];
            SyntheticStream::new(random.next(), piece.len() as u64).fill(0, &mut piece);
            match kind {
                2 => file.set_len(size / 2).map_err(io("shorten"))?,
                3 => file.write_all_at(&piece, size).map_err(io("append to"))?,
                _ => file.write_all_at(&piece, size / 3).map_err(io("write"))?,
            }
        }
    }
    super::oddities::set_mtime(path, mtime, 0)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for entry in fs::read_dir(dir).map_err(DataError::io("list", dir))? {
        let entry = entry.map_err(DataError::io("list", dir))?;
        let kind = entry.file_type().map_err(DataError::io("examine", dir))?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TreeSpec;
    use crate::oracle::{CompareOptions, Snapshot, compare};

    #[test]
    fn a_generation_is_the_same_for_the_same_seed_and_something_of_everything() {
        let spec = TreeSpec { seed: 3, files: 200, bytes: 4 << 20, changing: false };
        let change = TreeChange {
            seed: 3,
            generation: 1,
            change_percent: 30,
            delete_percent: 8,
            mtime: 1_700_000_000,
        };
        let take = || {
            let dir = tempfile::tempdir().unwrap();
            spec.generate(dir.path()).unwrap();
            let before = Snapshot::take(dir.path(), 2).unwrap();
            let touched = change_tree(dir.path(), &change).unwrap();
            (before, touched, Snapshot::take(dir.path(), 2).unwrap())
        };
        let (before, touched, after) = take();
        assert!((40..=120).contains(&touched), "{touched} of 200 files were touched");
        let differences = compare(&before, &after, &CompareOptions::default());
        for what in ["missing", "content", "mode"] {
            assert!(differences.differences.iter().any(|d| d.what == what), "{what}: {differences}");
        }
        let names = |snapshot: &Snapshot| snapshot.paths().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let moved = names(&after).iter().filter(|name| name.ends_with(b".moved")).count();
        assert!(moved > 0, "nothing moved");
        let (_, _, again) = take();
        let files = |snapshot: &Snapshot| snapshot.filtered(|path| path.starts_with(b"files/"));
        let options = CompareOptions::default();
        let twice = compare(&files(&after), &files(&again), &options);
        let other: Vec<_> = twice.differences.iter().filter(|d| d.what != "time").collect();
        assert!(other.is_empty(), "{twice}");
    }
}
