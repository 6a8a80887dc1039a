//! The certification run: a numbered catalogue of checks, each with a stable id and a verdict of its own.

mod catalogue;
mod environment;
pub(crate) mod probes;
mod suite;
mod verdict;

pub use catalogue::{Check, Proof, catalogue, embedded_scenarios};
pub use environment::Environment;
pub use verdict::{CheckResult, Outcome, ScenarioRun, Suite, Verdict};

use crate::engine::Observer;
use crate::nbu::library_file;
use crate::scenario::{ByteSize, Milliseconds};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Version of the JSON result's layout.
pub const SCHEMA: u32 = 1;

/// What to certify, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Plug-in libraries: one suite each.
    pub plugins: Vec<PathBuf>,
    /// Only checks whose id or group begins with one of these; empty for all.
    pub filter: Vec<String>,
    /// Bytes of the main scenario's synthetic stream.
    pub synthetic_size: ByteSize,
    /// The Rust toolchain's directory, when `rustc` shall not be asked.
    pub sysroot: Option<PathBuf>,
    /// Less data and fewer checks, for developers: never a certification.
    pub quick: bool,
    /// Environment variables for the processes that load the plug-in.
    pub plugin_env: BTreeMap<String, String>,
    /// In place of the time that scenarios give their jobs: for proofs that the limit is minded.
    pub limit: Option<Milliseconds>,
    /// The program that every NetBackup process is: normally this one.
    pub exe: PathBuf,
    /// Where catalogue, data and restored files go; removed afterwards. Default: the system's temporary directory.
    pub work_dir: Option<PathBuf>,
}

impl Options {
    /// Everything, with the defaults: 1 GiB of synthetic data, `rustc`'s own sysroot.
    pub fn new(exe: PathBuf, plugins: Vec<PathBuf>) -> Self {
        Self {
            plugins,
            filter: Vec::new(),
            synthetic_size: ByteSize(1 << 30),
            sysroot: None,
            quick: false,
            plugin_env: BTreeMap::new(),
            limit: None,
            exe,
            work_dir: None,
        }
    }
}

/// The certification could not begin; nothing is said about any plug-in.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// The filter matches no check.
    #[error("no check matches {0}; `certify --list` names them all")]
    NoSuchCheck(String),
    /// A plug-in file is missing or no library.
    #[error("the plug-in {} cannot be loaded: {source}", path.display())]
    Plugin {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// Whoever watches the run wants no more of it.
    #[error("interrupted")]
    Interrupted,
    /// No place to work.
    #[error("no working directory can be made in {}: {source}", path.display())]
    WorkDir {
        /// Where.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// Runs the checks against every plug-in, one after the other.
///
/// # Errors
/// When it cannot begin. A check that fails is in the verdict.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Verdict, CertifyError> {
    let started_at = jiff::Timestamp::now();
    let started = Instant::now();
    let all = catalogue();
    for pattern in &options.filter {
        if !all.iter().any(|check| check.matches(std::slice::from_ref(pattern))) {
            return Err(CertifyError::NoSuchCheck(pattern.clone()));
        }
    }
    let mut plugins = Vec::new();
    for path in &options.plugins {
        let unreadable = |source| CertifyError::Plugin { path: path.clone(), source };
        let full = library_file(path).map_err(unreadable)?;
        let content = std::fs::read(&full).map_err(unreadable)?;
        plugins.push((full, blake3::hash(&content).to_string(), content.len() as u64));
    }
    let mut suites = Vec::new();
    for (path, hash, bytes) in plugins {
        observer.note(&format!("certifying {}", path.display()));
        suites.push(suite::run(options, &path, hash, bytes, observer)?);
    }
    Ok(Verdict {
        schema: SCHEMA,
        harness_version: env!("CARGO_PKG_VERSION").into(),
        started: started_at.to_string(),
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        quick: options.quick,
        filter: options.filter.clone(),
        synthetic_bytes: options.synthetic_size.0,
        environment: Environment::here(),
        suites,
    })
}
