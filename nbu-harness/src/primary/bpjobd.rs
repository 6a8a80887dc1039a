//! bpjobd: keeps the jobs database as the table of jobs is, for `bpdbjobs` and whoever else reads it.
//!
//! The journal of the primary is what counts. The database follows it, one job at a time, by the difference between
//! what it has and what the table says; so a database that a crash left behind catches up by the same few lines.

use std::path::Path;

use super::job::Job;
use crate::emm::{Emm, Settings};
use crate::jobs_db::{
    Change, Controls, Fields, Job as Known, JobState, JobType, JobUpdate, JobsDb, JobsDbError, NewJob,
    PolicyType, Progress, ScheduleType, Subtype,
};
use crate::nbu::{self, JobEvent, JobKind, status_text};

/// The jobs database of the primary.
#[derive(Debug)]
pub(super) struct Bpjobd {
    db: JobsDb,
    settings: Settings,
}

impl Bpjobd {
    /// Opens the jobs database of the home. What it is told survives the death of the primary; after a power failure it
    /// is told again.
    pub(super) fn open(home: &Path) -> Result<Self, JobsDbError> {
        // A file of settings that cannot be read is what the commands complain about.
        let settings = Emm::open(home).and_then(|emm| emm.settings()).unwrap_or_default();
        Ok(Self { db: JobsDb::open(home)?.unsynced(), settings })
    }

    /// Makes what the database has of a job what the table says.
    pub(super) fn keep(&self, job: &Job, now: u64, kbytes_last: u64) -> Result<(), JobsDbError> {
        let lacks = |known: Option<&Known>| known.map(|known| changes(known, job, now));
        let changes = if let Some(changes) = self.db.look(job.id, lacks)? {
            changes
        } else {
            match self.db.submit_numbered(job.id, job.submitted, new_job(job, kbytes_last, &self.settings)) {
                // It was there, and an administrator has cleaned it away.
                Err(JobsDbError::TakenId(..)) if job.state == JobState::Done => return Ok(()),
                submitted => submitted?,
            }
            self.db.look(job.id, lacks)?.unwrap_or_default()
        };
        for (at, change) in changes {
            self.db.append(JobUpdate { job: job.id, at, change })?;
        }
        Ok(())
    }

    /// What it holds.
    #[cfg(test)]
    pub(super) fn jobs(&self) -> Result<Vec<Known>, JobsDbError> {
        self.db.jobs()
    }

    /// Something happened in an active job.
    pub(super) fn event(&self, id: u64, at: u64, event: &JobEvent) -> Result<(), JobsDbError> {
        let open = |known: Option<&Known>| {
            let known = known.filter(|known| known.state != JobState::Done)?;
            Some(known.last_try().is_some_and(|last| last.pid == 0))
        };
        // What comes after the end of a job is of a try that nbjm gave up.
        let Some(without_pid) = self.db.look(id, open)? else { return Ok(()) };
        let change = match event {
            JobEvent::Log(line) => Change::Detail(line.clone()),
            JobEvent::Warning(warning) => Change::Detail(warning.text.clone()),
            JobEvent::Progress { bytes, files, total_bytes } => {
                let percent = total_bytes.filter(|total| *total > 0).map(|total| {
                    u8::try_from(u128::from(*bytes) * 100 / u128::from(total)).unwrap_or(100).min(100)
                });
                let progress =
                    Progress { kbytes: bytes / 1024, files: *files, percent, ..Progress::default() };
                Change::Progress(progress)
            }
            JobEvent::Operation(operation) => {
                Change::Fields(Box::new(Fields { operation: Some(*operation), ..Fields::default() }))
            }
            // The first process of a try is the job's owner.
            JobEvent::ProcessStarted { pid, .. } if without_pid => {
                Change::Fields(Box::new(Fields { pid: Some(*pid), ..Fields::default() }))
            }
            _ => return Ok(()),
        };
        self.db.append(JobUpdate { job: id, at, change })
    }
}

/// What is known of a job when it is submitted.
fn new_job(job: &Job, kbytes_last: u64, settings: &Settings) -> NewJob {
    let common = NewJob {
        job_type: job_type(job.kind),
        primary: super::PRIMARY.to_owned(),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        backup_id: job.backup_id.clone(),
        parent: job.parent,
        controls: controls(job),
        ..NewJob::default()
    };
    let Some(asked) = &job.submission else { return common };
    let retention = asked.request.retention();
    let level = settings.level_of(retention).filter(|_| job.kind == JobKind::Backup).unwrap_or_default();
    NewJob {
        subtype: if asked.window_closes.is_some() { Subtype::Scheduled } else { Subtype::Immediate },
        policy: asked.policy.clone(),
        policy_type: PolicyType::Standard,
        schedule: asked.schedule.clone(),
        schedule_type: match asked.schedule_type {
            nbu::ScheduleType::Full => ScheduleType::Full,
            nbu::ScheduleType::Differential => ScheduleType::DifferentialIncremental,
            nbu::ScheduleType::Cumulative => ScheduleType::CumulativeIncremental,
        },
        client: asked.client.clone(),
        storage_unit: asked.storage.clone(),
        priority: i32::try_from(asked.priority).unwrap_or(i32::MAX),
        retention_level: u8::try_from(level).unwrap_or(u8::MAX),
        retention_seconds: retention.unwrap_or_default(),
        kbytes_last,
        stream: u32::try_from(asked.stream).unwrap_or(u32::MAX),
        ..common
    }
}

const fn job_type(kind: JobKind) -> JobType {
    match kind {
        JobKind::Backup => JobType::Backup,
        JobKind::Restore => JobType::Restore,
        JobKind::Verify => JobType::Verify,
        JobKind::Duplicate => JobType::Duplication,
        JobKind::Import => JobType::Import,
        JobKind::ImageCleanup => JobType::ImageCleanup,
        JobKind::Replication => JobType::Replication,
        JobKind::ReplicationImport => JobType::ReplicationImport,
    }
}

/// What nbjm would do of what an operator can order.
fn controls(job: &Job) -> Controls {
    Controls {
        suspendable: matches!(job.state, JobState::Active | JobState::Queued | JobState::Requeued),
        resumable: matches!(job.state, JobState::Suspended | JobState::Incomplete),
        restartable: matches!(job.state, JobState::Done) && job.can_be_restarted(),
        killable: !matches!(job.state, JobState::Done),
    }
}

/// What has to be appended to what is known of a job, and when each of it happened.
fn changes(known: &Known, job: &Job, now: u64) -> Vec<(u64, Change)> {
    let mut changes = Vec::new();
    if known.state == JobState::Done {
        return changes;
    }
    if job.details.first().is_some_and(|first| known.details().next() != Some(first.as_str())) {
        changes.extend(job.details.iter().map(|line| (job.submitted, Change::Detail(line.clone()))));
    }
    let mut state = known.state;
    let running = known.tries.iter().position(|one| one.ended.is_none());
    for (index, one) in job.tries.iter().enumerate().skip(running.unwrap_or(known.tries.len())) {
        if running != Some(index) {
            let (storage_unit, server) = (one.unit.clone(), one.media_server.clone());
            changes.push((one.started, Change::TryStarted { pid: 0, storage_unit, server }));
            state = JobState::Active;
        }
        if let Some((ended, status)) = one.ended.zip(one.status) {
            let so_far = known.tries.get(index).map(|one| one.progress.clone()).unwrap_or_default();
            let progress = Progress { kbytes: one.kbytes, files: one.files, ..so_far };
            changes.push((ended, Change::Progress(progress)));
            changes.push((ended, Change::TryEnded { status, text: status_text(status).to_owned() }));
        }
    }
    let at = job.ended.unwrap_or(now);
    if let Some(reason) = job.reason.as_ref().filter(|reason| known.details().last() != Some(reason.as_str()))
    {
        changes.push((at, Change::Detail(reason.clone())));
    }
    if job.state != state && job.state != JobState::Done {
        changes.push((at, Change::State(job.state)));
    }
    let operation = (job.state == JobState::Active).then_some(job.operation);
    let fields = Fields {
        backup_id: (known.request.backup_id != job.backup_id).then(|| job.backup_id.clone()),
        // What comes after the first is said by the job's owner.
        operation: operation.filter(|_| known.operation.is_none()),
        controls: Some(controls(job)).filter(|now| known.request.controls != *now),
        ..Fields::default()
    };
    if fields != Fields::default() {
        changes.push((at, Change::Fields(Box::new(fields))));
    }
    // Last: nothing about a job that is done changes any more.
    if job.state == JobState::Done {
        let status = job.status.unwrap_or_default();
        changes.push((at, Change::Done { status, text: status_text(status).to_owned() }));
    }
    changes
}
