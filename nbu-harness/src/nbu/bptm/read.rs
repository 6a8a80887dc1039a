//! bptm's parent in a restore: reads the wanted ranges of the stream through the plug-in into buffers, which the child
//! sends to tar.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::child::Duty;
use super::fragments::FragmentReader;
use super::pair::{Buffers, buffer_geometry};
use super::ring::Producer;
use super::session::{Failure, Mover, PROGRESS_EVERY, wait_delay};
use crate::nbu::catalog::StoredCopy;
use crate::nbu::install::ForkPoint;
use crate::nbu::process::message::{FromMover, MoverReport, Piece};
use crate::nbu::process::os::ForkedChild;
use crate::nbu::result::BufferWaits;
use crate::nbu::status::code;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) images: &'a [StoredCopy],
    pub(super) pieces: &'a [Piece],
    /// Zeros behind the last piece.
    pub(super) zeros: u64,
    /// Bytes after which the stream ends early.
    pub(super) stop_after: Option<u64>,
}

/// Sends what is wanted to whoever has the other end of the socket: tar, or a bptm that writes.
pub(super) fn read_backup(
    mover: &mut Mover,
    socket: UnixStream,
    wanted: &Wanted<'_>,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    // A read uses the buffer size of the backup; of several backups, the largest.
    let number = mover.order.installation.data_buffers.number_data_buffers_disk;
    let largest = wanted.images.iter().map(|stored| stored.copy.buffer_size).max().unwrap_or_default();
    let (size, number) = buffer_geometry(largest, number)?;
    report.buffer_size = largest;
    let Buffers { producer, consumer } = mover.buffers(size, number)?;
    let early = mover.order.installation.fork_point == ForkPoint::BeforePlugin;
    let mut duty = Some((Duty::Drain(consumer), socket));
    let mut child = match duty.take_if(|_| early) {
        Some((duty, socket)) => Some(mover.fork_child(duty, socket)?),
        None => None,
    };
    let result = mover.load().and_then(|plugin| {
        let server = mover.open(&plugin)?;
        if let Some((duty, socket)) = duty.take() {
            child = Some(mover.fork_child(duty, socket)?);
        }
        let child = child.as_mut().ok_or_else(|| Failure::new(code::SYSTEM_CALL, "no child"))?;
        let readers = wanted.images.iter().map(|stored| FragmentReader::new(&plugin, &server, stored));
        let mut readers: Vec<_> = readers.collect();
        let read = readers
            .iter_mut()
            .try_for_each(|reader| reader.check_header(mover))
            .and_then(|()| send_pieces(mover, &mut readers, producer, wanted, child, report));
        report.bytes_read = readers.iter().map(|reader| reader.bytes_read).sum();
        read.and_then(|()| readers.into_iter().try_for_each(|reader| reader.close(mover)))
            .and_then(|()| mover.await_child(child))
    });
    match (result, &mut child) {
        (Err(failure), Some(child)) => Err(mover.kill_child(child, failure)),
        (result, _) => result,
    }
}

fn send_pieces(
    mover: &mut Mover,
    readers: &mut [FragmentReader<'_>],
    mut producer: Producer,
    wanted: &Wanted<'_>,
    child: &mut ForkedChild,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let timeout = mover.timeouts().client_read();
    let mut reported = Instant::now();
    let mut stopped = false;
    'pieces: for Piece { image, extent } in wanted.pieces {
        let Some(reader) = readers.get_mut(*image) else {
            return Err(Failure::new(code::INVALID_PARAMETER, format!("there is no backup {image} to read")));
        };
        let mut done = 0;
        while done < extent.length {
            let mut check = || mover.check_pair(child);
            let mut buffer = producer.empty(timeout, &mut check)?;
            mover.check()?;
            let want = usize::try_from(extent.length - done).unwrap_or(usize::MAX).min(buffer.len());
            let count = reader.read_at(mover, &mut buffer[..want], extent.offset + done)?;
            if count == 0 {
                let what = format!("the backup has no byte {}", extent.offset + done);
                return Err(Failure::new(code::MEDIA_POSITION, what));
            }
            buffer.publish(count);
            done += count as u64;
            report.bytes += count as u64;
            if wanted.stop_after.is_some_and(|after| report.bytes >= after) {
                stopped = true;
                mover.link.send(&FromMover::Held { bytes: report.bytes })?;
                break 'pieces;
            }
            if reported.elapsed() >= PROGRESS_EVERY {
                reported = Instant::now();
                mover.link.send(&FromMover::Progress { bytes: report.bytes })?;
            }
        }
    }
    let mut zeros = if stopped { 0 } else { wanted.zeros };
    while zeros > 0 {
        let mut buffer = producer.empty(timeout, &mut || mover.check_pair(child))?;
        let count = usize::try_from(zeros).unwrap_or(usize::MAX).min(buffer.len());
        buffer[..count].fill(0);
        buffer.publish(count);
        zeros -= count as u64;
        report.bytes += count as u64;
    }
    let mut check = || mover.check_pair(child);
    producer.finish(0, timeout, &mut check)?;
    let delays = mover.order.installation.data_buffers;
    report.waits = BufferWaits {
        parent: wait_delay(producer.counted(), delays.parent_delay_ms),
        child: wait_delay(producer.peer_counted(), delays.child_delay_ms),
    };
    mover.log_read_waits(&report.waits, child.id(), report.bytes);
    Ok(())
}
