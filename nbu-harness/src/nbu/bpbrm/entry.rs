//! What a backup may ask for, and how it comes into the catalogue.

use super::owner::{Cause, Owner};
use crate::nbu::catalog::{CatalogError, ImageRecord, NewImage};
use crate::nbu::inline::MAX_INLINE_COPIES;
use crate::nbu::process::message::{ClientReport, MoverReport};
use crate::nbu::request::{BackupRequest, ScheduleType};
use crate::nbu::result::Operation;
use crate::nbu::status::{code, status_text};

/// Longest client name: backup id and image names have to fit their fields.
const MAX_CLIENT: usize = 128;
const MAX_POLICY: usize = 255;

/// Refuses what cannot be backed up, or not so.
pub(super) fn check(request: &BackupRequest) -> Result<(), Cause> {
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
    if request.checkpoint.is_some()
        && (request.accelerator.is_some() || request.schedule_type != ScheduleType::Full)
    {
        return Err(Cause::new(
            code::INVALID_PARAMETER,
            "checkpoints are for full backups without accelerator here",
        ));
    }
    check_copies(request)?;
    if request.policy.len() > MAX_POLICY || request.policy.contains('\0') {
        return Err(Cause::new(
            code::INVALID_PARAMETER,
            format!("the policy name is longer than {MAX_POLICY} bytes"),
        ));
    }
    Ok(())
}

/// Copies are of one stream that goes into all of them alike, and each needs a place of its own.
fn check_copies(request: &BackupRequest) -> Result<(), Cause> {
    if request.inline.is_none() {
        return Ok(());
    }
    let units: Vec<_> = request.copy_units().collect();
    if !(2..=MAX_INLINE_COPIES).contains(&units.len()) {
        let what = format!("{} copies at once: 2 to {MAX_INLINE_COPIES} are possible", units.len());
        return Err(Cause::new(code::INVALID_PARAMETER, what));
    }
    if request.accelerator.is_some() || request.checkpoint.is_some() {
        let what = "a backup with several copies has neither checkpoints nor an accelerator here";
        return Err(Cause::new(code::INVALID_PARAMETER, what));
    }
    for (index, unit) in units.iter().enumerate() {
        if units[..index].iter().any(|other| other.lsu == unit.lsu && other.server == unit.server) {
            let what = format!("copy {} would go to LSU {}, as another one does", index + 1, unit.lsu);
            return Err(Cause::new(code::COPIES_ON_ONE_VOLUME, what));
        }
    }
    Ok(())
}

pub(super) fn catalogue_cause(error: CatalogError) -> Cause {
    Cause::new(error.status(), error)
}

/// A copy that was written to its end.
#[derive(Debug)]
pub(super) struct Written {
    /// Its number, from 1.
    pub(super) number: u32,
    pub(super) report: MoverReport,
}

/// Puts a finished backup into the catalogue. `Some` is the status of a backup that exists, and is not what it should be:
/// files are missing, or it could not be locked.
pub(super) fn enter(
    owner: &mut Owner,
    request: &BackupRequest,
    new_image: NewImage,
    schedule_type: ScheduleType,
    written: &[Written],
    client: &ClientReport,
) -> Result<Option<Cause>, Cause> {
    let Some(Written { number: primary_copy, report }) = written.first() else {
        return Err(Cause::new(code::CONNECTION_BROKEN, "bptm made no report"));
    };
    let units: Vec<_> = request.copy_units().collect();
    let record = |copy: &Written| {
        let unit = units.get(copy.number as usize - 1).copied().unwrap_or(&request.storage_unit);
        let record = copy.report.copy_record(copy.number, unit, request.header_order);
        record.kept_for(request.backup_time, request.retention_seconds)
    };
    owner.operation(Operation::Catalog);
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
        primary_copy: *primary_copy,
        copies: written.iter().map(record).collect(),
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
    result.images = written.iter().flat_map(|copy| copy.report.images.clone()).collect();
    if let Some((status, text, sts)) = written.iter().find_map(|copy| copy.report.lock_refused.clone()) {
        return Ok(Some(Cause { status, text, sts }));
    }
    let partial = client.status == code::PARTIAL;
    let text = || status_text(code::PARTIAL).to_owned();
    Ok(partial.then(|| Cause { status: code::PARTIAL, text: text(), sts: None }))
}
