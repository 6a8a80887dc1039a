//! Watching the jobs of a step: hands on what happens to the observer, keeps what was reported, strikes when a job
//! comes to the point that a fault or a kill waits for, and cancels everything when nobody wants more.

use super::pause::Paused;
use super::record::{FaultOutcome, JobRecord, KillOutcome, OrderOutcome, PauseOutcome};
use super::{Observer, Stand};
use crate::nbu::{JobEvent, JobResult, status_text};
use crate::primary::{Job, JobOrder, News, Operator, Servers, Watch};
use crate::scenario::{Fault, KillStep, OrderStep, PauseStep, Victim};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it is looked whether somebody wants an end.
const QUIET: Duration = Duration::from_millis(250);

/// Something that happens when a job of the step makes a certain fragment.
#[derive(Debug, Clone)]
pub(super) enum Late {
    Fault(Fault),
    Kill(KillStep),
    Order(OrderStep),
    Pause(PauseStep),
}

impl Late {
    const fn fragment(&self) -> Option<u32> {
        match self {
            Self::Fault(fault) => fault.fragment,
            Self::Kill(kill) => kill.fragment,
            Self::Order(order) => Some(order.fragment),
            Self::Pause(pause) => pause.fragment,
        }
    }
}

/// What came, or never came, at a certain fragment.
#[derive(Debug, Default)]
pub(super) struct Misfortunes {
    pub(super) faults: Vec<FaultOutcome>,
    pub(super) kills: Vec<KillOutcome>,
    pub(super) orders: Vec<OrderOutcome>,
    pub(super) pauses: Vec<PauseOutcome>,
}

impl Misfortunes {
    pub(super) fn add(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.kills.extend(other.kills);
        self.orders.extend(other.orders);
        self.pauses.extend(other.pauses);
    }
}

/// Which jobs are a step's.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Those with a higher id.
    pub(super) after: u64,
    /// These older ones, which go on.
    pub(super) also: BTreeSet<u64>,
}

impl Scope {
    pub(super) fn has(&self, id: u64) -> bool {
        id > self.after || self.also.contains(&id)
    }
}

/// What a watcher needs of the run.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) home: &'a Path,
    pub(super) servers: &'a Servers,
    pub(super) stand: &'a Stand,
    pub(super) observer: &'a dyn Observer,
    pub(super) paused: &'a Paused,
}

/// Watches until it is told to stop.
pub(super) struct Watcher<'a> {
    around: Surroundings<'a>,
    step: usize,
    scope: Scope,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    queued: BTreeSet<u64>,
    open: BTreeSet<u64>,
    told: BTreeSet<u64>,
    results: BTreeMap<u64, (usize, JobResult)>,
    pids: BTreeMap<u64, Vec<(String, u32)>>,
    /// Media servers that active jobs run on.
    places: BTreeMap<u64, String>,
    late: Vec<Late>,
    struck: Misfortunes,
    cancelled: BTreeSet<u64>,
    /// The mark at which the news of the step ends.
    end: Option<u64>,
    ended: bool,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(around: Surroundings<'a>, step: usize, scope: Scope, late: Vec<Late>) -> Self {
        let seen = Mutex::new(Seen { late, ..Seen::default() });
        Self { around, step, scope, seen, changed: Condvar::new() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends [`Self::run`]: behind the news that a mark ends, or without one at once.
    pub(super) fn stop(&self, mark: Option<u64>) {
        let mut seen = self.seen();
        (seen.end, seen.ended) = (mark, mark.is_none());
        drop(seen);
        self.changed.notify_all();
    }

    /// Whether a job of the step is neither done nor suspended nor incomplete.
    pub(super) fn has_open(&self) -> bool {
        !self.seen().open.is_empty()
    }

    /// Watches, on a thread of its own. `watch` was connected before the step began, so that nothing is missed.
    pub(super) fn run(&self, mut watch: Option<Watch>) {
        while !self.seen().ended {
            match watch.as_mut().map(|watch| (watch.next(QUIET), watch.is_over())) {
                Some((Some(news), _)) => self.take(news),
                Some((None, false)) => {}
                // The primary was killed: there is another one soon.
                _ => {
                    let waited = self.changed.wait_timeout(self.seen(), QUIET);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                    watch = Watch::connect(self.around.home).ok();
                }
            }
            if self.around.observer.interrupted() {
                self.cancel();
            }
        }
    }

    /// Cancels every job, each once.
    fn cancel(&self) {
        let seen = self.seen();
        let open: Vec<u64> = seen.open.difference(&seen.cancelled).copied().collect();
        drop(seen);
        if open.is_empty() {
            return;
        }
        // A primary that has gone is asked again when it is back.
        let Ok(mut operator) = Operator::connect(self.around.home) else { return };
        for id in open {
            if operator.order(id, JobOrder::Cancel).is_ok() {
                self.seen().cancelled.insert(id);
            }
        }
    }

    fn take(&self, news: News) {
        match news {
            News::Job(job) if self.scope.has(job.id) && job.submission.is_some() => self.job(&job),
            News::Event(id, event) if self.scope.has(id) => {
                match &event {
                    JobEvent::ProcessStarted { name, pid } => {
                        self.seen().pids.entry(id).or_default().push((name.clone(), *pid));
                    }
                    JobEvent::Log(line) => self.strike(id, line),
                    _ => {}
                }
                self.around.observer.job_event(id, &event);
            }
            News::Try(number, result) if self.scope.has(result.job_id) => {
                self.seen().results.insert(result.job_id, (number, *result));
            }
            News::Mark(mark) => {
                let mut seen = self.seen();
                seen.ended |= seen.end == Some(mark);
            }
            _ => {}
        }
    }

    fn job(&self, job: &Job) {
        let (new, over) = {
            let mut seen = self.seen();
            let over = job.is_settled();
            if let Some(active) = job.active_try() {
                seen.places.insert(job.id, active.media_server.clone());
            } else {
                seen.places.remove(&job.id);
                seen.pids.remove(&job.id);
            }
            if over {
                seen.open.remove(&job.id);
            } else {
                seen.open.insert(job.id);
            }
            (seen.queued.insert(job.id), over && seen.told.insert(job.id))
        };
        if new {
            let asked = job.submission.as_ref();
            let (client, name) = asked.map_or(("", ""), |asked| (&asked.client, &asked.name));
            self.around.observer.job_queued(job.id, job.kind, client, name);
        }
        if over {
            let last = self.seen().results.remove(&job.id);
            let record = record(self.step, job, last);
            self.around.observer.job_done(&record);
        }
    }

    /// What was still waited for, and what was killed.
    pub(super) fn into_late(self) -> (Misfortunes, Misfortunes) {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (never(seen.late), seen.struck)
    }

    /// Does what was waiting for this line of a job's details: the creation of a certain fragment, or its copy.
    fn strike(&self, id: u64, line: &str) {
        let copied = || line.split_once("copied ").and_then(|(_, images)| images.split_once(" to "));
        let Some((_, image)) = line.split_once("created image ").or_else(copied) else { return };
        let made = image.trim_end().rsplit_once("_F").and_then(|(_, number)| number.parse::<u32>().ok());
        let due: Vec<Late> = {
            let mut seen = self.seen();
            let late = std::mem::take(&mut seen.late);
            let (due, rest) = late.into_iter().partition(|late| late.fragment() == made);
            seen.late = rest;
            due
        };
        for late in due {
            match late {
                Late::Fault(fault) => {
                    if let Err(error) = self.around.stand.inject(&fault) {
                        self.around.observer.note(&format!("a fault could not be injected: {error}"));
                        self.seen().struck.faults.push(FaultOutcome { fault, hits: 0 });
                    }
                }
                Late::Kill(kill) => {
                    let hits = u64::from(self.kill(id, &kill.victim));
                    self.seen().struck.kills.push(KillOutcome { kill, hits });
                }
                Late::Pause(pause) => {
                    let hits = self.around.paused.signal(
                        self.around.servers,
                        &pause,
                        &self.processes_on(&pause.server),
                    );
                    self.seen().struck.pauses.push(PauseOutcome { pause, hits });
                }
                Late::Order(order) => {
                    let told =
                        Operator::connect(self.around.home).and_then(|mut to| to.order(id, order.order));
                    let hits = u64::from(told.is_ok());
                    self.seen().struck.orders.push(OrderOutcome { order, hits });
                }
            }
        }
    }

    /// Processes of the jobs that run on a media server.
    fn processes_on(&self, server: &str) -> Vec<u32> {
        let seen = self.seen();
        let jobs = seen.places.iter().filter(|(_, place)| *place == server).map(|(job, _)| job);
        jobs.filter_map(|job| seen.pids.get(job)).flatten().map(|(_, pid)| *pid).collect()
    }

    fn kill(&self, job: u64, victim: &Victim) -> bool {
        match victim {
            Victim::Server(name) => self.around.servers.kill(name),
            Victim::Process(process) => {
                let seen = self.seen();
                let mut pids = seen.pids.get(&job).into_iter().flatten().rev();
                let pid = pids.find(|(name, _)| name == process.name()).map(|(_, pid)| *pid);
                drop(seen);
                let pid =
                    pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
                pid.is_some_and(|pid| {
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
                })
            }
        }
    }
}

/// What no job ever came to.
pub(super) fn never(late: Vec<Late>) -> Misfortunes {
    let mut never = Misfortunes::default();
    for late in late {
        match late {
            Late::Fault(fault) => never.faults.push(FaultOutcome { fault, hits: 0 }),
            Late::Kill(kill) => never.kills.push(KillOutcome { kill, hits: 0 }),
            Late::Order(order) => never.orders.push(OrderOutcome { order, hits: 0 }),
            Late::Pause(pause) => never.pauses.push(PauseOutcome { pause, hits: 0 }),
        }
    }
    never
}

/// What became of a job; `last` is the last try that somebody saw the end of, by its number, and what it reported.
pub(super) fn record(step: usize, job: &Job, last: Option<(usize, JobResult)>) -> JobRecord {
    let mut result = last
        .filter(|(number, _)| *number == job.tries.len())
        .map_or_else(|| JobResult::empty(job.kind, job.id, job.backup_id.clone()), |(_, result)| result);
    if let Some(status) = job.status
        && result.status != status
    {
        let reason = job.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        result.text = format!("{}{reason}", status_text(status));
        result.log.push(result.text.clone());
        result.status = status;
    }
    result.state = job.state;
    result.log.splice(0..0, job.details.iter().cloned());
    JobRecord {
        step,
        stream: job.submission.as_ref().map_or(1, |asked| asked.stream),
        unit: job.tries.last().map(|one| one.unit.clone()).unwrap_or_default(),
        wanted_bytes: None,
        state: job.state,
        tries: job.tries.clone(),
        parent: job.parent,
        reason: job.reason.clone(),
        result,
    }
}
