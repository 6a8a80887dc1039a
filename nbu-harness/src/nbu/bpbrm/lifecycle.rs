//! A job of nbstserv: bpduplicate or nbreplicate with a batch of images, one after the other. What went well stays, whatever
//! becomes of the others.

use super::owner::{Cause, Owner, Wish};
use super::{Found, duplicate, replicate};
use crate::nbu::order::JobRequest;
use crate::nbu::request::{
    DuplicateMethod, DuplicateRequest, FallBack, LifecycleCopy, LifecycleRequest, ReplicateRequest,
};
use crate::nbu::status::code;

/// Runs the batch: 0 when all of it went well, 1 when some of it did, else what happened to the first one, which is 191.
pub(super) fn run(owner: &mut Owner, request: &LifecycleRequest) -> Result<(), Cause> {
    let about = owner.result.backup_id.clone();
    let outcome = all(owner, request);
    owner.result.backup_id = about;
    outcome
}

fn all(owner: &mut Owner, request: &LifecycleRequest) -> Result<(), Cause> {
    let name = JobRequest::Lifecycle(request.clone()).owner();
    let (mut kbytes, mut files, mut first) = (0, 0, None);
    for backup_id in &request.backup_ids {
        match owner.wish() {
            Wish::GoOn => {}
            Wish::Abandoned => return Err(Cause::new(code::CONNECTION_BROKEN, "nbjm has gone")),
            Wish::Suspend => return Err(Cause::new(code::SUSPENDED, "no other image was begun")),
            Wish::Cancel => return Err(Cause::new(code::CANCELLED, "no other image was begun")),
        }
        // What processes are told and what the details say is about this one.
        owner.result.backup_id.clone_from(backup_id);
        (owner.result.kbytes, owner.result.files) = (0, 0);
        let done = one(owner, request, backup_id);
        (kbytes, files) = (kbytes + owner.result.kbytes, files + owner.result.files);
        (owner.result.kbytes, owner.result.files) = (kbytes, files);
        match done {
            Ok(()) => owner.result.processed.push(backup_id.clone()),
            Err(cause) if matches!(cause.status, code::CANCELLED | code::SUSPENDED) => return Err(cause),
            Err(cause) => {
                owner.info(name, std::process::id(), format!("{backup_id}: {}", cause.text));
                first.get_or_insert(cause);
            }
        }
    }
    match first {
        None => Ok(()),
        Some(cause) if owner.result.processed.is_empty() => Err(cause),
        Some(cause) => Err(Cause { sts: cause.sts.clone(), ..Cause::new(code::PARTIAL, cause.text) }),
    }
}

fn one(owner: &mut Owner, request: &LifecycleRequest, backup_id: &str) -> Result<(), Cause> {
    let found = Found::copy(owner, backup_id, None)?;
    // A backup's own copy, and an imported one, is no operation's: the primary one stands for it.
    let source_copy = found.image.copy_of_operation(request.source).map(|copy| copy.number);
    let (job_id, backup_id) = (request.job_id, backup_id.to_owned());
    let storage_unit = request.storage_unit.clone();
    if request.replicates {
        let (master_server, slp) = (request.master_server.clone(), request.slp.clone());
        let replication =
            ReplicateRequest { job_id, backup_id, storage_unit, master_server, slp, source_copy };
        return replicate::run(owner, &replication);
    }
    let duplication = DuplicateRequest {
        job_id,
        backup_id,
        source_copy,
        storage_unit,
        method: DuplicateMethod::default(),
        fall_back: FallBack::default(),
        extent_bytes: DuplicateRequest::default_extent(),
        lifecycle: Some(LifecycleCopy {
            operation: request.operation,
            retention_seconds: request.retention_seconds,
        }),
        again: request.again,
    };
    duplicate::run(owner, &duplication)
}
