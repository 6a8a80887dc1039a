//! What a certification run found, in the layout of the JSON result.

use super::Environment;
use crate::bpstsinfo::PluginFacts;
use crate::engine::Record;
use crate::judge::Finding;
use serde::Serialize;
use std::fmt;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What it proves holds.
    Pass,
    /// It does not.
    Fail,
    /// The plug-in does not claim what it is about.
    Skip,
    /// It was left out or its precondition is missing; a certification with one of these is none.
    NotRun,
    /// The harness could not set it up; nothing is said about the plug-in.
    Error,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
            Self::NotRun => "not run",
            Self::Error => "ERROR",
        })
    }
}

/// One check and its verdict.
#[derive(Debug, Clone, Serialize)]
pub struct CheckResult {
    /// Stable id.
    pub id: &'static str,
    /// Its group.
    pub group: &'static str,
    /// One line.
    pub title: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or why there is no verdict.
    pub detail: String,
    /// Wall time in milliseconds; checks of one scenario share its run.
    pub elapsed_ms: u64,
    /// The scenario it judges.
    pub scenario: Option<&'static str>,
}

/// A scenario that was run for a suite.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioRun {
    /// What happened.
    pub record: Record,
    /// How it compares with what was expected.
    pub findings: Vec<Finding>,
}

/// All checks of one plug-in.
#[derive(Debug, Clone, Serialize)]
pub struct Suite {
    /// File name of the plug-in.
    pub name: String,
    /// Its path.
    pub path: String,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it says of itself.
    pub plugin: Option<PluginFacts>,
    /// Checks in the catalogue's order.
    pub checks: Vec<CheckResult>,
    /// Scenarios in the order they were run.
    pub runs: Vec<ScenarioRun>,
}

impl Suite {
    /// How many checks ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

/// The whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Version of this layout.
    pub schema: u32,
    /// Version of the harness.
    pub harness_version: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
    /// Whether `--quick` made it smaller.
    pub quick: bool,
    /// Which checks were asked for; empty for all.
    pub filter: Vec<String>,
    /// Bytes of the main scenario's synthetic stream.
    pub synthetic_bytes: u64,
    /// Where it ran.
    pub environment: Environment,
    /// One per plug-in.
    pub suites: Vec<Suite>,
}

impl Verdict {
    /// Whether no check that was asked for failed or could not be set up. With `--quick` or a filter, checks that were
    /// left out do not count.
    pub fn passed(&self) -> bool {
        self.checks().all(|check| match check.outcome {
            Outcome::Pass | Outcome::Skip => true,
            Outcome::NotRun => self.is_partial(),
            Outcome::Fail | Outcome::Error => false,
        }) && self.checks().any(|check| check.outcome == Outcome::Pass)
    }

    /// Whether this is a certification: everything was run and everything passed.
    pub fn certified(&self) -> bool {
        !self.is_partial()
            && !self.suites.is_empty()
            && self.checks().all(|check| matches!(check.outcome, Outcome::Pass | Outcome::Skip))
    }

    /// Whether a check could not be set up.
    pub fn has_errors(&self) -> bool {
        self.checks().any(|check| check.outcome == Outcome::Error)
    }

    fn is_partial(&self) -> bool {
        self.quick || !self.filter.is_empty()
    }

    fn checks(&self) -> impl Iterator<Item = &CheckResult> {
        self.suites.iter().flat_map(|suite| &suite.checks)
    }
}
