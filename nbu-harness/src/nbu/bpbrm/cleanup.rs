//! Deleting images through bpdm: an image cleanup job, and what is left of a failed backup.

use super::checkpoint;
use super::course::{Conduct, Course};
use super::entry::catalogue_cause;
use super::owner::{Cause, Owner, Wish};
use super::{Found, Work};
use crate::nbu::catalog::Catalog;
use crate::nbu::process::message::{ClientReport, FromClient, FromMover, MoverReport, MoverTask, ToMover};
use crate::nbu::request::{CleanupRequest, ExpireRequest};
use crate::nbu::status::code;

/// Runs an image cleanup job: deletes the images of one copy or of all, and takes each copy out of the catalogue when
/// its images are gone. A copy whose images could not all be deleted stays, for the next cleanup.
pub(super) fn run(owner: &mut Owner, request: &ExpireRequest) -> Result<(), Cause> {
    if let Some(backup_time) = request.leftovers_of {
        let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
        if catalog.image(&request.backup_id).map_err(catalogue_cause)?.is_none() {
            let work =
                Work { storage_unit: request.storage_unit.clone(), backup_time, policy: String::new() };
            checkpoint::remove(&owner.installation.work_dir, &request.backup_id)?;
            return discard_leftovers(owner, &work, Vec::new());
        }
    }
    let Found { catalog, image, copy } = Found::any(owner, &request.backup_id, request.copy)?;
    let copies = if request.copy.is_some() { vec![copy] } else { image.copies.clone() };
    let mut outcome = Ok(());
    for copy in copies {
        let number = copy.number;
        let names = copy.image_names();
        let found = Found { catalog: catalog.clone(), image: image.clone(), copy };
        let work = found.work(&request.storage_unit)?;
        let (deleted, report) = bpdm(owner, &work, &names);
        owner.result.images.extend(report.images);
        owner.result.left_behind.extend(report.left_behind);
        match deleted {
            Ok(()) => {
                let mut stays = true;
                let taken_out = catalog.update(&request.backup_id, |image| {
                    stays = image.take_out(number);
                    stays
                });
                taken_out.map_err(catalogue_cause)?;
                if !stays {
                    owner.result.processed.push(request.backup_id.clone());
                }
                owner.result.kbytes += image.stream_bytes.div_ceil(1024);
                let what = format!("expired copy {number} of {}", request.backup_id);
                owner.info("nbdelete", std::process::id(), what);
            }
            Err(cause) => outcome = outcome.and(Err(cause)),
        }
    }
    outcome?;
    owner.result.files = image.files;
    Ok(())
}

/// Locks the images of every copy whose lock the storage refused before. A copy that is refused again is tried again by
/// the next cleanup; the job ends with that status.
pub(super) fn lock(owner: &mut Owner, request: &CleanupRequest) -> Result<(), Cause> {
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let mut outcome = Ok(());
    for image in catalog.images().map_err(catalogue_cause)? {
        for copy in image.copies.clone() {
            let Some(until) = copy.lock_wanted.filter(|_| copy.storage_server == request.storage_unit.server)
            else {
                continue;
            };
            let (number, id, images) = (copy.number, image.backup_id.clone(), copy.image_names());
            let found = Found { catalog: catalog.clone(), image: image.clone(), copy };
            let work = found.work(&request.storage_unit)?;
            let process = work.start(owner, "bpdm", None, MoverTask::Lock { images, until })?;
            match Course::new(None, process, None).run(owner, &mut Alone) {
                Ok(()) => {
                    let noted = catalog.update(&id, |image| {
                        for copy in image.copies.iter_mut().filter(|copy| copy.number == number) {
                            (copy.unlock_time, copy.lock_wanted) = (Some(until), None);
                        }
                        true
                    });
                    noted.map_err(catalogue_cause)?;
                    owner.info("nbdelete", std::process::id(), format!("locked copy {number} of {id}"));
                }
                Err(cause) => outcome = outcome.and(Err(cause)),
            }
        }
    }
    outcome
}

/// Deletes what a failed job left on the storage; what cannot be deleted is noted in the result. Without nbjm nothing is
/// deleted: a later try of the job may have made images of the same names.
pub(super) fn delete_images(owner: &mut Owner, work: &Work, images: &[String]) {
    owner.result.left_behind.retain(|name| !images.contains(name));
    if owner.wish() == Wish::Abandoned {
        owner.result.left_behind.extend_from_slice(images);
        return;
    }
    owner.info("bpbrm", std::process::id(), format!("{} images are left, bpdm deletes them", images.len()));
    let (outcome, report) = bpdm(owner, work, images);
    owner.result.left_behind.extend(report.left_behind);
    if let Err(cause) = outcome {
        owner.info("bpbrm", std::process::id(), format!("cleaning up failed: {}", cause.text));
    }
}

/// Deletes what a failed bptm or bpdm made: what it could not delete itself, or, when it does not say or took itself for
/// finished, everything that it began.
pub(super) fn delete_made(owner: &mut Owner, work: &Work, report: Option<MoverReport>, created: Vec<String>) {
    let left = match report {
        Some(report) if report.status != code::OK => report.left_behind,
        _ => created,
    };
    if !left.is_empty() {
        delete_images(owner, work, &left);
    }
}

/// Deletes what earlier tries of a backup left, but for what its checkpoint keeps. Without that the backup cannot be made:
/// its images have the same names.
pub(super) fn discard_leftovers(owner: &mut Owner, work: &Work, keep: Vec<String>) -> Result<(), Cause> {
    if owner.wish() == Wish::Abandoned {
        return Err(Cause::new(code::CONNECTION_BROKEN, "nbjm has gone"));
    }
    let process = work.start(owner, "bpdm", None, MoverTask::Discard { keep, copy: None })?;
    Course::new(None, process, None).run(owner, &mut Alone)
}

fn bpdm(owner: &mut Owner, work: &Work, images: &[String]) -> (Result<(), Cause>, MoverReport) {
    let nothing_deleted = || MoverReport { left_behind: images.to_vec(), ..MoverReport::default() };
    let process = match work.start(owner, "bpdm", None, MoverTask::Delete { images: images.to_vec() }) {
        Ok(process) => process,
        Err(cause) => return (Err(cause), nothing_deleted()),
    };
    let mut course = Course::new(None, process, None).unstoppable();
    let outcome = course.run(owner, &mut Alone);
    let report = course.mover_report().unwrap_or_else(nothing_deleted);
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

    fn client_ended(&mut self, _: usize, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }

    fn files(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::owner;
    use super::*;
    use crate::nbu::install::StorageUnit;

    #[test]
    fn an_owner_that_was_given_up_deletes_nothing() {
        let (_dir, mut owner, nbjm) = owner();
        let storage_unit = StorageUnit::new("Fake:server", "user", "secret", "lsu0");
        let work = Work { storage_unit, backup_time: 1, policy: "policy1".into() };
        drop(nbjm);
        delete_images(&mut owner, &work, &["client1_1_C1_F1".to_owned()]);
        assert_eq!(owner.result.left_behind, ["client1_1_C1_F1"]);
        let log = owner.result.log.join("\n");
        assert!(!log.contains("bpdm"), "{log}");
    }
}
