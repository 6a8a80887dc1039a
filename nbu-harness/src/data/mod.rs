//! What gets backed up: synthetic streams, generated trees and files that change while they are read.

pub mod changing;
pub mod generation;
pub mod oddities;
pub mod synthetic;
pub mod sysroot;
pub mod tree;

pub use changing::{ChangingFile, Mutator};
pub use generation::{TreeChange, change_tree};
pub use synthetic::{GenData, History, SyntheticStream};
pub use tree::{GeneratedTree, TreeSpec};

use std::io;
use std::path::{Path, PathBuf};

/// Making input data failed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file system call failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The call, as a verb phrase.
        what: &'static str,
        /// What it was about.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The Rust toolchain's directory was asked for and is not there.
    #[error("the Rust toolchain's directory cannot be found: {0}; install Rust or give --sysroot PATH")]
    NoSysroot(String),
}

impl DataError {
    /// Wraps the answer of a file system call.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }

    /// The same for a rustix call.
    pub(crate) fn errno(what: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.to_path_buf();
        move |errno| Self::Io { what, path, source: errno.into() }
    }
}
