//! What a person sees while jobs run: on a terminal the Activity Monitor's table, updated in place, otherwise plain lines.

use super::Interrupt;
use super::monitor::{MonitoredJob, heading};
use crate::engine::{JobRecord, Observer};
use crate::nbu::{JobEvent, JobKind, JobState};
use crate::report;
use crate::scenario::Scenario;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest name of a job in a plain line, in characters.
const NAME: usize = 48;

/// Shows jobs on standard error.
#[derive(Debug)]
pub struct Progress {
    interrupt: Interrupt,
    /// The table on a terminal.
    table: Option<MultiProgress>,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    /// Policy of the running scenario.
    policy: String,
    jobs: BTreeMap<u64, Row>,
    /// The line above the jobs, while there are any.
    heading: Option<ProgressBar>,
}

#[derive(Debug)]
struct Row {
    job: MonitoredJob,
    active_since: Option<Instant>,
    line: Option<ProgressBar>,
}

impl Row {
    fn elapsed(&self) -> Duration {
        self.active_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn redraw(&self) {
        if let Some(line) = &self.line {
            line.set_message(self.job.line(self.elapsed()));
        }
    }
}

impl Progress {
    /// A table when `terminal`, lines otherwise. A signal ends what is watched.
    pub fn new(terminal: bool, interrupt: Interrupt) -> Self {
        Self::on(terminal.then(ProgressDrawTarget::stderr), interrupt)
    }

    fn on(target: Option<ProgressDrawTarget>, interrupt: Interrupt) -> Self {
        Self { interrupt, table: target.map(MultiProgress::with_draw_target), shown: Mutex::default() }
    }

    /// The signal that ends what is watched.
    pub(super) const fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        match &self.table {
            // A terminal that is gone is no reason to stop.
            Some(table) => drop(table.println(text)),
            None => super::complain(text),
        }
    }

    /// A line at the end of the table, cut where the terminal ends.
    fn line(&self, text: String) -> Option<ProgressBar> {
        let line = self.table.as_ref()?.add(ProgressBar::new_spinner());
        // A template of ours; one that indicatif does not understand would become its default.
        let style = ProgressStyle::with_template("{wide_msg}");
        line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        line.set_message(text);
        Some(line)
    }
}

impl Observer for Progress {
    fn interrupted(&self) -> bool {
        self.interrupt.signal().is_some()
    }

    fn note(&self, text: &str) {
        self.say(text);
    }

    fn scenario(&self, scenario: &Scenario) {
        let mut shown = self.shown();
        shown.policy.clone_from(&scenario.policy);
    }

    fn job_queued(&self, job_id: u64, kind: JobKind, client: &str, name: &str) {
        let mut shown = self.shown();
        if shown.heading.is_none() {
            shown.heading = self.line(heading());
        }
        let job = MonitoredJob {
            id: job_id,
            kind,
            state: JobState::Queued,
            status: None,
            policy: shown.policy.clone(),
            client: client.to_owned(),
            tries: 1,
            bytes: 0,
            total_bytes: None,
            name: name.chars().take(NAME).collect(),
        };
        let line = self.line(job.line(Duration::ZERO));
        shown.jobs.insert(job_id, Row { job, active_since: None, line });
    }

    fn job_event(&self, job_id: u64, event: &JobEvent) {
        let mut shown = self.shown();
        let Some(row) = shown.jobs.get_mut(&job_id) else { return };
        row.job.heed(event);
        if row.job.state == JobState::Active && row.active_since.is_none() {
            row.active_since = Some(Instant::now());
            if self.table.is_none() {
                let kind = report::kind_name(row.job.kind);
                super::complain(&format!("job {job_id}: {kind}: {}", row.job.name));
            }
        }
        row.redraw();
    }

    fn job_done(&self, done: &JobRecord) {
        let result = &done.result;
        let mut shown = self.shown();
        let row = shown.jobs.remove(&result.job_id);
        if let Some(line) = row.as_ref().and_then(|row| row.line.as_ref()) {
            line.finish_and_clear();
        }
        if shown.jobs.is_empty()
            && let Some(heading) = shown.heading.take()
        {
            heading.finish_and_clear();
        }
        drop(shown);
        match (row, &self.table) {
            (Some(mut row), Some(_)) => {
                // Jobs that are done scroll away above the table, in the same columns.
                let elapsed = Duration::from_millis(result.elapsed_ms);
                (row.job.state, row.job.status) = (JobState::Done, Some(result.status));
                row.job.bytes = result.kbytes.saturating_mul(1024);
                row.job.total_bytes = None;
                self.say(&row.job.line(elapsed));
                if result.status != 0 {
                    self.say(&format!("        {}", result.text));
                }
            }
            (row, _) => self.say(&format!(
                "job {}: {}: status {}: {} ({} files, {} KB, {} KB/sec) {}",
                result.job_id,
                report::kind_name(result.kind),
                result.status,
                result.text,
                result.files,
                result.kbytes,
                result.kbytes_per_sec,
                row.map(|row| row.job.name).unwrap_or_default(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    fn progress(term: &InMemoryTerm) -> Progress {
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let progress = Progress::on(Some(target), Interrupt::never());
        let record = crate::judge::tests::good();
        progress.scenario(&record.scenario);
        progress
    }

    fn line<'t>(screen: &'t str, id: &str) -> &'t str {
        screen
            .lines()
            .find(|line| line.trim_start().starts_with(id))
            .unwrap_or_else(|| panic!("{id}: {screen}"))
    }

    #[test]
    fn jobs_are_updated_in_place_and_scroll_away_when_they_are_done() {
        let term = InMemoryTerm::new(24, 160);
        let progress = progress(&term);
        progress.job_queued(1, JobKind::Backup, "client1", "stream 1");
        progress.job_queued(2, JobKind::Backup, "client1", "stream 2");
        progress.job_event(1, &JobEvent::State(JobState::Active));
        progress.job_event(1, &JobEvent::Progress { bytes: 3 << 20, files: 1, total_bytes: Some(4 << 20) });
        progress.job_event(2, &JobEvent::Quiet);
        let screen = term.contents();
        assert!(screen.contains("Job Id"), "{screen}");
        for word in ["Active", "p1", "client1", "Write", "3072", "75", "stream 1"] {
            assert!(line(&screen, "1 ").contains(word), "{word}: {screen}");
        }
        assert!(line(&screen, "2 ").contains("Queued"), "{screen}");
        assert_eq!(screen.lines().count(), 3, "a job has one line: {screen}");

        let mut done = crate::judge::tests::good().jobs[0].clone();
        (done.result.job_id, done.result.status) = (1, 84);
        progress.job_done(&done);
        let screen = term.contents();
        assert!(line(&screen, "1 ").contains("Done") && line(&screen, "1 ").contains("84"), "{screen}");
        let place = |word: &str| screen.lines().position(|line| line.contains(word)).unwrap();
        assert!(place("Done") < place("Job Id") && place("Job Id") < place("stream 2"), "{screen}");
        done.result.job_id = 2;
        progress.job_done(&done);
        assert!(!term.contents().contains("Job Id"), "no table without jobs: {}", term.contents());
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_and_does_not_break_them() {
        let term = InMemoryTerm::new(24, 60);
        let progress = progress(&term);
        progress.job_queued(1, JobKind::Restore, "client1", "everything");
        progress.job_event(1, &JobEvent::State(JobState::Active));
        assert_eq!(term.contents().lines().count(), 2, "{}", term.contents());
    }
}
