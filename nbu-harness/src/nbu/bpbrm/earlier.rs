//! What a backup takes of earlier ones: the reference of an incremental backup, the base of an accelerated one.

use super::catalogue_cause;
use super::owner::{Cause, Owner};
use crate::nbu::catalog::{Catalog, CopyRecord, StoredCopy};
use crate::nbu::process::message::{Reference, TrackOrder};
use crate::nbu::request::{Accelerator, BackupRequest, ScheduleType};

/// The backup that an incremental one starts from: the last one (differential) or the last full one (cumulative). None
/// for a full backup, and when there is no earlier one.
pub(super) fn reference(
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
pub(super) fn base(
    owner: &mut Owner,
    catalog: &Catalog,
    request: &BackupRequest,
) -> Result<Option<StoredCopy>, Cause> {
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
pub(super) fn track_order(
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

/// What the backup is in the end: without an earlier one, a full backup.
pub(super) fn effective_type(request: &BackupRequest, reference: Option<&Reference>) -> ScheduleType {
    reference.map_or(ScheduleType::Full, |_| request.schedule_type)
}
