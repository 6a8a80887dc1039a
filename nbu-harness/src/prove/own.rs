//! Checks whose cause lies in the harness: what they judge is altered, and they have to fail.

use super::{MAIN, Options, Proof, ProveError, certification};
use crate::certify::{self, Leak, LeakKind, Outcome, ScenarioRun, evidence, probes};
use crate::engine::{self, Observer, Record, SetupError};
use crate::judge::{self, Finding};
use crate::nbu::JobKind;

/// How one of these checks is proven.
enum Way {
    /// The record of a good run of the main scenario is altered; the aspect that has to fail, and what it has to say.
    Record(fn(&mut Record), &'static str, &'static str),
    /// The plug-in itself where a library that is none is expected: the job succeeds, which has to be noticed.
    WorkingPlugin(&'static str),
}

/// The checks, what is altered, and how.
const CHECKS: [(&str, &str, Way); 5] = [
    ("LOD-005", "a plug-in where none is expected", Way::WorkingPlugin("libstspiMissing.so")),
    ("LOD-006", "a plug-in where another library is expected", Way::WorkingPlugin("stspi_init")),
    (
        "BKP-002",
        "record: no warning names the file",
        Way::Record(no_warning, "data.changed_file_reported", "no warning"),
    ),
    ("BKP-004", "record: one delay more than the waiting", Way::Record(one_delay_more, "counters", "delays")),
    (
        "RST-003",
        "record: 64 MiB more were read",
        Way::Record(read_more, "data.single_file_read_overhead", "expected <="),
    ),
];

fn no_warning(record: &mut Record) {
    record.steps.iter_mut().flat_map(|step| &mut step.changed).for_each(|file| file.reported = false);
}

fn one_delay_more(record: &mut Record) {
    record.jobs.iter_mut().for_each(|job| job.result.waits.parent.delays += 1);
}

fn read_more(record: &mut Record) {
    let restores = record.jobs.iter_mut().filter(|job| job.result.kind == JobKind::Restore);
    restores.for_each(|job| job.result.bytes_read += 64 << 20);
}

/// Everything that a scenario can leave.
const KINDS: [LeakKind; 4] =
    [LeakKind::Descriptor, LeakKind::Thread, LeakKind::Process, LeakKind::SharedMemory];

/// A run that left one thing of one kind, and what it says of it.
fn leaving(good: &ScenarioRun, kind: LeakKind) -> (ScenarioRun, String) {
    let what = format!("a {kind:?} that is left");
    let mut run = good.clone();
    run.leaks.push(Leak { kind, what: what.clone() });
    (run, what)
}

/// Whether there is a way for a check without a defect.
#[cfg(test)]
pub(super) fn has_way(check: &certify::Check) -> bool {
    matches!(check.proof, certify::Proof::Leaks(_)) || CHECKS.iter().any(|(id, ..)| *id == check.id)
}

/// Proves these checks; a good run of the main scenario is made at most once.
pub(super) struct Own<'a> {
    options: &'a Options,
    observer: &'a dyn Observer,
    good: Option<ScenarioRun>,
}

impl<'a> Own<'a> {
    pub(super) const fn new(options: &'a Options, observer: &'a dyn Observer) -> Self {
        Self { options, observer, good: None }
    }

    /// The proof for a check that has no defect.
    pub(super) fn prove(&mut self, check: &'static str) -> Result<Proof, ProveError> {
        let proof = certify::catalogue().iter().find(|other| other.id == check).map(|check| check.proof);
        if let Some(certify::Proof::Leaks(kinds)) = proof {
            return Ok(of_leaks(check, kinds, self.good_run()?));
        }
        let Some((_, altered, way)) = CHECKS.iter().find(|(id, ..)| *id == check) else {
            let detail = "there is no defect for it in the table: nothing shows that it can fail".to_owned();
            return Ok(Proof { check, defect: "", found: false, reason: false, others: Vec::new(), detail });
        };
        self.observer.note(&format!("{check}: {altered}"));
        match way {
            Way::Record(alter, aspect, says) => {
                let good = &self.good_run()?.record;
                let before = judge::judge(good);
                let mut record = good.clone();
                alter(&mut record);
                let after = judge::judge(&record);
                Ok(of_findings(check, altered, &before, &after, aspect, says))
            }
            Way::WorkingPlugin(word) => {
                let findings = self.working(word)?;
                Ok(of_findings(check, altered, &[], &findings, "jobs", "status 0"))
            }
        }
    }

    fn good_run(&mut self) -> Result<&ScenarioRun, ProveError> {
        if self.good.is_none() {
            let options = certification(self.options, vec!["BKP-001".to_owned()], true, None)?;
            let verdict = certify::run(&options, self.observer)?;
            let mut runs = verdict.suites.into_iter().flat_map(|suite| suite.runs);
            let run = runs.find(|run| run.record.scenario.id == MAIN);
            let missing = || SetupError::Impossible(format!("{MAIN} was not run"));
            self.good = Some(run.ok_or_else(missing)?);
        }
        self.good.as_ref().ok_or_else(|| SetupError::Impossible(format!("{MAIN} was not run")).into())
    }

    /// The check of a library that is no plug-in, with one that is.
    fn working(&self, word: &str) -> Result<Vec<Finding>, ProveError> {
        let base = self.options.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = tempfile::Builder::new().prefix("nbu-harness-").tempdir_in(&base);
        let dir = dir.map_err(SetupError::io("make a directory in", &base))?;
        let mut scenario = probes::probe_scenario()?;
        scenario.expect.job_details_say = vec![word.to_owned()];
        let options = engine::Options {
            exe: self.options.exe.clone(),
            plugin: self.options.plugin.clone(),
            work_dir: dir.path().to_path_buf(),
            sysroot: None,
            plugin_env: std::collections::BTreeMap::new(),
        };
        Ok(judge::judge(&engine::run(&scenario, &options, self.observer)?))
    }
}

/// A check of what is left: it has to hold, to fail when one thing of a kind of its own is left and to pass when one of
/// another kind is. The checks of other kinds have to pass each time that it fails.
fn of_leaks(check: &'static str, kinds: &'static [LeakKind], good: &ScenarioRun) -> Proof {
    let judged = |kinds, run: &ScenarioRun| {
        evidence::of_runs(certify::Proof::Leaks(kinds), std::iter::once(run))
            .unwrap_or((Outcome::NotRun, "nothing was judged".to_owned()))
    };
    let before = judged(kinds, good);
    let (mut found, mut reason) = (!kinds.is_empty(), !kinds.is_empty());
    let (mut details, mut others) = (Vec::new(), Vec::new());
    for kind in KINDS {
        let (run, what) = leaving(good, kind);
        let after = judged(kinds, &run);
        if !kinds.contains(&kind) {
            if after.0 != before.0 {
                others.push(format!("{check}: {}: {}", after.0, after.1));
            }
            continue;
        }
        let proof = of_outcomes(check, "", Some(before.clone()), Some(after), &what);
        found &= proof.found;
        reason &= proof.reason;
        details.push(proof.detail);
        for other in certify::catalogue().iter().filter(|other| other.id != check) {
            let certify::Proof::Leaks(theirs) = other.proof else { continue };
            let (outcome, detail) = judged(theirs, &run);
            if outcome != Outcome::Pass {
                others.push(format!("{}: {outcome}: {detail}", other.id));
            }
        }
    }
    let defect = "record: one thing is left, of each kind in turn";
    Proof { check, defect, found, reason, others, detail: details.join("\n") }
}

/// A check that held before, where it was judged, and failed for the stated reason.
fn of_outcomes(
    check: &'static str,
    altered: &'static str,
    before: Option<(Outcome, String)>,
    after: Option<(Outcome, String)>,
    says: &str,
) -> Proof {
    let held = before.is_none_or(|(outcome, _)| outcome == Outcome::Pass);
    let (outcome, detail) = after.unwrap_or((Outcome::NotRun, "nothing was judged".to_owned()));
    let found = held && outcome == Outcome::Fail;
    Proof {
        check,
        defect: altered,
        found,
        reason: found && detail.contains(says),
        others: Vec::new(),
        detail,
    }
}

fn of_findings(
    check: &'static str,
    altered: &'static str,
    before: &[Finding],
    after: &[Finding],
    aspect: &str,
    says: &str,
) -> Proof {
    let fell = |findings: &[Finding], aspect: &str| {
        findings.iter().any(|finding| finding.aspect == aspect && !finding.holds)
    };
    let finding = after.iter().find(|finding| finding.aspect == aspect);
    let found = finding.is_some_and(|finding| !finding.holds) && !fell(before, aspect);
    let detail = finding.map_or_else(|| "nothing was judged".to_owned(), |finding| finding.detail.clone());
    // Only what held before can have fallen by what was altered.
    let others = before
        .iter()
        .filter(|finding| finding.aspect != aspect && finding.holds && fell(after, &finding.aspect));
    let others = others.map(|finding| format!("{}: it fell too", finding.aspect)).collect();
    Proof { check, defect: altered, found, reason: found && detail.contains(says), others, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(aspect: &str, holds: bool, detail: &str) -> Finding {
        Finding { aspect: aspect.into(), holds, unknown: false, detail: detail.into() }
    }

    #[test]
    fn an_altered_record_proves_a_check_that_held_before_and_fell_alone() {
        let proof = |before: Vec<Finding>, after: Vec<Finding>| {
            of_findings("BKP-004", "altered", &before, &after, "counters", "delays").holds()
        };
        let (good, fell) = (finding("counters", true, ""), finding("counters", false, "2 delays"));
        let (jobs, jobs_fell) = (finding("jobs", true, ""), finding("jobs", false, ""));
        assert!(proof(vec![good.clone(), jobs.clone()], vec![fell.clone(), jobs.clone()]));
        assert!(!proof(vec![fell.clone()], vec![fell.clone()]), "it had fallen before");
        assert!(!proof(vec![good.clone()], vec![good.clone()]), "it did not fall");
        assert!(!proof(vec![good.clone(), jobs], vec![fell, jobs_fell]), "another one fell too");
        assert!(!proof(vec![good.clone()], vec![finding("counters", false, "?")]), "for another reason");
        assert!(!proof(vec![good], vec![]), "it was not judged");
    }

    #[test]
    fn a_check_of_what_is_left_is_proven_by_its_own_kinds_and_by_no_other() {
        let record = judge::tests::good();
        let (findings, timeline, leaks) = (Vec::new(), Vec::new(), Vec::new());
        let good = ScenarioRun { pass: 1, record, findings, timeline, leaks };
        let mut proven = 0;
        for check in certify::catalogue() {
            let certify::Proof::Leaks(kinds) = check.proof else { continue };
            let proof = of_leaks(check.id, kinds, &good);
            assert!(proof.holds(), "{proof:?}");
            assert_eq!(proof.detail.lines().count(), kinds.len(), "{proof:?}");
            proven += 1;
        }
        assert_eq!(proven, 3);
        let greedy = of_leaks("RES-003", &[LeakKind::Process, LeakKind::SharedMemory], &good);
        assert!(greedy.found && !greedy.holds(), "RES-004 is about shared memory: {greedy:?}");
        let (left, _) = leaving(&good, LeakKind::Process);
        assert!(!of_leaks("RES-003", &[LeakKind::Process], &left).found, "it had fallen before");
    }

    #[test]
    fn every_check_here_is_in_the_catalogue_and_has_no_defect() {
        for (id, ..) in CHECKS {
            assert!(certify::catalogue().iter().any(|check| check.id == id), "{id}");
            assert!(nbu_trace::defects::DEFECTS.iter().all(|defect| defect.check != id), "{id}");
        }
    }
}
