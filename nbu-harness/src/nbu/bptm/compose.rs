//! bptm in an optimized synthetic backup: the storage makes the new image of pieces of others, and no data comes through
//! this process but what ends the stream.

use ost_abi::STS_SRVC_INCLUDE_IN_IMAGE;

use super::output::{Output, need_space};
use super::pair::buffer_geometry;
use super::session::{Failure, Mover, not_offered};
use crate::nbu::process::message::{ComposeTask, FromMover, MoverReport, Piece};
use crate::nbu::status::{Place, code};

/// Zeros written at a time.
const ZEROS: [u8; 4096] = [0; 4096];

/// Composes a backup.
pub(super) fn compose_backup(
    mover: &mut Mover,
    task: &ComposeTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    // Fragments are cut as if the data came in buffers: an optimized synthetic backup looks like any other.
    let config = mover.order.installation.data_buffers;
    let (size, _) = buffer_geometry(config.size_data_buffers_disk, config.number_data_buffers_disk)?;
    report.buffer_size = u32::try_from(size).unwrap_or(u32::MAX);
    let plugin = mover.load()?;
    let (server, properties) = mover.open_with_properties(&plugin)?;
    if !properties.has(STS_SRVC_INCLUDE_IN_IMAGE) {
        return Err(mover.failed(Some(&plugin), not_offered(Place::Include, "stspi_include_in_image")));
    }
    need_space(mover, &plugin, &server)?;
    let mut output = Output::new(&plugin, &server, &task.write, size, mover);
    let result = compose(mover, &mut output, task, report);
    output.settle(mover, &result, report);
    mover.pass_log(&plugin);
    result
}

fn compose(
    mover: &mut Mover,
    output: &mut Output<'_>,
    task: &ComposeTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    output.begin(mover, report)?;
    for Piece { image, extent } in &task.pieces {
        let Some(source) = task.images.get(*image) else {
            return Err(Failure::new(
                code::INVALID_PARAMETER,
                format!("there is no backup {image} to include"),
            ));
        };
        output.include(mover, source, *extent, report)?;
    }
    mover.link.send(&FromMover::Progress { bytes: output.total })?;
    let mut zeros = task.zeros;
    while zeros > 0 {
        let count = usize::try_from(zeros).unwrap_or(usize::MAX).min(ZEROS.len());
        output.write(mover, &ZEROS[..count], count as u64, report)?;
        zeros -= count as u64;
    }
    output.complete(mover, report)
}
