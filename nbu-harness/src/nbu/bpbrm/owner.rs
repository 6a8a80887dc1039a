//! The job as its owner keeps it: connection to nbjm, wishes of the operator, log, warnings, and the result.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::nbu::bptm::per_second;
use crate::nbu::install::Installation;
use crate::nbu::process::Process;
use crate::nbu::process::link::Link;
use crate::nbu::process::message::{FromOwner, MoverReport, ToOwner};
use crate::nbu::process::os::{termination_signals, timespec};
use crate::nbu::result::{JobEvent, JobKind, JobResult, JobState, Operation, StsFailure, Warning};
use crate::nbu::status::{code, status_text};

/// Log lines and warnings kept in the result.
const MAX_LINES: usize = 10_000;

/// Why a job did not end with status 0.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) status: i32,
    pub(super) text: String,
    pub(super) sts: Option<StsFailure>,
}

impl Cause {
    /// A cause with NetBackup's text for the status and what happened here.
    pub(super) fn new(status: i32, what: impl std::fmt::Display) -> Self {
        Self { status, text: format!("{}: {what}", status_text(status)), sts: None }
    }
}

/// The cause that a batch command (bpduplicate, bpverify, bpimport …) ends with: 191 around what happened to its image.
/// What happened to the command itself is not wrapped.
pub(super) fn wrapped(owner: &mut Owner, cause: Cause) -> Cause {
    match cause.status {
        code::CANCELLED | code::MEDIA_MANAGER_KILLED | code::CONNECTION_BROKEN | code::TIMED_OUT => cause,
        inner => {
            owner.result.cause = Some(inner);
            Cause { sts: cause.sts.clone(), ..Cause::new(code::NO_IMAGES_PROCESSED, cause.text) }
        }
    }
}

/// What the operator wants, and whether anybody still listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    Cancel,
    Suspend,
    /// nbjm is gone.
    Abandoned,
}

/// The owner of a job.
#[derive(Debug)]
pub(super) struct Owner {
    caller: Link,
    signals: OwnedFd,
    pub(super) installation: Installation,
    pub(super) result: JobResult,
    started: Instant,
    wish: Wish,
    /// How many images of the multiplexed group are open, once all are and the job does not go on yet.
    interleaved: Option<u32>,
    /// The state of a job that failed and can go on.
    resumable: Option<JobState>,
}

impl Owner {
    /// The job ends in this state instead of being done.
    pub(super) const fn resumable(&mut self, state: JobState) {
        self.resumable = Some(state);
    }

    /// Whether the job can go on.
    pub(super) const fn can_resume(&self) -> bool {
        self.resumable.is_some()
    }

    pub(super) fn new(
        caller: Link,
        installation: Installation,
        kind: JobKind,
        job_id: u64,
        backup_id: String,
    ) -> std::io::Result<Self> {
        let mut result = JobResult::empty(kind, job_id, backup_id);
        result.state = JobState::Active;
        let signals = termination_signals()?;
        let mut owner = Self {
            caller,
            signals,
            installation,
            result,
            started: Instant::now(),
            wish: Wish::GoOn,
            interleaved: None,
            resumable: None,
        };
        owner.event(JobEvent::State(JobState::Active));
        Ok(owner)
    }

    /// Descriptors that a forked half of this process has no use for.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.caller.raw_fd(), self.signals.as_raw_fd()]
    }

    /// Starts a process of the job.
    pub(super) fn start(&mut self, name: &str, data: Option<UnixStream>) -> Result<Process, Cause> {
        let process = Process::start(&self.installation, name, self.result.job_id, data)
            .map_err(|e| Cause::new(code::HANDSHAKE, format!("cannot start {name}: {e}")))?;
        self.info(name, process.id(), "started");
        self.event(JobEvent::ProcessStarted { name: name.to_owned(), pid: process.id() });
        Ok(process)
    }

    /// A line of job details.
    pub(super) fn info(&mut self, process: &str, pid: u32, text: impl std::fmt::Display) {
        self.log(format!("Info {process} (pid={pid}) {text}"));
    }

    /// A line of job details as it is.
    pub(super) fn log(&mut self, line: String) {
        if self.result.log.len() < MAX_LINES {
            self.result.log.push(line.clone());
        }
        self.event(JobEvent::Log(line));
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.result.warnings.len() < MAX_LINES {
            self.result.warnings.push(warning.clone());
        }
        self.event(JobEvent::Warning(warning));
    }

    /// The job does something else now.
    pub(super) fn operation(&mut self, operation: Operation) {
        if self.result.operations.last() != Some(&operation) {
            self.result.operations.push(operation);
            self.event(JobEvent::Operation(operation));
        }
    }

    pub(super) fn event(&mut self, event: JobEvent) {
        // When nbjm is gone the read side notices it.
        let _ = self.caller.send(&FromOwner::Event(event));
    }

    /// What the operator wants by now.
    pub(super) fn wish(&mut self) -> Wish {
        let mut signal = [0u8; 128];
        let signalled = rustix::io::read(&self.signals, &mut signal[..]).is_ok_and(|n| n > 0);
        // Whatever the operator wants, nbjm may give the job up afterwards; after that nobody wants anything any more.
        while self.wish != Wish::Abandoned {
            match self.caller.poll::<ToOwner>() {
                Ok(Some(ToOwner::Cancel)) => self.wish = Wish::Cancel,
                Ok(Some(ToOwner::Suspend)) if self.wish == Wish::GoOn => self.wish = Wish::Suspend,
                Ok(Some(ToOwner::Suspend)) => {}
                Ok(Some(ToOwner::Interleave { images })) => self.interleaved = Some(images),
                Ok(None) if !self.caller.is_closed() => {
                    if signalled {
                        self.wish = Wish::Cancel;
                    }
                    break;
                }
                _ => self.wish = Wish::Abandoned,
            }
        }
        self.wish
    }

    /// Whether the images of the whole multiplexed group are open by now, and how many: said once.
    pub(super) const fn interleaved(&mut self) -> Option<u32> {
        self.interleaved.take()
    }

    /// Waits until a process says something, a signal or an order comes, or `timeout` passes.
    pub(super) fn listen(&self, processes: &[&Process], timeout: Duration) {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        // A closed connection is always readable: do not look at it again.
        if self.wish != Wish::Abandoned {
            fds.push(PollFd::new(&self.caller, PollFlags::IN));
        }
        fds.extend(processes.iter().map(|p| PollFd::new(&p.link, PollFlags::IN)));
        // Interrupted or not, the caller looks at everything again.
        let _ = poll(&mut fds, Some(&timespec(timeout)));
    }

    /// Takes over what bptm or bpdm reports; the waits are those of the one that writes or works alone.
    pub(super) fn take_report(&mut self, report: &MoverReport, with_waits: bool) {
        let result = &mut self.result;
        if with_waits {
            result.waits = report.waits;
        }
        result.bytes_written += report.bytes_written;
        result.bytes_read += report.bytes_read;
        result.peak_rss_bytes = result.peak_rss_bytes.max(report.peak_rss_bytes);
        result.footprints.extend(report.footprint.clone());
        if result.sts_error.is_none() {
            result.sts_error.clone_from(&report.sts);
        }
    }

    /// Ends the job: sends the result, returns the exit code.
    pub(super) fn finish(mut self, outcome: Result<(), Cause>) -> i32 {
        let (status, text, sts) = match outcome {
            Ok(()) => (code::OK, status_text(code::OK).to_owned(), None),
            Err(cause) => (cause.status, cause.text, cause.sts),
        };
        let elapsed = self.started.elapsed();
        let result = &mut self.result;
        result.status = status;
        result.text = text;
        let state = self.resumable.unwrap_or(JobState::Done);
        result.state = state;
        if result.sts_error.is_none() {
            result.sts_error = sts;
        }
        result.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        result.kbytes_per_sec = per_second(result.kbytes, elapsed);
        let line = format!("{} ({status})", self.result.text);
        self.log(line);
        self.event(JobEvent::State(state));
        let done = FromOwner::Done(Box::new(self.result));
        match self.caller.send(&done) {
            Ok(()) => status,
            Err(_) => code::CONNECTION_BROKEN,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tempfile::TempDir;

    /// The owner of a job in a directory of its own, and nbjm's end of its connection.
    pub(in crate::nbu::bpbrm) fn owner() -> (TempDir, Owner, Link) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let installation = Installation::new(at("exe"), at("plugin.so"), at("plugin.toml"), at("work"));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let [ours, theirs] =
            [ours, theirs].map(|end| Link::new(end, "peer", Duration::from_secs(5)).unwrap());
        let owner = Owner::new(ours, installation, JobKind::Backup, 1, "client1_1".into()).unwrap();
        (dir, owner, theirs)
    }

    #[test]
    fn a_cancel_counts_after_a_suspend_and_the_end_of_nbjm_after_both() {
        let (_dir, mut owner, mut nbjm) = owner();
        assert_eq!(owner.wish(), Wish::GoOn);
        nbjm.send(&ToOwner::Suspend).unwrap();
        assert_eq!(owner.wish(), Wish::Suspend);
        nbjm.send(&ToOwner::Cancel).unwrap();
        assert_eq!(owner.wish(), Wish::Cancel);
        nbjm.send(&ToOwner::Suspend).unwrap();
        assert_eq!(owner.wish(), Wish::Cancel);
        drop(nbjm);
        assert_eq!(owner.wish(), Wish::Abandoned);
    }
}
