//! A restore job: bptm reads, tar creates the files. One that was suspended, or failed behind a checkpoint, goes on there.

use std::os::unix::net::UnixStream;

use super::course::{Conduct, Course};
use super::entry::catalogue_cause;
use super::owner::{Cause, Owner, Wish};
use super::restore_point::{self, RestorePoint};
use super::selection::{Plan, plan, rest_of};
use super::{Found, Work};
use crate::nbu::catalog::{CopyRecord, ImageRecord};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::{
    ClientReport, FromClient, FromMover, MoverTask, Piece, RestoreOrder, ToClient, ToMover,
};
use crate::nbu::request::RestoreRequest;
use crate::nbu::result::{JobState, Operation, Warning};
use crate::nbu::status::{code, status_text};

/// Runs a restore.
pub(super) fn run(owner: &mut Owner, request: &RestoreRequest) -> Result<(), Cause> {
    let found = Found::copy(owner, &request.backup_id, request.copy)?;
    let work = found.work(&request.storage_unit)?;
    let Found { catalog, image, copy } = found;
    let mut plan = plan(&catalog, &image, &request.selection).map_err(catalogue_cause)?;
    for path in &plan.missing {
        owner.warn(Warning { path: path.clone(), text: "the backup has no such file".into() });
    }
    if plan.extents.is_empty() {
        return Err(Cause::new(code::NO_ENTITY, "the backup has none of the selected files"));
    }
    let (missing, all_bytes) = (plan.missing.len(), plan.bytes());
    let (earlier, mut before) = (earlier(owner, request)?, 0);
    if let Some(point) = &earlier {
        let rest = rest_of(&catalog, &image, plan, &point.path).map_err(catalogue_cause)?;
        let (path, files) = (&point.path, point.files);
        let (again, directories) = (rest.again, rest.directories);
        before = files.saturating_sub(again + directories);
        plan = rest.plan;
        let line = format!(
            "resuming at {path}, {files} files are restored: {again} of them once more, and {directories} directories"
        );
        owner.info("bpbrm", std::process::id(), line);
    }
    let skipped = all_bytes.saturating_sub(plan.bytes());
    let mut course = start(owner, request, &work, &image, &copy, plan)?;
    owner.operation(Operation::Read);
    let mut conduct = Restore::default();
    let outcome = course.run(owner, &mut conduct);
    let client = course.client_report.take().unwrap_or_default();
    let result = &mut owner.result;
    result.files = before + client.files.max(conduct.files);
    result.images = copy.image_names();
    result.fragments.clone_from(&copy.fragments);
    result.kbytes = course.mover_report().map_or(0, |report| (skipped + report.bytes).div_ceil(1024));
    result.bad_ranges = earlier.iter().flat_map(|point| point.bad_ranges.clone()).collect();
    result.bad_ranges.extend(client.bad_ranges);
    let outcome = match outcome {
        // What came of the early end of the stream is no news then.
        Ok(()) => conduct.suspended(),
        Err(cause) if cause.status == code::CANCELLED => Err(cause),
        Err(cause) => conduct.suspended().and(Err(cause)),
    };
    if owner.wish() == Wish::Abandoned {
        // A later try has the checkpoint by now.
        return outcome;
    }
    if let Err(cause) = &outcome {
        let point = conduct.point.map(|(files, path)| (before + files, path));
        keep_or_forget(owner, point, earlier, cause.status)?;
    }
    outcome?;
    restore_point::remove(&owner.installation.work_dir, request.job_id)?;
    let status = match (client.status, missing, owner.result.bad_ranges.len()) {
        (code::OK, 0, 0) => return Ok(()),
        (code::OK, 0, bad) => {
            return Err(Cause::new(
                code::NOTHING_RESTORED,
                format!("{bad} ranges of generated data are wrong"),
            ));
        }
        (code::OK, ..) => code::NOT_ALL_RESTORED,
        (status, ..) => status,
    };
    Err(Cause { status, text: status_text(status).to_owned(), sts: None })
}

/// The checkpoint that a resumed restore goes on from. One that came to none begins again.
fn earlier(owner: &mut Owner, request: &RestoreRequest) -> Result<Option<RestorePoint>, Cause> {
    if !request.resume {
        return Ok(None);
    }
    let point = restore_point::load(&owner.installation.work_dir, request.job_id)?;
    if point.is_none() {
        owner.info("bpbrm", std::process::id(), "resuming without a checkpoint, from the first file");
    }
    Ok(point)
}

/// Keeps the last checkpoint of a restore that can go on, and forgets that of one that cannot.
fn keep_or_forget(
    owner: &mut Owner,
    reached: Option<(u64, PathBytes)>,
    earlier: Option<RestorePoint>,
    status: i32,
) -> Result<(), Cause> {
    let (work_dir, job_id) = (owner.installation.work_dir.clone(), owner.result.job_id);
    let reached = reached.map(|(files, path)| RestorePoint { path, files, bad_ranges: Vec::new() });
    let point = reached.or(earlier);
    let suspended = status == code::SUSPENDED;
    // What an administrator ended, and files that came back wrong, are not gone on with.
    let goes_on =
        suspended || (point.is_some() && ![code::CANCELLED, code::NOTHING_RESTORED].contains(&status));
    if !goes_on {
        return restore_point::remove(&work_dir, job_id);
    }
    owner.resumable(if suspended { JobState::Suspended } else { JobState::Incomplete });
    let Some(point) = point else { return Ok(()) };
    let line = format!("the restore can be resumed at {}, {} files are restored", point.path, point.files);
    owner.info("bpbrm", std::process::id(), line);
    restore_point::save(
        &work_dir,
        job_id,
        &RestorePoint { bad_ranges: owner.result.bad_ranges.clone(), ..point },
    )
}

fn start(
    owner: &mut Owner,
    request: &RestoreRequest,
    work: &Work,
    image: &ImageRecord,
    copy: &CopyRecord,
    plan: Plan,
) -> Result<Course, Cause> {
    let (tar_end, bptm_end) = UnixStream::pair().map_err(|e| Cause::new(code::SYSTEM_CALL, e))?;
    let total = plan.bytes();
    let pieces = plan.extents.iter().map(|extent| Piece { image: 0, extent: *extent }).collect();
    let stop_after = request.suspend_after;
    let task = MoverTask::Read { images: vec![image.stored(copy)], pieces, zeros: 0, stop_after };
    let mover = work.start(owner, "bptm", Some(bptm_end), task)?;
    let mut client = owner.start("tar", Some(tar_end))?;
    let order = ToClient::Restore(RestoreOrder {
        destination: (&*request.destination).into(),
        source: image.source.clone(),
        placements: plan.placements,
        checkpoint: request.checkpoint,
        timeout_ms: owner.installation.timeouts.client_read_timeout_ms,
    });
    client
        .give_order(&order)
        .map_err(|e| Cause::new(code::HANDSHAKE, format!("tar did not take its order: {e}")))?;
    Ok(Course::new(Some(client), mover, Some(total)))
}

#[derive(Debug, Default)]
struct Restore {
    files: u64,
    /// The last checkpoint: how many files were restored, and the last of them.
    point: Option<(u64, PathBytes)>,
    /// bptm has ended the stream early, for the operator.
    held: bool,
}

impl Restore {
    fn suspended(&self) -> Result<(), Cause> {
        if self.held { Err(Cause::new(code::SUSPENDED, "suspended")) } else { Ok(()) }
    }
}

impl Conduct for Restore {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        match message {
            FromClient::Restored(files) => {
                self.files = files;
                Ok(())
            }
            FromClient::RestoredTo { files, path } => {
                self.point = Some((files, path));
                Ok(())
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("tar sent {other:?} out of turn"))),
        }
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Held { bytes } => {
                owner.info("bpbrm", std::process::id(), format!("suspend requested after {bytes} bytes"));
                self.held = true;
                Ok(None)
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("bptm sent {other:?} out of turn"))),
        }
    }

    fn client_ended(&mut self, _: usize, report: &ClientReport) -> Result<Option<ToMover>, Cause> {
        self.files = report.files;
        Ok(None)
    }

    fn files(&self) -> u64 {
        self.files
    }
}
