//! What happens to a primary, and what it does about it: the [`Input`]s and [`Effect`]s of its core.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::job::Submission;
use super::nbstserv::ToldEvent;
use crate::nbu::order::JobRequest;

/// What an operator does with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOrder {
    /// Ends it with 150.
    Cancel,
    /// Stops it at its last checkpoint.
    Suspend,
    /// Lets a suspended or incomplete one go on, under its id.
    Resume,
    /// Runs a done one again from the start, as a new job.
    Restart,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// NetBackup status.
    pub(crate) status: i32,
    /// KiB moved.
    pub(crate) kbytes: u64,
    /// Files.
    pub(crate) files: u64,
    /// Whether a resumed job could begin behind the start.
    pub(crate) checkpoint: bool,
    /// Whether there is a job result of this try: not when no process was started, or nbjm lost it.
    pub(crate) reported: bool,
    /// Backups that it was successful with, of a job that may be about several.
    #[serde(default)]
    pub(crate) processed: Vec<String>,
}

/// What a look at a disk volume showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Polled {
    /// The disk volume.
    pub(crate) volume: String,
    /// Whether its storage server answered.
    pub(crate) server_up: bool,
    /// Whether it has the LSU.
    pub(crate) lsu_up: bool,
    /// Capacity and bytes used, where known.
    pub(crate) space: Option<(u64, u64)>,
}

/// A request with what bprd found out about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(super) submission: Submission,
    /// Lines of the job's details.
    pub(super) said: Vec<String>,
    /// Status and reason, when nothing comes of it.
    pub(super) refused: Option<(i32, String)>,
}

/// A copy whose retention is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpiredCopy {
    pub(super) backup_id: String,
    pub(super) copy: u32,
    pub(super) policy: String,
    pub(super) client: String,
    pub(super) storage_server: String,
    pub(super) lsu: String,
    pub(super) backup_time: u64,
    /// Length of the backup's stream, which is about what it takes.
    pub(super) bytes: u64,
}

/// A disk volume at its high water mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pressure {
    pub(super) volume: String,
    /// Bytes above the low water mark.
    pub(super) bytes: u64,
}

/// Something that happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Input {
    /// The domain is set up, or set up anew; first of all.
    Configure(Box<Config>),
    /// The virtual clock has come to this second.
    Clock(u64),
    /// Jobs are asked for. More than one of a kind are streams of one parent.
    Submit(Vec<Submission>),
    /// Users asked bprd for these.
    Asked(Vec<Received>),
    /// An operator's order.
    Order(u64, JobOrder),
    /// The try of a job ended.
    Ended(u64, Ended),
    /// A disk volume was looked at.
    Polled(Polled),
    /// The media server that should have looked at a disk volume has gone: nothing is known of the volume.
    NotPolled(String),
    /// A disk volume was asked for its events; none: there was no answer.
    Told { volume: String, events: Option<Vec<ToldEvent>> },
    /// A media server came or went.
    MediaServer { name: String, up: bool },
    /// The administrator changed the state of a disk volume.
    Volume { name: String, up: bool },
    /// The catalogue has copies whose retention is over. With a pressure, only what relieves it is to be deleted.
    Expired { copies: Vec<ExpiredCopy>, pressure: Option<Pressure> },
    /// The primary was started again: what was active has lost its owner.
    Restarted,
}

/// Something to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Start a try.
    Start { job: u64, media_server: String, request: Box<JobRequest> },
    /// Tell the owner of an active job to stop it.
    Stop { job: u64, suspend: bool },
    /// Look at a disk volume.
    Poll { volume: String, media_server: String },
    /// Ask a disk volume for its events.
    AskEvents { volume: String, media_server: String },
    /// Look through the catalogue for copies whose retention is over.
    LookForExpired(Option<Pressure>),
    /// A job changed.
    Changed(u64),
    /// The images of storage lifecycle policies changed, or what is to be imported.
    ImagesChanged,
}
