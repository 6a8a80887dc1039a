//! Errors of starting, running and provisioning a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a cluster could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong.
    #[error("bad configuration: {0}")]
    Config(#[from] BadSetting),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or directory could not be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The data directory's database is locked, damaged or of another format.
    #[error("cannot open the database in {}: {detail}", path.display())]
    Database {
        /// The data directory.
        path: PathBuf,
        /// What the database said.
        detail: String,
    },
    /// A certificate could not be made.
    #[error("cannot make the TLS certificates: {0}")]
    Tls(String),
    /// The runtime or the random source failed.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// A setting that makes no sense; the text names it and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadSetting {
    /// The settings that are at odds, by their names in a description.
    pub settings: &'static [&'static str],
    /// What is wrong.
    pub what: String,
}

impl StartError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Why a provisioning call was refused: what VMS itself would answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("VMS answered {status}: {body}")]
pub struct ProvisionError {
    /// HTTP status that VMS would send.
    pub status: u16,
    /// Its body.
    pub body: String,
}
