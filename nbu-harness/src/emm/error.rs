//! What can go wrong with the database, and the NetBackup status of each.

use crate::nearest::hint;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What the database has names of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A media server.
    MediaServer,
    /// A storage server.
    StorageServer,
    /// Credentials of a media server for a storage server.
    Credentials,
    /// A disk pool.
    DiskPool,
    /// A disk volume (LSU) of a pool.
    DiskVolume,
    /// A storage unit.
    StorageUnit,
    /// A storage unit group.
    StorageUnitGroup,
    /// A storage lifecycle policy.
    LifecyclePolicy,
    /// Whatever a policy or lifecycle operation can send backups to.
    Storage,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaServer => "media server",
            Self::StorageServer => "storage server",
            Self::Credentials => "set of credentials",
            Self::DiskPool => "disk pool",
            Self::DiskVolume => "disk volume",
            Self::StorageUnit => "storage unit",
            Self::StorageUnitGroup => "storage unit group",
            Self::LifecyclePolicy => "storage lifecycle policy",
            Self::Storage => "storage unit or group",
        })
    }
}

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum EmmError {
    /// The file system refused something.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// As a verb phrase.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {what}: restore the file from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        what: String,
    },
    /// There is none of that name.
    #[error("there is no {kind} {name}{}", hint(nearest.as_deref()))]
    NoSuch {
        /// Of what.
        kind: Kind,
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
    },
    /// The name is taken.
    #[error("{kind} {name} exists already")]
    Exists {
        /// By what.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// Something else needs it.
    #[error("{kind} {name} is used by {by}: change or delete that first")]
    InUse {
        /// What is needed.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who needs it, such as `storage unit stu1`.
        by: String,
    },
    /// A value is not one that it can have.
    #[error("{value:?} is no good {what}: {expected}")]
    BadValue {
        /// Of what.
        what: String,
        /// The value.
        value: String,
        /// What it has to be.
        expected: String,
    },
}

impl EmmError {
    /// The NetBackup status that commands end with. Which status an error of the database becomes is not documented;
    /// the texts of these fit.
    pub const fn status(&self) -> i32 {
        match self {
            Self::Io { .. } => 11,
            Self::Damaged { .. } => 130,
            Self::NoSuch { .. } => 227,
            Self::Exists { .. } => 226,
            Self::InUse { .. } => 228,
            Self::BadValue { .. } => 20,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn bad(
        what: impl Into<String>,
        value: &dyn fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::BadValue { what: what.into(), value: value.to_string(), expected: expected.into() }
    }
}
