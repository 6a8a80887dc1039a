//! Time as the cluster sees it: injected, and movable so that a week of schedules takes a moment.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::lock;

/// A clock that only goes at its own pace was asked to jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cluster's clock cannot be advanced")]
pub struct CannotAdvance;

/// Time as the cluster sees it. Called from any thread.
///
/// Everything goes by it: tokens, object times, presented dates, injected delays, schedules, retention.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> SystemTime;
    /// Completes when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Lets `by` pass at once; sleepers whose time has come wake up.
    ///
    /// # Errors
    /// When this clock cannot do that.
    fn advance(&self, by: Duration) -> Result<(), CannotAdvance> {
        let _ = by;
        Err(CannotAdvance)
    }
    /// Takes back all that [`Self::advance`] has let pass.
    fn start_over(&self) {}
    /// How much passed by [`Self::advance`] so far.
    fn advanced(&self) -> Duration {
        Duration::ZERO
    }
}

/// The clock of the simulator: ticks like the machine's or stands still, and can be advanced either way.
///
/// It ticks by tokio's clock, so that it follows a simulated runtime.
#[derive(Debug)]
pub struct SimClock {
    state: std::sync::Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    start: SystemTime,
    /// None when the clock stands still between advances.
    ticking_since: Option<Instant>,
    offset: Mutex<Duration>,
    jumps: watch::Sender<()>,
}

impl Shared {
    fn now(&self) -> SystemTime {
        self.start + *lock(&self.offset) + self.ticking_since.map_or(Duration::ZERO, |i| i.elapsed())
    }
}

impl SimClock {
    /// The machine's time, going on at its pace.
    pub fn ticking() -> Self {
        Self::ticking_from(SystemTime::now())
    }

    /// Ticks from `start` on.
    pub fn ticking_from(start: SystemTime) -> Self {
        Self::new(start, Some(Instant::now()))
    }

    /// Stands at `start` until it is advanced.
    pub fn frozen_at(start: SystemTime) -> Self {
        Self::new(start, None)
    }

    fn new(start: SystemTime, ticking_since: Option<Instant>) -> Self {
        let (jumps, _) = watch::channel(());
        Self { state: std::sync::Arc::new(Shared { start, ticking_since, offset: Mutex::default(), jumps }) }
    }
}

impl Clock for SimClock {
    fn now(&self) -> SystemTime {
        self.state.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let shared = std::sync::Arc::clone(&self.state);
        let mut jumped = shared.jumps.subscribe();
        let deadline = shared.now() + duration;
        Box::pin(async move {
            while let Ok(left) = deadline.duration_since(shared.now()) {
                if left.is_zero() {
                    return;
                }
                let ticks = shared.ticking_since.is_some();
                let passes = async move {
                    if ticks {
                        // What is left of a simulated wait, on the runtime's clock.
                        tokio::time::sleep(left).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = passes => {}
                    // The sender lives in `shared`, so this ends only by a jump.
                    _ = jumped.changed() => {}
                }
            }
        })
    }

    fn advance(&self, by: Duration) -> Result<(), CannotAdvance> {
        let mut offset = lock(&self.state.offset);
        *offset = offset.saturating_add(by);
        drop(offset);
        self.state.jumps.send_replace(());
        Ok(())
    }

    fn start_over(&self) {
        *lock(&self.state.offset) = Duration::ZERO;
        self.state.jumps.send_replace(());
    }

    fn advanced(&self) -> Duration {
        *lock(&self.state.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[tokio::test]
    async fn a_frozen_clock_moves_only_when_advanced_and_wakes_sleepers() {
        let clock = SimClock::frozen_at(UNIX_EPOCH + Duration::from_hours(1));
        let mut nap = clock.sleep(Duration::from_mins(10));
        assert!(futures::poll!(&mut nap).is_pending());
        clock.advance(Duration::from_mins(9)).unwrap();
        assert!(futures::poll!(&mut nap).is_pending());
        clock.advance(Duration::from_mins(1)).unwrap();
        nap.await;
        assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_mins(70));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticking_clock_follows_the_runtime_and_jumps() {
        let clock = SimClock::ticking_from(UNIX_EPOCH);
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(5));
        clock.advance(Duration::from_hours(24)).unwrap();
        assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(86_405));
    }
}
