//! Bytes of a blob in memory, held without holding much else.
//!
//! A chunk from the network is a slice of the buffer it was read into and keeps all of it. A chunk that fills its buffer
//! is kept as it is; any other is copied next to its like, so that what is held is what was sent and a few per cent.

use bytes::Bytes;

/// Largest buffer that a connection reads into: what a chunk that fills it costs to keep. Every chunk is a round through
/// all layers; with half of this, writing costs a fifth more CPU time, and with twice of it no less.
pub(crate) const READ_BUFFER: usize = 512 << 10;

/// From this length on a chunk wastes at most a sixteenth of its buffer.
const FULL_ENOUGH: usize = READ_BUFFER / 16 * 15;
/// Copied chunks are collected up to this size.
const SEGMENT: usize = READ_BUFFER;

/// Chunks being received.
#[derive(Debug, Default)]
pub(crate) struct Pack {
    kept: Vec<Bytes>,
    /// Copies not yet in `kept`; they go behind it.
    open: Vec<u8>,
}

impl Pack {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.len() >= FULL_ENOUGH {
            self.seal();
            self.kept.push(chunk);
            return;
        }
        if self.open.len() + chunk.len() > SEGMENT {
            self.seal();
        }
        if self.open.is_empty() {
            // Often the only one: a small object takes exactly its size.
            self.open.reserve_exact(chunk.len());
        } else {
            self.open.reserve(chunk.len());
        }
        self.open.extend_from_slice(&chunk);
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.kept.push(std::mem::take(&mut self.open).into_boxed_slice().into());
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        self.seal();
        self.kept.shrink_to_fit();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk as the network gives it: the used part of a buffer.
    fn read(len: usize, buffer: usize) -> Bytes {
        let mut whole = bytes::BytesMut::zeroed(buffer);
        for (i, byte) in whole.iter_mut().enumerate().take(len) {
            *byte = u8::try_from(i % 251).unwrap();
        }
        whole.split_to(len).freeze()
    }

    #[test]
    fn order_is_kept_and_short_chunks_lie_together() {
        let lengths = [700, READ_BUFFER, 10, 20, READ_BUFFER - 3, 300_000, 300_000, 1];
        let mut pack = Pack::default();
        let mut expected = Vec::new();
        for len in lengths {
            let chunk = read(len, READ_BUFFER);
            expected.extend_from_slice(&chunk);
            pack.push(chunk);
        }
        let chunks = pack.finish();
        assert_eq!(chunks.concat(), expected);
        assert_eq!(
            chunks.iter().map(Bytes::len).collect::<Vec<_>>(),
            [700, READ_BUFFER, 30, READ_BUFFER - 3, 300_000, 300_001]
        );
    }

    #[test]
    fn only_full_buffers_are_shared() {
        for (len, shared) in [(READ_BUFFER, true), (FULL_ENOUGH, true), (FULL_ENOUGH - 1, false), (5, false)]
        {
            let chunk = read(len, READ_BUFFER);
            let at = chunk.as_ptr();
            let mut pack = Pack::default();
            pack.push(chunk);
            assert_eq!(pack.finish()[0].as_ptr() == at, shared, "{len}");
        }
    }
}
