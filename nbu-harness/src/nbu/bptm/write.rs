//! bptm's parent in a backup: takes full buffers and writes them, through the plug-in, into fragment images.
//!
//! Whatever fails, every image that was created is deleted again before the report is sent; unless nobody follows the
//! job any more, when another try of it may have made images of the same names.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::child::Duty;
use super::framed::Framed;
use super::output::{Output, need_space};
use super::pair::{Buffers, buffer_geometry};
use super::ring::{Consumer, Next};
use super::session::{Failure, Mover, PROGRESS_EVERY, not_offered, wait_delay};
use crate::nbu::install::ForkPoint;
use crate::nbu::process::message::{FromMover, MoverReport, ToMover, WriteTask};
use crate::nbu::process::os::ForkedChild;
use crate::nbu::result::BufferWaits;
use crate::nbu::status::{Place, code};
use crate::nbu::tar_stream::BLOCK;
use ost_abi::STS_SRVC_INCLUDE_IN_IMAGE;

/// Writes a backup. The report is filled in as far as it went, also on failure.
pub(super) fn write_backup(
    mover: &mut Mover,
    socket: UnixStream,
    task: &WriteTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let config = mover.order.installation.data_buffers;
    let (size, number) = buffer_geometry(config.size_data_buffers_disk, config.number_data_buffers_disk)?;
    report.buffer_size = u32::try_from(size).unwrap_or(u32::MAX);
    let Buffers { producer, consumer } = mover.buffers(size, number)?;
    let early = mover.order.installation.fork_point == ForkPoint::BeforePlugin;
    let mut duty = Some((Duty::Fill(producer), socket));
    let mut child = match duty.take_if(|_| early) {
        Some((duty, socket)) => Some(mover.fork_child(duty, socket)?),
        None => None,
    };
    let result = mover.load().and_then(|plugin| {
        let (server, properties) = mover.open_with_properties(&plugin)?;
        if task.base.is_some() && !properties.has(STS_SRVC_INCLUDE_IN_IMAGE) {
            return Err(mover.failed(Some(&plugin), not_offered(Place::Include, "stspi_include_in_image")));
        }
        need_space(mover, &plugin, &server)?;
        if let Some((duty, socket)) = duty.take() {
            child = Some(mover.fork_child(duty, socket)?);
        }
        let child = child.as_mut().ok_or_else(|| Failure::new(code::SYSTEM_CALL, "no child"))?;
        let mut output = Output::new(&plugin, &server, task, size, mover);
        let result = run(mover, &mut output, consumer, child, report);
        output.settle(mover, &result, report);
        mover.pass_log(&plugin);
        result
    });
    match (result, &mut child) {
        (Err(failure), Some(child)) => Err(mover.kill_child(child, failure)),
        (result, _) => result,
    }
}

fn run(
    mover: &mut Mover,
    output: &mut Output<'_>,
    mut consumer: Consumer,
    child: &mut ForkedChild,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    output.begin(mover, report)?;
    let data = write_data(mover, output, &mut consumer, child, report);
    let delays = mover.order.installation.data_buffers;
    let (parent, other) = (consumer.counted(), consumer.peer_counted());
    report.waits = BufferWaits {
        parent: wait_delay(parent, delays.parent_delay_ms),
        child: wait_delay(other, delays.child_delay_ms),
    };
    mover.log_write_waits(&report.waits, child.id(), other.bytes);
    data?;
    let _ = mover.link.send(&FromMover::EndOfData { bytes: output.total });
    match mover.answer(mover.timeouts().client_read())? {
        ToMover::Finish => {}
        _ => return Err(Failure::new(code::HANDSHAKE, "bpbrm sent a message out of turn")),
    }
    mover.await_child(child)?;
    // The last that can fail: once it is complete, what was kept at a checkpoint counts as this try's.
    output.complete(mover, report)
}

fn write_data(
    mover: &mut Mover,
    output: &mut Output<'_>,
    consumer: &mut Consumer,
    child: &mut ForkedChild,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let timeout = mover.timeouts().client_read();
    let mut hold_at = output.task.hold_at;
    let mut multiplexed = output.task.multiplexed;
    let mut reported = Instant::now();
    let mut framed = output.task.framed.then(|| Framed::new(output.task.base.as_ref()));
    loop {
        let mut check = || mover.check_pair(child);
        let mut buffer = match consumer.full(timeout, &mut check)? {
            Next::Full(buffer) => buffer,
            Next::End(0) => {
                return match &mut framed {
                    Some(framed) => framed.end(mover, output, report),
                    None => Ok(()),
                };
            }
            Next::End(reason) => {
                let status = i32::try_from(reason).unwrap_or(code::SOCKET_READ);
                return Err(Failure::new(status, "receiving the stream failed"));
            }
        };
        mover.check()?;
        if let Some(framed) = &mut framed {
            framed.take(mover, output, &buffer, report)?;
        } else {
            let received = buffer.len() as u64;
            buffer.pad_to(BLOCK);
            output.write(mover, &buffer, received, report)?;
        }
        drop(buffer);
        if multiplexed && output.total > 0 {
            multiplexed = false;
            mover.link.send(&FromMover::Open)?;
            mover.answer(timeout)?;
        }
        if hold_at.is_some_and(|at| output.total >= at) {
            hold_at = None;
            mover.link.send(&FromMover::Held { bytes: output.total })?;
            mover.answer(timeout)?;
        }
        if reported.elapsed() >= PROGRESS_EVERY {
            reported = Instant::now();
            mover.link.send(&FromMover::Progress { bytes: output.total })?;
        }
    }
}

/// KiB per second, of wall time.
pub(crate) fn per_second(kbytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    kbytes.saturating_mul(1000) / millis
}
