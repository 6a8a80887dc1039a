//! A verify job: bptm reads every block and compares the headers with the catalogue.

use super::Found;
use super::cleanup::Alone;
use super::course::Course;
use super::owner::{Cause, Owner, wrapped};
use crate::nbu::process::message::MoverTask;
use crate::nbu::request::VerifyRequest;

/// Runs a verify.
pub(super) fn run(owner: &mut Owner, request: &VerifyRequest) -> Result<(), Cause> {
    let found = Found::copy(owner, &request.backup_id, request.copy)?;
    let work = found.work(&request.storage_unit)?;
    let Found { image, copy, .. } = found;
    owner.result.images = copy.image_names();
    owner.result.fragments.clone_from(&copy.fragments);
    let total = image.stream_bytes;
    let task = MoverTask::Verify { image: Box::new(image), copy: copy.number };
    let process = work.start(owner, "bptm", None, task)?;
    let mut course = Course::new(None, process, Some(total));
    let outcome = course.run(owner, &mut Alone);
    if let Some(report) = course.mover_report() {
        owner.result.files = report.files;
        owner.result.kbytes = report.bytes.div_ceil(1024);
    }
    outcome.map_err(|cause| wrapped(owner, cause))
}
