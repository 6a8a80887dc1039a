//! The JSON result of `run`. That of `certify` is [`crate::certify::Verdict`] itself; its schema is made here.

use crate::certify::{Environment, JobTimes, Leak, Phase, SCHEMA, ScenarioRun, Verdict};
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

/// The JSON schema of a certification's `results.json`, which is published as `docs/result.schema.json`.
pub fn result_schema() -> serde_json::Value {
    schemars::schema_for!(Verdict).to_value()
}

#[cfg(test)]
mod tests {
    use super::super::tests::verdict;
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_published_schema_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/result.schema.json");
        let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(
            published == result_schema(),
            "docs/result.schema.json is not fresh: cargo run -p nbu-harness -- schema result > docs/result.schema.json"
        );
    }

    #[test]
    fn a_result_is_valid_and_one_that_says_something_else_is_not() {
        let validator = jsonschema::validator_for(&result_schema()).unwrap();
        let mut verdict = verdict();
        let (record, findings) = (crate::judge::tests::good(), Vec::new());
        let times = JobTimes { job_id: 1, samples: vec![(1, 2)], ..JobTimes::default() };
        verdict.suites[0].runs =
            vec![ScenarioRun { pass: 1, record, findings, timeline: vec![times], leaks: Vec::new() }];
        let good = serde_json::to_value(&verdict).unwrap();
        if let Err(error) = validator.validate(&good) {
            panic!("{}: {error}", error.instance_path());
        }
        for (pointer, bad) in [
            ("/suites/0/checks/0/outcome", json!("good")),
            ("/suites/0/checks/0/id", json!(7)),
            ("/suites/0/phases/0/ok", json!("yes")),
            ("/suites/0/runs/0/timeline/0/samples/0", json!([1])),
            ("/seed", json!(-1)),
            ("/suites", json!({})),
        ] {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = bad;
            assert!(!validator.is_valid(&changed), "{pointer}");
        }
    }
}
