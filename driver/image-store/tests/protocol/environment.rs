//! What the code takes from outside, for the processes of a play.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_store::{Clock, Entropy, Environment, Silent, StoreConfig};

/// Ids in the order in which they were asked for, and the same in every run.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        buffer.fill(0);
        for (byte, digit) in buffer.iter_mut().zip(count) {
            *byte = digit;
        }
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }
}

/// For all processes of one play.
pub(crate) fn environment() -> Environment {
    Environment { clock: Arc::new(Fixed), entropy: Arc::new(Counting::default()), notices: Arc::new(Silent) }
}

/// Small images have segments.
pub(crate) fn small() -> StoreConfig {
    StoreConfig {
        inline_limit: 0,
        block_size: 16,
        chunk_size: 32,
        segment_size_first: 32,
        segment_size_max: 32,
        memory_budget: 32 * 16,
        read_budget: 32 * 16,
        ..StoreConfig::default()
    }
}
