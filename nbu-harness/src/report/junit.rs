//! JUnit: one suite per plug-in, one case per check id, the environment as properties.

use crate::certify::{Outcome, Verdict};
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
        cases.add_property(("synthetic_bytes", verdict.synthetic_bytes.to_string().as_str()));
        cases.add_property(("certified", verdict.certified().to_string().as_str()));
        for check in &suite.checks {
            let mut status = match check.outcome {
                Outcome::Pass => TestCaseStatus::success(),
                Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Outcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
                Outcome::Skip | Outcome::NotRun => TestCaseStatus::skipped(),
            };
            if check.outcome != Outcome::Pass {
                status.set_message(check.detail.lines().next().unwrap_or_default());
                status.set_description(check.detail.as_str());
            }
            let mut case = TestCase::new(check.id, status);
            case.set_classname(format!("{}.{}", suite.name.trim_end_matches(".so"), check.group));
            case.set_time(Duration::from_millis(check.elapsed_ms));
            case.add_property(("title", check.title));
            if let Some(scenario) = check.scenario {
                case.add_property(("scenario", scenario));
            }
            cases.add_test_case(case);
        }
        report.add_test_suite(cases);
    }
    report.to_string().map_err(|error| io::Error::other(error.to_string()))
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
