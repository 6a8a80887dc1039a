//! One run of one scenario with all that is around it: set-up and clean-up, each with its time and outcome, a timeline of
//! its jobs, and what it left in this process and on this machine.

use super::resources::{Before, Leak};
use super::timeline::{JobTimes, Timeline};
use crate::engine::{self, Observer, Record, SetupError};
use crate::judge::{self, Finding};
use crate::scenario::Scenario;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A scenario that was run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScenarioRun {
    /// Which pass over the checks it belongs to, from 1.
    pub pass: u32,
    /// What happened: the scenario with every default, streams, steps, jobs with their details, requests, faults.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub record: Record,
    /// How it compares with what was expected.
    pub findings: Vec<Finding>,
    /// When its jobs were queued, active and done, and how far they were in between.
    pub timeline: Vec<JobTimes>,
    /// What it left in this process and on this machine.
    pub leaks: Vec<Leak>,
}

/// What is done around checks and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Input data and cluster.
    SetUp,
    /// The end of the cluster, the removal of everything that was made.
    CleanUp,
}

/// A set-up or clean-up.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Phase {
    /// Which.
    pub kind: PhaseKind,
    /// What for: a scenario's id, or `questions` for those to the plug-in.
    pub of: String,
    /// Which pass over the checks it belongs to, from 1.
    pub pass: u32,
    /// Whether it worked.
    pub ok: bool,
    /// What went wrong; empty when nothing did.
    pub detail: String,
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
}

impl Phase {
    pub(super) fn new(
        kind: PhaseKind,
        of: &str,
        pass: u32,
        outcome: Result<(), String>,
        took: Duration,
    ) -> Self {
        let (ok, detail) = match outcome {
            Ok(()) => (true, String::new()),
            Err(detail) => (false, detail),
        };
        let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { kind, of: of.into(), pass, ok, detail, elapsed_ms }
    }
}

/// What an attempt needs beside the scenario.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The program that every NetBackup process is.
    pub exe: PathBuf,
    /// The plug-in under test.
    pub plugin: PathBuf,
    /// Where the working directory is made.
    pub base: PathBuf,
    /// Whether the working directory stays.
    pub keep: bool,
    /// The Rust toolchain's directory, when `rustc` shall not be asked.
    pub sysroot: Option<PathBuf>,
    /// Which pass over the checks it is, from 1.
    pub pass: u32,
    /// Environment variables for the processes that load the plug-in.
    pub plugin_env: BTreeMap<String, String>,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Attempt {
    /// The run, or why there is none.
    pub run: Result<ScenarioRun, SetupError>,
    /// Set-up and clean-up.
    pub phases: Vec<Phase>,
    /// The working directory.
    pub dir: PathBuf,
}

/// Runs a scenario in a working directory of its own.
///
/// # Errors
/// When the working directory cannot be made. That the set-up failed is in the attempt.
pub fn attempt(
    scenario: &Scenario,
    around: &Surroundings,
    observer: &dyn Observer,
) -> Result<Attempt, std::io::Error> {
    let before = Before::now();
    let dir = work_dir(&around.base, around.keep)?;
    let path = dir.path().to_path_buf();
    let options = engine::Options {
        exe: around.exe.clone(),
        plugin: around.plugin.clone(),
        work_dir: path.clone(),
        sysroot: around.sysroot.clone(),
        plugin_env: around.plugin_env.clone(),
    };
    let timeline = Timeline::new(observer);
    timeline.scenario(scenario);
    let started = Instant::now();
    let ran = engine::run(scenario, &options, &timeline);
    let of_engine = started.elapsed();
    let removed = if around.keep { Ok(()) } else { dir.close() };
    let after = started.elapsed();
    let phase = |kind, outcome, took| Phase::new(kind, &scenario.id, around.pass, outcome, took);
    // The cluster ends after the record is made.
    let recorded =
        ran.as_ref().map_or(of_engine, |record| Duration::from_millis(record.elapsed_ms).min(of_engine));
    let steps: u64 = ran.as_ref().map_or(0, |record| record.steps.iter().map(|step| step.elapsed_ms).sum());
    let set_up = ran.as_ref().map(|_| ()).map_err(ToString::to_string);
    let (timeline, processes) = timeline.into_parts();
    let leaks = before.leaks(&processes);
    let cleaned = cleaned_up(&path, removed, before.left_here());
    let phases = vec![
        phase(PhaseKind::SetUp, set_up, recorded.saturating_sub(Duration::from_millis(steps))),
        phase(PhaseKind::CleanUp, cleaned, after.saturating_sub(recorded)),
    ];
    let run = ran.map(|record| {
        let findings = judge::judge(&record);
        ScenarioRun { pass: around.pass, record, findings, timeline, leaks }
    });
    Ok(Attempt { run, phases, dir: path })
}

/// A clean-up is done when the working directory is gone and the harness is as it was; what is not so is said.
fn cleaned_up(dir: &Path, removed: std::io::Result<()>, left: Result<(), String>) -> Result<(), String> {
    let removed = removed.map_err(|error| format!("{} cannot be removed: {error}", dir.display()));
    let said: Vec<String> = [removed, left].into_iter().filter_map(Result::err).collect();
    if said.is_empty() { Ok(()) } else { Err(said.join("; ")) }
}

/// A new working directory below `base`.
pub(super) fn work_dir(base: &Path, keep: bool) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("nbu-harness-").disable_cleanup(keep).tempdir_in(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_up_says_all_that_is_left() {
        let cleaned = |removed, left| cleaned_up(Path::new("/w"), removed, left);
        let refused = || Err(std::io::ErrorKind::PermissionDenied.into());
        let thread = || Err("the harness itself left thread 7".to_owned());
        assert_eq!(cleaned(Ok(()), Ok(())), Ok(()));
        assert_eq!(cleaned(refused(), Ok(())), Err("/w cannot be removed: permission denied".into()));
        assert_eq!(cleaned(Ok(()), thread()), thread());
        let both = "/w cannot be removed: permission denied; the harness itself left thread 7";
        assert_eq!(cleaned(refused(), thread()), Err(both.into()));
    }
}
