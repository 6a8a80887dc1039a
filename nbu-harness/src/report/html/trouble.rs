//! What was made to go wrong in a scenario, and what came of it: jobs, their statuses, their log lines.

use super::markup::{badge, status_class, table, text};
use super::scenario::job_name;
use crate::certify::ScenarioRun;
use crate::engine::{FaultOutcome, JobRecord, KillOutcome, OrderOutcome, PauseOutcome, PluginFaultOutcome};
use crate::scenario::Step;
use nbu_trace::orders::FaultOrder;
use serde_json::Value;

/// Most log lines shown for one job.
const LOG_LINES: usize = 12;

/// Each fault with the jobs that ran while it stood, how they ended, and the lines that speak of trouble.
pub(super) fn table_of(run: &ScenarioRun) -> String {
    let mut rows = Vec::new();
    let mut taken = vec![false; run.record.scenario.run.len()];
    for trouble in all(run) {
        let at = run.record.scenario.run.iter().enumerate().position(|(index, step)| {
            !taken.get(index).copied().unwrap_or_default() && (trouble.is_of)(step)
        });
        if let Some(taken) = at.and_then(|at| taken.get_mut(at)) {
            *taken = true;
        }
        let jobs = affected(run, at.unwrap_or(0));
        let ends: Vec<String> = jobs
            .iter()
            .map(|job| {
                let status = badge(status_class(job.result.status), &job.result.status.to_string());
                format!("{} {status} {}", text(&job_name(job)), text(&job.result.text))
            })
            .collect();
        let lines: Vec<String> = jobs.iter().flat_map(|job| troubles(job)).collect();
        let lines = match lines.len() {
            0 => "<span class=\"quiet\">none: the plug-in mastered it silently</span>".to_owned(),
            _ => format!(
                "<details><summary>{} lines</summary><pre>{}</pre></details>",
                lines.len(),
                text(&lines.join("\n"))
            ),
        };
        rows.push(vec![text(&trouble.what), trouble.hits.to_string(), ends.join("<br>"), lines]);
    }
    let caption = "Each fault with the jobs of the steps after it, up to the one that heals it";
    table(
        caption,
        &["fault", "#requests hit", "jobs while it stood, and their status", "log lines of trouble"],
        &rows,
    )
}

/// Something that was made to go wrong.
struct Trouble<'a> {
    what: String,
    /// How often it did.
    hits: u64,
    /// Whether a step is the one that wanted it.
    is_of: Box<dyn Fn(&Step) -> bool + 'a>,
}

/// Faults of the cluster and of the plug-in's calls, kills, pauses and orders.
fn all<'r>(run: &'r ScenarioRun) -> Vec<Trouble<'r>> {
    let record = &run.record;
    let mut all: Vec<Trouble<'r>> = Vec::new();
    let mut add = |kind: &str, what: String, hits, is_of: Box<dyn Fn(&Step) -> bool + 'r>| {
        all.push(Trouble { what: format!("{kind}: {what}"), hits, is_of });
    };
    for FaultOutcome { fault, hits } in &record.faults {
        add(
            "fault",
            described(fault),
            *hits,
            Box::new(move |step| matches!(step, Step::Fault(of) if of == fault)),
        );
    }
    for PluginFaultOutcome { fault, hits } in &record.plugin_faults {
        // The engine gives numbers of its own.
        let same = move |of: &FaultOrder| FaultOrder { id: fault.id, ..of.clone() } == *fault;
        let is_of = move |step: &Step| matches!(step, Step::PluginFault(of) if same(of));
        add("plugin_fault", described(fault), *hits, Box::new(is_of));
    }
    for KillOutcome { kill, hits } in &record.kills {
        add(
            "kill",
            described(kill),
            *hits,
            Box::new(move |step| matches!(step, Step::Kill(of) if of == kill)),
        );
    }
    for PauseOutcome { pause, hits } in &record.pauses {
        add(
            "pause",
            described(pause),
            *hits,
            Box::new(move |step| matches!(step, Step::Pause(of) if of == pause)),
        );
    }
    for OrderOutcome { order, hits } in &record.orders {
        add(
            "order",
            described(order),
            *hits,
            Box::new(move |step| matches!(step, Step::Order(of) if of == order)),
        );
    }
    all
}

/// Whether anything was made to go wrong.
pub(super) fn any(run: &ScenarioRun) -> bool {
    !all(run).is_empty()
}

/// The settings of something, those that are not given left out.
fn described(what: &impl serde::Serialize) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(what) else { return String::new() };
    let known = fields.iter().filter(|(_, value)| !value.is_null());
    let words = known.map(|(key, value)| match value {
        Value::String(word) => format!("{key}: {word}"),
        value => format!("{key}: {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Jobs of the steps after a fault, up to the step that heals it.
fn affected(run: &ScenarioRun, at: usize) -> Vec<&JobRecord> {
    let steps = &run.record.scenario.run;
    let healed =
        steps.iter().skip(at).position(|step| matches!(step, Step::Heal)).map_or(steps.len(), |n| at + n);
    run.record.jobs.iter().filter(|job| job.step > at && job.step < healed).collect()
}

/// Lines of a job from severity 8 (warning) on.
fn troubles(job: &JobRecord) -> Vec<String> {
    let serious = |line: &&String| ["<8>", "<16>", "<32>"].iter().any(|mark| line.contains(mark));
    let lines = job.result.log.iter().filter(serious).take(LOG_LINES);
    lines.map(|line| format!("job {}: {line}", job.result.job_id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_the_jobs_of_the_steps_after_it_up_to_the_one_that_heals_it() {
        let mut run = super::super::scenario::tests::run();
        let fault = run.record.faults[0].fault;
        let verify = || Step::Verify(crate::scenario::CopyStep::default());
        run.record.scenario.run = vec![Step::Fault(fault), verify(), Step::Heal, verify()];
        for (job, step) in run.record.jobs.iter_mut().zip([1, 3]) {
            job.step = step;
            job.result.log = vec!["<16> 1:bptm:7:x: went wrong".into(), "<4> 1:bptm:7:x: fine".into()];
        }
        run.record.jobs.truncate(2);
        let first = run.record.jobs[0].result.job_id;
        let ids: Vec<u64> = affected(&run, 0).iter().map(|job| job.result.job_id).collect();
        assert_eq!(ids, [first]);
        let html = table_of(&run);
        assert!(html.contains("went wrong") && !html.contains("fine"), "{html}");
    }
}
