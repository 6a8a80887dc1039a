//! The checks of one plug-in: in every pass answers are asked for once, every scenario runs once, checks pick what is theirs.

use super::attempt::{self, Attempt, Phase, PhaseKind, ScenarioRun, Surroundings};
use super::catalogue::{MAIN, catalogue, embedded_scenarios};
use super::check::{Check, Proof, Requirement};
use super::evidence;
use super::probes::{self, Seen, Substitute};
use super::verdict::{CheckResult, Outcome, Suite};
use super::{CertifyError, Library, Options};
use crate::data::TreeSpec;
use crate::engine::{Observer, SetupError};
use crate::scenario::{self, ByteSize, Scenario, StreamSource};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Size of the synthetic stream with `--quick`.
const QUICK_SYNTHETIC: ByteSize = ByteSize(32 << 20);
/// What the set-up and clean-up of the questions to a plug-in are for.
const QUESTIONS: &str = "questions";

/// An outcome and what was seen.
type Judged = (Outcome, String);

/// Runs the checks, as often as is wanted.
pub(super) fn run(
    options: &Options,
    library: &Library,
    observer: &dyn Observer,
) -> Result<Suite, CertifyError> {
    let name = library.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut suite = Suite {
        name,
        path: library.path.display().to_string(),
        blake3: library.blake3.clone(),
        sha256: library.sha256.clone(),
        bytes: library.bytes,
        plugin: None,
        capabilities: Vec::new(),
        checks: Vec::new(),
        phases: Vec::new(),
        passes: 0,
        runs: Vec::new(),
    };
    loop {
        let pass = suite.passes + 1;
        let seed = options.seed_of_pass(pass);
        if pass > 1 {
            observer.note(&format!("pass {pass} of {}, seed {seed}", suite.name));
        }
        let mut bench = Bench {
            options,
            library,
            suite_name: &suite.name,
            observer,
            pass,
            seed,
            seen: None,
            ran: BTreeMap::new(),
            order: Vec::new(),
            phases: Vec::new(),
        };
        let checks = bench.all()?;
        let bad = is_bad(&checks, &bench.phases);
        if let Some(Ok(seen)) = &bench.seen {
            suite.plugin = seen.first().and_then(|seen| seen.right.plugin.clone());
            suite.capabilities = seen.first().map(Seen::claims).unwrap_or_default();
        }
        let Bench { mut ran, order, phases, .. } = bench;
        // Passes without end must not fill the memory; the last of them is the one that is bad.
        if pass == 1 || bad || !options.until_failure {
            suite.phases.extend(phases);
        }
        if pass == 1 || bad {
            suite.runs.extend(order.iter().filter_map(|id| ran.remove(id)?.ok().map(|(run, _)| run)));
        }
        if pass == 1 {
            suite.checks = checks;
        } else {
            suite.checks.iter_mut().zip(checks).for_each(|(total, more)| total.add(more));
        }
        suite.passes = pass;
        let stopped = options.until_failure && bad;
        if stopped || options.passes.is_some_and(|passes| pass >= passes.get()) {
            return Ok(suite);
        }
    }
}

/// Whether there is something to look into in a pass. A clean-up that fails fails the run.
fn is_bad(checks: &[CheckResult], phases: &[Phase]) -> bool {
    checks.iter().any(|check| check.outcome.is_bad()) || phases.iter().any(|phase| !phase.ok)
}

/// One pass.
struct Bench<'a> {
    options: &'a Options,
    library: &'a Library,
    suite_name: &'a str,
    observer: &'a dyn Observer,
    pass: u32,
    seed: u64,
    seen: Option<Result<Vec<Seen>, String>>,
    /// Runs and their wall time in milliseconds, or why there is none.
    ran: BTreeMap<&'static str, Result<(ScenarioRun, u64), String>>,
    order: Vec<&'static str>,
    phases: Vec<Phase>,
}

impl Bench<'_> {
    fn all(&mut self) -> Result<Vec<CheckResult>, CertifyError> {
        let mut checks = Vec::new();
        let mut stopped = false;
        for check in catalogue() {
            let started = Instant::now();
            let left_out = match self.left_out(check) {
                None if stopped => Some("not reached: stopped at the first failure"),
                reason => reason,
            };
            let result = if let Some(reason) = left_out {
                CheckResult::new(check, (Outcome::NotRun, reason.into()), 0)
            } else {
                let judged = self.judge(check)?;
                let shared = check.proof.scenario().and_then(|id| self.ran.get(id)?.as_ref().ok());
                let own = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                CheckResult::new(check, judged, shared.map_or(own, |(_, elapsed_ms)| *elapsed_ms))
            };
            if self.observer.interrupted() {
                return Err(CertifyError::Interrupted);
            }
            stopped |= self.options.until_failure && result.outcome.is_bad();
            checks.push(result);
        }
        Ok(checks)
    }

    fn left_out(&self, check: &Check) -> Option<&'static str> {
        let rerun = self.options.rerun.as_ref();
        if !check.matches(&self.options.filter) {
            Some("left out by the filter")
        } else if rerun.is_some_and(|ids| !ids.get(self.suite_name).is_some_and(|ids| ids.contains(check.id)))
        {
            Some("did not fail before")
        } else if self.options.quick && !check.quick {
            Some("left out by --quick")
        } else {
            None
        }
    }

    fn judge(&mut self, check: &Check) -> Result<Judged, CertifyError> {
        if let Requirement::Claimed(name) = check.requirement {
            match self.seen()? {
                Err(error) => return Ok((Outcome::Error, error.clone())),
                Ok(seen) if !seen.iter().any(|seen| seen.claims().iter().any(|claim| claim == name)) => {
                    return Ok((Outcome::Skip, format!("not claimed: {name}")));
                }
                Ok(_) => {}
            }
        }
        Ok(match check.proof {
            Proof::Answers(_) | Proof::Alike(_) | Proof::Capability(_) => match self.seen()? {
                Ok(seen) => evidence::of_answers(check.proof, seen).unwrap_or_else(unjudged),
                Err(error) => (Outcome::Error, error.clone()),
            },
            Proof::Scenario { id, aspects } => match self.scenario(id)? {
                Ok(run) => evidence::pick(&run.findings, aspects),
                Err(error) => (Outcome::Error, error),
            },
            Proof::Footprint(_) | Proof::Leaks(_) => match self.scenario(MAIN)?.map(|_| ()) {
                Ok(()) => evidence::of_runs(check.proof, self.runs()).unwrap_or_else(unjudged),
                Err(error) => (Outcome::Error, error),
            },
            Proof::NotAPlugin(kind) => self.not_a_plugin(check.id, kind)?,
        })
    }

    fn runs(&self) -> impl Iterator<Item = &ScenarioRun> {
        self.order.iter().filter_map(|id| self.ran.get(id)?.as_ref().ok()).map(|(run, _)| run)
    }

    fn base(&self) -> PathBuf {
        self.options.work_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn seen(&mut self) -> Result<&Result<Vec<Seen>, String>, CertifyError> {
        if self.seen.is_none() {
            let started = Instant::now();
            let no_dir = |source| CertifyError::WorkDir { path: self.base(), source };
            let dir = attempt::work_dir(&self.base(), false).map_err(no_dir)?;
            self.observer.note("asking the plug-in about itself, the server and its LSUs");
            let (exe, environment) = (&self.options.exe, &self.options.plugin_env);
            let seen = probes::look(exe, &self.library.path, environment, dir.path());
            let took = started.elapsed();
            let set_up = seen.as_ref().map(|_| ()).map_err(ToString::to_string);
            let removed = dir.close().map_err(|error| format!("the working directory stays behind: {error}"));
            let cleaning = started.elapsed().saturating_sub(took);
            self.phases.push(Phase::new(PhaseKind::SetUp, QUESTIONS, self.pass, set_up, took));
            self.phases.push(Phase::new(PhaseKind::CleanUp, QUESTIONS, self.pass, removed, cleaning));
            self.seen = Some(seen.map_err(|error| error.to_string()));
        }
        Ok(self.seen.get_or_insert_with(|| Err("nothing was asked".into())))
    }

    fn attempt(&mut self, scenario: &Scenario, plugin: PathBuf) -> Result<Attempt, CertifyError> {
        let around = Surroundings {
            exe: self.options.exe.clone(),
            plugin,
            base: self.base(),
            keep: false,
            sysroot: self.options.sysroot.clone(),
            plugin_env: self.options.plugin_env.clone(),
            pass: self.pass,
        };
        let mut attempt = attempt::attempt(scenario, &around, self.observer)
            .map_err(|source| CertifyError::WorkDir { path: around.base, source })?;
        self.phases.append(&mut attempt.phases);
        Ok(attempt)
    }

    fn scenario(&mut self, id: &'static str) -> Result<Result<&ScenarioRun, String>, CertifyError> {
        if !self.ran.contains_key(id) {
            let started = Instant::now();
            let ran = match self.load(id) {
                Ok(scenario) => {
                    self.observer.note(&format!("{id}: {}", scenario.title));
                    self.attempt(&scenario, self.library.path.clone())?.run
                }
                Err(error) => Err(error),
            };
            self.keep(id, ran, started);
        }
        let ran = self.ran.get(id).map(Result::as_ref);
        Ok(ran.unwrap_or(Err(&String::new())).map(|(run, _)| run).map_err(Clone::clone))
    }

    /// Keeps a run for the checks that look at all of them, and for the reports.
    fn keep(&mut self, id: &'static str, ran: Result<ScenarioRun, SetupError>, started: Instant) {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ran.insert(id, ran.map(|run| (run, elapsed_ms)).map_err(|error| error.to_string()));
        self.order.push(id);
    }

    fn load(&self, id: &str) -> Result<Scenario, SetupError> {
        let text = embedded_scenarios().iter().find(|(other, _)| *other == id).map_or("", |(_, text)| text);
        let mut scenario = scenario::parse_seeded(id, text, self.seed)
            .map_err(|error| SetupError::Impossible(error.to_string()))?;
        if let (Some(limit), Some(given)) = (self.options.limit, &mut scenario.expect.all_jobs_done_within) {
            *given = limit;
        }
        if id == MAIN {
            if self.options.quick {
                make_quick(&mut scenario);
            }
            let size = if self.options.quick { QUICK_SYNTHETIC } else { self.options.synthetic_size };
            scenario.resize_synthetic(size.0);
        }
        Ok(scenario)
    }

    /// A backup with something in place of the plug-in: it must fail, say why, and store nothing.
    fn not_a_plugin(&mut self, id: &'static str, kind: Substitute) -> Result<Judged, CertifyError> {
        let started = Instant::now();
        let prepared = probes::substitute(kind, &self.base()).and_then(|(library, word)| {
            let mut scenario = probes::probe_scenario()?;
            scenario.id = id.into();
            scenario.expect.job_details_say = vec![word.into()];
            Ok((scenario, library))
        });
        let ran = match prepared {
            Ok((scenario, library)) => self.attempt(&scenario, library)?.run,
            Err(error) => Err(error),
        };
        let judged = match &ran {
            Ok(run) => evidence::pick(&run.findings, &[]),
            Err(error) => (Outcome::Error, error.to_string()),
        };
        self.keep(id, ran, started);
        Ok(judged)
    }
}

/// A check that nothing judges is no pass.
fn unjudged() -> Judged {
    (Outcome::Error, "nothing judges this check".into())
}

/// Real input is replaced by generated trees of the same number of streams.
fn make_quick(scenario: &mut Scenario) {
    let base = scenario.seed;
    for stream in &mut scenario.streams {
        match &mut stream.source {
            StreamSource::RustSysroot { part, .. } => {
                let spec = TreeSpec {
                    seed: base.wrapping_add((*part).into()),
                    files: 200,
                    bytes: 8 << 20,
                    changing: false,
                };
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
    use std::time::Duration;

    #[test]
    fn a_pass_whose_clean_up_failed_is_looked_into_though_all_its_checks_passed() {
        let check = |outcome| CheckResult::new(&catalogue()[0], (outcome, String::new()), 1);
        let phase = |outcome| Phase::new(PhaseKind::CleanUp, QUESTIONS, 2, outcome, Duration::ZERO);
        let (cleaned, left) = (phase(Ok(())), phase(Err("it stays behind".to_owned())));
        assert!(!is_bad(&[check(Outcome::Pass)], std::slice::from_ref(&cleaned)));
        assert!(is_bad(&[check(Outcome::Fail)], std::slice::from_ref(&cleaned)));
        assert!(is_bad(&[check(Outcome::Pass)], &[cleaned, left]));
    }
}
