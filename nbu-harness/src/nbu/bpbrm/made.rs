//! What earlier tries of a backup left, and what becomes of what a failed one made: deleted, or kept up to its checkpoint.

use super::Work;
use super::checkpoint::{self, Saved};
use super::cleanup::{delete_images, discard_leftovers};
use super::entry::catalogue_cause;
use super::owner::{Cause, Owner, Wish};
use crate::nbu::catalog::NewImage;
use crate::nbu::process::message::{Checkpoint, MoverReport};
use crate::nbu::request::BackupRequest;
use crate::nbu::result::JobState;
use crate::nbu::status::code;

/// Deletes what earlier tries left: its names are needed again.
pub(super) fn make_room(
    owner: &mut Owner,
    request: &BackupRequest,
    works: &[Work],
    saved: Option<&Saved>,
) -> Result<(), Cause> {
    for work in works {
        if request.earlier_tries > 0 {
            // A try that was lost left no word of what it made, also behind the checkpoint.
            let keep = saved.map(|saved| saved.point.images.clone()).unwrap_or_default();
            discard_leftovers(owner, work, keep).map_err(|cause| match cause.status {
                // What is partial is that deletion, and no backup.
                code::PARTIAL => Cause { status: code::MEDIA_OPEN, ..cause },
                _ => cause,
            })?;
            continue;
        }
        match saved.map(|saved| &saved.point.left) {
            Some(left) if !left.is_empty() => delete_images(owner, work, left),
            _ => {}
        }
    }
    Ok(())
}

/// What a failed backup may have on the storage.
pub(super) struct Made<'a> {
    /// Where its copies are.
    pub(super) works: &'a [Work],
    /// Images that may exist, of each copy.
    pub(super) created: Vec<Vec<String>>,
    /// Its last checkpoint; a backup that has some has one copy.
    pub(super) point: Option<Checkpoint>,
}

impl Made<'_> {
    /// Deletes it, but for what is before the checkpoint of a job that can go on. Gives the cause back. Without nbjm
    /// everything stays as it is.
    pub(super) fn clean_up(
        self,
        owner: &mut Owner,
        request: &BackupRequest,
        reports: Vec<Option<MoverReport>>,
        cause: Cause,
    ) -> Result<Cause, Cause> {
        if owner.wish() == Wish::Abandoned {
            return Ok(cause);
        }
        let resumable = owner.can_resume();
        let at_checkpoint = self.point.map(|point| point.images).unwrap_or_default();
        let (work_dir, id) = (owner.installation.work_dir.clone(), request.backup_id());
        if !resumable {
            checkpoint::remove(&work_dir, &id)?;
        }
        for ((work, created), report) in self.works.iter().zip(self.created).zip(reports) {
            let mut left = match report {
                // It has cleaned up after itself, as far as it could, but for what it took for kept.
                Some(report) if report.status != code::OK => [report.left_behind, report.kept].concat(),
                _ => created,
            };
            left.retain(|name| !at_checkpoint.contains(name));
            if !resumable {
                left.extend_from_slice(&at_checkpoint);
            }
            if !left.is_empty() {
                delete_images(owner, work, &left);
            }
        }
        if resumable && !owner.result.left_behind.is_empty() {
            checkpoint::note_left(&work_dir, &id, owner.result.left_behind.clone())?;
        }
        Ok(cause)
    }
}

/// The checkpoint that a resumed backup goes on from.
pub(super) fn resumed(owner: &mut Owner, request: &BackupRequest) -> Result<Option<Saved>, Cause> {
    if !request.resume {
        return Ok(None);
    }
    let id = request.backup_id();
    let Some(saved) = checkpoint::load(&owner.installation.work_dir, &id)? else {
        return Err(Cause::new(code::NO_ENTITY, format!("{id} has no checkpoint to resume from")));
    };
    let size = owner.installation.data_buffers.size_data_buffers_disk;
    let size = size - size % 1024;
    if saved.point.buffer_size != size {
        owner.resumable(JobState::Incomplete);
        let what =
            format!("{id} was written in buffers of {} bytes, now they have {size}", saved.point.buffer_size);
        return Err(Cause::new(code::BLOCK_SIZE_CHANGED, what));
    }
    Ok(Some(saved))
}

/// Keeps what a failed backup has at its last checkpoint.
pub(super) fn keep_checkpoint(
    owner: &mut Owner,
    request: &BackupRequest,
    point: &Checkpoint,
    new_image: NewImage,
    status: i32,
) -> Result<(), Cause> {
    let list = new_image.into_list().map_err(catalogue_cause)?;
    checkpoint::save(&owner.installation.work_dir, &request.backup_id(), point, &list)?;
    let suspended = status == code::SUSPENDED;
    owner.resumable(if suspended { JobState::Suspended } else { JobState::Incomplete });
    let line =
        format!("the backup can be resumed behind byte {}, fragment {}", point.bytes, point.fragments.len());
    owner.info("bpbrm", std::process::id(), line);
    Ok(())
}
