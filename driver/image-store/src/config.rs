//! The settings of an image store, with units and legal ranges, and the rule for segment sizes.

use crate::error::ImageError;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Settings of an [`crate::ImageStore`]. `Default` is right for a media server; tests make everything small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Most bytes of an image's tail that are kept inside its manifest. Default 64 KiB, at most 1 MiB.
    pub inline_limit: u64,
    /// Bytes under one checksum. Default 128 KiB: half of NetBackup's default buffer, so that aligned reads fetch
    /// nothing extra; small enough that the checksum pass finds the copied bytes still in the processor's
    /// second-level cache; large enough that the table costs 1/32768 of the data. 16 B to 16 MiB.
    pub block_size: u32,
    /// Unit of buffer memory. Default 1 MiB, 16 B to 16 MiB.
    pub chunk_size: u32,
    /// Size of the first segments of an image. Default 4 MiB, a multiple of `chunk_size`.
    pub segment_size_first: u64,
    /// Size of the largest segments. Default 16 MiB, a multiple of `chunk_size`, not below `segment_size_first`.
    pub segment_size_max: u64,
    /// Segments of one writer on their way at once. Default 4, 1 to 64.
    pub uploads_per_writer: usize,
    /// Bytes of buffer for all writers together. Default 256 MiB, at least 4 chunks and one largest segment.
    pub memory_budget: u64,
    /// Bytes of buffer for all readers together. Default 256 MiB, same range.
    pub read_budget: u64,
    /// Segments a sequential reader fetches ahead of the one in use. Default 3, 0 to 64.
    pub read_ahead: usize,
    /// Times that data failing its checksum is read again before it is reported. Default 2, 0 to 10.
    pub reads_again: u32,
    /// Seconds a silent writer keeps its image; recorded in the state object. Default 480: above NetBackup's 300 s
    /// client read timeout, below its 600 s retry delay.
    pub lease_seconds: u32,
    /// Seconds after the last sign of life of a writer, or of anything else that was left, until a sweep may remove what
    /// it left. Default 24 hours, not below `lease_seconds`.
    pub sweep_after_seconds: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            inline_limit: 64 * KIB,
            block_size: 128 << 10,
            chunk_size: 1 << 20,
            segment_size_first: 4 * MIB,
            segment_size_max: 16 * MIB,
            uploads_per_writer: 4,
            memory_budget: 256 * MIB,
            read_budget: 256 * MIB,
            read_ahead: 3,
            reads_again: 2,
            lease_seconds: 480,
            sweep_after_seconds: 24 * 60 * 60,
        }
    }
}

impl StoreConfig {
    /// Size of the segment that begins at `offset` of the image, in bytes.
    ///
    /// A stream's length is not known in advance: small images should not wait for a large buffer to fill, and
    /// large ones should cost few requests. So segments grow fourfold at 64 MiB and again at 16 GiB (with the
    /// default first size), up to the maximum.
    pub fn segment_size_at(&self, offset: u64) -> u64 {
        let first = self.segment_size_first;
        let planned = if offset < first.saturating_mul(16) {
            first
        } else if offset < first.saturating_mul(16 * KIB / 4) {
            first.saturating_mul(4)
        } else {
            first.saturating_mul(16)
        };
        planned.min(self.segment_size_max)
    }

    /// Refuses settings that cannot work.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        let chunk = u64::from(self.chunk_size);
        let budget_min = (4 * chunk).max(self.segment_size_max);
        let checks = [
            (self.inline_limit <= MIB, "inline_limit must be at most 1 MiB".to_owned()),
            (in_range(self.block_size), "block_size must be 16 bytes to 16 MiB".to_owned()),
            (in_range(self.chunk_size), "chunk_size must be 16 bytes to 16 MiB".to_owned()),
            (
                self.segment_size_first > 0
                    && chunk > 0
                    && self.segment_size_first.is_multiple_of(chunk)
                    && self.segment_size_max.is_multiple_of(chunk),
                format!("segment_size_first and segment_size_max must be multiples of chunk_size ({chunk})"),
            ),
            (
                self.segment_size_max >= self.segment_size_first && self.segment_size_max <= GIB,
                "segment_size_max must be between segment_size_first and 1 GiB".to_owned(),
            ),
            ((1..=64).contains(&self.uploads_per_writer), "uploads_per_writer must be 1 to 64".to_owned()),
            (
                self.memory_budget >= budget_min && self.read_budget >= budget_min,
                format!("memory_budget and read_budget must be at least {budget_min} bytes"),
            ),
            (self.read_ahead <= 64, "read_ahead must be at most 64".to_owned()),
            (self.reads_again <= 10, "reads_again must be at most 10".to_owned()),
            (
                self.sweep_after_seconds >= self.lease_seconds,
                "sweep_after_seconds must not be below lease_seconds".to_owned(),
            ),
        ];
        for (holds, problem) in checks {
            if !holds {
                return Err(ImageError::Config { problem });
            }
        }
        Ok(())
    }
}

fn in_range(bytes: u32) -> bool {
    (16..=16 << 20).contains(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_legal() {
        StoreConfig::default().check().unwrap();
    }

    #[test]
    fn segments_grow_with_the_offset_up_to_the_maximum() {
        let config = StoreConfig { segment_size_max: 64 * MIB, ..StoreConfig::default() };
        assert_eq!(config.segment_size_at(0), 4 * MIB);
        assert_eq!(config.segment_size_at(64 * MIB - 1), 4 * MIB);
        assert_eq!(config.segment_size_at(64 * MIB), 16 * MIB);
        assert_eq!(config.segment_size_at(16 * GIB - 1), 16 * MIB);
        assert_eq!(config.segment_size_at(16 * GIB), 64 * MIB);
        assert_eq!(StoreConfig::default().segment_size_at(u64::MAX), 16 * MIB);
    }

    #[test]
    fn each_setting_out_of_range_is_refused() {
        let legal = StoreConfig::default;
        for illegal in [
            StoreConfig { inline_limit: MIB + 1, ..legal() },
            StoreConfig { block_size: 0, ..legal() },
            StoreConfig { chunk_size: 0, ..legal() },
            StoreConfig { segment_size_first: MIB + 1, ..legal() },
            StoreConfig { segment_size_max: MIB, ..legal() },
            StoreConfig { uploads_per_writer: 0, ..legal() },
            StoreConfig { memory_budget: MIB, ..legal() },
            StoreConfig { read_budget: MIB, ..legal() },
            StoreConfig { read_ahead: 65, ..legal() },
            StoreConfig { reads_again: 11, ..legal() },
            StoreConfig { sweep_after_seconds: 479, ..legal() },
        ] {
            assert!(illegal.check().is_err(), "{illegal:?}");
        }
    }
}
