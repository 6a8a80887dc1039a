//! Scenario files: a flow in NetBackup's own vocabulary, what to do in it and what to expect of it.
//!
//! A file is YAML. `file` has its keys exactly as they may be written, `spec` is the same with every default filled
//! in and every reference resolved (`storage` and `step` are its largest parts), and `diagnostic` says what is wrong with one, where, and what would be right.

mod checkpoint;
mod clients;
mod diagnostic;
mod domain;
mod expect;
mod explain;
mod fault;
mod file;
mod flows;
mod inline;
mod lifecycle;
mod media_server;
mod needs;
mod plugin_fault;
mod resolve;
mod schema;
mod selections;
mod settings;
mod spec;
mod step;
mod storage;
mod target;
mod topology;
mod values;

pub use diagnostic::Diagnostic;
pub use domain::{
    Attempts, AttributeSource, Day, GlobalAttributes, GroupSpec, KillStep, OrderStep, PauseStep, PoolSpec,
    ProcessName, ScheduleSpec, SetUp, Victim, VolumeState, VolumeStep, WindowSpec,
};
pub use expect::{
    AttributeExpectation, ByteIdentical, CatalogExpectation, Consistent, DataExpectation, Expectations,
    JobExpectation, JobType, Leaks, StorageExpectation,
};
pub use explain::explain;
pub use fault::{Fault, FaultEffect, FaultOperation};
pub use flows::{
    ChangeStep, CopyStep, Domain, DuplicateStep, ImageChoice, ImportReplicasStep, ImportStep,
    MediaServerWrites, Replication, ResumeStep, StepDetails, SyntheticStep, WormLimits,
};
pub use inline::Copies;
pub use lifecycle::{SlpParameters, SlpSpec};
pub use media_server::{ClockOffset, PluginSpec, ThreadModel};
pub(crate) use needs::not_claimed;
pub use schema::schema;
pub use spec::{Scenario, Stream, StreamSource};
pub use step::{BackupStep, FillStep, RestoreSelection, RestoreStep, Step};
pub use storage::{
    Cluster, EmbeddedCluster, Etag, ExternalCluster, Lsu, S3Scheme, StorageServer, StorageUnitSpec,
};
pub use target::TargetCluster;
pub use values::{ByteSize, Comparator, Comparison, Milliseconds, Secret, TimeOfDay};

use std::path::Path;

/// Largest scenario file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads and checks a scenario file.
///
/// # Errors
/// What is wrong with it: file, line, column, and what would be right.
pub fn load(path: &Path) -> Result<Scenario, Box<Diagnostic>> {
    load_seeded(path, 0)
}

/// As [`load`], with the seed changed as [`parse_seeded`] changes it.
///
/// # Errors
/// As [`load`].
pub fn load_seeded(path: &Path, seed: u64) -> Result<Scenario, Box<Diagnostic>> {
    let name = path.display().to_string();
    let unreadable =
        |error: std::io::Error| Box::new(Diagnostic::of_file(&name, format!("cannot read it: {error}")));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        let message = format!("{size} bytes are too many for a scenario; the limit is {MAX_FILE}");
        return Err(Box::new(Diagnostic::of_file(&name, message)));
    }
    parse_seeded(&name, &std::fs::read_to_string(path).map_err(unreadable)?, seed)
}

/// Checks the text of a scenario; `name` stands for the file in diagnostics.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Scenario, Box<Diagnostic>> {
    parse_seeded(name, text, 0)
}

/// As [`parse`], with the scenario's seed changed by `seed` in a way that is always the same; 0 leaves it as it is.
/// Everything that is generated or picked depends on it, but for streams with a `GEN_SEED` of their own.
///
/// # Errors
/// As [`load`].
pub fn parse_seeded(name: &str, text: &str, seed: u64) -> Result<Scenario, Box<Diagnostic>> {
    let says_nothing = |line: &str| matches!(line.trim(), "" | "---") || line.trim_start().starts_with('#');
    if text.lines().all(says_nothing) {
        return Err(Box::new(Diagnostic::empty_file(name)));
    }
    match serde_saphyr::from_str::<file::ScenarioFile>(text) {
        Ok(file) => {
            let file = file::ScenarioFile { seed: mixed(file.seed, seed), ..file };
            resolve::resolve(file).map_err(|problem| Box::new(problem.into_diagnostic(name, text)))
        }
        Err(error) => Err(Box::new(Diagnostic::of_yaml(name, text, &error))),
    }
}

/// A seed changed by another; 0 changes nothing. No longer than 32 bits, so that people can copy it.
fn mixed(own: u64, by: u64) -> u64 {
    if by == 0 { own } else { crate::data::tree::Random::new(own ^ by.rotate_left(32)).next() >> 32 }
}

#[cfg(test)]
mod tests;
