//! From meeting a fault to being hit by it. A request that matches a fault has met it; it is hit, counted and logged when
//! the fault does something to it. One that another fault ended before that, or whose body is too short, was not hit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::filter::chance;
use super::plane::{Lane, Shared};
use super::{Effect, FaultHit};

/// A fault that a request met.
#[derive(Debug, Clone)]
pub(crate) struct Met {
    pub(crate) effect: Effect,
    pub(crate) hit: Hit,
    pub(crate) lane: Arc<Lane>,
    /// How many matching requests the fault had seen; with the seed, what chance goes by.
    pub(super) number: u64,
    pub(super) seed: u64,
}

impl Met {
    /// Milliseconds of a delay with jitter.
    pub(crate) fn jittered(&self, millis: u64, jitter: u64) -> Duration {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a time"
        )]
        let offset = (chance(!self.seed, self.number) * 2.0 * jitter as f64) as u64;
        Duration::from_millis((millis + offset).saturating_sub(jitter))
    }
}

/// One fault and one request: to be told when the fault does something. Untold, it gives its turn back when the last
/// copy is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Hit(Arc<Turn>);

#[derive(Debug)]
struct Turn {
    faults: Arc<Shared>,
    about: FaultHit,
    taken: AtomicBool,
}

impl Hit {
    pub(super) fn new(faults: Arc<Shared>, about: FaultHit) -> Self {
        Self(Arc::new(Turn { faults, about, taken: AtomicBool::new(false) }))
    }

    /// The fault does something now. Only the first call counts.
    pub(crate) fn happened(&self) {
        if !self.0.taken.swap(true, Ordering::AcqRel) {
            self.0.faults.hit(self.0.about.clone());
        }
    }

    pub(crate) fn has_happened(&self) -> bool {
        self.0.taken.load(Ordering::Acquire)
    }

    pub(crate) fn fault_id(&self) -> u64 {
        self.0.about.fault_id
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.taken.load(Ordering::Acquire) {
            self.faults.give_back(self.about.fault_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;
    use crate::faults::{Fault, Faults, Request};

    #[test]
    fn jitter_stays_within_its_bounds_differs_and_repeats() {
        let waits = |seed| {
            let faults = Faults::new(Arc::new(SimClock::ticking()));
            let latency = Effect::Latency { millis: 100, jitter_millis: 40 };
            faults.add(Fault { seed, ..Fault::vms(latency) }).unwrap();
            let wait = |_| faults.take(&Request::vms("GET views"))[0].jittered(100, 40).as_millis();
            (0..200).map(wait).collect::<Vec<_>>()
        };
        let first = waits(1);
        assert!(first.iter().all(|w| (60..=140).contains(w)), "{first:?}");
        assert!(first.iter().any(|w| *w < 75) && first.iter().any(|w| *w > 125), "{first:?}");
        assert_eq!(first, waits(1));
        assert_ne!(first, waits(2));
    }
}
