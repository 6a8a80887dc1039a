//! From what was seen to an outcome: answers, findings of scenarios, what processes and scenarios left.

use super::attempt::ScenarioRun;
use super::check::Proof;
use super::probes::{self, Seen};
use super::resources::LeakKind;
use super::verdict::Outcome;
use crate::judge::Finding;
use crate::nbu::Footprint;

/// Lines that one detail has at most.
const PRINTED: usize = 10;

/// A probe that holds every time the plug-in was asked; the first time that it does not is what counts.
fn every_time(seen: &[Seen], probe: impl Fn(&Seen) -> Result<String, String>) -> Result<String, String> {
    let mut text = Err("the plug-in was asked nothing".to_owned());
    for (index, seen) in seen.iter().enumerate() {
        match probe(seen) {
            Ok(said) if index == 0 => text = Ok(said),
            Ok(_) => {}
            Err(error) if index == 0 => return Err(error),
            Err(error) => return Err(format!("asked for the {}. time: {error}", index + 1)),
        }
    }
    text
}

/// The verdict on some aspects of a scenario, or on all of them.
pub(super) fn pick(findings: &[Finding], aspects: &[&str]) -> (Outcome, String) {
    let mine = |finding: &&Finding| aspects.is_empty() || aspects.contains(&finding.aspect.as_str());
    let mine: Vec<&Finding> = findings.iter().filter(mine).collect();
    let text = |findings: &[&Finding]| {
        let lines = findings.iter().map(|finding| match aspects.len() {
            1 => finding.detail.clone(),
            _ => format!("{}: {}", finding.aspect, finding.detail),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let unknown: Vec<&Finding> = mine.iter().copied().filter(|finding| finding.unknown).collect();
    let failed: Vec<&Finding> =
        mine.iter().copied().filter(|finding| !finding.holds && !finding.unknown).collect();
    if !failed.is_empty() {
        (Outcome::Fail, text(&failed))
    } else if mine.len() < aspects.len().max(1) {
        (Outcome::Error, format!("the scenario expects nothing about {}", aspects.join(", ")))
    } else if !unknown.is_empty() {
        (Outcome::Unknown, text(&unknown))
    } else {
        (Outcome::Pass, text(&mine))
    }
}

/// The verdict on checks of answers; none for others.
pub(crate) fn of_answers(proof: Proof, seen: &[Seen]) -> Option<(Outcome, String)> {
    let found = match proof {
        Proof::Answers(probe) => every_time(seen, probe),
        Proof::Alike(probe) => probe(seen),
        Proof::Capability(name) => every_time(seen, |seen| probes::capability_works(seen, name)),
        _ => return None,
    };
    Some(match found {
        Ok(text) => (Outcome::Pass, text),
        Err(text) => (Outcome::Fail, text),
    })
}

/// The verdict on checks of what was left; none for others.
pub(crate) fn of_runs<'r>(
    proof: Proof,
    runs: impl Iterator<Item = &'r ScenarioRun>,
) -> Option<(Outcome, String)> {
    match proof {
        Proof::Footprint(part) => Some(footprints(runs, part)),
        Proof::Leaks(kind) => Some(leaks(runs, kind)),
        _ => None,
    }
}

fn listed(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(PRINTED);
    lines.truncate(PRINTED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// Whether the plug-in left nothing of one kind in the processes that loaded it.
fn footprints<'r>(
    runs: impl Iterator<Item = &'r ScenarioRun>,
    part: fn(&Footprint) -> &[String],
) -> (Outcome, String) {
    let (mut processes, mut left) = (0, Vec::new());
    for run in runs {
        for job in &run.record.jobs {
            processes += job.result.footprints.len();
            let lines = job.result.footprints.iter().flat_map(part);
            let place = format!("{} job {}", run.record.scenario.id, job.result.job_id);
            left.extend(lines.map(|line| format!("{place}: {line}")));
        }
    }
    match (processes, left.is_empty()) {
        (0, _) => (Outcome::Unknown, "no process that loaded the plug-in lived to report".into()),
        (_, true) => (Outcome::Pass, format!("nothing is left in {processes} processes")),
        (_, false) => (Outcome::Fail, listed(left)),
    }
}

/// Whether scenarios left nothing of a kind.
fn leaks<'r>(runs: impl Iterator<Item = &'r ScenarioRun>, kind: LeakKind) -> (Outcome, String) {
    let (mut scenarios, mut left) = (0, Vec::new());
    for run in runs {
        scenarios += 1;
        let mine = run.leaks.iter().filter(|leak| leak.kind == kind);
        left.extend(mine.map(|leak| format!("{}: {}", run.record.scenario.id, leak.what)));
    }
    if left.is_empty() {
        (Outcome::Pass, format!("nothing is left after {scenarios} scenarios"))
    } else {
        (Outcome::Fail, listed(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(aspect: &str, holds: bool) -> Finding {
        Finding { aspect: aspect.into(), holds, unknown: false, detail: format!("detail of {aspect}") }
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

    #[test]
    fn evidence_that_is_missing_is_neither_a_pass_nor_a_failure_and_hides_no_failure() {
        let missing = Finding { unknown: true, ..finding("storage.empty", false) };
        let findings = [finding("jobs", true), missing.clone()];
        assert_eq!(pick(&findings, &[]), (Outcome::Unknown, "storage.empty: detail of storage.empty".into()));
        assert_eq!(pick(&findings, &["jobs"]).0, Outcome::Pass);
        assert_eq!(pick(&[finding("jobs", false), missing], &[]).0, Outcome::Fail);
    }

    #[test]
    fn one_wrong_answer_of_several_fails() {
        let seen = vec![Seen::default(), Seen::default(), Seen::default()];
        let calls = std::cell::Cell::new(0);
        let third_is_wrong = |_: &Seen| {
            calls.set(calls.get() + 1);
            if calls.get() == 3 { Err("no".to_owned()) } else { Ok("yes".to_owned()) }
        };
        assert_eq!(every_time(&seen, third_is_wrong), Err("asked for the 3. time: no".into()));
        assert_eq!(every_time(&seen, |_| Ok("yes".into())), Ok("yes".into()));
        assert!(every_time(&[], |_| Ok("yes".into())).is_err(), "nothing proves nothing");
    }

    fn run(change: impl FnOnce(&mut ScenarioRun)) -> ScenarioRun {
        let mut record = crate::judge::tests::good();
        record.jobs.iter_mut().for_each(|job| job.result.footprints.clear());
        let mut run =
            ScenarioRun { pass: 1, record, findings: Vec::new(), timeline: Vec::new(), leaks: Vec::new() };
        change(&mut run);
        run
    }

    #[test]
    fn what_a_plug_in_left_in_any_job_fails_and_no_report_at_all_proves_nothing() {
        let descriptors: fn(&Footprint) -> &[String] = |footprint| &footprint.left_descriptors;
        let reported = |left: &[&str]| {
            let left = left.iter().map(|line| (*line).to_owned()).collect();
            let footprint = Footprint { left_descriptors: left, ..Footprint::default() };
            run(|run| run.record.jobs[1].result.footprints = vec![Footprint::default(), footprint])
        };
        assert_eq!(footprints([run(|_| {})].iter(), descriptors).0, Outcome::Unknown);
        let (outcome, detail) = footprints([run(|_| {}), reported(&[])].iter(), descriptors);
        assert_eq!((outcome, detail.as_str()), (Outcome::Pass, "nothing is left in 2 processes"));
        let (outcome, detail) = footprints([reported(&["7 socket:[1]"]), run(|_| {})].iter(), descriptors);
        assert_eq!((outcome, detail.as_str()), (Outcome::Fail, "NBU-BKP-900 job 2: 7 socket:[1]"));
        assert_eq!(
            footprints([reported(&["7 x"])].iter(), |footprint| &footprint.left_threads).0,
            Outcome::Pass
        );
    }

    #[test]
    fn a_leak_fails_the_check_of_its_kind_and_no_other() {
        use super::super::resources::Leak;
        let leaking = run(|run| {
            run.leaks = vec![Leak { kind: LeakKind::Process, what: "12 bptm".into() }];
        });
        let runs = [run(|_| {}), leaking];
        assert_eq!(leaks(runs.iter(), LeakKind::Process), (Outcome::Fail, "NBU-BKP-900: 12 bptm".into()));
        assert_eq!(leaks(runs.iter(), LeakKind::SharedMemory).0, Outcome::Pass);
    }
}
