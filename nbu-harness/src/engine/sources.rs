//! Makes what the streams read, and takes the oracle's snapshots of it before anything is backed up.

use super::{Observer, SetupError, StreamFacts};
use crate::data::{ChangingFile, GenData, TreeChange, change_tree, sysroot};
use crate::nbu::Source;
use crate::oracle::{Kind, Snapshot};
use crate::scenario::{ChangeStep, Scenario, StreamSource};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Threads that hash: the machines this is meant for have two cores.
pub(super) const HASH_THREADS: usize = 2;
/// What one file costs a backup beside its bytes, in bytes: evens out parts with many small and few large files.
const FILE_COST: u64 = 24 * 1024;

/// A stream that is ready to be backed up.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) facts: StreamFacts,
    /// How often a tree has moved on.
    generation: u32,
    pub(super) source: Source,
    /// As it is now; backups keep what it was when they were made.
    pub(super) content: Arc<Content>,
}

/// What the oracle knows of a stream.
#[derive(Debug)]
pub(super) enum Content {
    /// A tree, as it was before the backup.
    Tree { root: PathBuf, before: Snapshot, changing: Option<ChangingFile> },
    /// Synthetic data, known by its description.
    Synthetic(GenData),
}

impl Prepared {
    /// Moves the data of the stream on by one generation. `mtime` is the time that changed files get.
    pub(super) fn change(
        &mut self,
        stream: &StreamSource,
        step: &ChangeStep,
        mtime: i64,
    ) -> Result<(), SetupError> {
        let (source, content) = match (stream, &*self.content) {
            (_, Content::Synthetic(data)) => {
                let next = GenData { generation: data.generation + 1, ..*data };
                (Source::Synthetic(next), Content::Synthetic(next))
            }
            (StreamSource::GeneratedTree(spec), Content::Tree { root, changing, .. }) => {
                self.generation += 1;
                let change = TreeChange {
                    seed: spec.seed,
                    generation: self.generation,
                    change_percent: step.percent,
                    delete_percent: step.delete_percent,
                    mtime,
                };
                change_tree(root, &change)?;
                let before = Snapshot::take(root, HASH_THREADS)?;
                let content = Content::Tree { root: root.clone(), before, changing: changing.clone() };
                (self.source.clone(), content)
            }
            _ => {
                let what =
                    "only GEN_DATA and GEN_TREE can change: other directories are not the harness's own";
                return Err(SetupError::Impossible(what.into()));
            }
        };
        (self.source, self.content) = (source, Arc::new(content));
        Ok(())
    }
}

/// Prepares all streams of a scenario, in `dir` as far as they need a place.
pub(super) fn prepare(
    scenario: &Scenario,
    sysroot_given: Option<&Path>,
    dir: &Path,
    observer: &dyn Observer,
) -> Result<Vec<Prepared>, SetupError> {
    let mut real: Option<(PathBuf, Snapshot)> = None;
    let mut prepared = Vec::new();
    for stream in &scenario.streams {
        let root = dir.join(format!("stream-{}", stream.number));
        let number = stream.number;
        let (text, content, left_out) = match &stream.source {
            StreamSource::Synthetic(data) => {
                let text =
                    format!("GEN_DATA: {} files of {} KiB, seed {}", data.max_files, data.kb_size, data.seed);
                (text, Content::Synthetic(*data), Vec::new())
            }
            StreamSource::Directory(path) => {
                observer.note(&format!("hashing {}", path.display()));
                let before = Snapshot::take(path, HASH_THREADS)?;
                let content = Content::Tree { root: path.clone(), before, changing: None };
                (path.display().to_string(), content, Vec::new())
            }
            StreamSource::GeneratedTree(spec) => {
                observer.note(&format!("generating a tree of {} files, seed {}", spec.files, spec.seed));
                let tree = spec.generate(&root)?;
                let before = Snapshot::take(&root, HASH_THREADS)?;
                let text = format!("generated tree, seed {}", spec.seed);
                (text, Content::Tree { root, before, changing: tree.changing }, tree.left_out)
            }
            StreamSource::RustSysroot { part, of } => {
                if real.is_none() {
                    let path = sysroot::find(sysroot_given)?;
                    observer.note(&format!("hashing {}", path.display()));
                    let snapshot = Snapshot::take(&path, HASH_THREADS)?;
                    real = Some((path, snapshot));
                }
                let Some((path, whole)) = &real else { continue };
                let text = format!("{} part {part} of {of}", path.display());
                if *of == 1 {
                    (
                        text,
                        Content::Tree { root: path.clone(), before: whole.clone(), changing: None },
                        Vec::new(),
                    )
                } else {
                    let before = part_of(whole, *part, *of);
                    stage(path, &before, &root)?;
                    (text, Content::Tree { root, before, changing: None }, Vec::new())
                }
            }
        };
        prepared.push(ready(number, text, content, left_out));
    }
    Ok(prepared)
}

fn ready(number: usize, source_text: String, content: Content, left_out: Vec<String>) -> Prepared {
    let (paths, files, bytes, source) = match &content {
        Content::Tree { root, before, .. } => {
            (before.paths().count(), before.files(), before.total_bytes(), Source::Directory(root.clone()))
        }
        Content::Synthetic(data) => (
            0,
            usize::try_from(data.file_count()).unwrap_or(usize::MAX),
            data.total_bytes(),
            Source::Synthetic(*data),
        ),
    };
    let facts = StreamFacts { number, source: source_text, paths, files, bytes, left_out };
    Prepared { facts, generation: 0, source, content: Arc::new(content) }
}

/// The paths of one of `of` parts of about equal cost: consecutive in byte order, names of one file together, and the
/// directories above them.
fn part_of(whole: &Snapshot, part: u32, of: u32) -> Snapshot {
    let cost = |kind: &Kind| FILE_COST + if let Kind::File(file) = kind { file.size } else { 0 };
    let total: u64 = whole.iter().map(|(_, entry)| cost(&entry.kind)).sum();
    let mut part_of_path: BTreeMap<&[u8], u64> = BTreeMap::new();
    let mut so_far = 0;
    for (path, entry) in whole.iter() {
        let index = u128::from(so_far) * u128::from(of) / u128::from(total.max(1)) + 1;
        so_far += cost(&entry.kind);
        let index = u64::try_from(index).unwrap_or(1).min(u64::from(of));
        let first_name = entry.hard_links.as_deref().and_then(|first| part_of_path.get(first)).copied();
        part_of_path.insert(path, first_name.unwrap_or(index));
    }
    let mine = |path: &[u8]| part_of_path.get(path) == Some(&u64::from(part));
    let mut above: std::collections::HashSet<&[u8]> = std::collections::HashSet::from([&b""[..]]);
    for (path, _) in whole.iter().filter(|(path, _)| mine(path)) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        above.extend(slashes.map(|at| &path[..at]));
    }
    whole.filtered(|path| mine(path) || above.contains(path))
}

/// Makes a part of a real directory look like a directory of its own: the same files under hard links, or copies
/// where the file system refuses those. The oracle's hashes are those of the real directory.
fn stage(real: &Path, part: &Snapshot, root: &Path) -> Result<(), SetupError> {
    let full = |base: &Path, path: &[u8]| match path {
        [] => base.to_path_buf(),
        _ => base.join(OsStr::from_bytes(path)),
    };
    for (path, entry) in part.iter() {
        let (from, to) = (full(real, path), full(root, path));
        match &entry.kind {
            Kind::Directory => fs::create_dir(&to).map_err(SetupError::io("create", &to))?,
            Kind::File(_) => {
                if fs::hard_link(&from, &to).is_err() {
                    fs::copy(&from, &to).map_err(SetupError::io("copy to", &to))?;
                    set_attributes(&to, entry)?;
                }
            }
            Kind::Symlink { target } => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), &to)
                    .map_err(SetupError::io("link", &to))?;
                set_attributes(&to, entry)?;
            }
            Kind::Fifo | Kind::Other(_) => {
                return Err(SetupError::Impossible(format!("{} is a special file", from.display())));
            }
        }
    }
    for (path, entry) in part.iter().collect::<Vec<_>>().into_iter().rev() {
        if entry.kind == Kind::Directory {
            set_attributes(&full(root, path), entry)?;
        }
    }
    Ok(())
}

fn set_attributes(path: &Path, entry: &crate::oracle::Entry) -> Result<(), SetupError> {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, Some(entry.uid), Some(entry.gid))
            .map_err(SetupError::io("change the owner of", path))?;
    }
    if !matches!(entry.kind, Kind::Symlink { .. }) {
        let mode = fs::Permissions::from_mode(entry.mode);
        fs::set_permissions(path, mode).map_err(SetupError::io("change the mode of", path))?;
    }
    let time = rustix::fs::Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| SetupError::io("set the time of", path)(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TreeSpec;
    use crate::oracle::{CompareOptions, compare};

    #[test]
    fn parts_of_a_tree_are_balanced_and_together_the_whole() {
        let top = tempfile::tempdir().unwrap();
        let real = top.path().join("real");
        let spec = TreeSpec { seed: 1, files: 400, bytes: 8 << 20, changing: false };
        spec.generate(&real).unwrap();
        fs::remove_file(real.join("odd/special/fifo")).unwrap();
        let whole = Snapshot::take(&real, 2).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for part in 1..=4 {
            let before = part_of(&whole, part, 4);
            seen.extend(before.paths().map(<[u8]>::to_vec));
            let root = top.path().join(format!("part-{part}"));
            stage(&real, &before, &root).unwrap();
            let staged = Snapshot::take(&root, 2).unwrap();
            let options = CompareOptions { top: true, ..CompareOptions::default() };
            let difference = compare(&before, &staged, &options);
            assert_eq!(difference.total, 0, "part {part}: {difference}");
            assert!(before.files() > 0, "part {part} has no file");
        }
        assert_eq!(seen.len(), whole.paths().count());
    }
}
