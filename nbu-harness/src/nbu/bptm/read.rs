//! bptm's parent in a restore: reads the wanted ranges of the stream through the plug-in into buffers, which the child
//! sends to tar.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::child::Duty;
use super::fragments::FragmentReader;
use super::pair::{Buffers, buffer_geometry};
use super::ring::Producer;
use super::session::{Failure, Mover, PROGRESS_EVERY, wait_delay};
use crate::nbu::catalog::ImageRecord;
use crate::nbu::install::ForkPoint;
use crate::nbu::process::message::{Extent, FromMover, MoverReport};
use crate::nbu::process::os::ForkedChild;
use crate::nbu::result::BufferWaits;
use crate::nbu::status::code;

/// Sends `extents` of the stream to tar.
pub(super) fn read_backup(
    mover: &mut Mover,
    socket: UnixStream,
    image: &ImageRecord,
    extents: &[Extent],
    report: &mut MoverReport,
) -> Result<(), Failure> {
    // A restore uses the buffer size of the backup.
    let number = mover.order.installation.data_buffers.number_data_buffers_disk;
    let (size, number) = buffer_geometry(image.buffer_size, number)?;
    report.buffer_size = image.buffer_size;
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
        let mut fragments = FragmentReader::new(&plugin, &server, image);
        let read = fragments
            .check_header(mover)
            .and_then(|()| send_extents(mover, &mut fragments, producer, extents, child, report));
        report.bytes_read = fragments.bytes_read;
        read.and_then(|()| fragments.close(mover)).and_then(|_| mover.await_child(child))
    });
    match (result, &mut child) {
        (Err(failure), Some(child)) => Err(mover.kill_child(child, failure)),
        (result, _) => result,
    }
}

fn send_extents(
    mover: &mut Mover,
    fragments: &mut FragmentReader<'_>,
    mut producer: Producer,
    extents: &[Extent],
    child: &mut ForkedChild,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let timeout = mover.timeouts().client_read();
    let mut reported = Instant::now();
    for extent in extents {
        let mut done = 0;
        while done < extent.length {
            let mut check = || mover.check_pair(child);
            let mut buffer = producer.empty(timeout, &mut check)?;
            mover.check()?;
            let want = usize::try_from(extent.length - done).unwrap_or(usize::MAX).min(buffer.len());
            let count = fragments.read_at(mover, &mut buffer[..want], extent.offset + done)?;
            if count == 0 {
                let what = format!("the backup has no byte {}", extent.offset + done);
                return Err(Failure::new(code::MEDIA_POSITION, what));
            }
            buffer.publish(count);
            done += count as u64;
            report.bytes += count as u64;
            if reported.elapsed() >= PROGRESS_EVERY {
                reported = Instant::now();
                mover.link.send(&FromMover::Progress { bytes: report.bytes })?;
            }
        }
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
