//! What an operator and the primary say to each other, one JSON line a message.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::event::JobOrder;
use super::job::{Job, Submission};
use crate::nbu::{JobEvent, JobResult};

/// How long the primary shall go on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Each of these jobs is done, suspended or incomplete. The clock goes on for their retries only as far as needed.
    Settled(Vec<u64>),
    /// The virtual clock shows this time and no data process runs.
    At(u64),
}

/// How going on ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// What was wanted holds.
    Yes,
    /// Nothing will happen any more, and what was wanted does not hold: jobs wait for something that only an operator
    /// can change.
    Stuck,
}

/// An operator to the primary.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Configure(Box<Config>),
    /// To bprd, from a user.
    Ask(Vec<Submission>),
    Submit(Vec<Submission>),
    Order(u64, JobOrder),
    Run(Until),
    Jobs,
    /// What the last try of a job reported.
    Result(u64),
    Now,
    /// Lets the clock pass every backup so far, and says what it showed in between.
    Tick,
    MediaServer {
        name: String,
        up: bool,
    },
    Volume {
        name: String,
        up: bool,
    },
    /// Everything that happened before is told to those who watch, and then the mark.
    Mark(u64),
    /// This connection gets [`News`] from now on.
    Watch,
}

/// The primary's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    /// Ids of the jobs with data of their own, in order of the submissions; a parent has a lower one.
    Submitted(Vec<u64>),
    Reached(Reached),
    Jobs(Vec<Job>),
    Result(Option<(usize, Box<JobResult>)>),
    Now(u64),
    Refused(String),
}

/// What a watcher is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    /// A job changed, or is new.
    Job(Box<Job>),
    /// Something happened in a job.
    Event(u64, JobEvent),
    /// The try of this number, from 1, ended, with everything it reported.
    Try(usize, Box<JobResult>),
    /// Everything that happened before the operator's mark has been told.
    Mark(u64),
}
