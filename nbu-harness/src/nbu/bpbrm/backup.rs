//! A backup job: bpbkar and bptm together, file records into the catalogue, and everything discarded on failure.

use super::Work;
use super::checkpoint::{self, Saved};
use super::cleanup::delete_made;
use super::copies::{self, Sockets};
use super::course::{Conduct, CopyEnd, Course};
use super::earlier::{base, effective_type, reference, track_order};
use super::entry::{Written, catalogue_cause, check, enter};
use super::made::{Made, keep_checkpoint, make_room, resumed};
use super::owner::{Cause, Owner, Wish};
use crate::nbu::catalog::{Catalog, NewImage, StoredCopy};
use crate::nbu::inline::OnCopyFailure;
use crate::nbu::install::StorageUnit;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::{
    Checkpoint, CheckpointOrder, ClientReport, FromClient, FromMover, MoverReport, MoverTask, Reference,
    ToClient, ToMover, WriteTask,
};
use crate::nbu::process::os::ForkedChild;
use crate::nbu::request::BackupRequest;
use crate::nbu::result::{JobEvent, JobState, Operation};
use crate::nbu::status::code;

/// Number of the first copy that a backup makes.
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
    let work = |unit: &StorageUnit| Work {
        storage_unit: unit.clone(),
        backup_time: request.backup_time,
        policy: request.policy.clone(),
    };
    let works: Vec<Work> = request.copy_units().map(work).collect();
    let mut conduct = Backup {
        new_image,
        hold_expected: request.abort_after.map(|_| request.suspend),
        point: saved.as_ref().map(|saved| saved.point.clone()),
        coming: None,
        copies: works.iter().map(|_| Copying::default()).collect(),
        client_bytes: None,
    };
    let list: Option<PathBytes> = if request.collect_tir {
        Some(conduct.new_image.flushed().map_err(catalogue_cause)?.into())
    } else {
        None
    };
    let base = base(owner, &catalog, request)?;
    let begun = make_room(owner, request, &works, saved.as_ref())
        .and_then(|()| start(owner, request, &works, reference, base, saved.as_ref(), list.as_ref()));
    let (mut course, _sharing) = match begun {
        Ok(begun) => begun,
        Err(cause) => {
            // The checkpoint of the attempt before is as good as it was.
            if saved.is_some() {
                owner.resumable(JobState::Incomplete);
            }
            return Err(cause);
        }
    };
    let outcome = course.run(owner, &mut conduct);
    let ends = course.copy_ends();
    let client = course.client_report.take().unwrap_or_default();
    let Backup { new_image, copies, point, .. } = conduct;
    let created = copies.into_iter().map(|copy| copy.created).collect();
    let made = Made { works: &works, created, point };
    match outcome {
        Ok(()) => {
            let written = written(&ends);
            match enter(owner, request, new_image, schedule_type, &written, &client) {
                Ok(remark) => {
                    if request.resume {
                        checkpoint::remove(&owner.installation.work_dir, &request.backup_id())?;
                    }
                    let lost = give_up_lost(owner, made, ends);
                    remark.or(lost).map_or(Ok(()), Err)
                }
                Err(cause) => Err(made.clean_up(owner, request, reports(ends), cause)?),
            }
        }
        Err(cause) => {
            if owner.wish() == Wish::Abandoned {
                // Images and checkpoint may be a later try's by now.
                return Err(cause);
            }
            // A cancelled job is not to go on.
            if let Some(point) = made.point.as_ref().filter(|_| cause.status != code::CANCELLED) {
                keep_checkpoint(owner, request, point, new_image, cause.status)?;
            }
            Err(made.clean_up(owner, request, reports(ends), cause)?)
        }
    }
}

/// The copies that are there.
fn written(ends: &[CopyEnd]) -> Vec<Written> {
    let good = |end: &CopyEnd| end.report.clone().filter(|_| end.lost.is_none());
    let numbered = ends.iter().zip(FIRST_COPY..);
    numbered.filter_map(|(end, number)| Some(Written { number, report: good(end)? })).collect()
}

fn reports(ends: Vec<CopyEnd>) -> Vec<Option<MoverReport>> {
    ends.into_iter().map(|end| end.report).collect()
}

/// Deletes what is there of the copies that the job went on without; returns what it ends with because of them.
fn give_up_lost(owner: &mut Owner, made: Made<'_>, ends: Vec<CopyEnd>) -> Option<Cause> {
    let mut first = None;
    for (((work, created), end), number) in made.works.iter().zip(made.created).zip(ends).zip(FIRST_COPY..) {
        let Some(cause) = end.lost else { continue };
        delete_made(owner, work, end.report, created);
        let sts = cause.sts.clone();
        let what = format!("copy {number} was not made: {}", cause.text);
        first.get_or_insert(Cause { sts, ..Cause::new(code::PARTIAL, what) });
    }
    first
}

/// Starts the processes: bpbkar, a bptm for each copy, and what hands the stream to them if they are several.
fn start(
    owner: &mut Owner,
    request: &BackupRequest,
    works: &[Work],
    reference: Option<Reference>,
    base: Option<StoredCopy>,
    saved: Option<&Saved>,
    list: Option<&PathBytes>,
) -> Result<(Course, Option<ForkedChild>), Cause> {
    let Sockets { client, copies, sharing } = copies::sockets(owner, works.len())?;
    let mut movers = Vec::new();
    for ((work, socket), copy) in works.iter().zip(copies).zip(FIRST_COPY..) {
        let task = MoverTask::Write(WriteTask {
            client: request.client.clone(),
            schedule: request.schedule.clone(),
            schedule_type: effective_type(request, reference.as_ref()),
            stream: request.stream,
            source: request.source.clone(),
            copy,
            header_order: request.header_order,
            tir: list.cloned(),
            resume: saved.map(|saved| saved.point.clone()),
            worm_seconds: request.worm_seconds,
            framed: request.accelerator.is_some() || request.checkpoint.is_some(),
            base: base.clone(),
            hold_at: request.abort_after.filter(|_| copy == FIRST_COPY),
            multiplexed: request.multiplexed.is_some() && copy == FIRST_COPY,
        });
        movers.push(work.start(owner, "bptm", Some(socket), task)?);
    }
    let mut bpbkar = owner.start("bpbkar", Some(client))?;
    let order = ToClient::Backup {
        source: request.source.clone(),
        reference,
        track: request.accelerator.map(|settings| track_order(owner, request, settings, base)),
        checkpoints: request
            .checkpoint
            .map(|every| CheckpointOrder { every, resume: saved.and_then(Saved::resume_point) }),
        timeout_ms: owner.installation.timeouts.client_read_timeout_ms,
    };
    bpbkar
        .give_order(&order)
        .map_err(|e| Cause::new(code::HANDSHAKE, format!("bpbkar did not take its order: {e}")))?;
    let mut movers = movers.into_iter();
    let Some(first) = movers.next() else {
        return Err(Cause::new(code::INVALID_PARAMETER, "a backup without a copy"));
    };
    let spares = request.inline.as_ref().is_some_and(|inline| inline.on_failure == OnCopyFailure::Continue);
    Ok((Course::new(Some(bpbkar), first, None).with_copies(movers.collect(), spares), sharing))
}

/// A copy while bptm writes it.
#[derive(Debug, Default)]
struct Copying {
    /// Images that may exist.
    created: Vec<String>,
    end_of_data: Option<u64>,
}

struct Backup {
    new_image: NewImage,
    /// Whether bptm is expected to hold, and for what: true for a suspend, false for a cancel.
    hold_expected: Option<bool>,
    /// The last checkpoint whose files have all come.
    point: Option<Checkpoint>,
    /// A checkpoint that bptm made, some of whose files may still be on their way from the client.
    coming: Option<Checkpoint>,
    copies: Vec<Copying>,
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
    fn decide(&mut self, copy: usize) -> Result<Option<ToMover>, Cause> {
        match (self.client_bytes, self.copies.get(copy).and_then(|copy| copy.end_of_data)) {
            (Some(sent), Some(received)) if sent == received => {
                // bptm may read the file list now: the client, which has ended, sent all of it.
                self.new_image.flushed().map_err(catalogue_cause)?;
                Ok(Some(ToMover::Finish))
            }
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
        self.copy_says(owner, 0, message)
    }

    fn copy_says(
        &mut self,
        owner: &mut Owner,
        copy: usize,
        message: FromMover,
    ) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Creating(name) => {
                owner.operation(Operation::Write);
                self.copies[copy].created.push(name);
                Ok(None)
            }
            FromMover::Checkpoint(point) => {
                self.coming = Some(*point);
                self.arrive();
                Ok(None)
            }
            FromMover::Open => {
                owner.event(JobEvent::ImageOpen);
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
                self.copies[copy].end_of_data = Some(bytes);
                self.decide(copy)
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("bptm sent {other:?} out of turn"))),
        }
    }

    fn client_ended(&mut self, copy: usize, report: &ClientReport) -> Result<Option<ToMover>, Cause> {
        self.client_bytes = Some(report.bytes);
        self.decide(copy)
    }

    fn files(&self) -> u64 {
        self.new_image.files()
    }
}
