//! What a certification run found, in the layout of the JSON result.

use super::attempt::{Phase, ScenarioRun};
use super::baseline::Delta;
use super::{Environment, Requirement};
use crate::bpstsinfo::PluginFacts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// It was run and the evidence is missing, such as the raw state of an external cluster.
    Unknown,
    /// It fails, and the baseline says that it does.
    ExpectedFail,
}

impl Outcome {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Pass, Self::Fail, Self::Error, Self::Unknown, Self::ExpectedFail, Self::Skip, Self::NotRun];

    /// As JSON has it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::NotRun => "not_run",
            Self::Error => "error",
            Self::Unknown => "unknown",
            Self::ExpectedFail => "expected_fail",
        }
    }

    /// For a count: `3 failed`.
    pub const fn counted(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Fail => "failed",
            Self::Skip => "skipped",
            Self::NotRun => "not run",
            Self::Error => "errors",
            Self::Unknown => "unknown",
            Self::ExpectedFail => "expected to fail",
        }
    }

    /// Whether there is something to look into.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Fail | Self::Error | Self::Unknown | Self::ExpectedFail)
    }

    /// The one that counts when a check was run several times: what failed once fails.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |outcome| match outcome {
            Self::NotRun => 0,
            Self::Skip => 1,
            Self::Pass => 2,
            Self::Unknown => 3,
            Self::Error => 4,
            Self::ExpectedFail => 5,
            Self::Fail => 6,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
            Self::NotRun => "not run",
            Self::Error => "ERROR",
            Self::Unknown => "UNKNOWN",
            Self::ExpectedFail => "expected fail",
        })
    }
}

/// One check and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckResult {
    /// Stable id.
    pub id: &'static str,
    /// Its group.
    pub group: &'static str,
    /// One line.
    pub title: &'static str,
    /// Whether every plug-in has to pass it.
    pub mandatory: bool,
    /// The capability that makes a plug-in have to pass it; none for a mandatory check.
    pub capability: Option<&'static str>,
    /// How it ended; the worst of all passes.
    pub outcome: Outcome,
    /// What was seen, or why there is no verdict.
    pub detail: String,
    /// Wall time in milliseconds of all passes; checks of one scenario share its run.
    pub elapsed_ms: u64,
    /// The scenario it judges.
    pub scenario: Option<&'static str>,
    /// How many times it was run.
    pub passes: u32,
}

impl CheckResult {
    /// The result of one pass. A mandatory check that would be skipped is an error.
    pub(super) fn new(check: &super::Check, (outcome, detail): (Outcome, String), elapsed_ms: u64) -> Self {
        let (mandatory, capability) = match check.requirement {
            Requirement::Mandatory => (true, None),
            Requirement::Claimed(name) => (false, Some(name)),
        };
        let (outcome, detail) = match outcome {
            Outcome::Skip if mandatory => {
                (Outcome::Error, format!("a mandatory check cannot be skipped: {detail}"))
            }
            outcome => (outcome, detail),
        };
        Self {
            id: check.id,
            group: check.group,
            title: check.title,
            mandatory,
            capability,
            outcome,
            detail,
            elapsed_ms,
            scenario: check.proof.scenario(),
            passes: u32::from(!matches!(outcome, Outcome::NotRun)),
        }
    }

    /// Adds another pass of the same check: the worst outcome counts, and the detail is the one that goes with it.
    pub(super) fn add(&mut self, other: Self) {
        self.passes += other.passes;
        self.elapsed_ms += other.elapsed_ms;
        let worst = self.outcome.worst(other.outcome);
        if worst != self.outcome {
            self.detail = match self.passes {
                0 | 1 => other.detail,
                pass => format!("pass {pass}: {}", other.detail),
            };
            self.outcome = worst;
        }
    }
}

/// All checks of one plug-in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Suite {
    /// File name of the plug-in.
    pub name: String,
    /// Its path.
    pub path: String,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it says of itself.
    pub plugin: Option<PluginFacts>,
    /// Names of the capabilities that its server claims.
    pub capabilities: Vec<String>,
    /// Checks in the catalogue's order.
    pub checks: Vec<CheckResult>,
    /// Set-ups and clean-ups, in order: of all passes, or, of passes without end, of the first one and of one with something
    /// to look into. A clean-up that fails fails the run; a set-up that fails is the error of its checks.
    pub phases: Vec<Phase>,
    /// How often the checks were run.
    pub passes: u32,
    /// Scenarios in the order they were run: those of the first pass, and of later ones those with something to look into.
    pub runs: Vec<ScenarioRun>,
}

impl Suite {
    /// How many checks ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

/// The whole run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
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
    /// Whether only what had failed before was run again.
    pub rerun: bool,
    /// What the scenarios' seeds were changed by; 0 for the seeds as they are written.
    pub seed: u64,
    /// Bytes of the main scenario's synthetic stream.
    pub synthetic_bytes: u64,
    /// Where it ran.
    pub environment: Environment,
    /// How it compares with the baseline, where there is one.
    pub delta: Option<Delta>,
    /// One per plug-in.
    pub suites: Vec<Suite>,
}

impl Verdict {
    /// Whether no check that was asked for failed or could not be judged, but those of which the baseline says so, and
    /// everything could be cleaned up. With `--quick` or a filter, checks that were left out do not count.
    pub fn passed(&self) -> bool {
        self.checks().all(|check| match check.outcome {
            Outcome::Pass | Outcome::Skip | Outcome::ExpectedFail => true,
            Outcome::NotRun => self.is_partial(),
            Outcome::Fail | Outcome::Error | Outcome::Unknown => false,
        }) && self.checks().any(|check| matches!(check.outcome, Outcome::Pass | Outcome::ExpectedFail))
            && self.failed_clean_ups().next().is_none()
    }

    /// Whether this is a certification: everything was run and everything passed that the plug-in has to pass.
    pub fn certified(&self) -> bool {
        !self.is_partial()
            && !self.suites.is_empty()
            && self.checks().all(|check| match check.outcome {
                Outcome::Pass => true,
                Outcome::Skip => !check.mandatory,
                _ => false,
            })
            && self.failed_clean_ups().next().is_none()
    }

    /// Whether something is bad and nothing of it is the plug-in's: there is no verdict on it.
    pub fn says_nothing(&self) -> bool {
        let mut outcomes = self.checks().map(|check| check.outcome);
        !self.passed() && !outcomes.any(|outcome| outcome == Outcome::Fail)
    }

    /// Clean-ups that did not work.
    pub fn failed_clean_ups(&self) -> impl Iterator<Item = (&Suite, &Phase)> {
        use super::attempt::PhaseKind::CleanUp;
        let all = self.suites.iter().flat_map(|suite| suite.phases.iter().map(move |phase| (suite, phase)));
        all.filter(|(_, phase)| phase.kind == CleanUp && !phase.ok)
    }

    fn is_partial(&self) -> bool {
        self.quick || self.rerun || !self.filter.is_empty()
    }

    fn checks(&self) -> impl Iterator<Item = &CheckResult> {
        self.suites.iter().flat_map(|suite| &suite.checks)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Check, Proof, catalogue};
    use super::*;

    fn result(check: &Check, outcome: Outcome) -> CheckResult {
        CheckResult::new(check, (outcome, format!("because of {outcome}")), 7)
    }

    #[test]
    fn a_mandatory_check_that_would_be_skipped_is_an_error_and_a_claimed_one_is_skipped() {
        let mandatory = &catalogue()[0];
        assert_eq!(mandatory.requirement, Requirement::Mandatory);
        let skipped = result(mandatory, Outcome::Skip);
        assert_eq!(skipped.outcome, Outcome::Error);
        assert!(skipped.detail.contains("cannot be skipped: because of skip"), "{}", skipped.detail);
        let claimed = Check {
            requirement: Requirement::Claimed("worm"),
            proof: Proof::Capability("worm"),
            ..*mandatory
        };
        let skipped = result(&claimed, Outcome::Skip);
        assert_eq!((skipped.outcome, skipped.capability), (Outcome::Skip, Some("worm")));
    }

    #[test]
    fn what_fails_in_one_pass_fails_and_its_detail_says_in_which() {
        let check = &catalogue()[0];
        let mut total = result(check, Outcome::Pass);
        total.add(result(check, Outcome::Pass));
        assert_eq!((total.outcome, total.passes, total.elapsed_ms), (Outcome::Pass, 2, 14));
        total.add(result(check, Outcome::Fail));
        total.add(result(check, Outcome::Pass));
        assert_eq!((total.outcome, total.passes), (Outcome::Fail, 4));
        assert_eq!(total.detail, "pass 3: because of FAIL");
        let mut total = result(check, Outcome::NotRun);
        total.add(result(check, Outcome::Pass));
        assert_eq!((total.outcome, total.detail.as_str()), (Outcome::Pass, "because of pass"));
    }
}
