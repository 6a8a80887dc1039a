//! The bptm and bpdm of a job: what each reported, and which of several that write copies the job goes on without.

use std::time::{Duration, Instant};

use crate::nbu::bpbrm::owner::{Cause, Owner};
use crate::nbu::process::Process;
use crate::nbu::process::message::MoverReport;

/// How much a cause explains: the first in this order is the job's, the others are its consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Operator,
    MoverKilled,
    Mover,
    ClientDied,
    Client,
    Silence,
    /// A connection broke, most likely because its other end failed.
    Connection,
}

/// Which of the job's bptm and bpdm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// One that writes, or works alone; with its index.
    Mover(usize),
    Reader,
}

/// A bptm or bpdm of the job, and what it reported.
#[derive(Debug, Default)]
pub(super) struct Hand {
    pub(super) process: Option<Process>,
    pub(super) report: Option<MoverReport>,
    /// Why the job goes on without it.
    pub(super) lost: Option<(Rank, Cause)>,
    /// When it has to have stopped, once it is lost.
    pub(super) until: Option<Instant>,
}

impl Hand {
    pub(super) fn of(process: Process) -> Self {
        Self { process: Some(process), ..Self::default() }
    }

    /// Whether it has written its copy to the end.
    const fn is_complete(&self) -> bool {
        self.report.is_some() && self.lost.is_none()
    }

    /// Whether something is still to come of it.
    pub(super) const fn is_at_work(&self) -> bool {
        self.report.is_none() && self.lost.is_none()
    }
}

/// How one of several copies ended: its report, if there is one, and why it is lost, if it is.
pub(in crate::nbu::bpbrm) struct CopyEnd {
    pub(in crate::nbu::bpbrm) report: Option<MoverReport>,
    pub(in crate::nbu::bpbrm) lost: Option<Cause>,
}

impl super::Course {
    /// With further bptm that write copies of what the first one writes, from a stream of their own each. `spares`: one
    /// that fails is lost, and the job goes on with the others.
    pub(in crate::nbu::bpbrm) fn with_copies(mut self, further: Vec<Process>, spares: bool) -> Self {
        self.movers.extend(further.into_iter().map(Hand::of));
        self.spares = spares;
        self
    }

    /// How the copies ended, in their order.
    pub(in crate::nbu::bpbrm) fn copy_ends(&mut self) -> Vec<CopyEnd> {
        let end = |hand: &mut Hand| CopyEnd {
            report: hand.report.take(),
            lost: hand.lost.take().map(|(_, cause)| cause),
        };
        self.movers.iter_mut().map(end).collect()
    }

    /// One of the job's bptm or bpdm has failed, and the job with it, unless it goes on with other copies.
    pub(super) fn hand_failed(&mut self, side: Side, owner: &mut Owner, rank: Rank, cause: Cause) {
        let Side::Mover(index) = side else { return self.fail(owner, rank, cause) };
        if self.movers[index].lost.is_some() {
            // What comes of a lost one is no news.
            return;
        }
        let others = self.movers.iter().enumerate().any(|(at, hand)| at != index && hand.lost.is_none());
        if !self.spares || self.stopping.is_some() || !others {
            if self.stopping.is_none() {
                // What took the other copies explains the end of the job as much as what took the last one.
                self.causes.extend(self.movers.iter().filter_map(|hand| hand.lost.clone()));
            }
            return self.fail(owner, rank, cause);
        }
        let copy = index + 1;
        owner.info("bpbrm", std::process::id(), format!("copy {copy} failed: {}", cause.text));
        owner.info("bpbrm", std::process::id(), "the job goes on with the other copies");
        let order = super::give_up(owner);
        let hand = &mut self.movers[index];
        if let (Some(process), None) = (&mut hand.process, &hand.report) {
            // One that is gone is noticed when it is listened to.
            let _ = process.link.send(&order);
        }
        hand.lost = Some((rank, cause));
        hand.until = Some(Instant::now() + owner.installation.timeouts.stop());
    }

    /// Copies that say nothing any more, while another one is complete and the job could end.
    pub(super) fn silent_copies(&self) -> Vec<usize> {
        if !self.spares || !self.movers.iter().any(Hand::is_complete) {
            return Vec::new();
        }
        let silent = self.movers.iter().enumerate().filter(|(_, hand)| hand.is_at_work());
        silent.map(|(index, _)| index).collect()
    }

    /// Kills lost ones that do not stop.
    pub(super) fn put_down_lost(&mut self, owner: &mut Owner, grace: Duration) {
        let now = Instant::now();
        for hand in &mut self.movers {
            let Some(process) =
                hand.process.as_ref().filter(|_| hand.until.is_some_and(|until| now >= until))
            else {
                continue;
            };
            owner.info(process.name(), process.id(), "did not stop in time and is killed");
            process.signal(rustix::process::Signal::KILL);
            hand.until = Some(now + grace);
        }
    }

    /// The copy whose progress is the job's: the first one that the job has.
    pub(super) fn leads(&self, side: Side) -> bool {
        let first = self.movers.iter().position(|hand| hand.lost.is_none());
        first.is_some_and(|first| side == Side::Mover(first))
    }
}
