//! One stream for several copies: bpbkar sends it once, a forked half of bpbrm hands it to the bptm of every copy.
//!
//! The slowest copy sets the pace. One whose bptm is gone, or takes nothing for too long, is left out, and the others
//! get the stream to its end; bpbrm learns that the copy is short by the bytes that its bptm counts.

use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::owner::{Cause, Owner};
use crate::nbu::data_socket::widen;
use crate::nbu::process::os::{ForkedChild, fork};
use crate::nbu::result::JobEvent;
use crate::nbu::status::code;

/// Bytes handed on at a time.
const PORTION: usize = 1 << 18;

/// The data sockets of a backup's processes.
pub(super) struct Sockets {
    /// For bpbkar.
    pub(super) client: UnixStream,
    /// For the bptm of each copy.
    pub(super) copies: Vec<UnixStream>,
    /// What is between them, if there are several copies. It ends when it is dropped.
    pub(super) sharing: Option<ForkedChild>,
}

/// Connects bpbkar with the bptm of so many copies: directly with one, through a forked half of this process otherwise.
/// To be called before the job's processes are started.
pub(super) fn sockets(owner: &mut Owner, copies: usize) -> Result<Sockets, Cause> {
    let system = |error: std::io::Error| Cause::new(code::SYSTEM_CALL, error);
    let (client, from_client) = UnixStream::pair().map_err(system)?;
    if copies == 1 {
        return Ok(Sockets { client, copies: vec![from_client], sharing: None });
    }
    // Others wait for what waits here: they shall not lose patience first.
    let patience = (owner.installation.timeouts.client_read() / 2).max(Duration::from_millis(1));
    let (mut outputs, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..copies {
        let (to_copy, end) = UnixStream::pair().map_err(system)?;
        to_copy.set_write_timeout(Some(patience)).map_err(system)?;
        widen(&to_copy);
        outputs.push(Some(to_copy));
        ends.push(end);
    }
    // A socket whose other end this half kept open would never break.
    let close: Vec<RawFd> =
        ends.iter().map(AsRawFd::as_raw_fd).chain([client.as_raw_fd()]).chain(owner.descriptors()).collect();
    let mut portion = vec![0; PORTION];
    let sharing = fork(&close, || share(&from_client, &mut outputs, &mut portion)).map_err(system)?;
    let pid = sharing.id();
    owner.info("bpbrm", pid, format!("started as child: hands the stream to the bptm of {copies} copies"));
    owner.event(JobEvent::ProcessStarted { name: "bpbrm child".to_owned(), pid });
    Ok(Sockets { client, copies: ends, sharing: Some(sharing) })
}

/// Hands everything that comes to every output that takes it; returns an exit code, a NetBackup status.
fn share(input: &UnixStream, outputs: &mut [Option<UnixStream>], portion: &mut [u8]) -> i32 {
    loop {
        let count = match rustix::io::read(input, &mut *portion) {
            Ok(0) => return code::OK,
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return code::SOCKET_READ,
        };
        for output in &mut *outputs {
            if output.as_mut().is_some_and(|socket| socket.write_all(&portion[..count]).is_err()) {
                *output = None;
            }
        }
        if outputs.iter().all(Option::is_none) {
            return code::SOCKET_WRITE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Hands 100 bytes at a time to as many outputs as there are readers; a reader that is none has gone.
    fn shared(bytes: &[u8], patience: Duration, readers: [bool; 3]) -> (i32, Vec<Vec<u8>>) {
        let (mut client, input) = UnixStream::pair().unwrap();
        let (mut outputs, mut threads) = (Vec::new(), Vec::new());
        for reads in readers {
            let (to_copy, mut end) = UnixStream::pair().unwrap();
            to_copy.set_write_timeout(Some(patience)).unwrap();
            outputs.push(Some(to_copy));
            if reads {
                threads.push(std::thread::spawn(move || {
                    let mut all = Vec::new();
                    end.read_to_end(&mut all).unwrap();
                    all
                }));
            }
        }
        let sent = bytes.to_vec();
        let writer = std::thread::spawn(move || client.write_all(&sent));
        let code = share(&input, &mut outputs, &mut [0; 100]);
        drop((input, outputs));
        let _ = writer.join().unwrap();
        (code, threads.into_iter().map(|thread| thread.join().unwrap()).collect())
    }

    #[test]
    fn every_copy_gets_the_stream_and_one_that_has_gone_keeps_it_from_no_other() {
        let bytes: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
        let patience = Duration::from_secs(30);
        assert_eq!(shared(&bytes, patience, [true; 3]), (code::OK, vec![bytes.clone(); 3]));
        assert_eq!(shared(&bytes, patience, [true, false, true]), (code::OK, vec![bytes.clone(); 2]));
        assert_eq!(shared(&bytes, patience, [false; 3]), (code::SOCKET_WRITE, Vec::new()));
    }

    #[test]
    fn a_copy_that_takes_nothing_is_left_out() {
        let (mut client, input) = UnixStream::pair().unwrap();
        let (stuck, _never_read) = UnixStream::pair().unwrap();
        let (to_copy, mut end) = UnixStream::pair().unwrap();
        stuck.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        let reader = std::thread::spawn(move || {
            let mut count = 0;
            let mut portion = vec![0; 65_536];
            while let Ok(more @ 1..) = end.read(&mut portion) {
                count += more;
            }
            count
        });
        let writer = std::thread::spawn(move || client.write_all(&vec![7; 4 << 20]));
        let code = share(&input, &mut [Some(stuck), Some(to_copy)], &mut vec![0; PORTION]);
        writer.join().unwrap().unwrap();
        assert_eq!((code, reader.join().unwrap()), (code::OK, 4 << 20));
    }
}
