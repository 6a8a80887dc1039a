//! One file that is replaced whole: whoever reads it sees the old content or the new one, also after a kill or a power
//! failure in the middle of a change.

use super::EmmError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What has just been done on the way to a new content. A test ends the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The lock is held; the old content has been read.
    Locked,
    /// Half of the new content is in the file beside.
    HalfWritten,
    /// All of it is.
    Written,
    /// And durable.
    Synced,
    /// It has taken the file's place.
    Renamed,
    /// Durably.
    Done,
}

impl Step {
    #[cfg(test)]
    pub(super) const ALL: [Self; 6] =
        [Self::Locked, Self::HalfWritten, Self::Written, Self::Synced, Self::Renamed, Self::Done];
}

/// The exclusive lock of a directory's files, until it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Waits for the lock.
    pub(super) fn take(dir: &Path) -> Result<Self, EmmError> {
        let path = dir.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(EmmError::io("open", &path))?;
        file.lock().map_err(EmmError::io("lock", &path))?;
        Ok(Self(file))
    }
}

/// A file's content; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, EmmError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmmError::io("read", path)(error)),
    }
}

/// Makes a directory, and those above it that are missing. They survive a power failure when it returns.
pub(crate) fn make_dirs(dir: &Path, mode: u32) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir());
    let missing: Vec<&Path> = missing.collect();
    DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    // The lowest last: it is reachable once those above it are.
    missing.into_iter().rev().try_for_each(|made| sync_dir(above(made)))
}

/// Makes what was made, renamed and removed in a directory durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn above(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces a file's content, under the directory's lock. `step` hears of every step.
pub(super) fn replace(
    _lock: &Lock,
    path: &Path,
    content: &[u8],
    mode: u32,
    step: &mut dyn FnMut(Step),
) -> Result<(), EmmError> {
    let new: PathBuf = path.with_extension("new");
    // A process that was killed may have left one, and its mode would stay.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(EmmError::io("remove", &new)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(EmmError::io("make", &new))?;
    let (first, second) = content.split_at(content.len() / 2);
    file.write_all(first).map_err(EmmError::io("write", &new))?;
    step(Step::HalfWritten);
    file.write_all(second).map_err(EmmError::io("write", &new))?;
    step(Step::Written);
    file.sync_all().map_err(EmmError::io("sync", &new))?;
    step(Step::Synced);
    std::fs::rename(&new, path).map_err(EmmError::io("replace", path))?;
    step(Step::Renamed);
    let dir = above(path);
    sync_dir(dir).map_err(EmmError::io("sync", dir))?;
    step(Step::Done);
    Ok(())
}
