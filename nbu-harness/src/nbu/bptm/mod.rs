//! bptm: moves a stream between the network and the storage, through the plug-in.

mod child;
mod compose;
mod files;
pub(crate) mod fragments;
mod framed;
pub(crate) mod header;
mod output;
mod pair;
mod read;
mod ring;
pub(crate) mod session;
mod tir;
mod verify;
mod write;

pub(crate) use write::per_second;

use self::read::Wanted;
use self::session::{Failure, Mover};
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
        MoverTask::Write(task) => write::write_backup(&mut mover, data, &task, &mut report),
        MoverTask::Read { images, pieces, zeros, stop_after } => {
            let wanted = Wanted { images: &images, pieces: &pieces, zeros, stop_after };
            read::read_backup(&mut mover, data, &wanted, &mut report)
        }
        MoverTask::Compose(task) => compose::compose_backup(&mut mover, &task, &mut report),
        MoverTask::ReadFiles(stored) => files::read_files(&mut mover, &stored, &mut report),
        MoverTask::Verify { image, copy } => verify::verify_backup(&mut mover, &image, copy, &mut report),
        _ => Err(Failure::new(code::INVALID_PARAMETER, "this task is bpdm's")),
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
