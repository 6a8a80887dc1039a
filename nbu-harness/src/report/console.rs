//! Tables for a terminal: verdicts, and jobs as the activity monitor shows them.

use crate::certify::{Delta, Outcome, Verdict};
use crate::engine::JobRecord;
use crate::nbu::{JobKind, JobState};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// Longest detail in a table cell, in characters.
const DETAIL: usize = 160;

fn table(colour: bool, width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_width(width.unwrap_or(150));
    table
}

const fn colour_of(outcome: Outcome) -> Color {
    match outcome {
        Outcome::Pass => Color::Green,
        Outcome::Fail | Outcome::Error => Color::Red,
        Outcome::Skip | Outcome::NotRun | Outcome::Unknown | Outcome::ExpectedFail => Color::Yellow,
    }
}

/// One row per check, one column per plug-in, then the details of everything that did not pass and the sum.
pub fn verdict_table(verdict: &Verdict, colour: bool, width: Option<u16>) -> String {
    let mut table = table(colour, width);
    let mut header = vec![Cell::new("check"), Cell::new("what")];
    header.extend(verdict.suites.iter().map(|suite| Cell::new(suite.name.trim_start_matches("libstspi"))));
    table.set_header(header);
    let rows = verdict.suites.first().map_or(0, |suite| suite.checks.len());
    let mut details = String::new();
    for row in 0..rows {
        let checks: Vec<_> = verdict.suites.iter().filter_map(|suite| suite.checks.get(row)).collect();
        let Some(first) = checks.first() else { continue };
        let mut cells = vec![Cell::new(first.id), Cell::new(first.title)];
        for check in &checks {
            let cell = Cell::new(check.outcome.to_string()).fg(colour_of(check.outcome));
            cells.push(if check.outcome == Outcome::Pass {
                cell
            } else {
                cell.add_attribute(Attribute::Bold)
            });
        }
        table.add_row(cells);
    }
    for suite in &verdict.suites {
        for check in suite.checks.iter().filter(|check| check.outcome.is_bad()) {
            let scenario = check.scenario.map(|id| format!(" [{id}]")).unwrap_or_default();
            let detail = check.detail.replace('\n', "\n    ");
            let _ = writeln!(
                details,
                "
{} {} {}: {}{scenario}
    {detail}",
                suite.name, check.id, check.outcome, check.title
            );
        }
    }
    for (suite, phase) in verdict.failed_clean_ups() {
        let _ = writeln!(details, "\n{} clean-up of {} failed: {}", suite.name, phase.of, phase.detail);
    }
    if let Some(delta) = &verdict.delta {
        details += &changes(delta);
    }
    format!("{table}\n{details}\n{}\n", summary(verdict))
}

/// What has changed since the baseline.
fn changes(delta: &Delta) -> String {
    let mut text = format!("\ncompared with {}:\n", delta.baseline.display());
    let kinds = [
        ("new failures", &delta.new_failures),
        ("fixed", &delta.fixed),
        ("still failing", &delta.still_failing),
        ("new checks", &delta.new_checks),
    ];
    for (what, names) in kinds {
        let list: Vec<_> = names.iter().map(|name| format!("{} {}", name.plugin, name.check)).collect();
        let list = if list.is_empty() { "none".into() } else { list.join(", ") };
        let _ = writeln!(text, "  {what}: {list}");
    }
    text
}

fn summary(verdict: &Verdict) -> String {
    let mut lines: Vec<String> = verdict
        .suites
        .iter()
        .map(|suite| {
            let counts = Outcome::ALL.iter().map(|outcome| (suite.count(*outcome), outcome.counted()));
            let counts: Vec<_> = counts
                .filter(|(count, word)| *count > 0 || matches!(*word, "passed" | "failed"))
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            let passes =
                if suite.passes > 1 { format!(" in {} passes", suite.passes) } else { String::new() };
            format!("{}: {}{passes}", suite.name, counts.join(", "))
        })
        .collect();
    let seconds = verdict.elapsed_ms / 1000;
    lines.push(format!("seed {}", verdict.seed));
    lines.push(match (verdict.certified(), verdict.passed()) {
        (true, _) => format!("CERTIFIED in {seconds} s"),
        (false, true) => {
            format!("passed in {seconds} s; not a certification: not every check was run in full")
        }
        (false, false) => format!("NOT CERTIFIED, {seconds} s"),
    });
    lines.join("\n")
}

/// Jobs as the activity monitor shows them, with bptm's waits.
pub fn job_table(jobs: &[JobRecord], colour: bool, width: Option<u16>) -> String {
    let mut table = table(colour, width);
    let columns = [
        "Job Id",
        "Type",
        "State",
        "Status",
        "Files",
        "Kilobytes",
        "KB/Sec",
        "Elapsed",
        "STU",
        "parent waited/delayed",
        "child waited/delayed",
        "bptm MiB",
    ];
    table.set_header(columns);
    for job in jobs {
        let result = &job.result;
        let status = match result.status {
            0 => Cell::new("0").fg(Color::Green),
            1 => Cell::new("1").fg(Color::Yellow),
            other => Cell::new(other.to_string()).fg(Color::Red),
        };
        let waits = |counted: crate::nbu::WaitDelay| format!("{}/{}", counted.waits, counted.delays);
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row(vec![
            right(result.job_id.to_string()),
            Cell::new(kind_name(result.kind)),
            Cell::new(state_name(result.state)),
            status.set_alignment(CellAlignment::Right),
            right(result.files.to_string()),
            right(result.kbytes.to_string()),
            right(result.kbytes_per_sec.to_string()),
            right(clock(result.elapsed_ms)),
            Cell::new(&job.unit),
            right(waits(result.waits.parent)),
            right(waits(result.waits.child)),
            right((result.peak_rss_bytes >> 20).to_string()),
        ]);
    }
    let mut text = table.to_string();
    for job in jobs.iter().filter(|job| job.result.status != 0) {
        let result = &job.result;
        let mut line = format!("\njob {}: status {}: {}", result.job_id, result.status, result.text);
        if let Some(error) = &result.sts_error {
            let _ = write!(line, "; {}: error {}: {}", error.call, error.code, error.text);
        }
        for warning in result.warnings.iter().take(3) {
            let _ = write!(line, "; {}: {}", warning.path, warning.text);
        }
        text += &line.chars().take(DETAIL * 3).collect::<String>();
    }
    text
}

/// NetBackup's name of a job type.
pub(crate) const fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "Backup",
        JobKind::Restore => "Restore",
        JobKind::Verify => "Verify",
        JobKind::Duplicate => "Duplicate",
        JobKind::ImageCleanup => "Image cleanup",
    }
}

/// NetBackup's name of a job state.
pub(crate) const fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "Queued",
        JobState::Active => "Active",
        JobState::Requeued => "Requeued",
        JobState::Done => "Done",
        JobState::Suspended => "Suspended",
        JobState::Incomplete => "Incomplete",
    }
}

/// Hours, minutes and seconds as the activity monitor has them, with milliseconds.
fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::tests::verdict;
    use super::*;

    #[test]
    fn the_table_names_every_check_and_the_details_of_failures() {
        let text = verdict_table(&verdict(), false, Some(100));
        insta::assert_snapshot!("verdict", text);
        assert!(!text.contains('\u{1b}'), "no colour without a terminal");
        assert!(verdict_table(&verdict(), true, Some(100)).contains('\u{1b}'));
    }

    #[test]
    fn elapsed_times_read_like_a_clock() {
        assert_eq!(clock(3_725_006), "01:02:05.006");
    }
}
