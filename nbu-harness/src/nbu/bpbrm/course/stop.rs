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
                let mut stuck = Vec::new();
                for process in self.running() {
                    owner.info(process.name(), process.id(), "did not stop in time and is killed");
                    process.signal(Signal::KILL);
                    stuck.push(process.name());
                }
                // Who hangs says nothing, and who waited for it only that the connection broke: of the two, this is
                // what happened, whichever of them runs out of time first.
                // All may have ended just now: then nobody hung.
                if !stuck.is_empty() {
                    let what = format!("{} did not stop in time", stuck.join(" and "));
                    self.causes.push((Rank::Silence, Cause::new(code::TIMED_OUT, what)));
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::nbu::bpbrm::course::Conduct;
    use crate::nbu::bpbrm::owner::tests::owner;
    use crate::nbu::process::message::{ClientReport, FromClient, FromMover};

    /// A job that has nothing to say to its processes.
    struct Silent;

    impl Conduct for Silent {
        fn client_says(&mut self, _: &mut Owner, _: FromClient) -> Result<(), Cause> {
            Ok(())
        }

        fn mover_says(&mut self, _: &mut Owner, _: FromMover) -> Result<Option<ToMover>, Cause> {
            Ok(None)
        }

        fn client_ended(&mut self, _: usize, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
            Ok(None)
        }

        fn files(&self) -> u64 {
            0
        }
    }

    /// A program whose bptm takes orders and follows none, and whose bpbkar ends with this report. A shell writes it: a
    /// descriptor of this process would be open in whatever other tests start meanwhile, and the program busy.
    fn write_program(path: &Path, report: ClientReport) {
        let said = serde_json::to_string(&FromClient::Done(report)).unwrap();
        assert!(!said.contains('\''), "{said}");
        let program =
            format!("#!/bin/sh\ncase $1 in bptm) exec cat >/dev/null;; *) echo '{said}' >&0;; esac\n");
        let written = Command::new("/bin/sh")
            .args(["-c", "printf %s \"$1\" >\"$0\" && chmod +x \"$0\"", path.to_str().unwrap(), &program])
            .status()
            .unwrap();
        assert!(written.success(), "{written}");
    }

    /// The status of a job whose bpbkar ends with `status`, and whose bptm never stops.
    fn status_with_a_stuck_bptm(status: i32) -> i32 {
        let (_dir, mut owner, _nbjm) = owner();
        owner.installation.timeouts.stop_timeout_ms = 1;
        write_program(&owner.installation.exe, ClientReport { status, ..ClientReport::default() });
        let (bptm, bpbkar) = (owner.start("bptm", None).unwrap(), owner.start("bpbkar", None).unwrap());
        let cause = Course::new(Some(bpbkar), bptm, None).run(&mut owner, &mut Silent).unwrap_err();
        let log = owner.result.log.join("\n");
        assert!(log.contains("did not stop in time and is killed"), "{log}");
        cause.status
    }

    #[test]
    fn a_stuck_bptm_explains_a_broken_connection_and_nothing_else() {
        assert_eq!(status_with_a_stuck_bptm(code::SOCKET_WRITE), code::TIMED_OUT);
        assert_eq!(status_with_a_stuck_bptm(code::INVALID_PARAMETER), code::INVALID_PARAMETER);
    }
}
