//! The clock of an embedded cluster: it goes as the machine's does, and can be set wrong, ahead or back.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use vast_sim::{CannotAdvance, Clock, SimClock};

/// The clock. All of the cluster goes by it: what it judges, dates and remembers.
#[derive(Debug)]
pub(super) struct JumpClock {
    right: SimClock,
    /// How far it is ahead of the right one.
    offset_ms: AtomicI64,
}

impl JumpClock {
    pub(super) fn new() -> Self {
        Self { right: SimClock::ticking(), offset_ms: AtomicI64::new(0) }
    }

    /// Sets it so many milliseconds ahead of the right time, or behind it; 0 sets it right.
    pub(super) fn set(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for JumpClock {
    fn now(&self) -> SystemTime {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let by = Duration::from_millis(offset.unsigned_abs());
        let right = self.right.now();
        let moved = if offset < 0 { right.checked_sub(by) } else { right.checked_add(by) };
        moved.unwrap_or(right)
    }

    // How long something takes does not depend on what the time is.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.right.sleep(duration)
    }

    fn advance(&self, by: Duration) -> Result<(), CannotAdvance> {
        self.right.advance(by)
    }

    fn start_over(&self) {
        self.set(0);
        self.right.start_over();
    }

    fn advanced(&self) -> Duration {
        self.right.advanced()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_far_off_as_it_was_set_and_right_again_after_that() {
        let clock = JumpClock::new();
        let began = clock.now();
        let minutes = |clock: &JumpClock| match clock.now().duration_since(began) {
            Ok(ahead) => i64::try_from(ahead.as_secs() / 60).unwrap(),
            Err(behind) => -i64::try_from(behind.duration().as_secs() / 60).unwrap(),
        };
        clock.set(1_200_000);
        assert_eq!(minutes(&clock), 20);
        clock.advance(Duration::from_mins(5)).unwrap();
        assert_eq!((minutes(&clock), clock.advanced()), (25, Duration::from_mins(5)));
        clock.set(-1_260_000);
        assert_eq!(minutes(&clock), -15);
        clock.set(0);
        assert_eq!(minutes(&clock), 5);
    }
}
