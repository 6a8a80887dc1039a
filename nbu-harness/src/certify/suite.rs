//! The checks of one plug-in: answers are asked for once, every scenario runs once, checks pick what is theirs.

use super::catalogue::{Check, Proof, catalogue, embedded_scenarios};
use super::probes::{self, Seen, Substitute};
use super::verdict::{CheckResult, Outcome, ScenarioRun, Suite};
use super::{CertifyError, Options};
use crate::data::TreeSpec;
use crate::engine::{self, Observer, SetupError};
use crate::judge::{self, Finding};
use crate::scenario::{ByteSize, Scenario, StreamSource};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Size of the synthetic stream with `--quick`.
const QUICK_SYNTHETIC: ByteSize = ByteSize(32 << 20);

/// A scenario's run, or why there is none.
type Ran = Result<(ScenarioRun, u64), String>;

pub(super) fn run(
    options: &Options,
    plugin: &Path,
    blake3: String,
    bytes: u64,
    observer: &dyn Observer,
) -> Result<Suite, CertifyError> {
    let mut bench = Bench { options, plugin, observer, seen: None, ran: BTreeMap::new(), order: Vec::new() };
    let mut checks = Vec::new();
    for check in catalogue() {
        let result = match bench.left_out(check) {
            Some(reason) => result(check, Outcome::NotRun, reason.into(), 0),
            None => bench.check(check)?,
        };
        if observer.interrupted() {
            return Err(CertifyError::Interrupted);
        }
        checks.push(result);
    }
    let name = plugin.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plugin_facts =
        bench.seen.as_ref().and_then(|seen| seen.as_ref().ok()).and_then(|seen| seen.right.plugin.clone());
    let mut runs = Vec::new();
    for id in bench.order {
        if let Some(Ok((run, _))) = bench.ran.remove(id) {
            runs.push(run);
        }
    }
    Ok(Suite { name, path: plugin.display().to_string(), blake3, bytes, plugin: plugin_facts, checks, runs })
}

fn result(check: &Check, outcome: Outcome, detail: String, elapsed_ms: u64) -> CheckResult {
    let scenario = match check.proof {
        Proof::Scenario { id, .. } => Some(id),
        Proof::Answers(_) | Proof::NotAPlugin(_) => None,
    };
    CheckResult {
        id: check.id,
        group: check.group,
        title: check.title,
        outcome,
        detail,
        elapsed_ms,
        scenario,
    }
}

struct Bench<'a> {
    options: &'a Options,
    plugin: &'a Path,
    observer: &'a dyn Observer,
    seen: Option<Result<Seen, String>>,
    ran: BTreeMap<&'static str, Ran>,
    order: Vec<&'static str>,
}

impl Bench<'_> {
    fn left_out(&self, check: &Check) -> Option<&'static str> {
        if !check.matches(&self.options.filter) {
            Some("left out by the filter")
        } else if self.options.quick && !check.quick {
            Some("left out by --quick")
        } else {
            None
        }
    }

    fn check(&mut self, check: &Check) -> Result<CheckResult, CertifyError> {
        let started = Instant::now();
        let (outcome, detail, shared_ms) = match check.proof {
            Proof::Answers(probe) => match self.seen()? {
                Ok(seen) => match probe(seen) {
                    Ok(text) => (Outcome::Pass, text, None),
                    Err(text) => (Outcome::Fail, text, None),
                },
                Err(error) => (Outcome::Error, error.clone(), None),
            },
            Proof::Scenario { id, aspects } => match self.scenario(id)? {
                Ok((run, elapsed_ms)) => {
                    let (outcome, detail) = pick(&run.findings, aspects);
                    (outcome, detail, Some(*elapsed_ms))
                }
                Err(error) => (Outcome::Error, error.clone(), None),
            },
            Proof::NotAPlugin(kind) => {
                let (outcome, detail) = self.not_a_plugin(kind)?;
                (outcome, detail, None)
            }
        };
        let own_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(result(check, outcome, detail, shared_ms.unwrap_or(own_ms)))
    }

    fn work_dir(&self) -> Result<tempfile::TempDir, CertifyError> {
        let base = self.options.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let made = tempfile::Builder::new().prefix("nbu-harness-").tempdir_in(&base);
        made.map_err(|source| CertifyError::WorkDir { path: base, source })
    }

    fn seen(&mut self) -> Result<&Result<Seen, String>, CertifyError> {
        if self.seen.is_none() {
            let dir = self.work_dir()?;
            self.observer.note("asking the plug-in about itself, the server and its LSUs");
            let seen = probes::look(&self.options.exe, self.plugin, &self.options.plugin_env, dir.path());
            self.seen = Some(seen.map_err(|error| error.to_string()));
        }
        Ok(self.seen.get_or_insert_with(|| Err("nothing was asked".into())))
    }

    fn engine_options(&self, plugin: &Path, dir: &Path) -> engine::Options {
        engine::Options {
            exe: self.options.exe.clone(),
            plugin: plugin.to_path_buf(),
            work_dir: dir.to_path_buf(),
            sysroot: self.options.sysroot.clone(),
            plugin_env: self.options.plugin_env.clone(),
        }
    }

    fn scenario(&mut self, id: &'static str) -> Result<&Ran, CertifyError> {
        if !self.ran.contains_key(id) {
            let started = Instant::now();
            let ran = match self.load(id) {
                Ok(scenario) => {
                    let dir = self.work_dir()?;
                    self.observer.note(&format!("{id}: {}", scenario.title));
                    engine::run(&scenario, &self.engine_options(self.plugin, dir.path()), self.observer)
                }
                Err(error) => Err(error),
            };
            let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let ran = ran.map_err(|error| error.to_string()).map(|record| {
                let findings = judge::judge(&record);
                (ScenarioRun { record, findings }, elapsed_ms)
            });
            self.ran.insert(id, ran);
            self.order.push(id);
        }
        Ok(self.ran.entry(id).or_insert_with(|| Err("the scenario was not run".into())))
    }

    fn load(&self, id: &str) -> Result<Scenario, SetupError> {
        let text = embedded_scenarios().iter().find(|(other, _)| *other == id).map_or("", |(_, text)| text);
        let mut scenario =
            crate::scenario::parse(id, text).map_err(|error| SetupError::Impossible(error.to_string()))?;
        if let (Some(limit), Some(given)) = (self.options.limit, &mut scenario.expect.all_jobs_done_within) {
            *given = limit;
        }
        if id == "NBU-BKP-001" {
            if self.options.quick {
                make_quick(&mut scenario);
            }
            let size = if self.options.quick { QUICK_SYNTHETIC } else { self.options.synthetic_size };
            scenario.resize_synthetic(size.0);
        }
        Ok(scenario)
    }

    /// A backup with something in place of the plug-in: it must fail, say why, and store nothing.
    fn not_a_plugin(&self, kind: Substitute) -> Result<(Outcome, String), CertifyError> {
        let dir = self.work_dir()?;
        let ran = probes::substitute(kind, dir.path()).and_then(|(library, word)| {
            let mut scenario = probes::probe_scenario()?;
            scenario.expect.job_details_say = vec![word.into()];
            engine::run(&scenario, &self.engine_options(&library, dir.path()), self.observer)
        });
        Ok(match ran {
            Ok(record) => pick(&judge::judge(&record), &[]),
            Err(error) => (Outcome::Error, error.to_string()),
        })
    }
}

/// The verdict on some aspects of a scenario, or on all of them.
fn pick(findings: &[Finding], aspects: &[&str]) -> (Outcome, String) {
    let mine = |finding: &&Finding| aspects.is_empty() || aspects.contains(&finding.aspect.as_str());
    let (held, failed): (Vec<_>, Vec<_>) = findings.iter().filter(mine).partition(|finding| finding.holds);
    let text = |findings: &[&Finding]| {
        let lines = findings.iter().map(|finding| match aspects.len() {
            1 => finding.detail.clone(),
            _ => format!("{}: {}", finding.aspect, finding.detail),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    if !failed.is_empty() {
        (Outcome::Fail, text(&failed))
    } else if held.len() < aspects.len().max(1) {
        (Outcome::Error, format!("the scenario expects nothing about {}", aspects.join(", ")))
    } else {
        (Outcome::Pass, text(&held))
    }
}

/// Real input is replaced by generated trees of the same number of streams.
fn make_quick(scenario: &mut Scenario) {
    for stream in &mut scenario.streams {
        match &mut stream.source {
            StreamSource::RustSysroot { part, .. } => {
                let spec = TreeSpec { seed: u64::from(*part), files: 200, bytes: 8 << 20, changing: false };
                stream.source = StreamSource::GeneratedTree(spec);
            }
            StreamSource::GeneratedTree(spec) => (spec.files, spec.bytes) = (300, 8 << 20),
            StreamSource::Directory(_) | StreamSource::Synthetic(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(aspect: &str, holds: bool) -> Finding {
        Finding { aspect: aspect.into(), holds, detail: format!("detail of {aspect}") }
    }

    #[test]
    fn a_check_has_the_verdict_of_its_own_aspects_only() {
        let findings = [finding("jobs", true), finding("storage.empty", false)];
        assert_eq!(pick(&findings, &["jobs"]), (Outcome::Pass, "detail of jobs".into()));
        assert_eq!(pick(&findings, &["storage.empty"]).0, Outcome::Fail);
        assert_eq!(pick(&findings, &[]).0, Outcome::Fail);
        assert_eq!(
            pick(&findings, &["jobs", "counters"]).0,
            Outcome::Error,
            "an aspect nobody judged is no pass"
        );
        assert_eq!(pick(&[], &[]).0, Outcome::Error);
    }
}
