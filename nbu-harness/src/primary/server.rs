//! The primary's process: one thread owns the core and its journal; one for each connection and each active job bring
//! it what happens.

mod events;
mod expired;
mod media;
mod time;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::bpjobd::Bpjobd;
use super::bprd;
use super::core::Core;
use super::event::{Effect, Ended, Input, Polled};
use super::journal::{Journal, JournalError};
use super::multiplex::Group;
use super::nbstserv::{self, ToldEvent};
use super::results;
use super::wire::{News, Reply, Request, Until};
use crate::jobs_db::JobsDbError;
use crate::nbu::media_server::{listen, quiesce};
use crate::nbu::{Installation, JobEvent, JobKind, JobResult, JobState, Link};

/// What an active job shall do.
const GO_ON: u8 = 0;
const CANCEL: u8 = 1;
const SUSPEND: u8 = 2;

/// How long a peer may take to take a line.
const SEND: Duration = Duration::from_secs(30);
/// How long an operator may be silent: for ever, as far as anybody waits.
const OPERATOR: Duration = Duration::from_hours(24 * 365);
/// How long a look at a storage server may take.
const POLL: Duration = Duration::from_mins(2);
/// How long the jobs of a primary that was killed may take to notice and to end.
const QUIESCE: Duration = Duration::from_mins(5);

/// Runs the process in a directory: `primary.sock` is where it listens, `media/<name>.sock` where its media servers
/// do. Returns its exit code.
pub(crate) fn run(home: &Path) -> i32 {
    match serve(home) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("nbprimary: {error}");
            11
        }
    }
}

/// Why the primary cannot go on.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Jobs(#[from] JobsDbError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

/// What the owner of the core is told.
enum Happened {
    Asked(Request, Sender<Reply>),
    Watching(Sender<News>),
    /// Something happened in a job.
    Event(u64, JobEvent),
    /// The try of a job ended; whether its owner said so.
    TryEnded(u64, Box<JobResult>, bool),
    Polled(Polled),
    NotPolled(String),
    /// What a disk volume's events are, if it answered.
    Told(String, Option<Vec<ToldEvent>>),
    MediaServerLost(String),
    /// The jobs of an earlier primary on this media server have ended, or there is no such server any more.
    Quiet(String),
}

fn serve(home: &Path) -> Result<(), ServerError> {
    let socket = primary_socket(home);
    let failed = |source| ServerError::Io { what: socket.display().to_string(), source };
    let (journal, inputs) = Journal::open(&home.join("primary.journal"))?;
    let (send, receive) = channel();
    let listener = listen(&socket).map_err(failed)?;
    let accepted = send.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let happened = accepted.clone();
            std::thread::spawn(move || attend(stream, &happened));
        }
    });
    let mut primary = Server {
        home: home.to_owned(),
        journal,
        bpjobd: Bpjobd::open(home)?,
        core: None,
        send,
        stops: BTreeMap::new(),
        groups: BTreeMap::new(),
        watchers: Vec::new(),
        goal: None,
        unquiet: Vec::new(),
        held: Vec::new(),
        mark: None,
    };
    primary.replay(inputs)?;
    primary.run(&receive)
}

/// Serves one operator's connection.
fn attend(stream: UnixStream, happened: &Sender<Happened>) {
    let Ok(mut link) = Link::new(stream, "operator", SEND) else { return };
    while let Ok(Some(request)) = link.receive::<Request>(OPERATOR) {
        if matches!(request, Request::Watch) {
            let (send, receive) = channel();
            if happened.send(Happened::Watching(send)).is_err() || link.send(&Reply::Done).is_err() {
                return;
            }
            for news in receive {
                if link.send(&news).is_err() {
                    return;
                }
            }
            return;
        }
        let (send, receive) = channel();
        if happened.send(Happened::Asked(request, send)).is_err() {
            return;
        }
        let Ok(reply) = receive.recv() else { return };
        if link.send(&reply).is_err() {
            return;
        }
    }
}

struct Server {
    home: PathBuf,
    journal: Journal,
    bpjobd: Bpjobd,
    /// None until it is configured.
    core: Option<Core>,
    send: Sender<Happened>,
    /// What the owner of an active job shall do.
    stops: BTreeMap<u64, Arc<AtomicU8>>,
    /// Multiplexed groups, until the images of all their backups are open or over.
    groups: BTreeMap<u64, Arc<Group>>,
    watchers: Vec<Sender<News>>,
    goal: Option<(Until, Sender<Reply>)>,
    /// Media servers on which jobs of an earlier primary may still run: nothing new begins beside them.
    unquiet: Vec<String>,
    /// What was asked meanwhile.
    held: Vec<(Request, Sender<Reply>)>,
    /// The last point in the news that an operator marked.
    mark: Option<u64>,
}

impl Server {
    /// Becomes what the journal says.
    fn replay(&mut self, inputs: Vec<Input>) -> Result<(), ServerError> {
        for input in inputs {
            self.fold(input);
        }
        let Some(core) = &self.core else { return Ok(()) };
        for job in core.jobs() {
            self.bpjobd.keep(job, core.now(), core.kbytes_last(job))?;
        }
        self.keep_images()?;
        for name in core.config().media_servers.keys().cloned().collect::<Vec<_>>() {
            self.unquiet.push(name.clone());
            let (socket, send) = (self.media_socket(&name), self.send.clone());
            std::thread::spawn(move || {
                // One that cannot be reached has no jobs. One that is paused is waited for in vain: what its jobs still do
                // when it goes on touches nothing of a later try.
                let _ = quiesce(&socket, QUIESCE);
                let _ = send.send(Happened::Quiet(name));
            });
        }
        if self.unquiet.is_empty() { self.apply(Input::Restarted) } else { Ok(()) }
    }

    /// The jobs of an earlier primary on a media server have ended.
    fn quiet(&mut self, name: &str) -> Result<(), ServerError> {
        self.unquiet.retain(|other| other != name);
        if !self.unquiet.is_empty() {
            return Ok(());
        }
        self.apply(Input::Restarted)?;
        for (request, reply) in std::mem::take(&mut self.held) {
            self.asked(request, reply)?;
        }
        Ok(())
    }

    fn run(&mut self, happened: &Receiver<Happened>) -> Result<(), ServerError> {
        // The sender that this side keeps makes the loop endless: the process ends by a signal.
        while let Ok(first) = happened.recv() {
            self.take(first)?;
            while let Ok(next) = happened.try_recv() {
                self.take(next)?;
            }
            self.go_on()?;
        }
        Ok(())
    }

    fn take(&mut self, happened: Happened) -> Result<(), ServerError> {
        match happened {
            Happened::Asked(request, reply) if self.unquiet.is_empty() => self.asked(request, reply)?,
            Happened::Asked(request, reply) => self.held.push((request, reply)),
            Happened::Watching(watcher) => {
                let jobs = self.core.iter().flat_map(Core::jobs);
                let known = jobs.map(|job| News::Job(Box::new(job.clone())));
                let known = known.chain(self.mark.map(News::Mark));
                if known.map(|news| watcher.send(news)).all(|sent| sent.is_ok()) {
                    self.watchers.push(watcher);
                }
            }
            Happened::Event(id, event) => {
                let now = self.core.as_ref().map_or(0, Core::now);
                self.bpjobd.event(id, now, &event)?;
                self.tell(&News::Event(id, event));
            }
            Happened::TryEnded(id, result, reported) => {
                self.stops.remove(&id);
                let ended = Ended {
                    status: result.status,
                    kbytes: result.kbytes,
                    files: result.files,
                    checkpoint: matches!(result.state, JobState::Incomplete | JobState::Suspended),
                    reported,
                    processed: processed(&result),
                };
                let number =
                    self.core.as_ref().and_then(|core| core.job(id)).map_or(0, |job| job.tries.len());
                results::keep(&self.home, number, &result)
                    .map_err(|source| ServerError::Io { what: format!("the details of job {id}"), source })?;
                self.tell(&News::Try(number, result));
                self.apply(Input::Ended(id, ended))?;
            }
            Happened::Polled(polled) => self.apply(Input::Polled(polled))?,
            Happened::MediaServerLost(name) => self.apply(Input::MediaServer { name, up: false })?,
            Happened::NotPolled(volume) => self.apply(Input::NotPolled(volume))?,
            Happened::Told(volume, events) => self.apply(Input::Told { volume, events })?,
            Happened::Quiet(name) => self.quiet(&name)?,
        }
        Ok(())
    }

    fn asked(&mut self, request: Request, reply: Sender<Reply>) -> Result<(), ServerError> {
        let answer = match request {
            Request::Configure(config) => {
                self.apply(Input::Configure(config))?;
                Reply::Done
            }
            _ if self.core.is_none() => Reply::Refused("the primary is not configured yet".into()),
            Request::Submit(submissions) => self.submitted(Input::Submit(submissions))?,
            Request::Ask(submissions) => {
                let config = self.core.as_ref().map(Core::config);
                let catalog = config.and_then(|config| Some((config, config.media_servers.values().next()?)));
                match catalog.map(|(config, any)| bprd::receive(config, &any.work_dir, submissions)) {
                    Some(received) => self.submitted(Input::Asked(received))?,
                    None => Reply::Refused("the domain has no media server".into()),
                }
            }
            Request::Order(job, order) => {
                self.apply(Input::Order(job, order))?;
                Reply::Done
            }
            Request::MediaServer { name, up } => {
                self.apply(Input::MediaServer { name, up })?;
                Reply::Done
            }
            Request::Volume { name, up } => {
                self.apply(Input::Volume { name, up })?;
                Reply::Done
            }
            Request::Run(until) => {
                // Answered when it is reached.
                self.goal = Some((until, reply));
                return Ok(());
            }
            Request::Jobs => Reply::Jobs(self.core.iter().flat_map(Core::jobs).cloned().collect()),
            Request::Result(job) => match results::last(&self.home, job) {
                Ok(last) => Reply::Result(last.map(|(number, result)| (number, Box::new(result)))),
                Err(error) => Reply::Refused(format!("the details of job {job}: {error}")),
            },
            Request::Tick => {
                let at = self.core.as_ref().map_or(0, Core::after_backups);
                self.apply(Input::Clock(at + 1))?;
                Reply::Now(at)
            }
            Request::Now => Reply::Now(self.core.as_ref().map_or(0, Core::now)),
            Request::Mark(mark) => {
                self.mark = Some(mark);
                self.tell(&News::Mark(mark));
                Reply::Done
            }
            Request::Watch => Reply::Refused("a connection watches or asks, not both".into()),
        };
        // Whoever asked and went away does not want the answer.
        let _ = reply.send(answer);
        Ok(())
    }

    /// Lets jobs in; answers with their ids.
    fn submitted(&mut self, input: Input) -> Result<Reply, ServerError> {
        let before = self.core.iter().flat_map(Core::jobs).map(|job| job.id).max().unwrap_or_default();
        self.apply(input)?;
        let new = self.core.iter().flat_map(Core::jobs).filter(|job| job.id > before);
        Ok(Reply::Submitted(new.filter(|job| job.submission.is_some()).map(|job| job.id).collect()))
    }

    /// Writes an input down, applies it, and does what follows from it.
    fn apply(&mut self, input: Input) -> Result<(), ServerError> {
        self.journal.append(&input)?;
        for effect in self.fold(input) {
            self.carry_out(effect)?;
        }
        Ok(())
    }

    fn fold(&mut self, input: Input) -> Vec<Effect> {
        match (&mut self.core, input) {
            (None, Input::Configure(config)) => {
                self.core = Some(Core::new(*config));
                Vec::new()
            }
            (None, _) => Vec::new(),
            (Some(core), input) => core.apply(input),
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), ServerError> {
        match effect {
            Effect::Changed(id) => {
                if let Some((core, job)) = self.core.as_ref().and_then(|core| Some((core, core.job(id)?))) {
                    self.bpjobd.keep(job, core.now(), core.kbytes_last(job))?;
                    let news = News::Job(Box::new(job.clone()));
                    self.tell(&news);
                }
            }
            Effect::Start { job, media_server, request } => self.start(job, media_server, *request),
            Effect::Stop { job, suspend } => {
                if let Some(stop) = self.stops.get(&job) {
                    stop.store(if suspend { SUSPEND } else { CANCEL }, Ordering::Relaxed);
                }
            }
            Effect::Poll { volume, media_server } => self.poll(volume, media_server),
            Effect::AskEvents { volume, media_server } => self.ask_events(volume, media_server),
            Effect::ImagesChanged => self.keep_images()?,
            Effect::LookForExpired(pressure) => self.look_for_expired(pressure)?,
        }
        Ok(())
    }

    /// Makes what is on disk of nbstserv what it knows.
    fn keep_images(&self) -> Result<(), ServerError> {
        let Some(core) = &self.core else { return Ok(()) };
        let failed = |source| ServerError::Io { what: "the images of lifecycle policies".into(), source };
        nbstserv::keep(&self.home, &core.lifecycle_images()).map_err(failed)
    }

    fn installation(&self, media_server: &str) -> Option<Installation> {
        self.core.as_ref()?.config().media_servers.get(media_server).cloned()
    }

    fn media_socket(&self, name: &str) -> PathBuf {
        media_socket(&self.home, name)
    }

    fn tell(&mut self, news: &News) {
        self.watchers.retain(|watcher| watcher.send(news.clone()).is_ok());
    }
}

/// Where the primary of the domain in `home` listens.
pub(super) fn primary_socket(home: &Path) -> PathBuf {
    home.join("primary.sock")
}

/// Where a media server of the domain in `home` listens.
pub(super) fn media_socket(home: &Path, name: &str) -> PathBuf {
    home.join("media").join(format!("{name}.sock"))
}

/// The backups that a job was successful with.
fn processed(result: &JobResult) -> Vec<String> {
    if result.kind == JobKind::Backup && result.is_successful() {
        return vec![result.backup_id.clone()];
    }
    result.processed.clone()
}
