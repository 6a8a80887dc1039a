//! Reports: tables and a page for people, JUnit and TAP for CI, JSON for everything else, and the bundle of them all.

mod bundle;
mod console;
mod html;
mod json;
mod junit;
mod tap;

pub use bundle::{BundleFacts, bundle_place, verify_bundle, write_bundle};
pub use console::{job_table, verdict_table};
pub(crate) use console::{kind_name, state_name};
pub use html::html;
pub use json::{RunReport, result_schema};
pub use junit::junit;
pub use tap::tap;

use crate::certify::{Phase, PhaseKind, Verdict};
use std::io;
use std::path::{Path, PathBuf};

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {}: {source}", path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

/// A set-up or clean-up by name.
fn phase_name(phase: &Phase) -> String {
    let kind = match phase.kind {
        PhaseKind::SetUp => "set-up",
        PhaseKind::CleanUp => "clean-up",
    };
    match phase.pass {
        1 => format!("{kind} of {}", phase.of),
        pass => format!("{kind} of {}, pass {pass}", phase.of),
    }
}

/// Writes `results.json`, `junit.xml`, `results.tap` and `report.html` into `dir`, which is created, and returns their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write_certification(verdict: &Verdict, dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let json = serde_json::to_string_pretty(verdict).map_err(io::Error::from);
    let files = [
        ("results.json", json),
        ("junit.xml", junit(verdict)),
        ("results.tap", Ok(tap(verdict))),
        ("report.html", Ok(html(verdict))),
    ];
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        text.and_then(|text| std::fs::write(&path, text)).map_err(failed(&path))?;
        paths.push(path);
    }
    Ok(paths)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
    let path = path.to_path_buf();
    move |source| ReportError { path, source }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::certify::{CheckResult, Environment, Outcome, Phase, PhaseKind, SCHEMA, Suite};

    /// A verdict with one check of every outcome.
    pub(crate) fn verdict() -> Verdict {
        let check = |id, outcome, detail: &str| CheckResult {
            id,
            group: "backup",
            title: "A title",
            mandatory: outcome != Outcome::Skip,
            capability: (outcome == Outcome::Skip).then_some("checkpoint"),
            outcome,
            detail: detail.into(),
            elapsed_ms: 1500,
            scenario: Some("NBU-BKP-001"),
            passes: u32::from(outcome != Outcome::NotRun),
        };
        let clean_up = Phase {
            kind: PhaseKind::CleanUp,
            of: "NBU-BKP-001".into(),
            pass: 1,
            ok: true,
            detail: String::new(),
            elapsed_ms: 40,
        };
        Verdict {
            schema: SCHEMA,
            harness_version: "0.1.0".into(),
            started: "2026-01-02T03:04:05Z".into(),
            elapsed_ms: 12_345,
            quick: false,
            filter: Vec::new(),
            rerun: false,
            seed: 7,
            synthetic_bytes: 1 << 30,
            environment: Environment {
                os: "Linux 6.1".into(),
                architecture: "x86_64".into(),
                cpus: 2,
                memory_bytes: 8 << 30,
                root: true,
            },
            delta: None,
            suites: vec![Suite {
                name: "libstspiVastData.so".into(),
                path: "/lib/libstspiVastData.so".into(),
                blake3: "00ff".into(),
                sha256: "11ee".into(),
                bytes: 1000,
                plugin: None,
                capabilities: vec!["flush".into()],
                checks: vec![
                    check("BKP-001", Outcome::Pass, "6 jobs ended as expected"),
                    check("BKP-002", Outcome::Fail, "2 things are left behind\nlsu0/a\nlsu0/b"),
                    check("BKP-003", Outcome::Skip, "not claimed: checkpoint"),
                    check("BKP-004", Outcome::NotRun, "left out by the filter"),
                    check("BKP-005", Outcome::Error, "cluster: cannot listen"),
                    check(
                        "BKP-006",
                        Outcome::Unknown,
                        "the raw state of an external cluster cannot be examined",
                    ),
                    check("BKP-007", Outcome::ExpectedFail, "job 3: status 84"),
                ],
                phases: vec![Phase { kind: PhaseKind::SetUp, ..clean_up.clone() }, clean_up],
                passes: 1,
                runs: Vec::new(),
            }],
        }
    }

    #[test]
    fn all_files_are_written_and_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let paths = write_certification(&verdict(), &dir.path().join("new")).unwrap();
        let text = |name: &str| {
            let path = paths.iter().find(|path| path.file_name().is_some_and(|file| file == name)).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&text("results.json")).unwrap();
        assert_eq!(json["schema"], 2);
        assert_eq!(json["suites"][0]["checks"][1]["outcome"], "fail");
        for check in json["suites"][0]["checks"].as_array().unwrap() {
            for name in ["junit.xml", "results.tap"] {
                assert!(text(name).contains(check["id"].as_str().unwrap()), "{name}: {check}");
            }
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
        use Outcome::{Error, ExpectedFail, NotRun, Pass, Skip, Unknown};
        let only = |outcomes: &[Outcome]| {
            let mut verdict = verdict();
            verdict.suites[0].checks.retain(|check| outcomes.contains(&check.outcome));
            verdict
        };
        assert!(!verdict().passed() && !verdict().certified() && !verdict().says_nothing());
        let mut partial = only(&[Pass, NotRun]);
        assert!(!partial.passed(), "a check that was not run is no pass when nobody asked for less");
        partial.filter = vec!["BKP-001".into()];
        assert!(partial.passed() && !partial.certified());
        assert!(only(&[Pass, Skip]).passed() && only(&[Pass, Skip]).certified());
        let mut skipped = only(&[Pass, Skip]);
        skipped.suites[0].checks.iter_mut().for_each(|check| check.mandatory = true);
        assert!(!skipped.certified(), "what is mandatory cannot be skipped");
        assert!(only(&[Pass, ExpectedFail]).passed() && !only(&[Pass, ExpectedFail]).certified());
        for outcome in [Unknown, Error] {
            let verdict = only(&[Pass, outcome]);
            assert!(!verdict.passed() && !verdict.certified() && verdict.says_nothing(), "{outcome}");
        }
        for change in [|v: &mut Verdict| v.quick = true, |v: &mut Verdict| v.rerun = true] {
            let mut verdict = only(&[Pass]);
            change(&mut verdict);
            assert!(
                verdict.passed() && !verdict.certified(),
                "less than everything is never a certification"
            );
        }
        let mut unclean = only(&[Pass]);
        unclean.suites[0].phases[1].ok = false;
        assert!(!unclean.passed() && !unclean.certified(), "a clean-up that fails fails the run");
        let mut none = only(&[Pass]);
        none.suites.clear();
        assert!(!none.passed() && !none.certified(), "nothing proves nothing");
    }
}
