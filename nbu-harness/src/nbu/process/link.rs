//! The control connection between two processes: JSON messages, one per line, over a socket pair.
//!
//! Every wait has a deadline, a line has a maximum length, and a dead peer reads as the end of the connection.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message in bytes: a job result with 10 000 log lines and as many warnings fits.
const MAX_LINE: usize = 64 << 20;
/// What one read takes from the socket.
const CHUNK: usize = 1 << 16;

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The connection broke; the peer is gone.
    #[error("the connection to {peer} is broken: {error}")]
    Broken {
        /// Name of the peer.
        peer: String,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing came, or nothing was taken, in time.
    #[error("{peer} was silent for {} s", after.as_secs_f32())]
    TimedOut {
        /// Name of the peer.
        peer: String,
        /// How long was waited.
        after: Duration,
    },
    /// What came is no message.
    #[error("{peer} sent something that is no message: {what}")]
    Garbage {
        /// Name of the peer.
        peer: String,
        /// What the parser said.
        what: String,
    },
}

/// One end of a control connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    peer: String,
    inbox: Vec<u8>,
    /// Bytes of `inbox` that have been searched for a line end.
    searched: usize,
    closed: bool,
}

impl Link {
    /// A connection to `peer`. A send that the peer does not take within `send_timeout` fails.
    pub(crate) fn new(stream: UnixStream, peer: &str, send_timeout: Duration) -> io::Result<Self> {
        stream.set_write_timeout(Some(send_timeout))?;
        Ok(Self { stream, peer: peer.to_owned(), inbox: Vec::new(), searched: 0, closed: false })
    }

    /// The connection that a process was started with.
    pub(crate) fn from_fd(fd: OwnedFd, peer: &str, send_timeout: Duration) -> io::Result<Self> {
        Self::new(fd.into(), peer, send_timeout)
    }

    /// Sends one message.
    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> Result<(), LinkError> {
        let mut line = serde_json::to_vec(message)
            .map_err(|e| LinkError::Garbage { peer: self.peer.clone(), what: e.to_string() })?;
        line.push(b'\n');
        self.stream.write_all(&line).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let after = self.stream.write_timeout().ok().flatten().unwrap_or_default();
                LinkError::TimedOut { peer: self.peer.clone(), after }
            }
            _ => LinkError::Broken { peer: self.peer.clone(), error },
        })
    }

    /// The next message; `None` when the peer has closed its end. Waits until `deadline` at most.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self, timeout: Duration) -> Result<Option<T>, LinkError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.closed {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let readable = super::os::wait_readable(&self.stream, left).map_err(|e| self.broken(e))?;
            if !readable {
                return Err(LinkError::TimedOut { peer: self.peer.clone(), after: timeout });
            }
            self.fill()?;
        }
    }

    /// The next message that is there already. `Ok(None)` says that there is none now; see [`Self::is_closed`].
    pub(crate) fn poll<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LinkError> {
        if let Some(message) = self.take()? {
            return Ok(Some(message));
        }
        if self.closed || !self.has_input()? {
            return Ok(None);
        }
        self.fill()?;
        self.take()
    }

    /// Whether the peer has closed its end and everything it sent has been received.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed && !self.inbox.contains(&b'\n')
    }

    /// Descriptor number, for a forked child to close.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    fn has_input(&mut self) -> Result<bool, LinkError> {
        let mut byte = [0u8; 1];
        match rustix::net::recv(&self.stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((n, _)) => {
                self.closed |= n == 0;
                Ok(n > 0)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
            Err(rustix::io::Errno::CONNRESET) => {
                self.closed = true;
                Ok(false)
            }
            Err(e) => Err(self.broken(e.into())),
        }
    }

    /// Reads once; only called when there is something to read, so it does not block.
    fn fill(&mut self) -> Result<(), LinkError> {
        let old = self.inbox.len();
        self.inbox.resize(old + CHUNK, 0);
        let read = loop {
            match self.stream.read(&mut self.inbox[old..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break Ok(0),
                other => break other,
            }
        };
        self.inbox.truncate(old + *read.as_ref().unwrap_or(&0));
        self.closed |= read.map_err(|e| self.broken(e))? == 0;
        Ok(())
    }

    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LinkError> {
        let Some(end) = self.inbox[self.searched..].iter().position(|b| *b == b'\n') else {
            self.searched = self.inbox.len();
            if self.inbox.len() > MAX_LINE {
                let what = format!("a line of more than {MAX_LINE} bytes");
                return Err(LinkError::Garbage { peer: self.peer.clone(), what });
            }
            return Ok(None);
        };
        let end = self.searched + end;
        let message = serde_json::from_slice(&self.inbox[..end])
            .map_err(|e| LinkError::Garbage { peer: self.peer.clone(), what: e.to_string() });
        self.inbox.drain(..=end);
        self.searched = 0;
        message.map(Some)
    }

    fn broken(&self, error: io::Error) -> LinkError {
        LinkError::Broken { peer: self.peer.clone(), error }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Link, UnixStream) {
        let (a, b) = UnixStream::pair().unwrap();
        (Link::new(a, "bptm", Duration::from_secs(5)).unwrap(), b)
    }

    #[test]
    fn messages_arrive_in_order_and_the_end_is_seen_after_the_last() {
        let (mut link, peer) = pair();
        let mut other = Link::new(peer, "bpbrm", Duration::from_secs(5)).unwrap();
        other.send(&1u32).unwrap();
        other.send(&2u32).unwrap();
        drop(other);
        assert_eq!(link.poll::<u32>().unwrap(), Some(1));
        assert!(!link.is_closed());
        assert_eq!(link.receive::<u32>(Duration::from_secs(5)).unwrap(), Some(2));
        assert_eq!(link.receive::<u32>(Duration::from_secs(5)).unwrap(), None);
        assert!(link.is_closed());
    }

    #[test]
    fn silence_garbage_and_half_lines_are_told_apart() {
        let (mut link, mut peer) = pair();
        peer.write_all(b"12").unwrap();
        assert!(matches!(link.receive::<u32>(Duration::from_millis(1)), Err(LinkError::TimedOut { .. })));
        peer.write_all(b"3\nnonsense\n").unwrap();
        assert_eq!(link.receive::<u32>(Duration::from_secs(5)).unwrap(), Some(123));
        let error = link.receive::<u32>(Duration::from_secs(5)).unwrap_err();
        assert!(matches!(&error, LinkError::Garbage { peer, .. } if peer == "bptm"), "{error}");
    }
}
