//! A job as the database has it, and the changes that make it what it is.
//!
//! Times are seconds since the epoch on the primary server's clock, which may be a virtual one.

use super::codes::{JobState, JobType, Operation, PolicyType, ScheduleType, Subtype};
use serde::{Deserialize, Serialize};

/// What is known of a job when it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewJob {
    /// What it is for.
    pub job_type: JobType,
    /// Who asked for it.
    pub subtype: Subtype,
    /// Policy; empty for jobs without one.
    pub policy: String,
    /// Kind of the policy (`classtype`).
    pub policy_type: PolicyType,
    /// Schedule.
    pub schedule: String,
    /// Kind of the schedule.
    pub schedule_type: ScheduleType,
    /// Client.
    pub client: String,
    /// User who submitted it.
    pub owner: String,
    /// Group of that user.
    pub group: String,
    /// Primary server (`master`).
    pub primary: String,
    /// Storage unit, group or SLP that the policy names; what a try really used is in [`Try::storage_unit`].
    pub storage_unit: String,
    /// Priority; more is sooner.
    pub priority: i32,
    /// Retention level, 0 to 24 by default in NetBackup (`ret_units` is printed as the level).
    pub retention_level: u8,
    /// How long the backup is kept, in seconds (`ret_period`).
    pub retention_seconds: u64,
    /// Whether the client compresses.
    pub compression: bool,
    /// KiB of the last backup of the same kind; 0 without one.
    pub kbytes_last: u64,
    /// Files of the last backup of the same kind; 0 without one.
    pub files_last: u64,
    /// The backup selections, or the files to restore.
    pub files_list: Vec<String>,
    /// The parent's id.
    pub parent: Option<u64>,
    /// Number of the stream, from 1; 0 for a job without streams.
    pub stream: u32,
    /// Backup id, when it is known already.
    pub backup_id: String,
    /// Whether it can be suspended, gone on with and run again.
    pub controls: Controls,
}

/// What an operator can do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Controls {
    /// It can be suspended.
    pub suspendable: bool,
    /// It can be gone on with.
    pub resumable: bool,
    /// It can be run again, as a new job.
    pub restartable: bool,
    /// It can be cancelled.
    pub killable: bool,
}

/// New values of a job's fields; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Backup id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// Policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Storage unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_unit: Option<String>,
    /// Priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// What it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Copy number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<u32>,
    /// Storage unit that is read (duplication).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_storage_unit: Option<String>,
    /// Media server that reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_server: Option<String>,
    /// Media id that is read, such as `@aaaab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_media: Option<String>,
    /// Media id that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_media: Option<String>,
    /// Frozen image (snapshot) id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_image: Option<String>,
    /// What an operator can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
    /// Process id of the owner of the running try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// Figures of a running try.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// KiB moved in this try.
    pub kbytes: u64,
    /// Files in this try.
    pub files: u64,
    /// Percent done, 0 to 100; `None` when the size is not known.
    pub percent: Option<u8>,
    /// KiB per second.
    pub kbytes_per_sec: u64,
    /// Path of the last file.
    pub path: String,
}

/// One change of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The job is in another state. [`Change::Done`] is how it becomes done with a status; this way it has none, or
    /// that of its last try.
    State(JobState),
    /// Fields have new values.
    Fields(Box<Fields>),
    /// A try begins: the job is active.
    TryStarted {
        /// Process id of its owner on the media server; 0 as long as it is not known.
        pid: u32,
        /// Storage unit that was granted.
        storage_unit: String,
        /// Media server that was granted.
        server: String,
    },
    /// The running try has come further.
    Progress(Progress),
    /// A line of the running try's details; without a try, one of the job that shows with its first try.
    Detail(String),
    /// The running try has ended; the job's state is unchanged.
    TryEnded {
        /// NetBackup status.
        status: i32,
        /// Its text.
        text: String,
    },
    /// The job is done. A running try ends with the same status.
    Done {
        /// NetBackup status.
        status: i32,
        /// Its text.
        text: String,
    },
}

/// A change, of which job, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// Job id.
    pub job: u64,
    /// When, in seconds since the epoch on the primary server's clock.
    pub at: u64,
    /// What.
    pub change: Change,
}

/// One try of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Try {
    /// Process id of its owner.
    pub pid: u32,
    /// Storage unit.
    pub storage_unit: String,
    /// Media server.
    pub server: String,
    /// When it began.
    pub started: u64,
    /// When it ended; `None` while it runs.
    pub ended: Option<u64>,
    /// How it ended; `None` while it runs.
    pub status: Option<i32>,
    /// The status's text; empty while it runs.
    pub text: String,
    /// Details, line by line.
    pub lines: Vec<String>,
    /// Figures.
    pub progress: Progress,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Job {
    /// Job id.
    pub id: u64,
    /// What was submitted, with later changes of its fields.
    pub request: NewJob,
    /// Where it stands.
    pub state: JobState,
    /// NetBackup status of the last try, or of the job when it is done; `None` before.
    pub status: Option<i32>,
    /// When it was submitted (`start` of `bpdbjobs`).
    pub submitted: u64,
    /// When it was done.
    pub ended: Option<u64>,
    /// Time of the last change.
    pub updated: u64,
    /// What it is doing; `None` unless it is active.
    pub operation: Option<Operation>,
    /// Copy number; 0 when no copy is made.
    pub copy: u32,
    /// Storage unit that is read.
    pub source_storage_unit: String,
    /// Media server that reads.
    pub source_server: String,
    /// Media id that is read.
    pub source_media: String,
    /// Media id that is written.
    pub destination_media: String,
    /// Frozen image id.
    pub frozen_image: String,
    /// Tries, the last one last.
    pub tries: Vec<Try>,
    /// Details from before the first try.
    pub early_lines: Vec<String>,
}

impl Job {
    pub(super) fn new(id: u64, at: u64, request: NewJob) -> Self {
        Self { id, request, submitted: at, updated: at, ..Self::default() }
    }

    /// The last try.
    pub fn last_try(&self) -> Option<&Try> {
        self.tries.last()
    }

    /// Figures of the last try; zeros without one.
    pub fn progress(&self) -> Progress {
        self.last_try().map(|last| last.progress.clone()).unwrap_or_default()
    }

    /// Seconds from submission to the end, or to the last change of a job that is not done.
    pub fn elapsed(&self) -> u64 {
        self.ended.unwrap_or(self.updated).saturating_sub(self.submitted)
    }

    /// All details in order.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        self.early_lines.iter().chain(self.tries.iter().flat_map(|one| &one.lines)).map(String::as_str)
    }

    fn running(&mut self) -> Option<&mut Try> {
        self.tries.last_mut().filter(|last| last.ended.is_none())
    }

    fn end_try(&mut self, at: u64, status: i32, text: &str) {
        if let Some(running) = self.running() {
            running.ended = Some(at);
            running.status = Some(status);
            text.clone_into(&mut running.text);
        }
        self.status = Some(status);
        self.operation = None;
    }

    pub(super) fn apply(&mut self, at: u64, change: Change) {
        self.updated = self.updated.max(at);
        match change {
            Change::State(state) => {
                self.state = state;
                if state != JobState::Active {
                    self.operation = None;
                }
                if state == JobState::Done {
                    self.ended = Some(at);
                }
            }
            Change::Fields(fields) => self.set(*fields),
            Change::TryStarted { pid, storage_unit, server } => {
                self.state = JobState::Active;
                let lines = std::mem::take(&mut self.early_lines);
                self.tries.push(Try { pid, storage_unit, server, started: at, lines, ..Try::default() });
            }
            Change::Progress(progress) => {
                if let Some(running) = self.running() {
                    running.progress = progress;
                }
            }
            Change::Detail(line) => match self.tries.last_mut() {
                Some(last) => last.lines.push(line),
                None => self.early_lines.push(line),
            },
            Change::TryEnded { status, text } => self.end_try(at, status, &text),
            Change::Done { status, text } => {
                self.end_try(at, status, &text);
                self.state = JobState::Done;
                self.ended = Some(at);
            }
        }
    }

    fn set(&mut self, fields: Fields) {
        fn put<T>(to: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *to = value;
            }
        }
        put(&mut self.request.backup_id, fields.backup_id);
        put(&mut self.request.policy, fields.policy);
        put(&mut self.request.schedule, fields.schedule);
        put(&mut self.request.client, fields.client);
        put(&mut self.request.storage_unit, fields.storage_unit);
        put(&mut self.request.priority, fields.priority);
        put(&mut self.request.controls, fields.controls);
        put(&mut self.copy, fields.copy);
        put(&mut self.source_storage_unit, fields.source_storage_unit);
        put(&mut self.source_server, fields.source_server);
        put(&mut self.source_media, fields.source_media);
        put(&mut self.destination_media, fields.destination_media);
        put(&mut self.frozen_image, fields.frozen_image);
        if fields.operation.is_some() {
            self.operation = fields.operation;
        }
        if let Some(running) = self.running() {
            put(&mut running.pid, fields.pid);
        }
    }
}
