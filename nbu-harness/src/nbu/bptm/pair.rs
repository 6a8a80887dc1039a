//! The two halves of bptm as the parent sees them: shared buffers made, child forked, child ended.

use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use super::child::{self, Duty};
use super::ring::{Consumer, Producer, ring};
use super::session::{Failure, Mover};
use crate::nbu::process::message::FromMover;
use crate::nbu::process::os::{ForkedChild, fork};
use crate::nbu::result::BufferWaits;
use crate::nbu::status::code;

/// Smallest and largest buffer.
const BUFFER_SIZES: std::ops::RangeInclusive<u32> = 1024..=64 << 20;
const MAX_BUFFERS: u32 = 65_536;
/// How long the child may take to end once it has nothing left to do.
const LIVENESS: Duration = Duration::from_millis(200);

/// Buffer size and number as they are used: the size rounded down to whole KiB.
pub(super) fn buffer_geometry(size: u32, number: u32) -> Result<(usize, usize), Failure> {
    let rounded = size - size % 1024;
    if !BUFFER_SIZES.contains(&rounded) {
        let what = format!("SIZE_DATA_BUFFERS_DISK is {size}: 1024 to 67108864 bytes are possible");
        return Err(Failure::new(code::SHARED_MEMORY, what));
    }
    if number == 0 || number > MAX_BUFFERS {
        let what = format!("NUMBER_DATA_BUFFERS_DISK is {number}: 1 to 65536 are possible");
        return Err(Failure::new(code::SHARED_MEMORY, what));
    }
    let convert = |n: u32| usize::try_from(n).map_err(|e| Failure::new(code::SHARED_MEMORY, e));
    Ok((convert(rounded)?, convert(number)?))
}

/// Buffers whose child has not been forked yet.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) producer: Producer,
    pub(super) consumer: Consumer,
}

impl Mover {
    /// Sets up shared memory, and says so in the log as bptm does.
    pub(super) fn buffers(&mut self, size: usize, number: usize) -> Result<Buffers, Failure> {
        let delays = self.order.installation.data_buffers;
        self.log(2, format!("io_init: using {size} data buffer size"));
        let (child, parent) = (delays.child_delay_ms, delays.parent_delay_ms);
        self.log(2, format!("io_init: child delay = {child}, parent delay = {parent} (milliseconds)"));
        let (producer, consumer) = ring(number, size).map_err(|e| Failure::new(code::SHARED_MEMORY, e))?;
        self.log(2, format!("io_init: using {number} data buffers"));
        Ok(Buffers { producer, consumer })
    }

    /// Forks the child. The data socket is closed in this half.
    pub(super) fn fork_child(&mut self, duty: Duty, socket: UnixStream) -> Result<ForkedChild, Failure> {
        let timeout = self.timeouts().client_read();
        let close: [RawFd; 1] = [self.link.raw_fd()];
        let forked = socket
            .set_nonblocking(true)
            .and_then(|()| fork(&close, move || child::run(duty, &socket, timeout)))
            .map_err(|e| Failure::new(code::SYSTEM_CALL, format!("cannot fork bptm's child: {e}")))?;
        let _ = self.link.send(&FromMover::Child { pid: forked.id() });
        Ok(forked)
    }

    /// What to look for while waiting for a buffer: bpbrm's wish to end the job, the child's death.
    pub(super) fn check_pair(&mut self, child: &mut ForkedChild) -> Result<(), Failure> {
        self.check()?;
        match child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(child_failure(status)),
            Err(e) => Err(Failure::new(code::SYSTEM_CALL, e)),
        }
    }

    /// Waits until the child has done its last piece of work, at most the client read timeout.
    pub(super) fn await_child(&mut self, child: &mut ForkedChild) -> Result<(), Failure> {
        let rounds = self.timeouts().client_read().as_millis() / LIVENESS.as_millis() + 1;
        for _ in 0..rounds {
            match child.wait_timeout(LIVENESS) {
                Ok(Some(status)) if status.exit_status() == Some(code::OK) => return Ok(()),
                Ok(Some(status)) => return Err(child_failure(status)),
                Ok(None) => self.check()?,
                Err(e) => return Err(Failure::new(code::SYSTEM_CALL, e)),
            }
        }
        Err(Failure::new(code::TIMED_OUT, "bptm's child did not end"))
    }

    /// Stops the child after a failure, as bptm does. Returns what to report: a child that was killed explains an end
    /// that bpbrm ordered because the client's connection broke.
    pub(super) fn kill_child(&mut self, child: &mut ForkedChild, failure: Failure) -> Failure {
        if let Ok(Some(status)) = child.try_wait()
            && status.signaled()
            && failure.status == code::CANCELLED
        {
            return child_failure(status);
        }
        if let Ok(None) = child.try_wait() {
            self.log(2, format!("KILL_MM_CHILD: sending SIGUSR2 to child {}", child.id()));
            child.signal(Signal::USR2);
        }
        failure
    }

    /// Prints the waits of a backup: the parent waited for full buffers, the child for empty ones.
    pub(super) fn log_write_waits(&mut self, waits: &BufferWaits, child: u32, bytes: u64) {
        let (parent, other) = (waits.parent, waits.child);
        self.log(
            4,
            format!(
                "write_data: waited for full buffer {} times, delayed {} times",
                parent.waits, parent.delays
            ),
        );
        self.log(
            4,
            format!(
                "fill_buffer: [{child}] socket is closed, waited for empty buffer {} times, delayed {} times, read \
                 {bytes} bytes",
                other.waits, other.delays
            ),
        );
    }

    /// Prints the waits of a restore: the parent waited for empty buffers, the child for full ones.
    pub(super) fn log_read_waits(&mut self, waits: &BufferWaits, child: u32, bytes: u64) {
        let (parent, other) = (waits.parent, waits.child);
        self.log(
            4,
            format!(
                "read_data: waited for empty buffer {} times, delayed {} times",
                parent.waits, parent.delays
            ),
        );
        self.log(
            4,
            format!(
                "empty_buffer: [{child}] waited for full buffer {} times, delayed {} times, sent {bytes} bytes",
                other.waits, other.delays
            ),
        );
    }
}

fn child_failure(status: rustix::process::WaitStatus) -> Failure {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) if code != code::OK => Failure::new(code, "bptm's child stopped"),
        (_, Some(signal)) => {
            Failure::new(code::MEDIA_MANAGER_KILLED, format!("bptm's child was killed by signal {signal}"))
        }
        _ => Failure::new(code::CONNECTION_BROKEN, "bptm's child ended too early"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_down_to_kib_and_bounded() {
        assert_eq!(buffer_geometry(262_144, 30).unwrap(), (262_144, 30));
        assert_eq!(buffer_geometry(4 * 1024 * 1024 - 1, 2).unwrap(), (4 * 1024 * 1024 - 1024, 2));
        for (size, number) in [(1023, 1), (0, 1), (65 << 20, 1), (1024, 0), (1024, 65_537)] {
            assert_eq!(buffer_geometry(size, number).unwrap_err().status, 89, "{size} x {number}");
        }
    }
}
