//! The Activity Monitor's table: what is known of each job, and the line that shows it.

use crate::nbu::{JobEvent, JobKind, JobState};
use crate::report::{kind_name, state_name};
use std::fmt::Write as _;
use std::time::Duration;

/// A column: its heading, its width, whether it holds numbers.
type Column = (&'static str, usize, bool);

const COLUMNS: [Column; 13] = [
    ("Job Id", 6, true),
    ("Type", 13, false),
    ("State", 6, false),
    ("Status", 6, true),
    ("Policy", 12, false),
    ("Client", 10, false),
    ("Try", 3, true),
    ("Operation", 9, false),
    ("Kilobytes", 11, true),
    ("KB/Sec", 9, true),
    ("%", 4, true),
    ("Elapsed", 8, true),
    ("What", 24, false),
];

/// A job as the Activity Monitor shows it.
#[derive(Debug, Clone)]
pub(super) struct MonitoredJob {
    pub(super) id: u64,
    pub(super) kind: JobKind,
    pub(super) state: JobState,
    /// NetBackup status of a job that is done.
    pub(super) status: Option<i32>,
    pub(super) policy: String,
    pub(super) client: String,
    pub(super) tries: u32,
    /// Bytes moved so far, and how many there will be where that is known.
    pub(super) bytes: u64,
    pub(super) total_bytes: Option<u64>,
    /// What it works on.
    pub(super) name: String,
}

impl MonitoredJob {
    /// Takes in what has happened.
    pub(super) fn heed(&mut self, event: &JobEvent) {
        match event {
            JobEvent::State(state) => self.state = *state,
            JobEvent::Progress { bytes, total_bytes, .. } => {
                self.bytes = *bytes;
                self.total_bytes = total_bytes.or(self.total_bytes);
            }
            _ => {}
        }
    }

    /// What an active job is doing, in the Activity Monitor's words.
    const fn operation(&self) -> &'static str {
        match (self.state, self.kind, self.bytes) {
            (JobState::Active, JobKind::Backup | JobKind::Restore | JobKind::Verify, 0) => "Connect",
            (JobState::Active, JobKind::Backup, _) => "Write",
            (JobState::Active, JobKind::Restore, _) => "Restore",
            (JobState::Active, JobKind::Verify, _) => "Verify",
            (JobState::Active, JobKind::Duplicate, _) => "Duplicate",
            (JobState::Active, JobKind::ImageCleanup, _) => "Running",
            (
                JobState::Queued
                | JobState::Requeued
                | JobState::Done
                | JobState::Suspended
                | JobState::Incomplete,
                ..,
            ) => "",
        }
    }

    /// Its line, `elapsed` after it became active.
    pub(super) fn line(&self, elapsed: Duration) -> String {
        let state = state_name(self.state);
        let kilobytes = self.bytes / 1024;
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let percent = self.total_bytes.filter(|total| *total > 0).map(|total| {
            u64::try_from(u128::from(self.bytes) * 100 / u128::from(total)).unwrap_or(100).min(100)
        });
        let seconds = elapsed.as_secs();
        let cells = [
            self.id.to_string(),
            kind_name(self.kind).into(),
            state.into(),
            self.status.map_or(String::new(), |status| status.to_string()),
            self.policy.clone(),
            self.client.clone(),
            self.tries.to_string(),
            self.operation().into(),
            kilobytes.to_string(),
            kilobytes.saturating_mul(1000).checked_div(ms).unwrap_or(0).to_string(),
            percent.map_or(String::new(), |percent| percent.to_string()),
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            self.name.clone(),
        ];
        laid_out(&cells)
    }
}

/// The line above the jobs.
pub(super) fn heading() -> String {
    laid_out(&COLUMNS.map(|(heading, ..)| heading.to_owned()))
}

/// Cells in their columns; what is too long is cut, so that the columns stay where they are.
fn laid_out(cells: &[String]) -> String {
    let mut line = String::new();
    for ((_, width, number), cell) in COLUMNS.iter().zip(cells) {
        let plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let cell = match plain.char_indices().nth(*width) {
            Some(_) => plain.chars().take(width - 1).chain(['…']).collect(),
            None => plain,
        };
        // Writing into a string cannot fail.
        let _ = if *number { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> MonitoredJob {
        MonitoredJob {
            id: 7,
            kind: JobKind::Backup,
            state: JobState::Queued,
            status: None,
            policy: "a-policy-with-a-long-name".into(),
            client: "client1".into(),
            tries: 1,
            bytes: 0,
            total_bytes: None,
            name: "4 synthetic files".into(),
        }
    }

    #[test]
    fn a_job_is_shown_from_the_queue_to_its_end() {
        let mut job = job();
        let mut lines = vec![heading(), job.line(Duration::ZERO)];
        job.heed(&JobEvent::State(JobState::Active));
        lines.push(job.line(Duration::from_secs(1)));
        job.heed(&JobEvent::Progress { bytes: 10 << 20, files: 1, total_bytes: Some(40 << 20) });
        job.heed(&JobEvent::Progress { bytes: 20 << 20, files: 2, total_bytes: None });
        job.heed(&JobEvent::Quiet);
        lines.push(job.line(Duration::from_secs(2)));
        job.heed(&JobEvent::State(JobState::Done));
        job.status = Some(0);
        lines.push(job.line(Duration::from_secs(3725)));
        insta::assert_snapshot!("activity_monitor", lines.join("\n"));
    }

    #[test]
    fn columns_stay_where_they_are_whatever_is_in_them() {
        let client_at = heading().find("Client").unwrap();
        let mut job = job();
        job.policy = "ünïcödé-ünïcödé\u{1b}[2J\n".into();
        job.kind = JobKind::ImageCleanup;
        let line = job.line(Duration::ZERO);
        let at = line.char_indices().position(|(byte, _)| line[byte..].starts_with("client1"));
        assert_eq!(at, Some(client_at), "{line}");
        assert!(!line.contains(['\u{1b}', '\n']), "{line:?}");
    }
}
