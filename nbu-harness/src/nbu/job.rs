//! nbjm's part: starts the owner of a job, follows it, and returns how it ended.

use std::path::Path;
use std::time::{Duration, Instant};

use super::install::Installation;
use super::media_server;
use super::process::Process;
use super::process::link::{Link, LinkError};
use super::process::message::{FromOwner, JobOrder, JobRequest, ToOwner};
use super::request::{
    BackupRequest, CleanupRequest, DuplicateRequest, ExpireRequest, ImportRequest, LifecycleRequest,
    ReplicaImportRequest, ReplicateRequest, RestoreRequest, SyntheticRequest, VerifyRequest,
};
use super::result::{JobControl, JobEvent, JobKind, JobResult, JobState, ProcessRecord};
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

/// Does one operation of a storage lifecycle policy for a batch of images. Blocks until the job is done; the result names
/// the images that it is done for.
///
/// `progress` is called on this thread and can cancel the job.
pub fn lifecycle(
    installation: &Installation,
    request: &LifecycleRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let job_id = request.job_id;
    let request = JobRequest::Lifecycle(request.clone());
    let (owner, result) = (request.owner(), JobResult::empty(request.kind(), job_id, request.backup_id()));
    run(installation, request, owner, result, progress)
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
    result: JobResult,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let started = Instant::now();
    progress(&JobEvent::State(JobState::Queued));
    let order = ToOwner::Start(Box::new(JobOrder { installation: installation.clone(), request }));
    let mut owner = match Process::start(installation, owner_name, result.job_id, None) {
        Ok(owner) => owner,
        Err(error) => {
            let what = format!("cannot start {owner_name}: {error}");
            return failed(result, code::SYSTEM_CALL, &what, started, progress);
        }
    };
    progress(&JobEvent::ProcessStarted { name: owner_name.to_owned(), pid: owner.id() });
    match follow(&mut owner.link, &order, SILENCE, progress) {
        Ok(mut done) => {
            done.processes.insert(0, owner.reap(REAP));
            done
        }
        Err(what) => {
            let record = owner.reap(Duration::ZERO);
            let what = format!("{what}; {}", describe(&record));
            let result = JobResult { processes: vec![record], ..result };
            failed(result, code::CONNECTION_BROKEN, &what, started, progress)
        }
    }
}

/// The same on a media server: its nbrmms, which listens at `socket`, starts the owner. Blocks until the job is done;
/// whatever fails is in the result. An owner that says nothing for `silence` is given up. Also says whether the result is
/// the owner's own: otherwise nobody knows what it left.
pub(crate) fn run_on(
    socket: &Path,
    installation: &Installation,
    request: JobRequest,
    result: JobResult,
    silence: Duration,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> (JobResult, bool) {
    let started = Instant::now();
    let owner = request.owner();
    let mut link = match media_server::start_owner(socket, installation, owner, result.job_id) {
        Ok((link, pid)) => {
            progress(&JobEvent::ProcessStarted { name: owner.to_owned(), pid });
            link
        }
        Err(error) => {
            let what = format!("the media server does not start {owner}: {error}");
            return (failed(result, code::CANNOT_CONNECT, &what, started, progress), false);
        }
    };
    let order = ToOwner::Start(Box::new(JobOrder { installation: installation.clone(), request }));
    match follow(&mut link, &order, silence, progress) {
        Ok(mut done) => {
            if let Ok(Some(FromOwner::Ended(record))) = link.receive(REAP) {
                done.processes.insert(0, record);
            }
            (done, true)
        }
        Err(what) => (failed(result, code::CONNECTION_BROKEN, &what, started, progress), false),
    }
}

/// The result of a job that has lost its owner or never had one.
fn failed(
    mut result: JobResult,
    status: i32,
    what: &str,
    started: Instant,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    result.status = status;
    result.text = format!("{}: {what}", status_text(status));
    result.state = JobState::Done;
    result.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result.log.push(result.text.clone());
    progress(&JobEvent::State(JobState::Done));
    result
}

fn describe(record: &ProcessRecord) -> String {
    let name = &record.name;
    match (record.signal, record.exit_code) {
        (Some(signal), _) => format!("{name} was killed by signal {signal}"),
        (_, Some(code)) => format!("{name} ended with exit code {code}"),
        _ => format!("{name} has gone"),
    }
}

/// Hears the owner out.
fn follow(
    owner: &mut Link,
    order: &ToOwner,
    silence: Duration,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> Result<JobResult, String> {
    owner.send(order).map_err(|e| e.to_string())?;
    let (mut ordered, mut interleaved) = (JobControl::Continue, false);
    let mut heard = Instant::now();
    loop {
        let event = match owner.receive::<FromOwner>(QUIET) {
            Ok(Some(FromOwner::Event(event))) => {
                heard = Instant::now();
                event
            }
            Ok(Some(FromOwner::Done(result))) => return Ok(*result),
            Ok(Some(FromOwner::Ended(record))) => {
                return Err(format!("the job's owner has gone: {}", describe(&record)));
            }
            Ok(None) => return Err("the job's owner has gone".to_owned()),
            Err(LinkError::TimedOut { .. }) if heard.elapsed() < silence => JobEvent::Quiet,
            Err(LinkError::TimedOut { .. }) => {
                return Err(format!("the job's owner said nothing for {} s", silence.as_secs_f32()));
            }
            Err(error) => return Err(error.to_string()),
        };
        // Each order once; what is being suspended can still be cancelled.
        let wanted = progress(&event);
        let order = match (ordered, wanted) {
            (JobControl::Cancel, _)
            | (_, JobControl::Continue)
            | (JobControl::Suspend, JobControl::Suspend) => {
                continue;
            }
            (_, JobControl::Interleave { .. }) if interleaved => continue,
            (_, JobControl::Interleave { images }) => {
                interleaved = true;
                ToOwner::Interleave { images }
            }
            (_, JobControl::Cancel) => {
                ordered = JobControl::Cancel;
                ToOwner::Cancel
            }
            (_, JobControl::Suspend) => {
                ordered = JobControl::Suspend;
                ToOwner::Suspend
            }
        };
        match owner.send(&order) {
            // It is ending; its result may be here already.
            Ok(()) | Err(LinkError::Broken { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    /// nbjm's end of a connection, and the owner's.
    fn links() -> (Link, Link) {
        let (nbjm, owner) = UnixStream::pair().unwrap();
        let link = |end, peer| Link::new(end, peer, Duration::from_secs(5)).unwrap();
        (link(nbjm, "bpbrm"), link(owner, "nbjm"))
    }

    fn say(owner: &mut Link, words: &str) {
        owner.send(&FromOwner::Event(JobEvent::Log(words.into()))).unwrap();
    }

    fn done(owner: &mut Link) {
        let mut result = JobResult::empty(JobKind::Backup, 7, "client1_1".into());
        result.status = code::DISK_FULL;
        owner.send(&FromOwner::Done(Box::new(result))).unwrap();
    }

    #[test]
    fn a_cancel_that_comes_as_the_owner_ends_does_not_lose_its_result() {
        let (mut nbjm, mut owner) = links();
        say(&mut owner, "the last words");
        done(&mut owner);
        let mut owner = Some(owner);
        // What stands for the job's order does not matter here.
        let result = follow(&mut nbjm, &ToOwner::Cancel, SILENCE, &mut |_| {
            owner = None;
            JobControl::Cancel
        });
        assert_eq!(result.map(|result| result.status), Ok(code::DISK_FULL));
    }

    #[test]
    fn a_cancel_follows_a_suspend_and_every_order_goes_out_once() {
        let (mut nbjm, mut owner) = links();
        for words in ["one", "two", "three", "four", "five", "six", "seven"] {
            say(&mut owner, words);
        }
        done(&mut owner);
        let mut orders = [
            JobControl::Interleave { images: 4 },
            JobControl::Interleave { images: 4 },
            JobControl::Suspend,
            JobControl::Suspend,
            JobControl::Continue,
            JobControl::Cancel,
            JobControl::Suspend,
        ]
        .into_iter();
        let result = follow(&mut nbjm, &ToOwner::Cancel, SILENCE, &mut |_| {
            orders.next().unwrap_or(JobControl::Continue)
        });
        assert!(result.is_ok());
        drop(nbjm);
        let mut told = Vec::new();
        while let Ok(Some(order)) = owner.receive::<ToOwner>(Duration::from_secs(5)) {
            told.push(order);
        }
        let as_wanted = matches!(
            told[..],
            [ToOwner::Cancel, ToOwner::Interleave { images: 4 }, ToOwner::Suspend, ToOwner::Cancel]
        );
        assert!(as_wanted, "{told:?}");
    }
}
