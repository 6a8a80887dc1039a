//! bpbrm: owns one job. Starts the client's process and bptm, collects both statuses, decides the job's, and keeps the
//! catalogue. As `bpverify` and `nbdelete` it owns verify and image cleanup jobs, which have no client side.

mod backup;
mod cleanup;
mod course;
mod owner;
mod restore;
mod selection;
mod verify;

use std::os::unix::net::UnixStream;

use self::owner::{Cause, Owner};
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
        JobRequest::Expire(r) => (JobKind::ImageCleanup, r.job_id, r.backup_id.clone()),
    };
    let mut owner = match Owner::new(inherited.link, order.installation, kind, job_id, id) {
        Ok(owner) => owner,
        Err(error) => {
            eprintln!("bpbrm: {error}");
            return code::SYSTEM_CALL;
        }
    };
    let outcome = match order.request {
        JobRequest::Backup(request) => backup::run(&mut owner, &request),
        JobRequest::Restore(request) => restore::run(&mut owner, &request),
        JobRequest::Verify(request) => verify::run(&mut owner, &request),
        JobRequest::Expire(request) => cleanup::run(&mut owner, &request),
    };
    owner.finish(outcome)
}

/// What every order to bptm or bpdm of a job has in common.
#[derive(Debug, Clone)]
struct Work<'a> {
    storage_unit: &'a super::install::StorageUnit,
    backup_time: u64,
    policy: &'a str,
}

impl Work<'_> {
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
            policy: self.policy.to_owned(),
            task,
        };
        process
            .give_order(&ToMover::Order(Box::new(order)))
            .map_err(|e| Cause::new(code::HANDSHAKE, format!("{name} did not take its order: {e}")))?;
        Ok(process)
    }
}
