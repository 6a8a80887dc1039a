//! The course of a job: bpbrm listens to its processes until all have ended, stops them when something goes wrong, and
//! decides afterwards what the real cause was.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::owner::{Cause, Owner, Wish};
use crate::nbu::process::Process;
use crate::nbu::process::message::{ClientReport, FromClient, FromMover, MoverReport, ToMover};
use crate::nbu::result::JobEvent;
use crate::nbu::status::code;

/// How long an ended process may take to disappear.
const REAP: Duration = Duration::from_secs(5);
/// Longest wait between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// How much a cause explains: the first in this order is the job's, the others are its consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Operator,
    MoverKilled,
    Mover,
    ClientDied,
    Client,
    Silence,
    /// A connection broke, most likely because its other end failed.
    Connection,
}

/// What a job does with the messages that only it gets.
pub(super) trait Conduct {
    /// A message of the client's process, other than logs, warnings and its end.
    fn client_says(&mut self, owner: &mut Owner, message: FromClient) -> Result<(), Cause>;
    /// A message of bptm or bpdm, other than logs, warnings, progress and its end. May return an answer.
    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause>;
    /// Called when the client's process has ended well; may return an answer for bptm.
    fn client_ended(&mut self, report: &ClientReport) -> Result<Option<ToMover>, Cause>;
    /// Called when the bptm that reads has ended well; may return an answer for the one that writes.
    fn reader_ended(&mut self, _: &MoverReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }
    /// Files so far, for progress.
    fn files(&self) -> u64;
}

/// A bptm or bpdm of the job, and what it reported.
#[derive(Debug, Default)]
struct Hand {
    process: Option<Process>,
    report: Option<MoverReport>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Mover,
    Reader,
}

/// Processes of a job while they run, and what is known of their end.
pub(super) struct Course {
    client: Option<Process>,
    /// bptm or bpdm that writes, or works alone.
    mover: Hand,
    /// bptm that reads what the other one writes.
    reader: Hand,
    pub(super) client_report: Option<ClientReport>,
    causes: Vec<(Rank, Cause)>,
    /// When stopping has to be over.
    stopping: Option<Instant>,
    /// Whether the mover did not stop in time and was killed here.
    mover_put_down: bool,
    heard: Instant,
    total_bytes: Option<u64>,
    /// The operator's wish that the job follows by now.
    heeded: Wish,
    /// Cleaning up goes on whatever the operator wants, as long as nbjm is there.
    unstoppable: bool,
}

impl Course {
    /// A job with its processes running.
    pub(super) fn new(client: Option<Process>, mover: Process, total_bytes: Option<u64>) -> Self {
        Self {
            client,
            mover: Hand { process: Some(mover), report: None },
            reader: Hand::default(),
            client_report: None,
            causes: Vec::new(),
            stopping: None,
            mover_put_down: false,
            heard: Instant::now(),
            total_bytes,
            heeded: Wish::GoOn,
            unstoppable: false,
        }
    }

    /// With a bptm that reads what the other one writes.
    pub(super) fn with_reader(mut self, reader: Process) -> Self {
        self.reader.process = Some(reader);
        self
    }

    /// What the bptm or bpdm that writes or works alone reported.
    pub(super) const fn mover_report(&mut self) -> Option<MoverReport> {
        self.mover.report.take()
    }

    const fn hand(&mut self, side: Side) -> &mut Hand {
        match side {
            Side::Mover => &mut self.mover,
            Side::Reader => &mut self.reader,
        }
    }

    /// The processes that still run.
    fn running(&self) -> impl Iterator<Item = &Process> {
        self.client.iter().chain(&self.mover.process).chain(&self.reader.process)
    }

    /// Work that no cancel interrupts.
    pub(super) fn unstoppable(mut self) -> Self {
        self.unstoppable = true;
        self
    }

    /// Follows the processes to their end. `Err` is the cause of a failure.
    pub(super) fn run(&mut self, owner: &mut Owner, conduct: &mut dyn Conduct) -> Result<(), Cause> {
        while self.running().next().is_some() {
            self.hear_client(owner, conduct);
            self.hear_hand(Side::Mover, owner, conduct);
            self.hear_hand(Side::Reader, owner, conduct);
            self.heed_operator(owner);
            self.mind_the_clock(owner);
            let open: Vec<&Process> = self.running().collect();
            if !open.is_empty() {
                owner.listen(&open, TICK);
            }
        }
        // The most telling one; of equals the first.
        self.causes.sort_by_key(|(rank, _)| *rank);
        match self.causes.first() {
            None => Ok(()),
            Some((_, cause)) => Err(cause.clone()),
        }
    }

    fn hear_client(&mut self, owner: &mut Owner, conduct: &mut dyn Conduct) {
        while let Some(client) = &mut self.client {
            let said = match client.link.poll::<FromClient>() {
                Ok(Some(message)) => {
                    self.heard = Instant::now();
                    self.client_said(owner, conduct, message)
                }
                Ok(None) if !client.link.is_closed() => return,
                Ok(None) => {
                    self.client_gone(owner);
                    Ok(())
                }
                Err(error) => {
                    client.signal(Signal::KILL);
                    let cause = Cause::new(code::CONNECTION_BROKEN, error);
                    self.fail(owner, Rank::Connection, cause);
                    self.client_gone(owner);
                    Ok(())
                }
            };
            if let Err(cause) = said {
                self.fail(owner, Rank::Client, cause);
            }
        }
    }

    fn client_said(
        &mut self,
        owner: &mut Owner,
        conduct: &mut dyn Conduct,
        message: FromClient,
    ) -> Result<(), Cause> {
        match message {
            FromClient::Log(line) => owner.log(line),
            FromClient::Warning(warning) => owner.warn(warning),
            FromClient::Done(report) => {
                let good = matches!(report.status, code::OK | code::PARTIAL);
                let answer = if good { conduct.client_ended(&report)? } else { None };
                if !good {
                    let cause = Cause { status: report.status, text: report.text.clone(), sts: None };
                    self.fail(owner, connection_or(Rank::Client, report.status), cause);
                }
                self.client_report = Some(report);
                self.answer(answer);
            }
            message => conduct.client_says(owner, message)?,
        }
        Ok(())
    }

    fn client_gone(&mut self, owner: &mut Owner) {
        let Some(mut client) = self.client.take() else { return };
        let record = client.reap(REAP);
        let name = record.name.clone();
        let ended = describe(record.exit_code, record.signal);
        owner.result.processes.push(record);
        if self.client_report.is_none() && self.stopping.is_none() {
            self.fail(owner, Rank::ClientDied, Cause::new(code::CLIENT_ABORTED, format!("{name} {ended}")));
        }
    }

    fn hear_hand(&mut self, side: Side, owner: &mut Owner, conduct: &mut dyn Conduct) {
        while let Some(mover) = &mut self.hand(side).process {
            let said = match mover.link.poll::<FromMover>() {
                Ok(Some(message)) => {
                    self.heard = Instant::now();
                    self.hand_said(side, owner, conduct, message)
                }
                Ok(None) if !mover.link.is_closed() => return,
                Ok(None) => {
                    self.hand_gone(side, owner);
                    Ok(())
                }
                Err(error) => {
                    mover.signal(Signal::KILL);
                    let cause = Cause::new(code::CONNECTION_BROKEN, error);
                    self.fail(owner, Rank::Connection, cause);
                    self.hand_gone(side, owner);
                    Ok(())
                }
            };
            if let Err(cause) = said {
                self.fail(owner, Rank::Mover, cause);
            }
        }
    }

    fn hand_said(
        &mut self,
        side: Side,
        owner: &mut Owner,
        conduct: &mut dyn Conduct,
        message: FromMover,
    ) -> Result<(), Cause> {
        match message {
            FromMover::Log(line) => owner.log(line),
            FromMover::Warning(warning) => owner.warn(warning),
            FromMover::Child { pid } => {
                owner.info("bptm", pid, "started as child");
                owner.event(JobEvent::ProcessStarted { name: "bptm child".into(), pid });
            }
            // What is written counts.
            FromMover::Progress { .. } if side == Side::Reader => {}
            FromMover::Progress { bytes } => {
                let (files, total_bytes) = (conduct.files(), self.total_bytes);
                owner.event(JobEvent::Progress { bytes, files, total_bytes });
            }
            FromMover::Failing => {
                let order = give_up(owner);
                if let Some(mover) = &mut self.hand(side).process {
                    // One that is gone is noticed when it is listened to.
                    let _ = mover.link.send(&order);
                }
            }
            FromMover::Done(report) => {
                owner.take_report(&report, side == Side::Mover);
                let answer = match (side, report.status) {
                    (Side::Reader, code::OK) => conduct.reader_ended(&report),
                    _ => Ok(None),
                };
                if report.status != code::OK {
                    let cause =
                        Cause { status: report.status, text: report.text.clone(), sts: report.sts.clone() };
                    self.fail(owner, connection_or(Rank::Mover, report.status), cause);
                }
                self.hand(side).report = Some(*report);
                self.answer(answer?);
            }
            message => {
                let answer = conduct.mover_says(owner, message)?;
                self.answer(answer);
            }
        }
        Ok(())
    }

    fn hand_gone(&mut self, side: Side, owner: &mut Owner) {
        let Some(mut mover) = self.hand(side).process.take() else { return };
        let record = mover.reap(REAP);
        let (name, killed) = (record.name.clone(), record.signal.is_some());
        let ended = describe(record.exit_code, record.signal);
        owner.result.processes.push(record);
        if self.hand(side).report.is_none() {
            let status = if killed { code::MEDIA_MANAGER_KILLED } else { code::CONNECTION_BROKEN };
            let rank = if killed && !self.mover_put_down { Rank::MoverKilled } else { Rank::Connection };
            self.fail(owner, rank, Cause::new(status, format!("{name} {ended}")));
        }
    }

    fn answer(&mut self, answer: Option<ToMover>) {
        if let (Some(answer), Some(mover), None) = (answer, &mut self.mover.process, self.stopping) {
            // A mover that is gone is noticed when it is listened to.
            let _ = mover.link.send(&answer);
        }
    }

    /// Follows the operator, who may cancel what is being suspended, and notices when nbjm goes, also while the job stops.
    fn heed_operator(&mut self, owner: &mut Owner) {
        let wish = owner.wish();
        if wish == self.heeded || (self.unstoppable && wish != Wish::Abandoned) {
            return;
        }
        let cause = match wish {
            Wish::GoOn => return,
            Wish::Cancel => Cause::new(code::CANCELLED, "cancelled"),
            Wish::Suspend => Cause::new(code::SUSPENDED, "suspended"),
            Wish::Abandoned => Cause::new(code::CONNECTION_BROKEN, "nbjm has gone"),
        };
        self.heeded = wish;
        let before = self.causes.len();
        self.causes.retain(|(rank, _)| *rank != Rank::Operator);
        if self.causes.len() < before {
            // It is stopping already; the last word is the job's.
            owner.info("bpbrm", std::process::id(), &cause.text);
            self.causes.push((Rank::Operator, cause));
        } else {
            self.fail(owner, Rank::Operator, cause);
        }
    }

    fn mind_the_clock(&mut self, owner: &mut Owner) {
        let timeout = owner.installation.timeouts.client_read();
        match self.stopping {
            Some(deadline) if Instant::now() >= deadline => {
                // Its death is no news then: the job has ended for the reason that it was to stop for.
                self.mover_put_down = self.mover.process.is_some() || self.reader.process.is_some();
                for process in self.running() {
                    owner.info(process.name(), process.id(), "did not stop in time and is killed");
                    process.signal(Signal::KILL);
                }
                // Once is enough: a killed process closes its connection.
                self.stopping = Some(Instant::now() + owner.installation.timeouts.stop().max(TICK));
            }
            None if self.heard.elapsed() >= timeout => {
                let what = format!("no process of the job said anything for {} s", timeout.as_secs_f32());
                self.fail(owner, Rank::Silence, Cause::new(code::TIMED_OUT, what));
            }
            _ => {}
        }
    }

    /// Notes a cause and stops everything.
    fn fail(&mut self, owner: &mut Owner, rank: Rank, cause: Cause) {
        let line = cause.text.clone();
        owner.info("bpbrm", std::process::id(), line);
        // After the order to stop, its execution is no news.
        if !(self.stopping.is_some() && cause.status == code::CANCELLED) {
            self.causes.push((rank, cause));
        }
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Instant::now() + owner.installation.timeouts.stop());
        let order = give_up(owner);
        for side in [Side::Mover, Side::Reader] {
            let hand = self.hand(side);
            if let (Some(process), None) = (&mut hand.process, &hand.report) {
                let _ = process.link.send(&order);
            }
        }
        if let Some(client) = self.client.as_mut().filter(|_| self.client_report.is_none()) {
            client.signal(Signal::TERM);
        }
    }
}

/// How bptm is to give up: without nbjm the job may be tried again elsewhere already, under the same names.
fn give_up(owner: &mut Owner) -> ToMover {
    if owner.wish() == Wish::Abandoned { ToMover::Leave } else { ToMover::Abort }
}

/// Statuses that say no more than that a peer is gone.
fn connection_or(rank: Rank, status: i32) -> Rank {
    let peer_gone = [code::SOCKET_READ, code::SOCKET_WRITE, code::CONNECTION_BROKEN, code::TIMED_OUT];
    if peer_gone.contains(&status) { Rank::Connection } else { rank }
}

fn describe(exit_code: Option<i32>, signal: Option<i32>) -> String {
    match (exit_code, signal) {
        (Some(code), _) => format!("ended with exit code {code} and no report"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "has gone".to_owned(),
    }
}
