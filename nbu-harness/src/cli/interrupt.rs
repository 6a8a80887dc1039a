//! SIGTERM and SIGINT: the first ends everything in order, the second at once.

use crate::nbu::{termination_signals, wait_readable};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long the watching thread waits in one call; nothing depends on it.
const WAIT: Duration = Duration::from_hours(1);

/// Whether a signal asked for the end.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Catches both signals from now on. To be called before any thread is started: they inherit the block.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch() -> io::Result<Self> {
        let signals = termination_signals()?;
        let this = Self(Arc::default());
        let seen = this.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || seen.listen(&signals))?;
        Ok(this)
    }

    /// One that nothing interrupts.
    #[cfg(test)]
    pub(super) fn never() -> Self {
        Self(Arc::default())
    }

    /// The number of the signal that has come.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    fn listen(&self, signals: &OwnedFd) {
        loop {
            // A failed wait is followed by a read that finds nothing.
            let _ = wait_readable(signals, WAIT);
            // A `signalfd_siginfo`, which begins with the signal's number.
            let mut info = [0u8; 128];
            let Ok(128) = rustix::io::read(signals, &mut info[..]) else { continue };
            let signal = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            if self.signal().is_some() {
                // Whatever is being done takes too long for somebody.
                std::process::exit(128 + signal);
            }
            self.0.store(signal, Ordering::Relaxed);
        }
    }
}
