//! JUnit: one suite per plug-in, one case per check id, the environment as properties.

use super::phase_name;
use crate::certify::{Outcome, Phase, Suite, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io;
use std::time::Duration;

/// The report as XML.
///
/// # Errors
/// When a text cannot be written as XML.
pub fn junit(verdict: &Verdict) -> io::Result<String> {
    let mut report = Report::new("nbu-harness certify");
    report.set_time(Duration::from_millis(verdict.elapsed_ms));
    for suite in &verdict.suites {
        let mut cases = TestSuite::new(suite.name.as_str());
        for (name, value) in verdict.environment.properties() {
            cases.add_property((name, value.as_str()));
        }
        cases.add_property(("harness_version", verdict.harness_version.as_str()));
        cases.add_property(("started", verdict.started.as_str()));
        cases.add_property(("plugin", suite.path.as_str()));
        cases.add_property(("plugin_blake3", suite.blake3.as_str()));
        cases.add_property(("plugin_sha256", suite.sha256.as_str()));
        cases.add_property(("capabilities", suite.capabilities.join(" ").as_str()));
        cases.add_property(("seed", verdict.seed.to_string().as_str()));
        cases.add_property(("passes", suite.passes.to_string().as_str()));
        cases.add_property(("synthetic_bytes", verdict.synthetic_bytes.to_string().as_str()));
        cases.add_property(("certified", verdict.certified().to_string().as_str()));
        for check in &suite.checks {
            let mut status = match check.outcome {
                Outcome::Pass => TestCaseStatus::success(),
                // JUnit knows neither: what is known to fail is left out of the count of failures, as a skip is.
                Outcome::ExpectedFail | Outcome::Skip | Outcome::NotRun => TestCaseStatus::skipped(),
                Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Outcome::Error | Outcome::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
            };
            if check.outcome != Outcome::Pass {
                let first = check.detail.lines().next().unwrap_or_default();
                status.set_message(match check.outcome {
                    Outcome::ExpectedFail | Outcome::NotRun | Outcome::Unknown => {
                        format!("{}: {first}", check.outcome.key().replace('_', " "))
                    }
                    _ => first.to_owned(),
                });
                status.set_description(check.detail.as_str());
            }
            let mut case = TestCase::new(check.id, status);
            case.set_classname(format!("{}.{}", suite.name.trim_end_matches(".so"), check.group));
            case.set_time(Duration::from_millis(check.elapsed_ms));
            case.add_property(("title", check.title));
            case.add_property(("outcome", check.outcome.key()));
            case.add_property(("required_by", check.capability.unwrap_or("every plug-in")));
            if let Some(scenario) = check.scenario {
                case.add_property(("scenario", scenario));
            }
            cases.add_test_case(case);
        }
        for (number, phase) in suite.phases.iter().enumerate() {
            cases.add_test_case(phase_case(suite, number, phase));
        }
        report.add_test_suite(cases);
    }
    report.to_string().map_err(|error| io::Error::other(error.to_string()))
}

/// A set-up or clean-up as a case of its own: it is no check, and one that fails must not hide.
fn phase_case(suite: &Suite, number: usize, phase: &Phase) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !phase.ok {
        status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(phase.detail.as_str());
    }
    let mut case = TestCase::new(format!("{:03} {}", number + 1, phase_name(phase)), status);
    case.set_classname(format!("{}.around the checks", suite.name.trim_end_matches(".so")));
    case.set_time(Duration::from_millis(phase.elapsed_ms));
    case
}

#[cfg(test)]
mod tests {
    use super::super::tests::verdict;
    use super::*;

    #[test]
    fn every_outcome_has_its_element() {
        insta::assert_snapshot!("junit", junit(&verdict()).unwrap());
    }
}
