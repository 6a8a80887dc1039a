//! How long a process lives that uses a store, in requests, and how fast it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// What a request of a mortal process meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breath {
    Lives,
    /// It is carried out, and nobody hears the answer.
    Last,
    Dead,
}

/// What is left of a process's life.
#[derive(Debug)]
pub(super) struct Life {
    left: Mutex<(u64, bool)>,
    over: watch::Sender<bool>,
}

impl Life {
    pub(super) fn new(requests: u64, last_carried_out: bool) -> Self {
        Self { left: Mutex::new((requests, last_carried_out)), over: watch::Sender::new(false) }
    }

    /// One request more.
    pub(super) fn draw(&self) -> Breath {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (requests, last) = *left;
        if requests > 0 {
            left.0 -= 1;
            return Breath::Lives;
        }
        left.1 = false;
        self.over.send_replace(true);
        if last { Breath::Last } else { Breath::Dead }
    }

    pub(super) async fn ended(&self) {
        // The sender is ours: waiting cannot fail.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}

/// Turns that others get before each request, from a seed.
#[derive(Debug)]
pub(super) struct Pace {
    state: AtomicU64,
    turns_max: u64,
}

impl Pace {
    pub(super) fn new(seed: u64, turns_max: u64) -> Self {
        Self { state: AtomicU64::new(seed), turns_max }
    }

    pub(super) fn turns(&self) -> u64 {
        let mut mixed = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // Sometimes a process stands still while others do a whole piece of work.
        let scale = if mixed.is_multiple_of(8) { 16 } else { 1 };
        1 + (mixed >> 8) % (self.turns_max * scale).max(1)
    }
}
