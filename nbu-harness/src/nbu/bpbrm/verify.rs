//! A verify job: bptm reads every block and compares the headers with the catalogue.

use super::Work;
use super::backup::catalogue_cause;
use super::cleanup::Alone;
use super::course::Course;
use super::owner::{Cause, Owner};
use crate::nbu::catalog::Catalog;
use crate::nbu::process::message::MoverTask;
use crate::nbu::request::VerifyRequest;
use crate::nbu::status::code;

/// Runs a verify.
pub(super) fn run(owner: &mut Owner, request: &VerifyRequest) -> Result<(), Cause> {
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let image = catalog.image(&request.backup_id).map_err(catalogue_cause)?;
    let Some(image) = image else {
        return Err(Cause::new(code::NO_ENTITY, format!("no image {} in the catalogue", request.backup_id)));
    };
    let work =
        Work { storage_unit: &request.storage_unit, backup_time: image.backup_time, policy: &image.policy };
    owner.result.images = image.image_names();
    owner.result.fragments.clone_from(&image.fragments);
    let total = image.stream_bytes;
    let process = work.start(owner, "bptm", None, MoverTask::Verify { image: Box::new(image.clone()) })?;
    let mut course = Course::new(None, process, Some(total));
    let outcome = course.run(owner, &mut Alone);
    if let Some(report) = &course.mover_report {
        owner.result.files = report.files;
        owner.result.kbytes = report.bytes.div_ceil(1024);
    }
    outcome.map_err(|cause| match cause.status {
        code::CANCELLED | code::MEDIA_MANAGER_KILLED | code::CONNECTION_BROKEN | code::TIMED_OUT => cause,
        inner => {
            // A batch command wraps what happened to its images.
            owner.result.cause = Some(inner);
            Cause { sts: cause.sts.clone(), ..Cause::new(code::NO_IMAGES_PROCESSED, cause.text) }
        }
    })
}
