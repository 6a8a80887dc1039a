//! A job as bpjobd keeps it: NetBackup's states, operations and tries, with the numbers that `bpdbjobs` prints.

use serde::{Deserialize, Serialize};

pub use crate::jobs_db::Operation;
use crate::nbu::ScheduleType;
use crate::nbu::order::JobRequest;
use crate::nbu::{JobKind, JobState};

/// One attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When it became active.
    pub started: u64,
    /// When it ended; none while it is active.
    pub ended: Option<u64>,
    /// NetBackup status it ended with.
    pub status: Option<i32>,
    /// Storage unit.
    pub unit: String,
    /// Disk volume.
    pub volume: String,
    /// Where further copies go that are made at the same time, copy 2 first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_copies: Vec<Place>,
    /// Media server.
    pub media_server: String,
    /// KiB moved.
    pub kbytes: u64,
    /// Files.
    pub files: u64,
    /// Whether its processes reported a result.
    pub reported: bool,
}

/// A place on storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Storage unit.
    pub unit: String,
    /// Disk volume.
    pub volume: String,
}

impl Try {
    /// One that begins now, without a place.
    pub(crate) const fn begun(started: u64) -> Self {
        Self {
            started,
            ended: None,
            status: None,
            unit: String::new(),
            volume: String::new(),
            further_copies: Vec::new(),
            media_server: String::new(),
            kbytes: 0,
            files: 0,
            reported: false,
        }
    }

    /// Storage unit and disk volume of every copy that it makes, copy 1 first.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        let further = self.further_copies.iter().map(|place| (place.unit.as_str(), place.volume.as_str()));
        std::iter::once((self.unit.as_str(), self.volume.as_str())).chain(further)
    }
}

/// What is asked of nbjm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submission {
    /// What to do. Job id, backup time and storage are filled in when the job gets them.
    pub(crate) request: JobRequest,
    /// Policy.
    pub policy: String,
    /// Client.
    pub client: String,
    /// Schedule.
    pub schedule: String,
    /// Kind of schedule.
    pub schedule_type: ScheduleType,
    /// Label of a storage unit or group.
    pub storage: String,
    /// The same for further copies that are made at the same time, copy 2 first.
    #[serde(default)]
    pub further_copies: Vec<String>,
    /// The media server it has to run on; none = whichever is free.
    pub media_server: Option<String>,
    /// What it is about, for people.
    pub name: String,
    /// Number of the data stream, from 1.
    pub stream: usize,
    /// Streams that it takes of a disk volume.
    pub io_streams: u32,
    /// How many tries it has.
    pub tries: u32,
    /// Higher comes first.
    pub priority: u32,
    /// When its window closes; a job that still waits for storage then ends with 196.
    pub window_closes: Option<u64>,
    /// How many backups of its schedule may be one multiplexed backup; 1 = it is none.
    #[serde(default = "super::config::not_multiplexed")]
    pub multiplexing: u32,
}

impl Submission {
    /// A job of no policy and client, by hand, with one try and one I/O stream, and storage of a unit or group.
    pub(crate) fn new(request: JobRequest, storage: String, name: String) -> Self {
        Self {
            request,
            policy: String::new(),
            client: String::new(),
            schedule: String::new(),
            schedule_type: ScheduleType::Full,
            storage,
            further_copies: Vec::new(),
            media_server: None,
            name,
            stream: 0,
            io_streams: 1,
            tries: 1,
            priority: 0,
            window_closes: None,
            multiplexing: super::config::not_multiplexed(),
        }
    }
}

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Job id.
    pub id: u64,
    /// Its parent.
    pub parent: Option<u64>,
    /// Job type.
    pub kind: JobKind,
    /// State.
    pub state: JobState,
    /// What it is doing.
    pub operation: Operation,
    /// Status of the last try, or of the whole job when it is done.
    pub status: Option<i32>,
    /// When it was submitted.
    pub submitted: u64,
    /// When it was done.
    pub ended: Option<u64>,
    /// Backup it makes or works with.
    pub backup_id: String,
    /// Attempts, the first one first.
    pub tries: Vec<Try>,
    /// Why it waits.
    pub reason: Option<String>,
    /// When it leaves its state by itself: requeued for the next try, incomplete for done.
    pub(crate) timer: Option<u64>,
    /// Whether a checkpoint exists that a resumed job begins at.
    pub checkpoint: bool,
    /// What was asked for; none for a parent job.
    pub submission: Option<Submission>,
    /// What bprd said of it before it was given to anybody, as lines of its details.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl Job {
    /// The attempt that is running.
    pub fn active_try(&self) -> Option<&Try> {
        self.tries.last().filter(|last| self.state == JobState::Active && last.ended.is_none())
    }

    /// The state in which it waits for resources: bprd shows a restore as active before it has any.
    pub(crate) const fn waiting(&self) -> JobState {
        match self.kind {
            JobKind::Restore => JobState::Active,
            _ => JobState::Queued,
        }
    }

    /// Whether it waits for resources.
    pub(crate) fn waits(&self) -> bool {
        self.submission.is_some() && self.state == self.waiting() && self.active_try().is_none()
    }

    /// Policy; empty for none.
    pub fn policy(&self) -> &str {
        self.submission.as_ref().map_or("", |asked| &asked.policy)
    }

    /// Label of the storage unit or group that it wants; empty for none.
    pub fn storage(&self) -> &str {
        self.submission.as_ref().map_or("", |asked| &asked.storage)
    }

    /// Whether it can run again as a new job. What nbstserv asked for it asks for again by itself.
    pub fn can_be_restarted(&self) -> bool {
        self.submission.as_ref().is_some_and(|asked| !asked.request.is_of_lifecycle())
    }

    /// Whether it goes nowhere by itself.
    pub const fn is_settled(&self) -> bool {
        matches!(self.state, JobState::Done | JobState::Suspended | JobState::Incomplete)
    }

    /// Whether nothing will happen to it any more.
    pub fn is_done(&self) -> bool {
        self.state == JobState::Done
    }
}

/// Statuses after which trying again is pointless: what an administrator wanted, and what the request itself says.
pub(crate) const NOT_RETRIED: [i32; 6] = [0, 1, 20, 150, 157, 1535];
