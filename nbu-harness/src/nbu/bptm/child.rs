//! The forked half of bptm: moves bytes between the data socket and the shared buffers, and nothing else.
//!
//! It may run as a copy of a process that had threads, so it allocates nothing, takes no lock, and touches only the
//! socket and the shared memory that it was given.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SendFlags;

use super::ring::{Consumer, Next, Producer, RingError};
use crate::nbu::data_socket::widen;
use crate::nbu::process::os::timespec;
use crate::nbu::status::code;

/// Which way the data goes.
#[derive(Debug)]
pub(super) enum Duty {
    /// Backup: socket to buffers.
    Fill(Producer),
    /// Restore: buffers to socket.
    Drain(Consumer),
}

/// Does the child's work; returns its exit code, a NetBackup status.
pub(super) fn run(duty: Duty, socket: &UnixStream, timeout: Duration) -> i32 {
    match duty {
        Duty::Fill(producer) => fill(producer, socket, timeout),
        Duty::Drain(consumer) => drain(consumer, socket, timeout),
    }
}

/// The parent's death ends this process, so there is nothing to look for between waits.
#[allow(clippy::unnecessary_wraps, reason = "the shape of the buffers' check")]
fn never() -> Result<(), Infallible> {
    Ok(())
}

fn fill(mut producer: Producer, socket: &UnixStream, timeout: Duration) -> i32 {
    loop {
        let mut buffer = match producer.empty(timeout, &mut never) {
            Ok(buffer) => buffer,
            Err(RingError::TimedOut) => return code::TIMED_OUT,
            Err(_) => return code::CONNECTION_BROKEN,
        };
        let received = receive_full(socket, &mut buffer, timeout);
        let full = received.length == buffer.len();
        if received.length > 0 {
            buffer.publish(received.length);
        }
        if full && received.status == code::OK {
            continue;
        }
        let reason = u32::try_from(received.status).unwrap_or(u32::MAX);
        return match producer.finish(reason, timeout, &mut never) {
            Ok(()) => received.status,
            Err(_) => code::TIMED_OUT,
        };
    }
}

struct Received {
    length: usize,
    status: i32,
}

/// Reads until the buffer is full, the stream ends or something fails.
fn receive_full(socket: &UnixStream, buffer: &mut [u8], timeout: Duration) -> Received {
    let mut length = 0;
    while length < buffer.len() {
        match rustix::io::read(socket, &mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => match ready(socket, PollFlags::IN, timeout) {
                Ok(true) => {}
                Ok(false) => return Received { length, status: code::TIMED_OUT },
                Err(_) => return Received { length, status: code::SOCKET_READ },
            },
            Err(_) => return Received { length, status: code::SOCKET_READ },
        }
    }
    Received { length, status: code::OK }
}

fn drain(mut consumer: Consumer, socket: &UnixStream, timeout: Duration) -> i32 {
    widen(socket);
    loop {
        let status = match consumer.full(timeout, &mut never) {
            Ok(Next::Full(buffer)) => send_all(socket, &buffer, timeout),
            Ok(Next::End(reason)) => {
                return i32::try_from(reason).unwrap_or(code::CONNECTION_BROKEN);
            }
            Err(RingError::TimedOut) => code::TIMED_OUT,
            Err(_) => code::CONNECTION_BROKEN,
        };
        if status != code::OK {
            consumer.leave();
            return status;
        }
    }
}

fn send_all(socket: &UnixStream, bytes: &[u8], timeout: Duration) -> i32 {
    let mut sent = 0;
    while sent < bytes.len() {
        match rustix::net::send(socket, &bytes[sent..], SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => match ready(socket, PollFlags::OUT, timeout) {
                Ok(true) => {}
                Ok(false) => return code::TIMED_OUT,
                Err(_) => return code::SOCKET_WRITE,
            },
            Err(_) => return code::SOCKET_WRITE,
        }
    }
    code::OK
}

fn ready(socket: &UnixStream, what: PollFlags, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, what)];
    loop {
        match poll(&mut fds, Some(&timespec(timeout))) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::ring;
    use super::*;
    use std::io::{Read, Write};

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn buffers_are_filled_whole_whatever_pieces_the_socket_gives() {
        let (producer, mut consumer) = ring(4, 1024).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let child = std::thread::spawn(move || run(Duty::Fill(producer), &ours, LONG));
        let sent: Vec<u8> = (0..2500u32).map(|i| i.to_le_bytes()[0]).collect();
        let writer = std::thread::spawn(move || {
            for piece in sent.chunks(7) {
                theirs.write_all(piece).unwrap();
            }
            sent
        });
        let (mut received, mut sizes) = (Vec::new(), Vec::new());
        while let Next::Full(buffer) = consumer.full(LONG, &mut never).unwrap() {
            sizes.push(buffer.len());
            received.extend_from_slice(&buffer);
        }
        assert_eq!(received, writer.join().unwrap());
        assert_eq!(sizes, [1024, 1024, 452]);
        assert_eq!(child.join().unwrap(), 0);
    }

    #[test]
    fn a_silent_client_is_status_41() {
        let (producer, mut consumer) = ring(2, 1024).unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(run(Duty::Fill(producer), &ours, Duration::from_millis(1)), 41);
        assert!(matches!(consumer.full(LONG, &mut never).unwrap(), Next::End(41)));
    }

    #[test]
    fn a_receiver_that_closes_early_ends_the_restore() {
        let (mut producer, consumer) = ring(2, 1024).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        producer.empty(LONG, &mut never).unwrap().publish(10);
        assert_eq!(run(Duty::Drain(consumer), &ours, LONG), 24);
        assert!(matches!(producer.empty(LONG, &mut never), Err(RingError::ConsumerGone)));
    }

    #[test]
    fn drained_bytes_arrive() {
        let (mut producer, consumer) = ring(2, 1024).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let child = std::thread::spawn(move || run(Duty::Drain(consumer), &ours, LONG));
        for i in 0..5u8 {
            let mut buffer = producer.empty(LONG, &mut never).unwrap();
            buffer.fill(i);
            buffer.publish(1000);
        }
        producer.finish(0, LONG, &mut never).unwrap();
        assert_eq!(child.join().unwrap(), 0);
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 5000);
        assert_eq!(all[4999], 4);
    }
}
