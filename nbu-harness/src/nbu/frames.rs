//! The stream of an accelerated backup between bpbkar and bptm: frames of data, and frames that name a piece of an earlier
//! backup in its place. The harness's own format.

/// Bytes of a frame's head.
const HEAD: usize = 24;

/// A frame, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// So many bytes of data follow.
    Data { length: u64 },
    /// A piece of the earlier backup's stream.
    Piece { offset: u64, length: u64 },
}

/// The bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("a frame of unknown kind {0}")]
    Kind(u64),
    #[error("the stream ends within a frame")]
    Cut,
}

impl Frame {
    /// The head's bytes.
    pub(crate) fn encode(self) -> [u8; HEAD] {
        let words = match self {
            Self::Data { length } => [0, 0, length],
            Self::Piece { offset, length } => [1, offset, length],
        };
        let mut bytes = [0; HEAD];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = u64::to_le_bytes(word);
        }
        bytes
    }

    fn decode(bytes: &[u8; HEAD]) -> Result<Self, BadFrame> {
        let word =
            |index: usize| bytes.as_chunks::<8>().0.get(index).map_or(0, |word| u64::from_le_bytes(*word));
        match word(0) {
            0 => Ok(Self::Data { length: word(2) }),
            1 => Ok(Self::Piece { offset: word(1), length: word(2) }),
            kind => Err(BadFrame::Kind(kind)),
        }
    }
}

/// What a framed stream has next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'b> {
    /// Data, as much of it as has come.
    Data(&'b [u8]),
    /// A piece of the earlier backup.
    Piece { offset: u64, length: u64 },
}

/// Takes a framed stream apart, in whatever pieces it arrives.
#[derive(Debug)]
pub(crate) struct Unframer {
    head: [u8; HEAD],
    have: usize,
    /// Data bytes of the current frame that are still to come.
    left: u64,
}

impl Default for Unframer {
    fn default() -> Self {
        Self { head: [0; HEAD], have: 0, left: 0 }
    }
}

impl Unframer {
    /// The next item of `bytes`, which it is taken off; `None` when they are used up.
    pub(crate) fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Option<Item<'b>>, BadFrame> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(now);
                *bytes = rest;
                self.left -= now as u64;
                return Ok(Some(Item::Data(data)));
            }
            let now = (HEAD - self.have).min(bytes.len());
            let (part, rest) = bytes.split_at(now);
            self.head[self.have..self.have + now].copy_from_slice(part);
            (*bytes, self.have) = (rest, self.have + now);
            if self.have == HEAD {
                self.have = 0;
                match Frame::decode(&self.head)? {
                    Frame::Data { length } => self.left = length,
                    Frame::Piece { offset, length } => return Ok(Some(Item::Piece { offset, length })),
                }
            }
        }
        Ok(None)
    }

    /// The stream is over: it must not be in the middle of a frame.
    pub(crate) const fn end(&self) -> Result<(), BadFrame> {
        if self.left == 0 && self.have == 0 { Ok(()) } else { Err(BadFrame::Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let mut stream = Vec::new();
        stream.extend(Frame::Data { length: 5 }.encode());
        stream.extend(b"hello");
        stream.extend(Frame::Piece { offset: 1 << 40, length: 512 }.encode());
        stream.extend(Frame::Data { length: 3 }.encode());
        stream.extend(b"end");
        for size in 1..stream.len() {
            let mut unframer = Unframer::default();
            let (mut data, mut pieces) = (Vec::new(), Vec::new());
            for mut bytes in stream.chunks(size) {
                while let Some(item) = unframer.next(&mut bytes).unwrap() {
                    match item {
                        Item::Data(part) => data.extend(part),
                        Item::Piece { offset, length } => pieces.push((data.len(), offset, length)),
                    }
                }
            }
            assert_eq!(
                (data.as_slice(), pieces.as_slice()),
                (&b"helloend"[..], &[(5, 1 << 40, 512)][..]),
                "{size}"
            );
            assert_eq!(unframer.end(), Ok(()));
        }
    }

    #[test]
    fn garbage_and_a_cut_stream_are_noticed() {
        let mut unframer = Unframer::default();
        assert_eq!(unframer.next(&mut &[7; HEAD][..]), Err(BadFrame::Kind(0x0707_0707_0707_0707)));
        let mut unframer = Unframer::default();
        let head = Frame::Data { length: 5 }.encode();
        assert_eq!(unframer.next(&mut &head[..10]), Ok(None));
        assert_eq!(unframer.end(), Err(BadFrame::Cut));
        assert_eq!(unframer.next(&mut &head[10..]), Ok(None));
        assert_eq!(unframer.end(), Err(BadFrame::Cut));
    }
}
