//! How far apart the checkpoints of a job are: by time, as NetBackup counts them, or by bytes.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What lies between two checkpoints at least: the next one is taken at the first end of a file behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointEvery {
    /// Milliseconds of real time.
    Milliseconds(u64),
    /// Bytes of the stream: an addition of this harness, so that checkpoints come where a test wants them.
    Bytes(u64),
}

impl CheckpointEvery {
    /// NetBackup's default for backups: 15 minutes.
    pub const BACKUP: Self = Self::Milliseconds(15 * 60_000);
    /// NetBackup's interval for restores: a minute.
    pub const RESTORE: Self = Self::Milliseconds(60_000);
}

/// Says when the next checkpoint is due.
#[derive(Debug)]
pub(crate) struct CheckpointClock {
    every: CheckpointEvery,
    last: Instant,
    at: u64,
}

impl CheckpointClock {
    /// Begins to count now, at this position of the stream.
    pub(crate) fn new(every: CheckpointEvery, position: u64) -> Self {
        Self { every, last: Instant::now(), at: position }
    }

    /// Whether a checkpoint is due, to be asked at the end of a file. If it is, the next interval begins.
    pub(crate) fn is_due(&mut self, position: u64) -> bool {
        let due = match self.every {
            CheckpointEvery::Milliseconds(every) => self.last.elapsed() >= Duration::from_millis(every),
            CheckpointEvery::Bytes(every) => position.saturating_sub(self.at) >= every,
        };
        if due {
            (self.last, self.at) = (Instant::now(), position);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_bytes_counts_from_the_last_checkpoint_and_not_from_where_it_was_due() {
        let mut clock = CheckpointClock::new(CheckpointEvery::Bytes(100), 50);
        let due: Vec<u64> =
            [149, 150, 200, 249, 400, 499, 500].into_iter().filter(|at| clock.is_due(*at)).collect();
        assert_eq!(due, [150, 400, 500]);
    }

    #[test]
    fn an_interval_of_time_is_over_when_the_time_is_and_does_not_care_for_bytes() {
        let mut clock = CheckpointClock::new(CheckpointEvery::Milliseconds(0), 0);
        assert!(clock.is_due(0) && clock.is_due(0));
        let mut clock = CheckpointClock::new(CheckpointEvery::BACKUP, 0);
        assert!(!clock.is_due(u64::MAX), "nobody waited for 15 minutes");
    }
}
