//! A backup job: bpbkar and bptm together, file records into the catalogue, and everything discarded on failure.

use std::os::unix::net::UnixStream;

use super::Work;
use super::checkpoint::{self, Saved};
use super::cleanup::{delete_images, discard_leftovers};
use super::course::{Conduct, Course};
use super::earlier::{base, effective_type, reference, track_order};
use super::owner::{Cause, Owner, Wish};
use crate::nbu::catalog::{Catalog, CatalogError, ImageRecord, NewImage, StoredCopy};
use crate::nbu::process::message::{
    Checkpoint, CheckpointOrder, ClientReport, FromClient, FromMover, MoverReport, MoverTask, Reference,
    ToClient, ToMover, WriteTask,
};
use crate::nbu::request::{BackupRequest, ScheduleType};
use crate::nbu::result::JobState;
use crate::nbu::status::{code, status_text};

/// Longest client name: backup id and image names have to fit their fields.
const MAX_CLIENT: usize = 128;
const MAX_POLICY: usize = 255;
/// Number of the copy that a backup makes.
pub(super) const FIRST_COPY: u32 = 1;

/// Runs a backup.
pub(super) fn run(owner: &mut Owner, request: &BackupRequest) -> Result<(), Cause> {
    check(request)?;
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let reference = reference(owner, &catalog, request)?;
    let schedule_type = effective_type(request, reference.as_ref());
    let saved = resumed(owner, request)?;
    let mut new_image = catalog.begin(&request.backup_id(), request.job_id).map_err(catalogue_cause)?;
    if let Some(saved) = &saved {
        new_image.add(&saved.files).map_err(catalogue_cause)?;
    }
    let mut conduct = Backup {
        new_image,
        hold_expected: request.abort_after.map(|_| request.suspend),
        point: saved.as_ref().map(|saved| saved.point.clone()),
        coming: None,
        created: Vec::new(),
        end_of_data: None,
        client_bytes: None,
    };
    let work = Work {
        storage_unit: request.storage_unit.clone(),
        backup_time: request.backup_time,
        policy: request.policy.clone(),
    };
    let base = base(owner, &catalog, request)?;
    let begun = make_room(owner, request, &work, saved.as_ref())
        .and_then(|()| start(owner, request, &work, reference, base, saved.as_ref()));
    let mut course = match begun {
        Ok(course) => course,
        Err(cause) => {
            // The checkpoint of the attempt before is as good as it was.
            if saved.is_some() {
                owner.resumable(JobState::Incomplete);
            }
            return Err(cause);
        }
    };
    let outcome = course.run(owner, &mut conduct);
    let report = course.mover_report();
    let client = course.client_report.take().unwrap_or_default();
    let Backup { new_image, created, point, .. } = conduct;
    let made = Made { work: &work, created, point };
    match (outcome, report) {
        (Ok(()), Some(report)) => match enter(owner, request, new_image, schedule_type, &report, &client) {
            Ok(remark) => {
                if request.resume {
                    checkpoint::remove(&owner.installation.work_dir, &request.backup_id())?;
                }
                remark.map_or(Ok(()), Err)
            }
            Err(cause) => Err(made.clean_up(owner, request, Some(report), cause)?),
        },
        (outcome, report) => {
            let broken = || Cause::new(code::CONNECTION_BROKEN, "bptm made no report");
            let cause = outcome.err().unwrap_or_else(broken);
            if owner.wish() == Wish::Abandoned {
                // Images and checkpoint may be a later try's by now.
                return Err(cause);
            }
            // A cancelled job is not to go on.
            if let Some(point) = made.point.as_ref().filter(|_| cause.status != code::CANCELLED) {
                keep_checkpoint(owner, request, point, new_image, cause.status)?;
            }
            Err(made.clean_up(owner, request, report, cause)?)
        }
    }
}

/// Deletes what earlier tries left: its names are needed again.
fn make_room(
    owner: &mut Owner,
    request: &BackupRequest,
    work: &Work,
    saved: Option<&Saved>,
) -> Result<(), Cause> {
    if request.earlier_tries > 0 {
        // A try that was lost left no word of what it made, also behind the checkpoint.
        let keep = saved.map(|saved| saved.point.images.clone()).unwrap_or_default();
        return discard_leftovers(owner, work, keep).map_err(|cause| match cause.status {
            // What is partial is that deletion, and no backup.
            code::PARTIAL => Cause { status: code::MEDIA_OPEN, ..cause },
            _ => cause,
        });
    }
    match saved.map(|saved| &saved.point.left) {
        Some(left) if !left.is_empty() => delete_images(owner, work, left),
        _ => {}
    }
    Ok(())
}

/// What a failed backup may have on the storage.
struct Made<'a> {
    work: &'a Work,
    created: Vec<String>,
    point: Option<Checkpoint>,
}

impl Made<'_> {
    /// Deletes it, but for what is before the checkpoint of a job that can go on. Gives the cause back. Without nbjm
    /// everything stays as it is.
    fn clean_up(
        self,
        owner: &mut Owner,
        request: &BackupRequest,
        report: Option<MoverReport>,
        cause: Cause,
    ) -> Result<Cause, Cause> {
        if owner.wish() == Wish::Abandoned {
            return Ok(cause);
        }
        let resumable = owner.can_resume();
        let at_checkpoint = self.point.map(|point| point.images).unwrap_or_default();
        let mut left = match report {
            // It has cleaned up after itself, as far as it could, but for what it took for kept.
            Some(report) if report.status != code::OK => [report.left_behind, report.kept].concat(),
            _ => self.created,
        };
        left.retain(|name| !at_checkpoint.contains(name));
        let (work_dir, id) = (owner.installation.work_dir.clone(), request.backup_id());
        if !resumable {
            left.extend(at_checkpoint);
            checkpoint::remove(&work_dir, &id)?;
        }
        if !left.is_empty() {
            delete_images(owner, self.work, &left);
        }
        if resumable && !owner.result.left_behind.is_empty() {
            checkpoint::note_left(&work_dir, &id, owner.result.left_behind.clone())?;
        }
        Ok(cause)
    }
}

/// The checkpoint that a resumed backup goes on from.
fn resumed(owner: &mut Owner, request: &BackupRequest) -> Result<Option<Saved>, Cause> {
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
fn keep_checkpoint(
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

fn check(request: &BackupRequest) -> Result<(), Cause> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let client = &request.client;
    if client.is_empty() || client.len() > MAX_CLIENT || client.starts_with('.') || !client.chars().all(good)
    {
        let what = format!(
            "client name {client:?}: 1 to {MAX_CLIENT} letters, digits, '.', '-' and '_' are possible"
        );
        return Err(Cause::new(code::INVALID_PARAMETER, what));
    }
    if request.accelerator.is_some_and(|a| a.block_bytes == 0 || !a.block_bytes.is_multiple_of(512)) {
        return Err(Cause::new(
            code::INVALID_PARAMETER,
            "blocks of the track log: a multiple of 512 is needed",
        ));
    }
    if request.accelerator.is_some() && request.schedule_type != ScheduleType::Full {
        return Err(Cause::new(code::INVALID_PARAMETER, "only full backups are accelerated here"));
    }
    if request.checkpoint_bytes.is_some()
        && (request.accelerator.is_some() || request.schedule_type != ScheduleType::Full)
    {
        return Err(Cause::new(
            code::INVALID_PARAMETER,
            "checkpoints are for full backups without accelerator here",
        ));
    }
    if request.policy.len() > MAX_POLICY || request.policy.contains('\0') {
        return Err(Cause::new(
            code::INVALID_PARAMETER,
            format!("the policy name is longer than {MAX_POLICY} bytes"),
        ));
    }
    Ok(())
}

pub(super) fn catalogue_cause(error: CatalogError) -> Cause {
    let status = match &error {
        CatalogError::Exists(_) => code::IMAGE_CONFLICT,
        CatalogError::BadId(_) => code::INVALID_PARAMETER,
        CatalogError::Io { error, .. } if error.kind() == std::io::ErrorKind::StorageFull => code::DISK_FULL,
        CatalogError::Io { .. } => code::FILE_WRITE,
        CatalogError::Damaged { .. } => code::FILE_READ,
    };
    Cause::new(status, error)
}

fn start(
    owner: &mut Owner,
    request: &BackupRequest,
    work: &Work,
    reference: Option<Reference>,
    base: Option<StoredCopy>,
    saved: Option<&Saved>,
) -> Result<Course, Cause> {
    let (bpbkar_end, bptm_end) = UnixStream::pair().map_err(|e| Cause::new(code::SYSTEM_CALL, e))?;
    let task = MoverTask::Write(WriteTask {
        client: request.client.clone(),
        schedule: request.schedule.clone(),
        schedule_type: effective_type(request, reference.as_ref()),
        stream: request.stream,
        source: request.source.clone(),
        copy: FIRST_COPY,
        header_order: request.header_order,
        resume: saved.map(|saved| saved.point.clone()),
        worm_seconds: request.worm_seconds,
        framed: request.accelerator.is_some() || request.checkpoint_bytes.is_some(),
        base: base.clone(),
        hold_at: request.abort_after,
    });
    let mover = work.start(owner, "bptm", Some(bptm_end), task)?;
    let mut client = owner.start("bpbkar", Some(bpbkar_end))?;
    let order = ToClient::Backup {
        source: request.source.clone(),
        reference,
        track: request.accelerator.map(|settings| track_order(owner, request, settings, base)),
        checkpoints: request
            .checkpoint_bytes
            .map(|every| CheckpointOrder { every, resume: saved.and_then(Saved::resume_point) }),
        timeout_ms: owner.installation.timeouts.client_read_timeout_ms,
    };
    client
        .give_order(&order)
        .map_err(|e| Cause::new(code::HANDSHAKE, format!("bpbkar did not take its order: {e}")))?;
    Ok(Course::new(Some(client), mover, None))
}

struct Backup {
    new_image: NewImage,
    /// Whether bptm is expected to hold, and for what: true for a suspend, false for a cancel.
    hold_expected: Option<bool>,
    /// The last checkpoint whose files have all come.
    point: Option<Checkpoint>,
    /// A checkpoint that bptm made, some of whose files may still be on their way from the client.
    coming: Option<Checkpoint>,
    /// Images that may exist.
    created: Vec<String>,
    end_of_data: Option<u64>,
    client_bytes: Option<u64>,
}

impl Backup {
    /// The client and bptm speak on connections of their own: a checkpoint counts when both have said their part.
    fn arrive(&mut self) {
        let files = self.new_image.files();
        if let Some(point) = self.coming.take_if(|point| point.files <= files) {
            self.point = Some(point);
        }
    }

    /// Both sides are through: they have to agree on the length of the stream before the image may be completed.
    fn decide(&mut self) -> Result<Option<ToMover>, Cause> {
        match (self.client_bytes, self.end_of_data) {
            (Some(sent), Some(received)) if sent == received => Ok(Some(ToMover::Finish)),
            (Some(sent), Some(received)) => {
                let what = format!("bpbkar sent {sent} bytes, bptm received {received}");
                Err(Cause::new(code::SOCKET_READ, what))
            }
            _ => Ok(None),
        }
    }
}

impl Conduct for Backup {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        match message {
            FromClient::Files(records) => {
                self.new_image.add(&records).map_err(catalogue_cause)?;
                self.arrive();
                Ok(())
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("bpbkar sent {other:?} out of turn"))),
        }
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Creating(name) => {
                self.created.push(name);
                Ok(None)
            }
            FromMover::Checkpoint(point) => {
                self.coming = Some(*point);
                self.arrive();
                Ok(None)
            }
            FromMover::Held { bytes } if self.hold_expected == Some(true) => {
                owner.info("bpbrm", std::process::id(), format!("suspend requested after {bytes} bytes"));
                Err(Cause::new(code::SUSPENDED, "suspended"))
            }
            FromMover::Held { bytes } if self.hold_expected == Some(false) => {
                owner.info("bpbrm", std::process::id(), format!("termination requested after {bytes} bytes"));
                Err(Cause::new(code::CANCELLED, "cancelled"))
            }
            FromMover::EndOfData { bytes } => {
                self.end_of_data = Some(bytes);
                self.decide()
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("bptm sent {other:?} out of turn"))),
        }
    }

    fn client_ended(&mut self, report: &ClientReport) -> Result<Option<ToMover>, Cause> {
        self.client_bytes = Some(report.bytes);
        self.decide()
    }

    fn files(&self) -> u64 {
        self.new_image.files()
    }
}

/// Puts a finished backup into the catalogue. `Some` is the status of a backup that exists, and is not what it should be:
/// files are missing, or it could not be locked.
fn enter(
    owner: &mut Owner,
    request: &BackupRequest,
    new_image: NewImage,
    schedule_type: ScheduleType,
    report: &MoverReport,
    client: &ClientReport,
) -> Result<Option<Cause>, Cause> {
    let files = new_image.files();
    if files != client.files {
        let what = format!("bpbkar counted {} files, {files} records arrived", client.files);
        return Err(Cause::new(code::SOCKET_READ, what));
    }
    let image = ImageRecord {
        format: ImageRecord::current_format(),
        backup_id: request.backup_id(),
        client: request.client.clone(),
        policy: request.policy.clone(),
        schedule: request.schedule.clone(),
        schedule_type,
        stream: request.stream,
        backup_time: request.backup_time,
        job_id: request.job_id,
        not_imported: false,
        tir_pruned: false,
        stream_bytes: report.bytes,
        files,
        status: client.status,
        primary_copy: FIRST_COPY,
        copies: vec![report.copy_record(FIRST_COPY, &request.storage_unit, request.header_order)],
        source: request.source.clone(),
        file_list: new_image.file_list().to_owned(),
    };
    new_image.commit(&image).map_err(catalogue_cause)?;
    let line = format!("validated image for client {}: {} in the catalogue", request.client, image.backup_id);
    owner.info("bpbrm", std::process::id(), line);
    let result = &mut owner.result;
    result.kbytes = report.bytes.div_ceil(1024);
    result.files = files;
    result.fragments.clone_from(&report.fragments);
    result.images.clone_from(&report.images);
    if let Some((status, text, sts)) = report.lock_refused.clone() {
        return Ok(Some(Cause { status, text, sts }));
    }
    let partial = client.status == code::PARTIAL;
    let text = || status_text(code::PARTIAL).to_owned();
    Ok(partial.then(|| Cause { status: code::PARTIAL, text: text(), sts: None }))
}
