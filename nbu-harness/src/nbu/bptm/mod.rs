//! bptm: moves a stream between the network and the storage, through the plug-in.

mod child;
mod fragments;
mod header;
mod pair;
mod read;
mod ring;
pub(crate) mod session;
mod verify;
mod write;

pub(crate) use write::per_second;

use self::session::{Failure, Mover};
use self::write::WriteTask;
use super::process::message::{FromMover, MoverReport, MoverTask, ToMover};
use super::process::{Inherited, peak_rss_bytes};
use super::status::code;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToMover::Order(order)) = inherited.order() else { return code::HANDSHAKE };
    let Inherited { link, data } = inherited;
    let mut order = *order;
    // The order keeps what the log and the images need; the task is taken out to be worked on.
    let task = std::mem::replace(&mut order.task, MoverTask::Delete { images: Vec::new() });
    let mut mover = Mover::new("bptm", link, order);
    let mut report = MoverReport::default();
    mover.log(4, "INITIATING");
    let result = match task {
        MoverTask::Write { client, schedule, header_order, hold_at } => {
            let task = WriteTask { client, schedule, header_order, hold_at };
            write::write_backup(&mut mover, data, &task, &mut report)
        }
        MoverTask::Read { image, extents } => {
            read::read_backup(&mut mover, data, &image, &extents, &mut report)
        }
        MoverTask::Verify { image } => verify::verify_backup(&mut mover, &image, &mut report),
        MoverTask::Delete { .. } => {
            Err(Failure::new(code::INVALID_PARAMETER, "bptm does not delete, bpdm does"))
        }
    };
    finish(mover, report, result)
}

/// Sends the report and returns the exit code.
pub(crate) fn finish(mut mover: Mover, mut report: MoverReport, result: Result<(), Failure>) -> i32 {
    if let Err(failure) = result {
        report.status = failure.status;
        report.text = failure.text;
        report.sts = failure.sts;
        let text = report.text.clone();
        mover.log(16, text);
    }
    report.peak_rss_bytes = peak_rss_bytes();
    report.footprint = mover.footprint();
    mover.log(4, format!("EXITING with status {} <----------", report.status));
    let status = report.status;
    match mover.link.send(&FromMover::Done(Box::new(report))) {
        Ok(()) => status,
        Err(_) => code::CONNECTION_BROKEN,
    }
}
