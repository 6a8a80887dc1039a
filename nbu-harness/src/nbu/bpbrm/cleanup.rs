//! Deleting images through bpdm: an image cleanup job, and what is left of a failed backup.

use super::Work;
use super::backup::catalogue_cause;
use super::course::{Conduct, Course};
use super::owner::{Cause, Owner};
use crate::nbu::catalog::Catalog;
use crate::nbu::process::message::{ClientReport, FromClient, FromMover, MoverReport, MoverTask, ToMover};
use crate::nbu::request::ExpireRequest;
use crate::nbu::status::code;

/// Runs an image cleanup job: deletes the images, then the catalogue entry. An entry whose images could not all be
/// deleted stays, for the next cleanup.
pub(super) fn run(owner: &mut Owner, request: &ExpireRequest) -> Result<(), Cause> {
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let image = catalog.image(&request.backup_id).map_err(catalogue_cause)?;
    if let (None, Some(backup_time)) = (&image, request.leftovers_of) {
        let work = Work { storage_unit: &request.storage_unit, backup_time, policy: "" };
        return discard_leftovers(owner, &work);
    }
    let Some(image) = image else {
        return Err(Cause::new(code::NO_ENTITY, format!("no image {} in the catalogue", request.backup_id)));
    };
    let work =
        Work { storage_unit: &request.storage_unit, backup_time: image.backup_time, policy: &image.policy };
    let (outcome, report) = bpdm(owner, &work, &image.image_names());
    owner.result.images = report.images;
    owner.result.left_behind = report.left_behind;
    outcome?;
    catalog.remove(&request.backup_id).map_err(catalogue_cause)?;
    owner.result.files = image.files;
    owner.result.kbytes = image.stream_bytes.div_ceil(1024);
    owner.info("nbdelete", std::process::id(), format!("expired {}", request.backup_id));
    Ok(())
}

/// Deletes what a failed backup left on the storage; what cannot be deleted is noted in the result.
pub(super) fn delete_images(owner: &mut Owner, work: &Work<'_>, images: &[String]) {
    owner.info("bpbrm", std::process::id(), format!("{} images are left, bpdm deletes them", images.len()));
    let (outcome, report) = bpdm(owner, work, images);
    owner.result.left_behind = report.left_behind;
    if let Err(cause) = outcome {
        owner.info("bpbrm", std::process::id(), format!("cleaning up failed: {}", cause.text));
    }
}

/// Deletes what earlier tries of a backup left. Without that the backup cannot be made: its images have the same names.
pub(super) fn discard_leftovers(owner: &mut Owner, work: &Work<'_>) -> Result<(), Cause> {
    let process = work.start(owner, "bpdm", None, MoverTask::Discard)?;
    Course::new(None, process, None).run(owner, &mut Alone)
}

fn bpdm(owner: &mut Owner, work: &Work<'_>, images: &[String]) -> (Result<(), Cause>, MoverReport) {
    let nothing_deleted = || MoverReport { left_behind: images.to_vec(), ..MoverReport::default() };
    let process = match work.start(owner, "bpdm", None, MoverTask::Delete { images: images.to_vec() }) {
        Ok(process) => process,
        Err(cause) => return (Err(cause), nothing_deleted()),
    };
    let mut course = Course::new(None, process, None).unstoppable();
    let outcome = course.run(owner, &mut Alone);
    let report = course.mover_report.take().unwrap_or_else(nothing_deleted);
    (outcome, report)
}

/// A process of the media server that works without a client.
pub(super) struct Alone;

impl Conduct for Alone {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, _: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn client_ended(&mut self, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }

    fn files(&self) -> u64 {
        0
    }
}
