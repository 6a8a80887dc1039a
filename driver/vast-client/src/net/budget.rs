//! Deadlines of a call that runs only while its host drives it.
//!
//! In the single-threaded library nothing moves between two calls of the host, which may pause for minutes. Wall
//! time would then punish the server for the host's silence. So time is counted in ticks of the waiting task: a
//! tick during which the task was not polled counts as at most twice its length.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::net::meter::Progress;

/// Ticks per stall timeout: a stall is noticed at most a quarter late.
const TICKS: u32 = 4;

/// Driven time that a call has left.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Duration,
}

/// Why a watched future was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Nothing moved for the stall timeout.
    Stall,
    /// The budget is used up.
    Budget,
}

impl Budget {
    pub(crate) fn new(total: Duration) -> Self {
        Self { left: total }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left.is_zero()
    }

    /// Runs a future until it ends, nothing moved for `stall`, or the budget is used up.
    pub(crate) async fn watch<F: Future>(
        &mut self,
        stall: Duration,
        progress: Option<&Progress>,
        future: F,
    ) -> Result<F::Output, Expired> {
        let mut future = pin!(future);
        let full_tick = (stall / TICKS).max(Duration::from_millis(1));
        let mut quiet = 0;
        let mut seen = progress.map_or(0, Progress::total);
        loop {
            if self.is_spent() {
                return Err(Expired::Budget);
            }
            let tick = full_tick.min(self.left);
            let started = Instant::now();
            let outcome = timeout(tick, future.as_mut()).await;
            self.left = self.left.saturating_sub(started.elapsed().min(tick * 2));
            if let Ok(output) = outcome {
                return Ok(output);
            }
            let now = progress.map_or(0, Progress::total);
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
            if quiet >= TICKS {
                return Err(Expired::Stall);
            }
        }
    }

    /// Waits, but no longer than the budget lasts.
    pub(crate) async fn sleep(&mut self, wait: Duration) {
        // The back-off between two attempts: a pause is what is wanted, nothing is waited for.
        let wait = wait.min(self.left);
        tokio::time::sleep(wait).await;
        self.left = self.left.saturating_sub(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_in_a_stall() {
        let started = Instant::now();
        let mut budget = Budget::new(Duration::from_mins(5));
        let outcome = budget.watch(Duration::from_secs(30), None, pending::<()>()).await;
        assert_eq!(outcome, Err(Expired::Stall));
        assert_eq!(started.elapsed().as_secs(), 30);
        assert!((269..=270).contains(&budget.left.as_secs()), "{budget:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_holds_the_stall_off_until_the_budget_ends() {
        let progress = Progress::default();
        let mut budget = Budget::new(Duration::from_secs(100));
        let started = Instant::now();
        let trickle = async {
            loop {
                // tidy: the clock of this test is paused, nothing waits
                tokio::time::sleep(Duration::from_secs(20)).await;
                progress.add(1);
            }
        };
        let outcome: Result<(), Expired> =
            budget.watch(Duration::from_secs(30), Some(&progress), trickle).await;
        assert_eq!(outcome, Err(Expired::Budget));
        assert_eq!(started.elapsed().as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_pauses_does_not_spend_the_budget() {
        let mut budget = Budget::new(Duration::from_mins(5));
        let mut rounds = 0;
        // A future during whose poll an hour passes stands for a host that did not drive the runtime.
        let paused = std::future::poll_fn(|_| {
            rounds += 1;
            if rounds == 1 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        });
        {
            let mut watched = pin!(budget.watch(Duration::from_secs(30), None, paused));
            assert!(poll_once(watched.as_mut()).await.is_none());
            tokio::time::advance(Duration::from_hours(1)).await;
            assert_eq!(watched.await, Ok(()));
        }
        assert!(budget.left >= Duration::from_secs(285), "{budget:?}");
    }

    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
