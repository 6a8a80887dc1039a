//! Makes a scenario of a log of bptm: what it says of buffers, delays, fragments, sizes and statuses.
//!
//! [`lines`](self) of two makers are understood: NetBackup's, with time, process id in brackets and severity in angles in
//! front, and those of this harness, as `run --details` prints them. A log says little of a policy and nothing of the data:
//! what could not be derived stands in comments of the scenario, with what to put there.

mod lines;
mod skeleton;

use std::path::{Path, PathBuf};

/// Longest log that is read, in bytes.
const MAX_LOG: u64 = 1 << 30;

/// A log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("the log {} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is too long.
    #[error("the log {} has {bytes} bytes, more than {MAX_LOG}: cut out the job that matters", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Nothing in it is bptm's.
    #[error(
        "{} has no line that bptm writes about a backup or restore, such as `write_backup: successfully wrote backup id`: \
         is it a log of bptm, with a verbosity that has them?",
        .0.display()
    )]
    NothingKnown(PathBuf),
}

/// Reads a log and makes a scenario of it, as YAML that `check` accepts.
///
/// # Errors
/// When the log cannot be read, or says nothing of a backup or restore.
pub fn import(path: &Path) -> Result<String, ImportError> {
    let unreadable = |source| ImportError::Io { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_LOG {
        return Err(ImportError::TooLong { path: path.to_owned(), bytes });
    }
    // Names in a log may be in any encoding.
    let content = std::fs::read(path).map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    scenario_of(&String::from_utf8_lossy(&content), &name)
        .ok_or_else(|| ImportError::NothingKnown(path.to_owned()))
}

/// The scenario for a log's text; none if it says nothing of a backup or restore.
fn scenario_of(log: &str, name: &str) -> Option<String> {
    let processes = lines::read(log);
    let any = processes.iter().any(|process| process.is_backup() || process.is_restore());
    any.then(|| skeleton::write(&processes, name))
}

#[cfg(test)]
mod tests;
