//! The database's files and their lock. A file is replaced whole ([`durable`]), by one process at a time.

use super::EmmError;
use crate::durable::{self, Stage};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What has just been done on the way to a new content. A test ends the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The lock is held; the old content has been read.
    Locked,
    /// The file is being replaced.
    Replaced(Stage),
}

impl Step {
    #[cfg(test)]
    pub(super) const ALL: [Self; 6] = [
        Self::Locked,
        Self::Replaced(Stage::HalfWritten),
        Self::Replaced(Stage::Written),
        Self::Replaced(Stage::Synced),
        Self::Replaced(Stage::Renamed),
        Self::Replaced(Stage::Done),
    ];
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

/// Replaces a file's content, under the directory's lock. `step` hears of every step.
pub(super) fn replace(
    _lock: &Lock,
    path: &Path,
    content: &[u8],
    mode: u32,
    step: &mut dyn FnMut(Step),
) -> Result<(), EmmError> {
    // The lock is held: one name does for all processes.
    let new = path.with_extension("new");
    durable::replace_by(&new, path, content, mode, &mut |stage| step(Step::Replaced(stage)))
        .map_err(|refused| EmmError::io(refused.what, &refused.path)(refused.source))
}
