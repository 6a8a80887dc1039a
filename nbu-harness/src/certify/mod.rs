//! The certification run: a numbered catalogue of checks, each with a stable id and a verdict of its own.

mod attempt;
mod baseline;
mod catalogue;
mod check;
mod environment;
pub(crate) mod evidence;
pub(crate) mod probes;
mod resources;
mod suite;
mod timeline;
mod verdict;

pub use attempt::{Attempt, Phase, PhaseKind, ScenarioRun, Surroundings, attempt};
pub use baseline::{Baseline, CheckName, Delta, PastError, failed_checks};
pub use catalogue::{catalogue, embedded_scenarios};
pub use check::{Check, Proof, Requirement};
pub use environment::Environment;
pub(crate) use probes::claims_of;
pub use resources::{Leak, LeakKind};
pub use timeline::JobTimes;
pub use verdict::{CheckResult, Outcome, Suite, Verdict};

use crate::engine::Observer;
use crate::nbu::library_file;
use crate::scenario::{ByteSize, Milliseconds};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Version of the JSON result's layout.
pub const SCHEMA: u32 = 2;

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
    /// What the scenarios' seeds are changed by; 0 leaves them as they are written.
    pub seed: u64,
    /// How often every check is run; none: again and again, to be used with `until_failure`.
    pub passes: Option<NonZeroU32>,
    /// Stop at the first check that fails. Each pass has a seed of its own, one higher than the last one's.
    pub until_failure: bool,
    /// What is known to fail, and the file that says so.
    pub baseline: Option<(PathBuf, Baseline)>,
    /// Only these checks, by the file name of the plug-in; none for all.
    pub rerun: Option<BTreeMap<String, BTreeSet<String>>>,
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
            seed: 0,
            passes: Some(NonZeroU32::MIN),
            until_failure: false,
            baseline: None,
            rerun: None,
            plugin_env: BTreeMap::new(),
            limit: None,
            exe,
            work_dir: None,
        }
    }

    /// The seed of one pass, from 1.
    fn seed_of_pass(&self, pass: u32) -> u64 {
        let later = if self.until_failure { u64::from(pass.saturating_sub(1)) } else { 0 };
        self.seed.wrapping_add(later)
    }
}

/// A plug-in library, read and summed.
#[derive(Debug)]
struct Library {
    path: PathBuf,
    blake3: String,
    sha256: String,
    bytes: u64,
}

impl Library {
    fn read(path: &Path) -> Result<Self, CertifyError> {
        let unreadable = |source| CertifyError::Plugin { path: path.into(), source };
        let full = library_file(path).map_err(unreadable)?;
        let content = std::fs::read(&full).map_err(unreadable)?;
        Ok(Self {
            path: full,
            blake3: blake3::hash(&content).to_string(),
            sha256: sha256_of(&content),
            bytes: content.len() as u64,
        })
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_of(content: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
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
    let libraries: Vec<_> =
        options.plugins.iter().map(|path| Library::read(path)).collect::<Result<_, _>>()?;
    observer.note(&format!("seed {}", options.seed));
    let mut suites = Vec::new();
    for library in libraries {
        observer.note(&format!("certifying {}", library.path.display()));
        suites.push(suite::run(options, &library, observer)?);
    }
    let delta = options.baseline.as_ref().map(|(path, baseline)| baseline.apply(path, &mut suites));
    Ok(Verdict {
        schema: SCHEMA,
        harness_version: env!("CARGO_PKG_VERSION").into(),
        started: started_at.to_string(),
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        quick: options.quick,
        filter: options.filter.clone(),
        rerun: options.rerun.is_some(),
        seed: options.seed,
        synthetic_bytes: options.synthetic_size.0,
        environment: Environment::here(),
        delta,
        suites,
    })
}
