//! One scenario of one plug-in: its timeline, rates and waits, its jobs, what each fault caused, every default.

use super::chart::{self, Bar, Row, Series};
use super::markup::{anchor, badge, duration, status_class, table, text};
use crate::certify::{JobTimes, ScenarioRun};
use crate::engine::{FaultOutcome, JobRecord};
use crate::nbu::JobKind;
use crate::report::kind_name;
use crate::scenario::Step;
use serde_json::Value;
use std::fmt::Write as _;

/// Most rows of one chart, most log lines shown for one job of a fault.
const ROWS: usize = 60;
const LOG_LINES: usize = 12;

/// The anchor of a run.
pub(super) fn name(plugin: &str, run: &ScenarioRun) -> String {
    anchor(&format!("{plugin}-{}-{}", run.record.scenario.id, run.pass))
}

/// The whole section.
pub(super) fn section(plugin: &str, run: &ScenarioRun) -> String {
    let record = &run.record;
    let broken = run.findings.iter().any(|finding| !finding.holds && !finding.unknown);
    let unknown = run.findings.iter().any(|finding| finding.unknown);
    let (class, word) = match (broken || !run.leaks.is_empty(), unknown) {
        (true, _) => ("bad", "FAIL"),
        (false, true) => ("warn", "UNKNOWN"),
        (false, false) => ("good", "pass"),
    };
    let pass = if run.pass > 1 { format!(", pass {}", run.pass) } else { String::new() };
    let mut out = format!(
        "<details class=\"scenario\" id=\"{}\"><summary>{} {} {} <span class=\"quiet\">{}, {} jobs, seed {}{pass}</span>\
         </summary>\n",
        name(plugin, run),
        badge(class, word),
        text(&record.scenario.id),
        text(&record.scenario.title),
        duration(record.elapsed_ms),
        record.jobs.len(),
        record.scenario.seed
    );
    out += &charts(run);
    out += "<h3>Jobs</h3>\n";
    out += &jobs(run);
    if !record.faults.is_empty() {
        out += "<h3>What each fault caused</h3>\n";
        out += &faults(run);
    }
    out += "<h3>Expectations</h3>\n";
    out += &expectations(run);
    out += "<h3>The scenario with every default</h3>\n";
    out += &defaults(run);
    out += "</details>\n";
    out
}

fn scrolled(svg: &str) -> String {
    format!("<div class=\"scroll\">{svg}</div>\n")
}

fn times(run: &ScenarioRun, id: u64) -> Option<&JobTimes> {
    run.timeline.iter().find(|times| times.job_id == id)
}

fn charts(run: &ScenarioRun) -> String {
    let mut out = String::new();
    let id = &run.record.scenario.id;
    let rows: Vec<Row> = run.record.jobs.iter().take(ROWS).filter_map(|job| timeline_row(run, job)).collect();
    if !rows.is_empty() {
        out += "<h3>When jobs ran</h3>\n";
        out += &scrolled(&chart::bars(&format!("When the jobs of {id} ran"), &rows));
    }
    let of = |writes: bool| {
        let jobs = run.record.jobs.iter().filter(|job| (job.result.kind == JobKind::Backup) == writes);
        jobs.filter_map(|job| progress(run, job)).collect()
    };
    // The same axis as above.
    let end = run.timeline.iter().filter_map(|times| times.done_ms).max().unwrap_or(0);
    let series = [
        Series { name: "written", class: "one", jobs: of(true) },
        Series { name: "read", class: "two", jobs: of(false) },
    ];
    if let Some(svg) = chart::rates(&format!("Throughput of {id}"), end, &series) {
        out += "<h3>Throughput</h3>\n";
        out += &scrolled(&svg);
    }
    let rows: Vec<Row> = run.record.jobs.iter().filter_map(wait_row).take(ROWS).collect();
    if !rows.is_empty() {
        out += "<h3>How long bptm waited for buffers</h3>\n<p class=\"quiet\"><span class=\"key one\"></span> the half \
                that calls the plug-in, <span class=\"key two\"></span> the half at the socket. In a backup the first waits \
                for full buffers and the second for empty ones: a long second bar means slow storage. In a restore it is the \
                other way round.</p>\n";
        out += &scrolled(&chart::bars(&format!("Waits of bptm in {id}"), &rows));
    }
    out
}

/// Bytes that a job had moved by a time, from its beginning to its end. Image cleanup moves none.
fn progress(run: &ScenarioRun, job: &JobRecord) -> Option<Vec<(u64, u64)>> {
    let times = times(run, job.result.job_id)?;
    if job.result.kind == JobKind::ImageCleanup {
        return None;
    }
    let mut points = vec![(times.active_ms?, 0)];
    points.extend(&times.samples);
    points.push((times.done_ms?, job.result.kbytes.saturating_mul(1024)));
    Some(points)
}

fn job_name(job: &JobRecord) -> String {
    format!("{} {} (stream {})", job.result.job_id, kind_name(job.result.kind), job.stream)
}

fn timeline_row(run: &ScenarioRun, job: &JobRecord) -> Option<Row> {
    let times = times(run, job.result.job_id)?;
    let done = times.done_ms.unwrap_or(times.queued_ms);
    let active = times.active_ms.unwrap_or(done);
    let class = match status_class(job.result.status) {
        "good" => "fill-good",
        "warn" => "fill-warn",
        _ => "fill-bad",
    };
    let queued = format!("queued for {}", duration(active.saturating_sub(times.queued_ms)));
    let ran = format!("active for {}, status {}", duration(done.saturating_sub(active)), job.result.status);
    let bars = vec![
        Bar { from: times.queued_ms, to: active, class: "queued", title: queued },
        Bar { from: active, to: done, class, title: ran },
    ];
    Some(Row { name: job_name(job), bars, figure: format!("{}", job.result.status) })
}

fn wait_row(job: &JobRecord) -> Option<Row> {
    let waits = &job.result.waits;
    if waits.parent.waits + waits.child.waits == 0 {
        return None;
    }
    let (parent, child) = (waits.parent.waited_ns / 1_000_000, waits.child.waited_ns / 1_000_000);
    let title = |who: &str, counted: crate::nbu::WaitDelay| {
        format!("{who}: waited {} times, delayed {} times", counted.waits, counted.delays)
    };
    let bars = vec![
        Bar { from: 0, to: parent, class: "fill-one", title: title("parent", waits.parent) },
        Bar { from: parent, to: parent + child, class: "fill-two", title: title("child", waits.child) },
    ];
    Some(Row { name: job_name(job), bars, figure: duration(parent + child) })
}

fn jobs(run: &ScenarioRun) -> String {
    let headings = [
        "#job",
        "type",
        "state",
        "#status",
        "what",
        "#files",
        "#kilobytes",
        "#KB/s",
        "#elapsed",
        "#parent waits/delays",
        "#child waits/delays",
        "#bptm MiB",
        "details",
    ];
    let rows: Vec<Vec<String>> = run
        .record
        .jobs
        .iter()
        .map(|job| {
            let result = &job.result;
            let waits = |counted: crate::nbu::WaitDelay| format!("{}/{}", counted.waits, counted.delays);
            vec![
                result.job_id.to_string(),
                kind_name(result.kind).into(),
                "Done".into(),
                badge(status_class(result.status), &result.status.to_string()),
                format!("<span class=\"wide\">{}</span>", text(&result.text)),
                result.files.to_string(),
                result.kbytes.to_string(),
                result.kbytes_per_sec.to_string(),
                duration(result.elapsed_ms),
                waits(result.waits.parent),
                waits(result.waits.child),
                (result.peak_rss_bytes >> 20).to_string(),
                log(&result.log),
            ]
        })
        .collect();
    table("Jobs as the Activity Monitor has them, with bptm's waits and memory", &headings, &rows)
}

fn log(lines: &[String]) -> String {
    format!(
        "<details><summary>{} lines</summary><pre>{}</pre></details>",
        lines.len(),
        text(&lines.join("\n"))
    )
}

/// Each fault with the jobs that ran while it stood, how they ended, and the lines that speak of trouble.
fn faults(run: &ScenarioRun) -> String {
    let mut rows = Vec::new();
    let mut taken = vec![false; run.record.scenario.run.len()];
    for outcome in &run.record.faults {
        let at = run.record.scenario.run.iter().enumerate().position(|(index, step)| {
            !taken[index] && matches!(step, Step::Fault(fault) if *fault == outcome.fault)
        });
        if let Some(at) = at {
            taken[at] = true;
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
        rows.push(vec![text(&described(outcome)), outcome.hits.to_string(), ends.join("<br>"), lines]);
    }
    let caption = "Each fault with the jobs of the steps after it, up to the one that heals it";
    table(
        caption,
        &["fault", "#requests hit", "jobs while it stood, and their status", "log lines of trouble"],
        &rows,
    )
}

fn described(outcome: &FaultOutcome) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(outcome.fault) else {
        return format!("{:?}", outcome.fault);
    };
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

fn expectations(run: &ScenarioRun) -> String {
    let mut rows: Vec<Vec<String>> = run
        .findings
        .iter()
        .map(|finding| {
            let (class, word) = match (finding.holds, finding.unknown) {
                (true, _) => ("good", "holds"),
                (false, true) => ("warn", "unknown"),
                (false, false) => ("bad", "broken"),
            };
            vec![badge(class, word), text(&finding.aspect), format!("<pre>{}</pre>", text(&finding.detail))]
        })
        .collect();
    for leak in &run.leaks {
        let what = format!("<pre>{:?} {}</pre>", leak.kind, text(&leak.what));
        rows.push(vec![badge("bad", "left behind"), "resources".into(), what]);
    }
    table("What was expected and what was seen", &["verdict", "expectation", "what was seen"], &rows)
}

fn defaults(run: &ScenarioRun) -> String {
    let mut rows = Vec::new();
    if let Ok(value) = serde_json::to_value(&run.record.scenario) {
        flatten("", &value, &mut rows);
    }
    let mut out = String::from("<details><summary>");
    let _ = write!(out, "{} settings</summary>", rows.len());
    out += &table("Every setting, whether the file has it or not", &["setting", "value"], &rows);
    out += "</details>\n";
    out
}

/// Every leaf of a value with the way to it.
fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&below, value, rows);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, rows);
            }
        }
        leaf => {
            let cell = |raw: &str| format!("<code>{}</code>", text(raw));
            rows.push(vec![cell(path), cell(&leaf.to_string())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> ScenarioRun {
        let record = crate::judge::tests::good();
        let times = |job_id, from| JobTimes {
            job_id,
            queued_ms: from,
            active_ms: Some(from + 10),
            done_ms: Some(from + 900),
            samples: vec![(from + 10, 0), (from + 900, 4 << 20)],
        };
        let timeline =
            record.jobs.iter().map(|job| times(job.result.job_id, job.result.job_id * 1000)).collect();
        ScenarioRun { pass: 1, findings: crate::judge::judge(&record), record, timeline, leaks: Vec::new() }
    }

    #[test]
    fn a_scenario_shows_charts_jobs_faults_and_every_default() {
        let html = section("lib.so", &run());
        for part in [
            "When jobs ran",
            "Throughput",
            "How long bptm waited",
            "What each fault caused",
            "effect: slow_down",
            "buffers.NUMBER_DATA_BUFFERS_DISK",
            "id=\"lib-so-NBU-BKP-900-1\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(html.contains(">pass<") && !html.contains(">broken<"), "{html}");
    }

    #[test]
    fn a_broken_expectation_and_a_leak_are_seen_from_outside() {
        let mut broken = run();
        broken.findings[0].holds = false;
        assert!(section("lib.so", &broken).contains(">FAIL<"));
        let mut leaking = run();
        let what = "12 bptm".to_owned();
        leaking.leaks.push(crate::certify::Leak { kind: crate::certify::LeakKind::Process, what });
        let html = section("lib.so", &leaking);
        assert!(html.contains(">FAIL<") && html.contains("Process 12 bptm"), "{html}");
    }

    #[test]
    fn a_fault_is_shown_with_the_jobs_of_the_steps_after_it_up_to_the_one_that_heals_it() {
        let mut run = run();
        let fault = run.record.faults[0].fault;
        run.record.scenario.run = vec![Step::Fault(fault), Step::Resume, Step::Heal, Step::Resume];
        for (job, step) in run.record.jobs.iter_mut().zip([1, 3]) {
            job.step = step;
            job.result.log = vec!["<16> 1:bptm:7:x: went wrong".into(), "<4> 1:bptm:7:x: fine".into()];
        }
        run.record.jobs.truncate(2);
        let first = run.record.jobs[0].result.job_id;
        let ids: Vec<u64> = affected(&run, 0).iter().map(|job| job.result.job_id).collect();
        assert_eq!(ids, [first]);
        let html = faults(&run);
        assert!(html.contains("went wrong") && !html.contains("fine"), "{html}");
    }
}
