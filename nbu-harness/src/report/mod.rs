//! Reports: tables for people, JUnit for CI, JSON for everything else.

mod console;
mod json;
mod junit;

pub(crate) use console::kind_name;
pub use console::{job_table, verdict_table};
pub use json::RunReport;
pub use junit::junit;

use crate::certify::Verdict;
use std::io;
use std::path::{Path, PathBuf};

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {}: {source}", path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

/// Writes `junit.xml` and `results.json` into `dir`, which is created, and returns their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write_certification(verdict: &Verdict, dir: &Path) -> Result<[PathBuf; 2], ReportError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReportError { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let (xml, json) = (dir.join("junit.xml"), dir.join("results.json"));
    let text = junit(verdict).map_err(failed(&xml))?;
    std::fs::write(&xml, text).map_err(failed(&xml))?;
    let text = serde_json::to_string_pretty(verdict).map_err(io::Error::from).map_err(failed(&json))?;
    std::fs::write(&json, text).map_err(failed(&json))?;
    Ok([xml, json])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::certify::{CheckResult, Environment, Outcome, SCHEMA, Suite};

    /// A verdict with one check of every outcome.
    pub(crate) fn verdict() -> Verdict {
        let check = |id, outcome, detail: &str| CheckResult {
            id,
            group: "backup",
            title: "A title",
            outcome,
            detail: detail.into(),
            elapsed_ms: 1500,
            scenario: Some("NBU-BKP-001"),
        };
        Verdict {
            schema: SCHEMA,
            harness_version: "0.1.0".into(),
            started: "2026-01-02T03:04:05Z".into(),
            elapsed_ms: 12_345,
            quick: false,
            filter: Vec::new(),
            synthetic_bytes: 1 << 30,
            environment: Environment {
                os: "Linux 6.1".into(),
                architecture: "x86_64".into(),
                cpus: 2,
                memory_bytes: 8 << 30,
                root: true,
            },
            suites: vec![Suite {
                name: "libstspiVastData.so".into(),
                path: "/lib/libstspiVastData.so".into(),
                blake3: "00ff".into(),
                bytes: 1000,
                plugin: None,
                checks: vec![
                    check("BKP-001", Outcome::Pass, "6 jobs ended as expected"),
                    check("BKP-002", Outcome::Fail, "2 things are left behind\nlsu0/a\nlsu0/b"),
                    check("BKP-003", Outcome::Skip, "not claimed: Cpr"),
                    check("BKP-004", Outcome::NotRun, "left out by the filter"),
                    check("BKP-005", Outcome::Error, "cluster: cannot listen"),
                ],
                runs: Vec::new(),
            }],
        }
    }

    #[test]
    fn both_files_are_written_and_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [xml, json] = write_certification(&verdict(), &dir.path().join("new")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["suites"][0]["checks"][1]["outcome"], "fail");
        let xml = std::fs::read_to_string(xml).unwrap();
        for check in json["suites"][0]["checks"].as_array().unwrap() {
            assert!(xml.contains(check["id"].as_str().unwrap()));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write_certification(&verdict(), &file.path().join("below")).unwrap_err().to_string();
        assert!(error.contains("below"), "{error}");
    }

    #[test]
    fn a_verdict_passes_only_when_nothing_failed_and_certifies_only_when_everything_ran() {
        let mut verdict = verdict();
        assert!(!verdict.passed() && !verdict.certified() && verdict.has_errors());
        verdict.suites[0].checks.retain(|check| matches!(check.outcome, Outcome::Pass | Outcome::NotRun));
        assert!(!verdict.passed(), "a check that was not run is no pass when nobody asked for less");
        verdict.filter = vec!["BKP-001".into()];
        assert!(verdict.passed() && !verdict.certified());
        verdict.suites[0].checks.pop();
        verdict.filter.clear();
        assert!(verdict.passed() && verdict.certified());
        verdict.quick = true;
        assert!(verdict.passed() && !verdict.certified(), "a quick run is never a certification");
        verdict.suites.clear();
        assert!(!verdict.passed() && !verdict.certified(), "nothing proves nothing");
    }
}
