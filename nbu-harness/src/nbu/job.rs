//! nbjm's part: starts the owner of a job, follows it, and returns how it ended.

use std::time::{Duration, Instant};

use super::install::Installation;
use super::process::Process;
use super::process::link::LinkError;
use super::process::message::{FromOwner, JobOrder, JobRequest, ToOwner};
use super::request::{
    BackupRequest, CleanupRequest, DuplicateRequest, ExpireRequest, ImportRequest, ReplicaImportRequest,
    ReplicateRequest, RestoreRequest, SyntheticRequest, VerifyRequest,
};
use super::result::{JobControl, JobEvent, JobKind, JobResult, JobState};
use super::status::{code, status_text};

/// After this much silence nbjm gives a job up. Its owner has shorter patience with its own processes.
const SILENCE: Duration = Duration::from_hours(2);
/// After this much silence the caller is asked whether it wants to cancel.
const QUIET: Duration = Duration::from_millis(250);
/// How long the owner may take to go after its result.
const REAP: Duration = Duration::from_secs(10);

/// Backs up. Blocks until the job is done; whatever fails is in the result.
///
/// `progress` is called on this thread and can cancel the job.
pub fn backup(
    installation: &Installation,
    request: &BackupRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Backup, request.job_id, request.backup_id());
    run(installation, JobRequest::Backup(request.clone()), "bpbrm", result, progress)
}

/// Restores. Blocks until the job is done; whatever fails is in the result.
///
/// `progress` is called on this thread and can cancel the job.
pub fn restore(
    installation: &Installation,
    request: &RestoreRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Restore, request.job_id, request.backup_id.clone());
    run(installation, JobRequest::Restore(request.clone()), "bpbrm", result, progress)
}

/// Verifies: reads every block, compares the headers in the stream with the catalogue. Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn verify(
    installation: &Installation,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Verify, request.job_id, request.backup_id.clone());
    run(installation, JobRequest::Verify(request.clone()), "bpverify", result, progress)
}

/// Expires a backup: deletes its images and its catalogue entry. Blocks until the job is done. It is not cancelled
/// half-way: what `progress` returns does not matter.
pub fn expire(
    installation: &Installation,
    request: &ExpireRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::ImageCleanup, request.job_id, request.backup_id.clone());
    run(installation, JobRequest::Expire(request.clone()), "nbdelete", result, progress)
}

/// Duplicates: makes another copy of a backup. Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn duplicate(
    installation: &Installation,
    request: &DuplicateRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Duplicate, request.job_id, request.backup_id.clone());
    run(installation, JobRequest::Duplicate(request.clone()), "bpduplicate", result, progress)
}

/// Makes a synthetic full backup of a stream's backups. Blocks until the job is done; the result names the new backup.
///
/// `progress` is called on this thread and can cancel the job.
pub fn synthesize(
    installation: &Installation,
    request: &SyntheticRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Backup, request.job_id, String::new());
    run(installation, JobRequest::Synthetic(request.clone()), "bpsynth", result, progress)
}

/// Imports: one of the two phases. Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn import(
    installation: &Installation,
    request: &ImportRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Import, request.job_id, request.backup_id().to_owned());
    run(installation, JobRequest::Import(request.clone()), "bpimport", result, progress)
}

/// Replicates a backup to the targets of its LSU (A.I.R.). Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn replicate(
    installation: &Installation,
    request: &ReplicateRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::Replication, request.job_id, request.backup_id.clone());
    run(installation, JobRequest::Replicate(request.clone()), "nbreplicate", result, progress)
}

/// Imports, in a target domain, what was replicated to an LSU. Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn import_replicas(
    installation: &Installation,
    request: &ReplicaImportRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::ReplicationImport, request.job_id, String::new());
    run(installation, JobRequest::ImportReplicas(request.clone()), "bpimport", result, progress)
}

/// Locks what the storage refused to lock before. Blocks until the job is done.
///
/// `progress` is called on this thread and can cancel the job.
pub fn cleanup(
    installation: &Installation,
    request: &CleanupRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let result = JobResult::empty(JobKind::ImageCleanup, request.job_id, String::new());
    run(installation, JobRequest::Cleanup(request.clone()), "nbdelete", result, progress)
}

fn run(
    installation: &Installation,
    request: JobRequest,
    owner_name: &str,
    mut result: JobResult,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let started = Instant::now();
    progress(&JobEvent::State(JobState::Queued));
    let order = ToOwner::Start(Box::new(JobOrder { installation: installation.clone(), request }));
    let failed = match Process::start(installation, owner_name, result.job_id, None) {
        Err(error) => (code::SYSTEM_CALL, format!("cannot start {owner_name}: {error}")),
        Ok(mut owner) => {
            progress(&JobEvent::ProcessStarted { name: owner_name.to_owned(), pid: owner.id() });
            match follow(&mut owner, &order, progress) {
                Ok(mut done) => {
                    done.processes.insert(0, owner.reap(REAP));
                    return done;
                }
                Err(what) => {
                    let record = owner.reap(Duration::ZERO);
                    let ended = match (record.signal, record.exit_code) {
                        (Some(signal), _) => format!("{owner_name} was killed by signal {signal}"),
                        (_, Some(code)) => format!("{owner_name} ended with exit code {code}"),
                        _ => format!("{owner_name} has gone"),
                    };
                    result.processes.push(record);
                    (code::CONNECTION_BROKEN, format!("{what}; {ended}"))
                }
            }
        }
    };
    result.status = failed.0;
    result.text = format!("{}: {}", status_text(failed.0), failed.1);
    result.state = JobState::Done;
    result.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result.log.push(result.text.clone());
    progress(&JobEvent::State(JobState::Done));
    result
}

/// Hears the owner out.
fn follow(
    owner: &mut Process,
    order: &ToOwner,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> Result<JobResult, String> {
    owner.link.send(order).map_err(|e| e.to_string())?;
    let mut cancelled = false;
    let mut heard = Instant::now();
    loop {
        let event = match owner.link.receive::<FromOwner>(QUIET) {
            Ok(Some(FromOwner::Event(event))) => {
                heard = Instant::now();
                event
            }
            Ok(Some(FromOwner::Done(result))) => return Ok(*result),
            Ok(None) => return Err("the job's owner has gone".to_owned()),
            Err(LinkError::TimedOut { .. }) if heard.elapsed() < SILENCE => JobEvent::Quiet,
            Err(error) => return Err(error.to_string()),
        };
        if progress(&event) == JobControl::Cancel && !cancelled {
            cancelled = true;
            owner.link.send(&ToOwner::Cancel).map_err(|e| e.to_string())?;
        }
    }
}
