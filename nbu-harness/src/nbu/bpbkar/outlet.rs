//! The end of the data socket that bpbkar writes into, behind one large buffer that files are read into directly.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::nbu::data_socket::widen;
use crate::nbu::frames::Frame;
use crate::nbu::tar_stream::{BLOCK, Head, TRAILER, encode};

/// Bytes gathered before they are sent: few enough to be in the processor's cache still when the kernel copies them.
const CAPACITY: usize = 1 << 18;

/// The peer is gone, or takes nothing.
#[derive(Debug, thiserror::Error)]
#[error("sending the stream failed at byte {at}: {error}")]
pub(super) struct SendError {
    at: u64,
    error: io::Error,
}

impl SendError {
    /// Whether the peer took nothing for too long.
    pub(super) fn timed_out(&self) -> bool {
        matches!(self.error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
    }
}

/// Writes the stream and knows its position.
#[derive(Debug)]
pub(super) struct Outlet {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// Bytes in the buffer.
    filled: usize,
    /// Position in the stream of the buffer's first byte.
    sent: u64,
    /// The stream goes in frames: then checkpoints can be marked in it, and pieces of an accelerated backup's base can stand
    /// for data.
    framed: bool,
    /// A piece of the earlier backup that is not sent yet: it may go on. Comes before what is in the buffer.
    piece: Option<(u64, u64)>,
    /// Bytes of data sent, without what stands for data.
    data: u64,
}

impl Outlet {
    pub(super) fn new(
        socket: UnixStream,
        framed: bool,
        start: u64,
        timeout: Duration,
    ) -> Result<Self, SendError> {
        widen(&socket);
        socket.set_write_timeout(Some(timeout)).map_err(|error| SendError { at: 0, error })?;
        Ok(Self { socket, buffer: vec![0; CAPACITY], filled: 0, sent: start, framed, piece: None, data: 0 })
    }

    /// Position in the stream.
    pub(super) const fn position(&self) -> u64 {
        self.sent + self.filled as u64
    }

    /// Writes a member's header; returns where its content begins.
    pub(super) fn header(&mut self, head: &Head<'_>) -> Result<u64, SendError> {
        let mut blocks = Vec::with_capacity(3 * BLOCK);
        encode(head, &mut blocks);
        self.write(&blocks)?;
        Ok(self.position())
    }

    /// Writes bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CAPACITY - self.filled));
            self.buffer[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.advance(now.len())?;
            bytes = later;
        }
        Ok(())
    }

    /// Room for the next bytes, at most `limit` of them and never none unless `limit` is 0; they count once
    /// [`Self::advance`] says how many there are.
    pub(super) fn room(&mut self, limit: u64) -> &mut [u8] {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(CAPACITY - self.filled);
        &mut self.buffer[self.filled..self.filled + limit]
    }

    /// Takes over the first `count` bytes of the room.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), SendError> {
        self.filled += count;
        if self.filled == CAPACITY { self.flush() } else { Ok(()) }
    }

    /// Writes `count` zeros.
    pub(super) fn zeros(&mut self, mut count: u64) -> Result<(), SendError> {
        while count > 0 {
            let room = self.room(count);
            room.fill(0);
            let length = room.len();
            self.advance(length)?;
            count -= length as u64;
        }
        Ok(())
    }

    /// Fills up to the next block.
    pub(super) fn pad(&mut self) -> Result<(), SendError> {
        let position = self.position();
        self.zeros(position.next_multiple_of(BLOCK as u64) - position)
    }

    /// Lets `length` bytes of the earlier backup's stream, from `offset` on, stand for the next bytes of this one. For
    /// framed streams only; both ends of both ranges are at block limits.
    pub(super) fn piece(&mut self, offset: u64, length: u64) -> Result<(), SendError> {
        if self.filled > 0 {
            self.flush()?;
        }
        match &mut self.piece {
            Some((start, so_far)) if *start + *so_far == offset => *so_far += length,
            _ => {
                self.send_piece()?;
                self.piece = Some((offset, length));
            }
        }
        self.sent += length;
        Ok(())
    }

    /// Marks a checkpoint with so many files behind it. For framed streams only.
    pub(super) fn checkpoint(&mut self, files: u64) -> Result<(), SendError> {
        self.flush()?;
        let at = self.sent;
        let frame = Frame::Checkpoint { files }.encode();
        self.socket.write_all(&frame).map_err(|error| SendError { at, error })
    }

    /// Bytes of data so far that really went over the socket.
    pub(super) const fn data(&self) -> u64 {
        self.data + self.filled as u64
    }

    /// Ends the stream; returns its length.
    pub(super) fn finish(&mut self) -> Result<u64, SendError> {
        self.write(&TRAILER)?;
        self.flush()?;
        let at = self.sent;
        self.socket.shutdown(std::net::Shutdown::Write).map_err(|error| SendError { at, error })?;
        Ok(at)
    }

    fn send_piece(&mut self) -> Result<(), SendError> {
        let Some((offset, length)) = self.piece.take() else { return Ok(()) };
        let at = self.sent;
        let frame = Frame::Piece { offset, length }.encode();
        self.socket.write_all(&frame).map_err(|error| SendError { at, error })
    }

    fn flush(&mut self) -> Result<(), SendError> {
        self.send_piece()?;
        let at = self.sent;
        if self.framed && self.filled > 0 {
            let frame = Frame::Data { length: self.filled as u64 }.encode();
            self.socket.write_all(&frame).map_err(|error| SendError { at, error })?;
        }
        self.data += self.filled as u64;
        self.socket.write_all(&self.buffer[..self.filled]).map_err(|error| SendError { at, error })?;
        self.sent += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}
