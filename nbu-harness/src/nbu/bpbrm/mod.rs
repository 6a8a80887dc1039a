//! bpbrm: owns one job. Starts the client's process and bptm, collects both statuses, decides the job's, and keeps the
//! catalogue. As `bpverify`, `bpduplicate`, `bpsynth`, `bpimport`, `nbreplicate` and `nbdelete` it owns jobs that have no client side.

mod backup;
mod checkpoint;
mod cleanup;
mod copies;
mod course;
mod duplicate;
mod earlier;
mod entry;
mod import;
mod lifecycle;
mod made;
mod owner;
mod replicate;
mod restore;
mod restore_point;
mod selection;
mod synthetic;
mod verify;

use std::os::unix::net::UnixStream;

use self::entry::catalogue_cause;
use self::owner::{Cause, Owner};
use super::catalog::{Catalog, CopyRecord, ImageRecord, MissingCopy};
use super::install::StorageUnit;
use super::process::message::{JobRequest, MoverOrder, MoverTask, ToMover, ToOwner};
use super::process::{Inherited, Process};
use super::request::backup_id;
use super::result::JobKind;
use super::status::code;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToOwner::Start(order)) = inherited.order() else { return code::HANDSHAKE };
    let order = *order;
    let (kind, job_id, id) = match &order.request {
        JobRequest::Backup(r) => (JobKind::Backup, r.job_id, backup_id(&r.client, r.backup_time)),
        JobRequest::Restore(r) => (JobKind::Restore, r.job_id, r.backup_id.clone()),
        JobRequest::Verify(r) => (JobKind::Verify, r.job_id, r.backup_id.clone()),
        JobRequest::Duplicate(r) => (JobKind::Duplicate, r.job_id, r.backup_id.clone()),
        JobRequest::Synthetic(r) => (JobKind::Backup, r.job_id, String::new()),
        JobRequest::Import(r) => (JobKind::Import, r.job_id, r.backup_id().to_owned()),
        JobRequest::Replicate(r) => (JobKind::Replication, r.job_id, r.backup_id.clone()),
        JobRequest::ImportReplicas(r) => (JobKind::ReplicationImport, r.job_id, String::new()),
        JobRequest::Cleanup(r) => (JobKind::ImageCleanup, r.job_id, String::new()),
        JobRequest::Expire(r) => (JobKind::ImageCleanup, r.job_id, r.backup_id.clone()),
        JobRequest::Lifecycle(r) => (order.request.kind(), r.job_id, order.request.backup_id()),
    };
    let mut owner = match Owner::new(inherited.link, order.installation, kind, job_id, id) {
        Ok(owner) => owner,
        Err(error) => {
            eprintln!("bpbrm: {error}");
            return code::SYSTEM_CALL;
        }
    };
    owner.operation(order.request.operation());
    let outcome = match order.request {
        JobRequest::Backup(request) => backup::run(&mut owner, &request),
        JobRequest::Restore(request) => restore::run(&mut owner, &request),
        JobRequest::Verify(request) => verify::run(&mut owner, &request),
        JobRequest::Duplicate(request) => duplicate::run(&mut owner, &request),
        JobRequest::Synthetic(request) => synthetic::run(&mut owner, &request),
        JobRequest::Import(request) => import::run(&mut owner, &request),
        JobRequest::Replicate(request) => replicate::run(&mut owner, &request),
        JobRequest::ImportReplicas(request) => replicate::import(&mut owner, &request),
        JobRequest::Cleanup(request) => cleanup::lock(&mut owner, &request),
        JobRequest::Expire(request) => cleanup::run(&mut owner, &request),
        JobRequest::Lifecycle(request) => lifecycle::run(&mut owner, &request),
    };
    owner.finish(outcome)
}

/// What every order to bptm or bpdm of a job has in common.
#[derive(Debug, Clone)]
struct Work {
    storage_unit: StorageUnit,
    backup_time: u64,
    policy: String,
}

/// A copy of a backup, looked up in the catalogue.
#[derive(Debug)]
struct Found {
    catalog: Catalog,
    image: ImageRecord,
    copy: CopyRecord,
}

impl Found {
    /// Finds a copy of a backup with its files, the primary one when no number is given.
    fn copy(owner: &Owner, backup_id: &str, number: Option<u32>) -> Result<Self, Cause> {
        let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
        let (image, copy) = catalog.restorable(backup_id, number).map_err(not_there)?;
        Ok(Self { catalog, image, copy })
    }

    /// The same, also of a backup that is only half imported.
    fn any(owner: &Owner, backup_id: &str, number: Option<u32>) -> Result<Self, Cause> {
        let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
        let (image, copy) = catalog.copy_of(backup_id, number).map_err(not_there)?;
        Ok(Self { catalog, image, copy })
    }

    /// The work of a process on this copy, with the credentials of a unit of the same storage server.
    fn work(&self, unit: &StorageUnit) -> Result<Work, Cause> {
        if unit.server != self.copy.storage_server {
            let what = format!(
                "copy {} of {} is on {}, and the storage unit is one of {}",
                self.copy.number, self.image.backup_id, self.copy.storage_server, unit.server
            );
            return Err(Cause::new(code::INVALID_PARAMETER, what));
        }
        Ok(Work {
            storage_unit: StorageUnit { lsu: self.copy.lsu.clone(), ..unit.clone() },
            backup_time: self.image.backup_time,
            policy: self.image.policy.clone(),
        })
    }
}

fn not_there(missing: MissingCopy) -> Cause {
    Cause::new(missing.status(), missing)
}

impl Work {
    /// Starts bptm or bpdm and gives it its task.
    fn start(
        &self,
        owner: &mut Owner,
        name: &str,
        data: Option<UnixStream>,
        task: MoverTask,
    ) -> Result<Process, Cause> {
        let mut process = owner.start(name, data)?;
        let order = MoverOrder {
            installation: owner.installation.clone(),
            storage_unit: self.storage_unit.clone(),
            job_id: owner.result.job_id,
            backup_id: owner.result.backup_id.clone(),
            backup_time: self.backup_time,
            policy: self.policy.clone(),
            task,
        };
        process
            .give_order(&ToMover::Order(Box::new(order)))
            .map_err(|e| Cause::new(code::HANDSHAKE, format!("{name} did not take its order: {e}")))?;
        Ok(process)
    }
}
