//! `bpdbjobs`: the jobs database as the Activity Monitor shows it.

use super::job_lines::{all_columns, most_columns};
use super::options::{Given, Verb, flag, optional, several};
use super::{CommandError, Context};
use crate::jobs_db::{Job, JobState, JobsDb, JobsDbError};
use std::fmt::Write;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "-report",
        options: &[flag("-all_columns"), flag("-most_columns"), several("-jobid", "ID")],
        run: report,
    },
    Verb { name: "-summary", options: &[flag("-L"), flag("-l")], run: summary },
    Verb {
        name: "-clean",
        options: &[
            optional("-keep_hours", "HOURS"),
            optional("-keep_days", "DAYS"),
            optional("-keep_successful_hours", "HOURS"),
            optional("-keep_successful_days", "DAYS"),
            flag("-verbose"),
        ],
        run: clean,
    },
];

impl From<JobsDbError> for CommandError {
    fn from(error: JobsDbError) -> Self {
        let status = match &error {
            JobsDbError::Io { .. } => 11,
            JobsDbError::Damaged { .. } => 130,
            JobsDbError::NoSuchJob(_) => 227,
            JobsDbError::TakenId(..) => 226,
            JobsDbError::JobDone(_) => 228,
        };
        Self { status, text: error.to_string() }
    }
}

/// The jobs that are asked for, the youngest first, as in NetBackup.
fn asked(context: &Context, given: &Given) -> Result<Vec<Job>, CommandError> {
    let db = JobsDb::open(context.existing()?)?;
    let mut jobs = Vec::new();
    if given.has("-jobid") {
        for text in given.values("-jobid").iter().flat_map(|text| text.split(',')) {
            let id =
                text.parse().map_err(|_| CommandError::usage(format!("-jobid {text}: that is no job id")))?;
            let job = db.job(id)?;
            jobs.push(
                job.ok_or_else(|| CommandError { status: 227, text: format!("there is no job {id}") })?,
            );
        }
    } else {
        jobs = db.jobs()?;
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    Ok(jobs)
}

fn report(context: &Context, given: &Given) -> Result<String, CommandError> {
    let jobs = asked(context, given)?;
    if given.has("-all_columns") {
        return Ok(jobs.iter().map(|job| all_columns(job) + "\n").collect());
    }
    if given.has("-most_columns") {
        return Ok(jobs.iter().map(|job| most_columns(job) + "\n").collect());
    }
    Ok(table(&jobs))
}

/// The table that people read. Its columns are those of the documentation; their widths are not verified.
fn table(jobs: &[Job]) -> String {
    let header =
        ["JobID", "Type", "State", "Status", "Policy", "Schedule", "Client", "Dest Media Svr", "Active PID"];
    let mut text = row(header);
    for job in jobs {
        let request = &job.request;
        let last = job.last_try();
        let pid = last.filter(|_| job.state == JobState::Active).map(|last| last.pid.to_string());
        text.push_str(&row([
            &job.id.to_string(),
            request.job_type.words(),
            job.state.words(),
            &job.status.map(|status| status.to_string()).unwrap_or_default(),
            &request.policy,
            &request.schedule,
            &request.client,
            last.map_or("", |last| &last.server),
            &pid.unwrap_or_default(),
        ]));
    }
    text
}

fn row([id, kind, state, status, policy, schedule, client, server, pid]: [&str; 9]) -> String {
    let line = format!(
        "{id:>8} {kind:<20} {state:<17} {status:>6} {policy:<16} {schedule:<16} {client:<16} {server:<16} {pid:>10}"
    );
    line.trim_end().to_owned() + "\n"
}

/// How many jobs are in which state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    queued: usize,
    waiting: usize,
    active: usize,
    successful: usize,
    partial: usize,
    failed: usize,
    incomplete: usize,
    suspended: usize,
}

impl Summary {
    fn of(jobs: &[Job]) -> Self {
        let mut sum = Self::default();
        for job in jobs {
            let counter = match (job.state, job.status) {
                (JobState::Queued, _) => &mut sum.queued,
                (JobState::Requeued, _) => &mut sum.waiting,
                (JobState::Active, _) => &mut sum.active,
                (JobState::Incomplete, _) => &mut sum.incomplete,
                (JobState::Suspended, _) => &mut sum.suspended,
                (JobState::Done, Some(0)) => &mut sum.successful,
                (JobState::Done, Some(1)) => &mut sum.partial,
                (JobState::Done, _) => &mut sum.failed,
            };
            *counter += 1;
        }
        sum
    }

    fn lines(&self) -> Vec<(&'static str, usize)> {
        let mut lines = vec![
            ("Queued", self.queued),
            ("Waiting-to-Retry", self.waiting),
            ("Active", self.active),
            ("Successful", self.successful),
            ("Partially Successful", self.partial),
            ("Failed", self.failed),
            ("Incomplete", self.incomplete),
            ("Suspended", self.suspended),
        ];
        lines.push(("Total", lines.iter().map(|(_, count)| count).sum()));
        lines
    }
}

/// The columns are those that reporting portals keep: queued, waiting, active, successful, partial, failed, incomplete,
/// suspended, total. Both layouts are not verified.
fn summary(context: &Context, given: &Given) -> Result<String, CommandError> {
    let jobs = asked(context, given)?;
    let primary = jobs.iter().map(|job| job.request.primary.as_str()).find(|name| !name.is_empty());
    let primary = primary.unwrap_or("localhost");
    let lines = Summary::of(&jobs).lines();
    if given.has("-l") {
        let counts: Vec<_> = lines.iter().map(|(_, count)| count.to_string()).collect();
        return Ok(format!("{primary} {}\n", counts.join(" ")));
    }
    let mut text = format!("Summary of jobs on {primary}\n");
    for (label, count) in lines {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:<22}{count:>6}", format!("{label}:"));
    }
    Ok(text)
}

/// Takes done jobs out of the database that are older than they are kept. The clock is that of the database: its last
/// change is now. What is printed, and that a partially successful job counts as successful, is not verified.
fn clean(context: &Context, given: &Given) -> Result<String, CommandError> {
    let settings = context.emm()?.settings()?;
    let failed = kept(given, "-keep_hours", "-keep_days", settings.keep_jobs_hours)?;
    let successful =
        kept(given, "-keep_successful_hours", "-keep_successful_days", settings.keep_jobs_successful_hours)?;
    let db = JobsDb::open(context.existing()?)?;
    let now = db.jobs()?.iter().map(|job| job.updated).max().unwrap_or_default();
    let cleaned = db.clean(|job| {
        let keep = if job.status.is_some_and(|status| status <= 1) { successful } else { failed };
        job.ended.is_some_and(|ended| ended.saturating_add(keep) < now)
    })?;
    if !given.has("-verbose") {
        return Ok(String::new());
    }
    let lines: Vec<String> = cleaned.iter().map(|id| format!("cleaned job {id}\n")).collect();
    Ok(lines.concat())
}

/// How long jobs are kept, in seconds.
fn kept(given: &Given, hours: &str, days: &str, default: u64) -> Result<u64, CommandError> {
    let (in_hours, in_days) = (given.number::<u64>(hours)?, given.number::<u64>(days)?);
    match (in_hours, in_days) {
        (Some(_), Some(_)) => Err(CommandError::usage(format!("{hours} or {days}, not both"))),
        (hours, None) => Ok(hours.unwrap_or(default).saturating_mul(3600)),
        (None, Some(days)) => Ok(days.saturating_mul(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_counted_once_where_it_stands() {
        let job = |state, status| Job { state, status, ..Job::default() };
        let mut jobs: Vec<_> = JobState::ALL.iter().map(|state| job(*state, Some(0))).collect();
        jobs.extend([
            job(JobState::Done, Some(1)),
            job(JobState::Done, Some(84)),
            job(JobState::Done, Some(150)),
        ]);
        let sum = Summary::of(&jobs);
        let counts: Vec<_> = sum.lines().iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1, 1, 1, 1, 2, 1, 1, 9]);
    }
}
