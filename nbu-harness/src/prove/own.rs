//! Checks whose cause lies in the harness as well: what they judge is altered, and they have to fail.

use super::{MAIN, Options, Proof, ProveError, certification};
use crate::certify::{self, ScenarioRun, probes};
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

/// Whether what a check judges can be altered.
pub(super) fn has_way(check: &str) -> bool {
    CHECKS.iter().any(|(id, ..)| *id == check)
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

    /// The proof for a check by what is altered; one that nothing is altered for is not proven.
    pub(super) fn prove(&mut self, check: &'static str) -> Result<Proof, ProveError> {
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
    fn every_check_here_is_in_the_catalogue_and_a_library_that_is_no_plug_in_has_no_defect() {
        for (id, _, way) in CHECKS {
            assert!(certify::catalogue().iter().any(|check| check.id == id), "{id}");
            let defect = nbu_trace::defects::DEFECTS.iter().any(|defect| defect.check == id);
            assert_eq!(defect, matches!(way, Way::Record(..)), "{id}");
        }
    }
}
