//! A backup job: bpbkar and bptm together, file records into the catalogue, and everything discarded on failure.

use std::os::unix::net::UnixStream;

use super::Work;
use super::cleanup::{delete_images, discard_leftovers};
use super::course::{Conduct, Course};
use super::owner::{Cause, Owner, Wish};
use crate::nbu::catalog::{Catalog, CatalogError, CopyRecord, ImageRecord, NewImage, StoredCopy};
use crate::nbu::process::message::{
    ClientReport, FromClient, FromMover, MoverReport, MoverTask, Reference, ToClient, ToMover, TrackOrder,
    WriteTask,
};
use crate::nbu::request::{Accelerator, BackupRequest, ScheduleType};
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
    let new_image = catalog.begin(&request.backup_id(), request.job_id).map_err(catalogue_cause)?;
    let mut conduct = Backup {
        new_image,
        hold_expected: request.abort_after.is_some(),
        created: Vec::new(),
        end_of_data: None,
        client_bytes: None,
    };
    let work = Work {
        storage_unit: request.storage_unit.clone(),
        backup_time: request.backup_time,
        policy: request.policy.clone(),
    };
    if request.earlier_tries > 0 {
        discard_leftovers(owner, &work)?;
    }
    let base = base(owner, &catalog, request)?;
    let mut course = start(owner, request, &work, reference, base)?;
    let outcome = course.run(owner, &mut conduct);
    let report = course.mover_report();
    let client = course.client_report.take().unwrap_or_default();
    let outcome = match (outcome, &report) {
        (Ok(()), Some(report)) => enter(owner, request, conduct.new_image, schedule_type, report, &client),
        (Ok(()), None) => Err(Cause::new(code::CONNECTION_BROKEN, "bptm made no report")),
        (Err(cause), _) => Err(cause),
    };
    match outcome {
        Err(cause) if cause.status != code::PARTIAL => {
            let left = match report {
                // It has cleaned up after itself, as far as it could.
                Some(report) if report.status != code::OK => report.left_behind,
                _ => conduct.created,
            };
            if !left.is_empty() && owner.wish() != Wish::Abandoned {
                delete_images(owner, &work, &left);
            }
            Err(cause)
        }
        other => other,
    }
}

/// What the backup is in the end: without an earlier one, a full backup.
fn effective_type(request: &BackupRequest, reference: Option<&Reference>) -> ScheduleType {
    reference.map_or(ScheduleType::Full, |_| request.schedule_type)
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

/// The backup that an incremental one starts from: the last one (differential) or the last full one (cumulative). None
/// for a full backup, and when there is no earlier one.
fn reference(
    owner: &mut Owner,
    catalog: &Catalog,
    request: &BackupRequest,
) -> Result<Option<Reference>, Cause> {
    if request.schedule_type == ScheduleType::Full {
        return Ok(None);
    }
    let images =
        catalog.images_of(&request.client, &request.policy, request.stream).map_err(catalogue_cause)?;
    let full = images.iter().rposition(|image| image.schedule_type == ScheduleType::Full);
    let found = match request.schedule_type {
        ScheduleType::Differential => full.and(images.last()),
        _ => full.and_then(|index| images.get(index)),
    };
    let Some(image) = found else {
        owner.info(
            "bpbrm",
            std::process::id(),
            "no full backup to start from: this one becomes a full backup",
        );
        return Ok(None);
    };
    owner.info("bpbrm", std::process::id(), format!("incremental backup since {}", image.backup_id));
    Ok(Some(Reference { since: image.backup_time, list: (&*catalog.list_path(image)).into() }))
}

/// The full backup whose blocks an accelerated one can use again: the last one of the stream, if it is on the LSU that is
/// written to.
fn base(owner: &mut Owner, catalog: &Catalog, request: &BackupRequest) -> Result<Option<StoredCopy>, Cause> {
    if request.accelerator.is_none() {
        return Ok(None);
    }
    let images =
        catalog.images_of(&request.client, &request.policy, request.stream).map_err(catalogue_cause)?;
    let unit = &request.storage_unit;
    let found = images.iter().rfind(|image| image.schedule_type == ScheduleType::Full).and_then(|image| {
        let here = |copy: &&CopyRecord| copy.lsu == unit.lsu && copy.storage_server == unit.server;
        Some(image.stored(image.copies.iter().find(here)?))
    });
    let what = match &found {
        Some(stored) => format!("accelerated backup based on {}", stored.backup_id),
        None => "accelerated backup without a base".to_owned(),
    };
    owner.info("bpbrm", std::process::id(), what);
    Ok(found)
}

/// What the client needs for an accelerated backup. Its track logs are its own: a directory per policy and stream.
fn track_order(
    owner: &Owner,
    request: &BackupRequest,
    settings: Accelerator,
    base: Option<StoredCopy>,
) -> TrackOrder {
    let dir = owner.installation.work_dir.join("track");
    let dir = dir.join(format!("{}-{}-{}", request.client, request.policy.replace('/', "_"), request.stream));
    TrackOrder {
        dir: dir.into(),
        backup_id: request.backup_id(),
        base: base.map(|stored| stored.backup_id),
        forced_rescan: settings.forced_rescan,
        block_bytes: settings.block_bytes,
    }
}

fn start(
    owner: &mut Owner,
    request: &BackupRequest,
    work: &Work,
    reference: Option<Reference>,
    base: Option<StoredCopy>,
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
        framed: request.accelerator.is_some(),
        base: base.clone(),
        hold_at: request.abort_after,
    });
    let mover = work.start(owner, "bptm", Some(bptm_end), task)?;
    let mut client = owner.start("bpbkar", Some(bpbkar_end))?;
    let order = ToClient::Backup {
        source: request.source.clone(),
        reference,
        track: request.accelerator.map(|settings| track_order(owner, request, settings, base)),
        timeout_ms: owner.installation.timeouts.client_read_timeout_ms,
    };
    client
        .give_order(&order)
        .map_err(|e| Cause::new(code::HANDSHAKE, format!("bpbkar did not take its order: {e}")))?;
    Ok(Course::new(Some(client), mover, None))
}

struct Backup {
    new_image: NewImage,
    hold_expected: bool,
    /// Images that may exist.
    created: Vec<String>,
    end_of_data: Option<u64>,
    client_bytes: Option<u64>,
}

impl Backup {
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
            FromClient::Files(records) => self.new_image.add(&records).map_err(catalogue_cause),
            other => Err(Cause::new(code::HANDSHAKE, format!("bpbkar sent {other:?} out of turn"))),
        }
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Creating(name) => {
                self.created.push(name);
                Ok(None)
            }
            FromMover::Held { bytes } if self.hold_expected => {
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

/// Puts a finished backup into the catalogue. `Err` with status 1 is a backup that exists, with files missing.
fn enter(
    owner: &mut Owner,
    request: &BackupRequest,
    new_image: NewImage,
    schedule_type: ScheduleType,
    report: &MoverReport,
    client: &ClientReport,
) -> Result<(), Cause> {
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
    if client.status == code::PARTIAL {
        let text = status_text(code::PARTIAL).to_owned();
        return Err(Cause { status: code::PARTIAL, text, sts: None });
    }
    Ok(())
}
