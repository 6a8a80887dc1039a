//! The JSON result of `run`. That of `certify` is [`crate::certify::Verdict`] itself.

use crate::certify::{Environment, JobTimes, Leak, Phase, SCHEMA, ScenarioRun};
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
    /// When its jobs were queued, active and done.
    pub timeline: Vec<JobTimes>,
    /// Set-up and clean-up.
    pub phases: Vec<Phase>,
    /// What it left in the harness and on the machine.
    pub leaks: Vec<Leak>,
}

impl RunReport {
    /// The report of a run.
    pub fn new(file: String, run: ScenarioRun, phases: Vec<Phase>) -> Self {
        let ScenarioRun { record, findings, timeline, leaks, .. } = run;
        let holds = findings.iter().all(|finding| finding.holds);
        Self {
            schema: SCHEMA,
            harness_version: env!("CARGO_PKG_VERSION"),
            file,
            passed: holds && leaks.is_empty() && phases.iter().all(|phase| phase.ok),
            environment: Environment::here(),
            findings,
            record,
            timeline,
            phases,
            leaks,
        }
    }
}
