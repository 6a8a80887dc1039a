//! The JSON result of `run`. That of `certify` is [`crate::certify::Verdict`] itself.

use crate::certify::{Environment, SCHEMA};
use crate::engine::Record;
use crate::judge::Finding;
use serde::Serialize;

/// One scenario that was run by hand.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Version of the layout.
    pub schema: u32,
    /// Version of the harness.
    pub harness_version: &'static str,
    /// Scenario file.
    pub file: String,
    /// Whether every expectation holds.
    pub passed: bool,
    /// Where it ran.
    pub environment: Environment,
    /// Expectations and what was seen.
    pub findings: Vec<Finding>,
    /// Everything that happened, every default included.
    pub record: Record,
}

impl RunReport {
    /// The report of a run.
    pub fn new(file: String, record: Record, findings: Vec<Finding>) -> Self {
        Self {
            schema: SCHEMA,
            harness_version: env!("CARGO_PKG_VERSION"),
            file,
            passed: findings.iter().all(|finding| finding.holds),
            environment: Environment::here(),
            findings,
            record,
        }
    }
}
