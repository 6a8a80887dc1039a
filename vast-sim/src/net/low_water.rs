//! How much of a body the kernel collects before it wakes the reader.
//!
//! Waking for every packet and reading a little each time costs more than anything else that the simulator does with a
//! large body, and leaves it with part-empty buffers. While it is known that so much is still to come, the socket is
//! readable only from [`FULL`] bytes on. A client that pauses is not kept waiting: after [`PATIENCE`] what is there is read.

#![allow(unsafe_code, reason = "no library sets this option safely")]

use std::os::fd::{AsFd, AsRawFd as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::store::pack::READ_BUFFER;

/// What is waited for at most: what fills a buffer.
const FULL: u64 = READ_BUFFER as u64;
/// What is worth a system call to wait for.
const WORTHWHILE: u64 = FULL / 8;
/// How long a reader waits for more when something is there.
const PATIENCE: Duration = Duration::from_millis(5);

/// Where in what a connection receives the body in progress ends, at least.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inflow(Arc<Positions>);

#[derive(Debug, Default)]
struct Positions {
    received: AtomicU64,
    surely_until: AtomicU64,
}

impl Inflow {
    /// A request has a body of so many bytes. Some of it may have been received along with the head already: no more than
    /// a buffer. Encryption only adds to what is received.
    pub(crate) fn announce(&self, body: u64) {
        let until = self.0.received.load(Ordering::Relaxed) + body.saturating_sub(FULL);
        self.0.surely_until.store(until, Ordering::Relaxed);
    }

    fn received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn surely_to_come(&self) -> u64 {
        let until = self.0.surely_until.load(Ordering::Relaxed);
        until.saturating_sub(self.0.received.load(Ordering::Relaxed))
    }

    fn give_up(&self) {
        self.0.surely_until.store(0, Ordering::Relaxed);
    }
}

/// Sets the mark of one connection.
pub(super) struct LowWater {
    inflow: Inflow,
    mark: u64,
    patience: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl LowWater {
    pub(super) fn new(inflow: Inflow) -> Self {
        Self { inflow, mark: 1, patience: None, waiting: false }
    }

    /// To be called before each read: `set` changes the mark and says whether it could.
    pub(super) fn before_read(&mut self, set: impl FnOnce(u64) -> bool) {
        let sure = self.inflow.surely_to_come().min(FULL);
        let wanted = if sure < WORTHWHILE { 1 } else { sure };
        if wanted != self.mark {
            if set(wanted) {
                self.mark = wanted;
            } else {
                self.inflow.give_up();
            }
        }
    }

    /// To be called when a read brought so many bytes.
    pub(super) fn took(&mut self, bytes: u64) {
        self.inflow.received(bytes);
        self.waiting = false;
    }

    /// To be called when there was too little to read. True if it has been waited for long enough: then the mark is to be
    /// lowered, and the rest of this body is read as it comes.
    pub(super) fn is_tired(&mut self, cx: &mut Context<'_>) -> bool {
        if self.mark == 1 {
            return false;
        }
        let until = Instant::now() + PATIENCE;
        let patience = match &mut self.patience {
            Some(patience) => {
                if !self.waiting {
                    patience.as_mut().reset(until);
                }
                patience
            }
            // A limit for a client that pauses in the middle of a body: nothing else would show that it does.
            none => none.insert(Box::pin(tokio::time::sleep_until(until))),
        };
        self.waiting = true;
        let tired = patience.as_mut().poll(cx).is_ready();
        if tired {
            self.inflow.give_up();
            self.waiting = false;
        }
        tired
    }
}

/// Sets `SO_RCVLOWAT`, which also makes the socket readable at once if so much is there already.
pub(super) fn set(socket: &impl AsFd, bytes: u64) -> bool {
    let Ok(value) = libc::c_int::try_from(bytes) else { return false };
    let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel reads `length` bytes at the address of `value`.
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            std::ptr::from_ref(&value).cast(),
            length,
        )
    };
    set == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_high_only_while_so_much_is_sure_to_come() {
        let inflow = Inflow::default();
        let mut low_water = LowWater::new(inflow.clone());
        let mut marks = Vec::new();
        let mut read = |low_water: &mut LowWater, bytes| {
            low_water.before_read(|mark| {
                marks.push(mark);
                true
            });
            low_water.took(bytes);
        };
        read(&mut low_water, 100);
        inflow.announce(3 * FULL + 50);
        for _ in 0..4 {
            read(&mut low_water, FULL);
        }
        inflow.announce(FULL + WORTHWHILE - 1);
        read(&mut low_water, 1);
        assert_eq!(marks, [FULL, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let inflow = Inflow::default();
        let mut low_water = LowWater::new(inflow.clone());
        let tired = |low_water: &mut LowWater| {
            low_water.before_read(|_| true);
            low_water.is_tired(&mut Context::from_waker(std::task::Waker::noop()))
        };
        assert!(!tired(&mut low_water), "nothing is waited for");
        inflow.announce(10 * FULL);
        assert!(!tired(&mut low_water));
        tokio::time::advance(PATIENCE).await;
        assert!(tired(&mut low_water));
        let mut mark = 0;
        low_water.before_read(|wanted| {
            mark = wanted;
            true
        });
        assert_eq!(mark, 1, "the rest of the body is read as it comes");
    }
}
