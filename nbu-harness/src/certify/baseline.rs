//! What is known to fail: a baseline to hold a run against, and what has changed since.

use super::verdict::{Outcome, Suite, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Version of the file's layout.
const SCHEMA: u32 = 1;
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// How every check ended in an earlier run, by plug-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of the layout.
    pub schema: u32,
    /// Version of the harness that wrote it.
    pub harness_version: String,
    /// When the run began that it is of, RFC 3339.
    pub started: String,
    /// File name of a plug-in, id of a check, how it ended.
    pub plugins: BTreeMap<String, BTreeMap<String, Outcome>>,
}

/// A check of a plug-in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct CheckName {
    /// File name of the plug-in.
    pub plugin: String,
    /// Id of the check.
    pub check: String,
}

/// What has changed since the baseline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delta {
    /// The baseline's file.
    pub baseline: PathBuf,
    /// Fail now and did not: the run fails. One that could not be judged is none, and fails the run by itself.
    pub new_failures: Vec<CheckName>,
    /// Failed and pass now.
    pub fixed: Vec<CheckName>,
    /// Failed and still do. One that could not be judged is none.
    pub still_failing: Vec<CheckName>,
    /// Were not in the baseline.
    pub new_checks: Vec<CheckName>,
}

/// A file of an earlier run could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// It is no such file.
    #[error("{}: this is no {what}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        what: &'static str,
        /// What the reader says.
        reason: String,
    },
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path, what: &'static str) -> Result<T, PastError> {
    let io = |source| PastError::Io { path: path.into(), source };
    let malformed = |reason| PastError::Malformed { path: path.into(), what, reason };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_FILE {
        return Err(malformed(format!("{size} bytes are too many; the limit is {MAX_FILE}")));
    }
    serde_json::from_slice(&std::fs::read(path).map_err(io)?).map_err(|error| malformed(error.to_string()))
}

/// Whether the plug-in has failed a check that ended so.
const fn failed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::ExpectedFail)
}

impl Baseline {
    /// Reads a baseline.
    ///
    /// # Errors
    /// When the file cannot be read or is no baseline of this version.
    pub fn read(path: &Path) -> Result<Self, PastError> {
        let baseline: Self = read(path, "baseline; `certify --write-baseline FILE` writes one")?;
        if baseline.schema == SCHEMA {
            return Ok(baseline);
        }
        let reason = format!("its layout is version {}, this program's is {SCHEMA}", baseline.schema);
        Err(PastError::Malformed { path: path.into(), what: "baseline that this program can read", reason })
    }

    /// The baseline that a run makes. Checks without a verdict of their own keep the one that they have in `earlier`.
    pub fn of(verdict: &Verdict, earlier: Option<&Self>) -> Self {
        let mut plugins = earlier.map(|baseline| baseline.plugins.clone()).unwrap_or_default();
        for suite in &verdict.suites {
            let checks = plugins.entry(suite.name.clone()).or_default();
            for check in &suite.checks {
                match check.outcome {
                    Outcome::NotRun => {}
                    Outcome::Error | Outcome::Unknown => {
                        checks.entry(check.id.into()).or_insert(check.outcome);
                    }
                    Outcome::ExpectedFail => drop(checks.insert(check.id.into(), Outcome::Fail)),
                    outcome => drop(checks.insert(check.id.into(), outcome)),
                }
            }
        }
        let (harness_version, started) = (verdict.harness_version.clone(), verdict.started.clone());
        Self { schema: SCHEMA, harness_version, started, plugins }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PastError> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from);
        let written = text.and_then(|text| std::fs::write(path, text + "\n"));
        written.map_err(|source| PastError::Io { path: path.into(), source })
    }

    /// Holds a run against it: names what has changed, and makes the failures that it lists expected ones.
    pub(super) fn apply(&self, path: &Path, suites: &mut [Suite]) -> Delta {
        let mut delta = Delta { baseline: path.into(), ..Delta::default() };
        for suite in suites {
            let known = self.plugins.get(&suite.name);
            for check in suite.checks.iter_mut().filter(|check| check.outcome != Outcome::NotRun) {
                let name = || CheckName { plugin: suite.name.clone(), check: check.id.into() };
                let before = known.and_then(|known| known.get(check.id));
                if before.is_none() {
                    delta.new_checks.push(name());
                }
                let failed_before = before.copied().is_some_and(failed);
                match check.outcome {
                    Outcome::Fail | Outcome::ExpectedFail if failed_before => {
                        delta.still_failing.push(name());
                        check.outcome = Outcome::ExpectedFail;
                    }
                    Outcome::Fail | Outcome::ExpectedFail => delta.new_failures.push(name()),
                    Outcome::Pass if failed_before => delta.fixed.push(name()),
                    // Nothing is said about the plug-in, or it does not claim any more what it failed.
                    _ => {}
                }
            }
        }
        delta
    }
}

/// The parts of a JSON result that say which checks failed, of any version of its layout.
#[derive(Debug, Deserialize)]
struct PastResult {
    suites: Vec<PastSuite>,
}

#[derive(Debug, Deserialize)]
struct PastSuite {
    name: String,
    checks: Vec<PastCheck>,
}

#[derive(Debug, Deserialize)]
struct PastCheck {
    id: String,
    outcome: Outcome,
}

/// Ids of the checks that failed or could not be judged in an earlier run, by the file name of the plug-in.
///
/// # Errors
/// When the file cannot be read or is no `results.json`.
pub fn failed_checks(results: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, PastError> {
    let past: PastResult = read(results, "results.json of a certification")?;
    let of_suite = |suite: PastSuite| {
        let ids = suite.checks.into_iter().filter(|check| check.outcome.is_bad()).map(|check| check.id);
        (suite.name, ids.collect())
    };
    Ok(past.suites.into_iter().map(of_suite).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::verdict;

    fn named(names: &[CheckName]) -> Vec<&str> {
        names.iter().map(|name| name.check.as_str()).collect()
    }

    #[test]
    fn a_run_held_against_its_own_baseline_has_no_new_failure() {
        let mut verdict = verdict();
        let baseline = Baseline::of(&verdict, None);
        let delta = baseline.apply(Path::new("b.json"), &mut verdict.suites);
        assert_eq!(named(&delta.still_failing), ["BKP-002", "BKP-007"]);
        assert_eq!(delta.new_failures.len() + delta.fixed.len() + delta.new_checks.len(), 0, "{delta:?}");
        assert_eq!(verdict.suites[0].count(Outcome::ExpectedFail), 2);
        assert_eq!(verdict.suites[0].count(Outcome::Fail), 0);
        verdict.filter = vec!["BKP".into()];
        assert!(!verdict.passed() && verdict.says_nothing(), "what could not be judged stays so");
        verdict.suites[0].checks.retain(|check| !matches!(check.outcome, Outcome::Error | Outcome::Unknown));
        assert!(verdict.passed() && !verdict.certified());
        assert_eq!(Baseline::of(&verdict, None).plugins[&verdict.suites[0].name]["BKP-002"], Outcome::Fail);
    }

    #[test]
    fn what_fails_newly_is_fixed_or_is_new_is_named() {
        let mut verdict = verdict();
        let mut baseline = Baseline::of(&verdict, None);
        let checks = baseline.plugins.get_mut("libstspiVastData.so").unwrap();
        checks.insert("BKP-001".into(), Outcome::Fail);
        checks.insert("BKP-002".into(), Outcome::Pass);
        checks.remove("BKP-003");
        checks.remove("BKP-005");
        let delta = baseline.apply(Path::new("b.json"), &mut verdict.suites);
        assert_eq!(named(&delta.fixed), ["BKP-001"]);
        assert_eq!(named(&delta.new_failures), ["BKP-002"]);
        assert_eq!(named(&delta.new_checks), ["BKP-003", "BKP-005"]);
        assert_eq!(named(&delta.still_failing), ["BKP-007"]);
        verdict.filter = vec!["BKP".into()];
        assert!(!verdict.passed(), "a new failure fails the run");
    }

    #[test]
    fn what_could_not_be_judged_is_no_expected_failure_and_what_is_skipped_is_not_fixed() {
        let mut verdict = verdict();
        let mut baseline = Baseline::of(&verdict, None);
        let checks = baseline.plugins.get_mut("libstspiVastData.so").unwrap();
        for (id, outcome) in [("BKP-003", "skip"), ("BKP-005", "error"), ("BKP-006", "unknown")] {
            assert_eq!(checks.insert(id.into(), Outcome::Fail).map(Outcome::key), Some(outcome));
        }
        let delta = baseline.apply(Path::new("b.json"), &mut verdict.suites);
        assert_eq!(named(&delta.still_failing), ["BKP-002", "BKP-007"]);
        assert_eq!((named(&delta.fixed), named(&delta.new_failures)), (vec![], vec![]));
        let outcomes = verdict.suites[0].checks.iter().map(|check| check.outcome.key());
        let expected = ["pass", "expected_fail", "skip", "not_run", "error", "unknown", "expected_fail"];
        assert_eq!(outcomes.collect::<Vec<_>>(), expected);
        let next = &Baseline::of(&verdict, Some(&baseline)).plugins["libstspiVastData.so"];
        assert_eq!((next["BKP-005"], next["BKP-006"]), (Outcome::Fail, Outcome::Fail), "as it was known");
        let first = &Baseline::of(&verdict, None).plugins["libstspiVastData.so"];
        assert_eq!((first["BKP-005"], first["BKP-006"]), (Outcome::Error, Outcome::Unknown));
    }

    #[test]
    fn a_check_that_was_not_run_keeps_what_the_earlier_baseline_says() {
        let verdict = verdict();
        let mut earlier = Baseline::of(&verdict, None);
        earlier.plugins.get_mut("libstspiVastData.so").unwrap().insert("BKP-004".into(), Outcome::Fail);
        let next = Baseline::of(&verdict, Some(&earlier));
        assert_eq!(next.plugins["libstspiVastData.so"]["BKP-004"], Outcome::Fail);
        assert!(!Baseline::of(&verdict, None).plugins["libstspiVastData.so"].contains_key("BKP-004"));
    }

    #[test]
    fn what_is_no_baseline_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        assert!(Baseline::read(&path).unwrap_err().to_string().contains("b.json"));
        for (text, why) in [
            ("{", "EOF"),
            (r#"{"schema":1}"#, "harness_version"),
            (r#"{"schema":9,"harness_version":"0","started":"","plugins":{}}"#, "version 9"),
            (
                r#"{"schema":1,"harness_version":"0","started":"","plugins":{"a":{"LOD-001":"good"}}}"#,
                "unknown variant",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let said = Baseline::read(&path).unwrap_err().to_string();
            assert!(said.contains("b.json") && said.contains(why), "{said}");
        }
        let baseline = Baseline::of(&verdict(), None);
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
    }

    #[test]
    fn the_failed_checks_of_a_result_are_read_from_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), serde_json::to_string(&verdict()).unwrap()).unwrap();
        let failed = failed_checks(file.path()).unwrap();
        let ids: Vec<&str> = failed["libstspiVastData.so"].iter().map(String::as_str).collect();
        assert_eq!(ids, ["BKP-002", "BKP-005", "BKP-006", "BKP-007"]);
        std::fs::write(file.path(), "[]").unwrap();
        assert!(failed_checks(file.path()).unwrap_err().to_string().contains("results.json"));
    }
}
