//! Replays a scenario: provides its cluster and data, runs its jobs, and records everything that can be judged later.
//! It judges nothing itself.

mod attributes;
mod domain;
mod domains;
mod embedded;
mod expected;
mod faults;
mod flows;
mod jobs;
mod jump_clock;
mod lifecycle;
mod media_servers;
mod pause;
mod plugin_config;
mod plugin_faults;
mod record;
mod restores;
mod run;
mod setup;
mod sources;
mod stand;
mod watch;

pub use record::{
    ChangedFile, CommandRecord, FaultOutcome, ImageFacts, JobRecord, KillOutcome, OrderOutcome, PauseOutcome,
    PluginFaultOutcome, Record, RecordedAttributes, StepRecord, StorageState, StreamFacts, VipRequests,
};
pub(crate) use run::elapsed_ms;
pub use run::{Options, run};
pub use stand::Stand;

use crate::nbu::{JobEvent, JobKind};
use std::path::PathBuf;

/// The surroundings of a scenario could not be set up: nothing is said about the plug-in.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The cluster did not start or could not be provisioned.
    #[error("cluster: {0}")]
    Cluster(String),
    /// Input data could not be made.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// Input or restored data could not be examined.
    #[error(transparent)]
    Oracle(#[from] crate::oracle::OracleError),
    /// The catalogue could not be read.
    #[error(transparent)]
    Catalog(#[from] crate::nbu::CatalogError),
    /// A file of the harness itself.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// As a verb phrase.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The domain does not do what it is told.
    #[error(transparent)]
    Primary(#[from] crate::primary::PrimaryError),
    /// What the commands of the set-up left cannot be read.
    #[error(transparent)]
    Emm(#[from] crate::emm::EmmError),
    /// The wrapping plug-in is not there.
    #[error(transparent)]
    Shim(#[from] crate::shim::Missing),
    /// The scenario asks for something that its cluster or data cannot give.
    #[error("{0}")]
    Impossible(String),
    /// Whoever watches the run wants no more of it.
    #[error("interrupted")]
    Interrupted,
}

impl SetupError {
    pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// Who watches a run. Called from several threads at once; must not block.
pub trait Observer: Sync {
    /// Something is being done that is no job.
    fn note(&self, text: &str);
    /// This scenario is about to be run: what is reported next belongs to it.
    fn scenario(&self, _: &crate::scenario::Scenario) {}
    /// A job is queued.
    fn job_queued(&self, job_id: u64, kind: JobKind, client: &str, name: &str);
    /// Something happened in a job.
    fn job_event(&self, job_id: u64, event: &JobEvent);
    /// A job is done.
    fn job_done(&self, job: &JobRecord);
    /// Whether everything shall end: running jobs are cancelled, no other begins. Asked several times a second.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn note(&self, _: &str) {}
    fn job_queued(&self, _: u64, _: JobKind, _: &str, _: &str) {}
    fn job_event(&self, _: u64, _: &JobEvent) {}
    fn job_done(&self, _: &JobRecord) {}
}
