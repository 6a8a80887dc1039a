//! The jobs database: bpjobd's store, and what `bpdbjobs` and the Activity Monitor show.
//!
//! One journal at `<home>/db/jobs/jobs.journal`. A job is a record of its submission and one for each [`Change`], in
//! order; [`JobsDb`] replays them. Any process may be killed at any byte: a record is there whole or not at all, and a
//! job id that was handed out is never given to another job.
//!
//! Submissions and changes of a job's state survive a power failure when the call returns; progress and details
//! survive the death of the process that wrote them.
//!
//! ```no_run
//! # use nbu_harness::jobs_db::{Change, JobUpdate, JobsDb, NewJob};
//! # fn main() -> Result<(), nbu_harness::jobs_db::JobsDbError> {
//! let db = JobsDb::open("/var/lib/nbu".as_ref())?;
//! let id = db.submit(1_588_173_000, NewJob { policy: "p1".into(), ..NewJob::default() })?;
//! let change = Change::Done { status: 0, text: "the requested operation was successfully completed".into() };
//! db.append(JobUpdate { job: id, at: 1_588_173_060, change })?;
//! assert_eq!(db.job(id)?.map(|job| job.elapsed()), Some(60));
//! # Ok(())
//! # }
//! ```

mod codes;
mod job;
mod journal;
#[cfg(test)]
mod tests;

pub use codes::{JobState, JobType, Operation, PolicyType, ScheduleType, Subtype};
pub use job::{Change, Controls, Fields, Job, JobUpdate, NewJob, Progress, Try};

use crate::durable::make_dirs;
use journal::{Durability, Journal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What can go wrong with the jobs database.
#[derive(Debug, thiserror::Error)]
pub enum JobsDbError {
    /// The file system refused something.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// As a verb phrase.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The journal does not hold what it should, and not only at its end.
    #[error("jobs database {}, line {line}: {what}: restore the file, or move it away to begin with no jobs", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What the reader found.
        what: String,
    },
    /// An update is for a job that was never submitted.
    #[error("there is no job {0} in the jobs database: submit it first")]
    NoSuchJob(u64),
    /// An update is for a job that is done.
    #[error("job {0} is done: nothing about it changes any more")]
    JobDone(u64),
    /// A job id that is not above all others cannot be given any more.
    #[error("job id {0} was handed out already: the next one is {1}")]
    TakenId(u64, u64),
}

impl JobsDbError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// A record of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Submit {
        job: u64,
        at: u64,
        request: Box<NewJob>,
    },
    Update(JobUpdate),
    /// Nothing of these jobs is kept any more; their ids are not handed out again.
    Clean {
        jobs: Vec<u64>,
    },
}

/// The jobs database of one NetBackup home. Several threads and several processes may work with it at once, each call
/// under the journal's lock. A handle that was inherited through `fork` shares its lock with the parent's: open anew.
#[derive(Debug)]
pub struct JobsDb {
    inner: Mutex<Inner>,
    /// What submissions and changes of state survive.
    durability: Durability,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    jobs: Jobs,
}

/// What the journal has told so far.
#[derive(Debug, Default)]
struct Jobs {
    known: BTreeMap<u64, Job>,
    /// The highest id that was handed out.
    last: u64,
}

impl Jobs {
    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        match serde_json::from_slice(record).map_err(|error| error.to_string())? {
            Record::Submit { job, at, request } => {
                if self.last >= job {
                    return Err(format!("job {job} is submitted after a later one"));
                }
                self.last = job;
                self.known.insert(job, Job::new(job, at, *request));
            }
            Record::Clean { jobs } => self.known.retain(|id, _| !jobs.contains(id)),
            Record::Update(JobUpdate { job, at, change }) => match self.known.get_mut(&job) {
                Some(known) => known.apply(at, change),
                None => return Err(format!("job {job} was never submitted")),
            },
        }
        Ok(())
    }

    const fn next_id(&self) -> u64 {
        self.last + 1
    }
}

impl JobsDb {
    /// Opens the jobs database of a NetBackup home. Creates it when missing.
    ///
    /// # Errors
    /// When the directory cannot be made, or the journal cannot be read or is damaged.
    pub fn open(home: &Path) -> Result<Self, JobsDbError> {
        let dir = home.join("db/jobs");
        make_dirs(&dir, 0o777).map_err(JobsDbError::io("make", &dir))?;
        let journal = Journal::open(&dir)?;
        let inner = Mutex::new(Inner { journal, jobs: Jobs::default() });
        let db = Self { inner, durability: Durability::Power };
        db.caught_up(|_| ())?;
        Ok(db)
    }

    /// The same, for a run that begins anew after a power failure anyway: what this handle appends survives the death
    /// of any process and no more. A submission takes microseconds then, and milliseconds otherwise.
    #[must_use]
    pub fn unsynced(mut self) -> Self {
        self.durability = Durability::Process;
        self
    }

    /// Submits a job and returns its id, from 1 on. The job is queued.
    ///
    /// # Errors
    /// When the journal cannot be written or is damaged; then there is no such job.
    pub fn submit(&self, at: u64, request: NewJob) -> Result<u64, JobsDbError> {
        self.write(self.durability, |jobs| {
            let job = jobs.next_id();
            Ok((Record::Submit { job, at, request: Box::new(request) }, job))
        })
    }

    /// Submits a job under the id that nbjm gave it.
    ///
    /// # Errors
    /// As [`Self::submit`], and when the id is not above those of all other jobs.
    pub fn submit_numbered(&self, job: u64, at: u64, request: NewJob) -> Result<(), JobsDbError> {
        self.write(self.durability, |jobs| match jobs.next_id() {
            next if job < next => Err(JobsDbError::TakenId(job, next)),
            _ => Ok((Record::Submit { job, at, request: Box::new(request) }, ())),
        })
    }

    /// Appends a change.
    ///
    /// # Errors
    /// When there is no such job, it is done, or the journal cannot be written or is damaged; then nothing changes.
    pub fn append(&self, update: JobUpdate) -> Result<(), JobsDbError> {
        let durability = match &update.change {
            Change::Progress(_) | Change::Detail(_) => Durability::Process,
            _ => self.durability,
        };
        self.write(durability, |jobs| match jobs.known.get(&update.job) {
            None => Err(JobsDbError::NoSuchJob(update.job)),
            Some(job) if job.state == JobState::Done => Err(JobsDbError::JobDone(update.job)),
            Some(_) => Ok((Record::Update(update), ())),
        })
    }

    /// Forgets done jobs; returns which, by id. Those below a parent that is not done stay with it.
    ///
    /// # Errors
    /// When the journal cannot be written or is damaged; then all of them stay.
    pub fn clean(&self, old: impl Fn(&Job) -> bool) -> Result<Vec<u64>, JobsDbError> {
        let chosen = |jobs: &Jobs| -> Vec<u64> {
            let done = |job: &&Job| job.state == JobState::Done;
            let parent = |job: &Job| job.request.parent.and_then(|id| jobs.known.get(&id));
            let of_open = |job: &Job| parent(job).is_some_and(|parent| parent.state != JobState::Done);
            let old = jobs.known.values().filter(done).filter(|job| !of_open(job) && old(job));
            old.map(|job| job.id).collect()
        };
        if self.caught_up(chosen)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(self.durability, |jobs| {
            let jobs = chosen(jobs);
            Ok((Record::Clean { jobs: jobs.clone() }, jobs))
        })
    }

    /// All jobs, by id.
    ///
    /// # Errors
    /// When the journal cannot be read or is damaged.
    pub fn jobs(&self) -> Result<Vec<Job>, JobsDbError> {
        self.caught_up(|jobs| jobs.known.values().cloned().collect())
    }

    /// One job; `None` if there is none of that id.
    ///
    /// # Errors
    /// When the journal cannot be read or is damaged.
    pub fn job(&self, id: u64) -> Result<Option<Job>, JobsDbError> {
        self.caught_up(|jobs| jobs.known.get(&id).cloned())
    }

    /// Looks at one job without a copy of it; `None` if there is none of that id.
    ///
    /// # Errors
    /// When the journal cannot be read or is damaged.
    pub fn look<T>(&self, id: u64, look: impl FnOnce(Option<&Job>) -> T) -> Result<T, JobsDbError> {
        self.caught_up(|jobs| look(jobs.known.get(&id)))
    }

    fn caught_up<T>(&self, look: impl FnOnce(&Jobs) -> T) -> Result<T, JobsDbError> {
        let Inner { journal, jobs } = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        journal.catch_up(|record| jobs.replay(record))?;
        Ok(look(jobs))
    }

    fn write<T>(
        &self,
        durability: Durability,
        make: impl FnOnce(&Jobs) -> Result<(Record, T), JobsDbError>,
    ) -> Result<T, JobsDbError> {
        let Inner { journal, jobs } = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = journal.begin(|record| jobs.replay(record))?;
        let (record, made) = make(jobs)?;
        let text = serde_json::to_vec(&record).map_err(|error| {
            JobsDbError::io("encode a record of", Path::new("jobs.journal"))(error.into())
        })?;
        locked.append(durability, &text)?;
        Ok(made)
    }
}
