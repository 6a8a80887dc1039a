//! An operator's side: starts a domain's servers, gives orders, watches.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::config::Config;
use super::event::JobOrder;
use super::job::{Job, Submission};
use super::server::{media_socket, primary_socket};
use super::wire::{News, Reached, Reply, Request, Until};
use crate::nbu::media_server::quiesce;
use crate::nbu::{JobResult, Link, LinkError, Running};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How long the primary may take for an answer that is no run.
const ANSWER: Duration = Duration::from_mins(1);
/// How long the jobs of a media server may take to end.
const QUIESCE: Duration = Duration::from_mins(5);
/// How often a waiting operator is asked whether it still wants to wait.
const QUIET: Duration = Duration::from_millis(250);

/// Why a domain does not do what an operator wants.
#[derive(Debug, thiserror::Error)]
pub enum PrimaryError {
    /// A server does not start.
    #[error("{name} does not start: {source}; its log is {}", log.display())]
    Start {
        /// The server.
        name: String,
        /// What the system said.
        source: io::Error,
        /// Where it prints to.
        log: PathBuf,
    },
    /// The primary has gone, or is silent.
    #[error("the primary: {0}")]
    Gone(String),
    /// It refused.
    #[error("the primary refused: {0}")]
    Refused(String),
}

/// The servers of a domain: a primary and its media servers, each a process. Dropped, all of them end.
///
/// They are started by one thread, with which they die, and may be killed by any.
#[derive(Debug)]
pub struct Servers {
    exe: PathBuf,
    home: PathBuf,
    running: Mutex<BTreeMap<String, Running>>,
}

/// The primary's name among the [`Servers`].
pub const PRIMARY: &str = "primary";

impl Servers {
    /// The servers of the domain whose files are in `home`, which must exist; none runs yet. `exe` is a program whose
    /// `main` begins with [`crate::nbu::dispatch`].
    pub fn new(exe: &Path, home: &Path) -> Self {
        Self { exe: exe.to_owned(), home: home.to_owned(), running: Mutex::default() }
    }

    /// Starts the primary ([`PRIMARY`]) or a media server. A primary that was there before goes on where it was; it
    /// learns of a media server by [`Operator::media_server`].
    ///
    /// # Errors
    /// When the process does not start.
    pub fn start(&self, name: &str) -> Result<(), PrimaryError> {
        let server = if name == PRIMARY {
            self.server("nbprimary", &self.home, &primary_socket(&self.home), "nbprimary.log")?
        } else {
            let socket = media_socket(&self.home, name);
            if let Some(dir) = socket.parent() {
                std::fs::create_dir_all(dir)
                    .map_err(|source| self.no_start(name, source, "nbprimary.log"))?;
            }
            self.server("nbrmms", &socket, &socket, &format!("nbrmms-{name}.log"))?
        };
        self.running().insert(name.to_owned(), server);
        Ok(())
    }

    /// Kills a server with SIGKILL; a media server takes every process of its jobs with it. What is on disk stays.
    /// False when it did not run.
    pub fn kill(&self, name: &str) -> bool {
        let Some(mut server) = self.running().remove(name) else { return false };
        server.signal(Signal::KILL);
        server.reap(START);
        true
    }

    /// Process id of a server that runs.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.running().get(name).map(Running::id)
    }

    /// Waits until no job runs on a media server any more, also none that its primary has given up.
    ///
    /// # Errors
    /// When the media server does not answer.
    pub fn quiesce(&self, name: &str) -> Result<(), PrimaryError> {
        quiesce(&media_socket(&self.home, name), QUIESCE)
            .map_err(|error| PrimaryError::Gone(format!("media server {name}: {error}")))
    }

    /// Whether a server was started and not killed.
    pub fn is_running(&self, name: &str) -> bool {
        self.running().contains_key(name)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_start(&self, name: &str, source: io::Error, log: &str) -> PrimaryError {
        PrimaryError::Start { name: name.to_owned(), source, log: self.home.join("logs").join(log) }
    }

    /// Starts a server and waits until it can be connected to.
    fn server(&self, name: &str, argument: &Path, socket: &Path, log: &str) -> Result<Running, PrimaryError> {
        let failed = |source| self.no_start(name, source, log);
        // A socket of an earlier run must not be mistaken for the new server's.
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut running = Running::server(&self.exe, name, argument, &self.home, log).map_err(failed)?;
        let started = Instant::now();
        loop {
            match UnixStream::connect(socket) {
                Ok(_) => return Ok(running),
                Err(error) if started.elapsed() > START => return Err(failed(error)),
                Err(_) => {}
            }
            // Nothing announces that a socket is there; the end of the process does end the wait.
            if crate::nbu::wait_readable(&running, Duration::from_millis(5)).map_err(failed)? {
                let record = running.reap(Duration::ZERO);
                return Err(failed(io::Error::other(format!("it ended with {:?}", record.exit_code))));
            }
        }
    }
}

/// A connection to the primary, for one operator.
#[derive(Debug)]
pub struct Operator {
    link: Link,
}

impl Operator {
    /// Connects to the primary of the domain whose files are in `home`.
    ///
    /// # Errors
    /// When none is there.
    pub fn connect(home: &Path) -> Result<Self, PrimaryError> {
        Ok(Self { link: connect(home)? })
    }

    /// Says to the primary that a media server answers, or does not.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn media_server(&mut self, name: &str, up: bool) -> Result<(), PrimaryError> {
        self.done(&Request::MediaServer { name: name.to_owned(), up })
    }

    fn ask(&mut self, request: &Request, wait: &mut dyn FnMut() -> bool) -> Result<Reply, PrimaryError> {
        let gone = |error: LinkError| PrimaryError::Gone(error.to_string());
        self.link.send(request).map_err(gone)?;
        loop {
            match self.link.receive(QUIET) {
                Ok(Some(Reply::Refused(why))) => return Err(PrimaryError::Refused(why)),
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => return Err(PrimaryError::Gone("it closed the connection".into())),
                Err(LinkError::TimedOut { .. }) if wait() => {}
                Err(error) => return Err(gone(error)),
            }
        }
    }

    fn soon(&mut self, request: &Request) -> Result<Reply, PrimaryError> {
        let started = Instant::now();
        self.ask(request, &mut || started.elapsed() < ANSWER)
    }

    fn done(&mut self, request: &Request) -> Result<(), PrimaryError> {
        match self.soon(request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Configures the domain, or configures it anew.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn configure(&mut self, config: &Config) -> Result<(), PrimaryError> {
        self.done(&Request::Configure(Box::new(config.clone())))
    }

    /// Asks bprd for backups by hand, the streams of one client together, or for restores. Returns the ids of the jobs in
    /// order; what bprd refuses is a job too, and done.
    ///
    /// # Errors
    /// When the primary has gone or is not configured.
    pub fn ask_bprd(&mut self, submissions: Vec<Submission>) -> Result<Vec<u64>, PrimaryError> {
        match self.soon(&Request::Ask(submissions))? {
            Reply::Submitted(ids) => Ok(ids),
            other => Err(unexpected(&other)),
        }
    }

    /// Submits jobs, the streams of one backup together. Returns their ids in order.
    ///
    /// # Errors
    /// When the primary has gone or is not configured.
    pub fn submit(&mut self, submissions: Vec<Submission>) -> Result<Vec<u64>, PrimaryError> {
        match self.soon(&Request::Submit(submissions))? {
            Reply::Submitted(ids) => Ok(ids),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives an order about a job. What it means nothing for is left alone.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn order(&mut self, job: u64, order: JobOrder) -> Result<(), PrimaryError> {
        self.done(&Request::Order(job, order))
    }

    /// Marks a disk volume up or down.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn volume(&mut self, name: &str, up: bool) -> Result<(), PrimaryError> {
        self.done(&Request::Volume { name: name.to_owned(), up })
    }

    /// Lets the domain go on. Blocks; `wait` is asked several times a second whether to go on waiting.
    ///
    /// # Errors
    /// When the primary has gone, or `wait` said no.
    pub fn run(&mut self, until: &Until, wait: &mut dyn FnMut() -> bool) -> Result<Reached, PrimaryError> {
        match self.ask(&Request::Run(until.clone()), wait)? {
            Reply::Reached(reached) => Ok(reached),
            other => Err(unexpected(&other)),
        }
    }

    /// All jobs, in order of their ids.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn jobs(&mut self) -> Result<Vec<Job>, PrimaryError> {
        match self.soon(&Request::Jobs)? {
            Reply::Jobs(jobs) => Ok(jobs),
            other => Err(unexpected(&other)),
        }
    }

    /// The number, from 1, of the last try of a job whose end this primary or an earlier one saw, and what it reported;
    /// none when they saw none.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn result(&mut self, job: u64) -> Result<Option<(usize, JobResult)>, PrimaryError> {
        match self.soon(&Request::Result(job))? {
            Reply::Result(last) => Ok(last.map(|(number, result)| (number, *result))),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells everybody who watches that all news so far has been told, by [`News::Mark`].
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn mark(&mut self, mark: u64) -> Result<(), PrimaryError> {
        self.done(&Request::Mark(mark))
    }

    /// Lets the virtual clock pass the times of all backups so far, and returns a moment between those and all to come.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn tick(&mut self) -> Result<u64, PrimaryError> {
        match self.soon(&Request::Tick)? {
            Reply::Now(now) => Ok(now),
            other => Err(unexpected(&other)),
        }
    }

    /// What the virtual clock shows.
    ///
    /// # Errors
    /// When the primary has gone.
    pub fn now(&mut self) -> Result<u64, PrimaryError> {
        match self.soon(&Request::Now)? {
            Reply::Now(now) => Ok(now),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> PrimaryError {
    PrimaryError::Gone(format!("it answered {reply:?}"))
}

fn connect(home: &Path) -> Result<Link, PrimaryError> {
    let gone = |error: io::Error| PrimaryError::Gone(error.to_string());
    let stream = UnixStream::connect(primary_socket(home)).map_err(gone)?;
    Link::new(stream, "the primary", ANSWER).map_err(gone)
}

/// News of a primary.
#[derive(Debug)]
pub struct Watch {
    link: Link,
}

impl Watch {
    /// A connection that is told everything from now on, beginning with every job there is.
    ///
    /// # Errors
    /// When there is no primary in `home`.
    pub fn connect(home: &Path) -> Result<Self, PrimaryError> {
        let gone = |error: LinkError| PrimaryError::Gone(error.to_string());
        let mut link = connect(home)?;
        link.send(&Request::Watch).map_err(gone)?;
        match link.receive(ANSWER).map_err(gone)? {
            Some(Reply::Done) => Ok(Self { link }),
            other => Err(PrimaryError::Gone(format!("it answered {other:?}"))),
        }
    }

    /// The next piece of news; none when the primary has gone or nothing came within `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Option<News> {
        self.link.receive(timeout).ok().flatten()
    }

    /// Whether the primary has gone and everything that it said was heard.
    pub fn is_over(&self) -> bool {
        self.link.is_closed()
    }
}
