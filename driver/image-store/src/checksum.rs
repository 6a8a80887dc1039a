//! CRC-32C (Castagnoli): of bytes, of bytes that arrive in pieces, and of things joined end to end.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

/// CRC-32C of `data`.
pub(crate) fn crc32c(data: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(data)
}

/// CRC-32C of two things end to end, from the CRC of each and the length of the second.
pub(crate) fn join(first: u32, second: u32, second_len: u64) -> u32 {
    narrow(checksum_combine(CrcAlgorithm::Crc32Iscsi, u64::from(first), u64::from(second), second_len))
}

/// A CRC-32C in progress.
#[derive(Clone)]
pub(crate) struct Running(Digest);

impl Running {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn value(&self) -> u32 {
        narrow(self.0.finalize())
    }

    /// The value, and back to the beginning.
    pub(crate) fn take(&mut self) -> u32 {
        narrow(self.0.finalize_reset())
    }
}

/// Joins CRCs of blocks that all have one length: `join` costs microseconds, this a few nanoseconds.
///
/// Appending a block of fixed length to a message is a linear map of the message's CRC, so its effect on each of
/// the 32 bits is worked out once.
#[derive(Debug, Clone)]
pub(crate) struct BlockJoiner {
    block_size: u32,
    columns: [u32; 32],
}

impl BlockJoiner {
    pub(crate) fn new(block_size: u32) -> Self {
        let columns = std::array::from_fn(|bit| join(1 << bit, 0, u64::from(block_size)));
        Self { block_size, columns }
    }

    pub(crate) fn block_size(&self) -> u32 {
        self.block_size
    }

    /// CRC-32C of a message followed by one whole block.
    pub(crate) fn join_block(&self, message: u32, block: u32) -> u32 {
        let mut shifted = 0;
        let mut rest = message;
        while rest != 0 {
            shifted ^= self.columns[rest.trailing_zeros() as usize];
            rest &= rest - 1;
        }
        shifted ^ block
    }
}

/// A 32-bit CRC is returned in a `u64`; its upper half is zero.
#[expect(clippy::cast_possible_truncation, reason = "the mask keeps 32 bits")]
fn narrow(crc: u64) -> u32 {
    (crc & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn joined_checksums_equal_the_whole() {
        let data: Vec<u8> = (0..10_000u32).map(|i| ((i * i) >> 3).to_le_bytes()[0]).collect();
        for split in [0, 1, 4096, 9_999, 10_000] {
            let (a, b) = data.split_at(split);
            assert_eq!(join(crc32c(a), crc32c(b), b.len() as u64), crc32c(&data), "{split}");
        }
    }

    #[test]
    fn blocks_join_like_anything_else() {
        let data: Vec<u8> = (0..4096u32).map(|i| ((i * 7) >> 2).to_le_bytes()[0]).collect();
        let joiner = BlockJoiner::new(512);
        let joined = data.chunks(512).fold(0, |all, block| joiner.join_block(all, crc32c(block)));
        assert_eq!(joined, crc32c(&data));
    }

    #[test]
    fn pieces_give_the_same_value() {
        let mut running = Running::new();
        running.update(b"12345");
        running.update(b"6789");
        assert_eq!(running.value(), 0xe306_9283);
        assert_eq!(running.take(), 0xe306_9283);
        assert_eq!(running.value(), 0);
    }
}
