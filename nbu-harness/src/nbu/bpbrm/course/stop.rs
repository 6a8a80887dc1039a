//! When and how a job stops: the operator wants it, nothing is heard any more, or something failed.

use std::time::Instant;

use rustix::process::Signal;

use super::hand::{Rank, Side};
use super::{Course, TICK};
use crate::nbu::bpbrm::owner::{Cause, Owner, Wish};
use crate::nbu::process::message::ToMover;
use crate::nbu::status::code;

impl Course {
    /// Follows the operator, who may cancel what is being suspended, and notices when nbjm goes, also while the job stops.
    pub(super) fn heed_operator(&mut self, owner: &mut Owner) {
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

    pub(super) fn mind_the_clock(&mut self, owner: &mut Owner) {
        let timeout = owner.installation.timeouts.client_read();
        let grace = owner.installation.timeouts.stop().max(TICK);
        self.put_down_lost(owner, grace);
        match self.stopping {
            Some(deadline) if Instant::now() >= deadline => {
                // Its death is no news then: the job has ended for the reason that it was to stop for.
                self.mover_put_down =
                    self.movers.iter().chain([&self.reader]).any(|hand| hand.process.is_some());
                for process in self.running() {
                    owner.info(process.name(), process.id(), "did not stop in time and is killed");
                    process.signal(Signal::KILL);
                }
                // Once is enough: a killed process closes its connection.
                self.stopping = Some(Instant::now() + grace);
            }
            None if self.heard.elapsed() >= timeout => {
                let what = format!("no process of the job said anything for {} s", timeout.as_secs_f32());
                let cause = Cause::new(code::TIMED_OUT, what);
                let silent = self.silent_copies();
                if silent.is_empty() {
                    return self.fail(owner, Rank::Silence, cause);
                }
                self.heard = Instant::now();
                for copy in silent {
                    self.hand_failed(Side::Mover(copy), owner, Rank::Silence, cause.clone());
                }
            }
            _ => {}
        }
    }

    /// Notes a cause and stops everything.
    pub(super) fn fail(&mut self, owner: &mut Owner, rank: Rank, cause: Cause) {
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
        for side in self.sides() {
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
pub(super) fn give_up(owner: &mut Owner) -> ToMover {
    if owner.wish() == Wish::Abandoned { ToMover::Leave } else { ToMover::Abort }
}
