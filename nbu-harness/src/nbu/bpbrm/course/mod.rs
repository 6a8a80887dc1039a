//! The course of a job: bpbrm listens to its processes until all have ended, stops them when something goes wrong, and
//! decides afterwards what the real cause was.

mod hand;
mod stop;

use std::time::{Duration, Instant};

use rustix::process::Signal;

pub(super) use self::hand::CopyEnd;
use self::hand::{Hand, Rank, Side};
use self::stop::give_up;
use super::owner::{Cause, Owner, Wish};
use crate::nbu::process::Process;
use crate::nbu::process::message::{ClientReport, FromClient, FromMover, MoverReport, ToMover};
use crate::nbu::result::JobEvent;
use crate::nbu::status::code;

/// How long an ended process may take to disappear.
const REAP: Duration = Duration::from_secs(5);
/// Longest wait between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// What a job does with the messages that only it gets.
pub(super) trait Conduct {
    /// A message of the client's process, other than logs, warnings and its end.
    fn client_says(&mut self, owner: &mut Owner, message: FromClient) -> Result<(), Cause>;
    /// A message of bptm or bpdm, other than logs, warnings, progress and its end. May return an answer.
    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause>;
    /// The same, of the bptm that writes a certain one of several copies, counted from 0.
    fn copy_says(
        &mut self,
        owner: &mut Owner,
        _copy: usize,
        message: FromMover,
    ) -> Result<Option<ToMover>, Cause> {
        self.mover_says(owner, message)
    }
    /// Called when the client's process has ended well, for each bptm that writes; may return an answer for it.
    fn client_ended(&mut self, copy: usize, report: &ClientReport) -> Result<Option<ToMover>, Cause>;
    /// Called when the bptm that reads has ended well; may return an answer for the one that writes.
    fn reader_ended(&mut self, _: &MoverReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }
    /// Files so far, for progress.
    fn files(&self) -> u64;
}

/// Processes of a job while they run, and what is known of their end.
pub(super) struct Course {
    client: Option<Process>,
    /// bptm or bpdm that writes, or works alone; one for each copy that is written at once.
    movers: Vec<Hand>,
    /// bptm that reads what the other one writes.
    reader: Hand,
    pub(super) client_report: Option<ClientReport>,
    /// Whether the job goes on with the other copies when one fails.
    spares: bool,
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
            movers: vec![Hand::of(mover)],
            reader: Hand::default(),
            client_report: None,
            spares: false,
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
    pub(super) fn mover_report(&mut self) -> Option<MoverReport> {
        self.movers.first_mut()?.report.take()
    }

    fn hand(&mut self, side: Side) -> &mut Hand {
        match side {
            Side::Mover(index) => &mut self.movers[index],
            Side::Reader => &mut self.reader,
        }
    }

    /// All of the job's bptm and bpdm.
    fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        (0..self.movers.len()).map(Side::Mover).chain([Side::Reader])
    }

    /// The processes that still run.
    fn running(&self) -> impl Iterator<Item = &Process> {
        let hands = self.movers.iter().chain([&self.reader]);
        self.client.iter().chain(hands.filter_map(|hand| hand.process.as_ref()))
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
            for side in self.sides() {
                self.hear_hand(side, owner, conduct);
            }
            self.heed_operator(owner);
            if let Some(images) = owner.interleaved() {
                let what = format!("multiplexed: {images} images of the group are open");
                owner.info("bpbrm", std::process::id(), what);
                self.answer(0, Some(ToMover::Resume));
            }
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
                if good {
                    self.client_ended(owner, conduct, &report);
                } else {
                    let cause = Cause { status: report.status, text: report.text.clone(), sts: None };
                    self.fail(owner, connection_or(Rank::Client, report.status), cause);
                }
                self.client_report = Some(report);
            }
            message => conduct.client_says(owner, message)?,
        }
        Ok(())
    }

    /// Tells every bptm that writes what the end of the client means for it.
    fn client_ended(&mut self, owner: &mut Owner, conduct: &mut dyn Conduct, report: &ClientReport) {
        for copy in 0..self.movers.len() {
            if !self.movers[copy].is_at_work() {
                continue;
            }
            match conduct.client_ended(copy, report) {
                Ok(answer) => self.answer(copy, answer),
                Err(cause) => self.hand_failed(Side::Mover(copy), owner, Rank::Client, cause),
            }
        }
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
                    self.hand_failed(side, owner, Rank::Connection, cause);
                    self.hand_gone(side, owner);
                    Ok(())
                }
            };
            if let Err(cause) = said {
                self.hand_failed(side, owner, Rank::Mover, cause);
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
            // What is written counts, and of several copies one.
            FromMover::Progress { .. } if !self.leads(side) => {}
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
                owner.take_report(&report, self.leads(side));
                let answer = match (side, report.status) {
                    (Side::Reader, code::OK) => conduct.reader_ended(&report),
                    _ => Ok(None),
                };
                if report.status != code::OK {
                    let cause =
                        Cause { status: report.status, text: report.text.clone(), sts: report.sts.clone() };
                    self.hand_failed(side, owner, connection_or(Rank::Mover, report.status), cause);
                }
                self.hand(side).report = Some(*report);
                self.answer(0, answer?);
            }
            message => match side {
                Side::Mover(copy) => {
                    let answer = conduct.copy_says(owner, copy, message)?;
                    self.answer(copy, answer);
                }
                Side::Reader => {
                    let answer = conduct.mover_says(owner, message)?;
                    self.answer(0, answer);
                }
            },
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
            self.hand_failed(side, owner, rank, Cause::new(status, format!("{name} {ended}")));
        }
    }

    /// Answers a bptm that writes.
    fn answer(&mut self, copy: usize, answer: Option<ToMover>) {
        let Some(hand) = self.movers.get_mut(copy).filter(|hand| hand.lost.is_none()) else { return };
        if let (Some(answer), Some(mover), None) = (answer, &mut hand.process, self.stopping) {
            // A mover that is gone is noticed when it is listened to.
            let _ = mover.link.send(&answer);
        }
    }
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
