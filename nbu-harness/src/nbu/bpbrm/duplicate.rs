//! A duplication job: another copy of a backup, made by the storage where it can, else read by one bptm and written by
//! another.

use std::os::unix::net::UnixStream;

use super::cleanup::{Alone, delete_images, delete_made};
use super::course::{Conduct, Course};
use super::owner::{Cause, Owner, Wish, wrapped};
use super::{Found, Work, catalogue_cause};
use crate::nbu::catalog::{CopyRecord, ImageRecord};
use crate::nbu::process::message::{
    ClientReport, CopyTask, Extent, FromClient, FromMover, MoverReport, MoverTask, Piece, ToMover, WriteTask,
};
use crate::nbu::request::{DuplicateMethod, DuplicateRequest, FallBack};
use crate::nbu::result::Operation;
use crate::nbu::status::{Place, code};

/// Runs a duplication.
pub(super) fn run(owner: &mut Owner, request: &DuplicateRequest) -> Result<(), Cause> {
    let found = Found::copy(owner, &request.backup_id, request.source_copy)?;
    let source_work = found.work(&request.storage_unit)?;
    if source_work.storage_unit.lsu == request.storage_unit.lsu {
        let what = format!("a copy of {} cannot go to the LSU that it is on", request.backup_id);
        return Err(Cause::new(code::INVALID_PARAMETER, what));
    }
    if request.extent_bytes == 0 || !request.extent_bytes.is_multiple_of(512) {
        let what = format!("extents of {} bytes: a multiple of 512 is needed", request.extent_bytes);
        return Err(Cause::new(code::INVALID_PARAMETER, what));
    }
    let operation = request.lifecycle.map(|lifecycle| lifecycle.operation);
    if let Some(operation) = operation
        && let Some(copy) = found.image.copy_of_operation(operation)
    {
        // A job whose end nobody heard of made it.
        let what = format!("{} has copy {} of operation {operation}", request.backup_id, copy.number);
        owner.info("bpduplicate", std::process::id(), what);
        return Ok(());
    }
    let number = copy_number(&found.image, operation);
    let target_work = Work { storage_unit: request.storage_unit.clone(), ..source_work.clone() };
    if request.again {
        let task = MoverTask::Discard { keep: Vec::new(), copy: Some(number) };
        let process = target_work.start(owner, "bpdm", None, task)?;
        Course::new(None, process, None).run(owner, &mut Alone)?;
    }
    let mut outcome = None;
    if request.method != DuplicateMethod::Normal {
        let made = optimized(owner, request, &found, &target_work, number);
        match &made {
            Err(cause) if falls_back(request.fall_back, cause) && owner.wish() == Wish::GoOn => {
                let what =
                    format!("optimized duplication is not possible ({}), a normal one follows", cause.text);
                owner.info("bpduplicate", std::process::id(), what);
                owner.result.sts_error = None;
            }
            _ => outcome = Some(made),
        }
    }
    let outcome = outcome.unwrap_or_else(|| normal(owner, &found, &source_work, &target_work, number));
    let copy = outcome.map_err(|cause| wrapped(owner, cause))?;
    let copy = match request.lifecycle {
        Some(lifecycle) => CopyRecord { lifecycle_operation: operation, ..copy }
            .kept_for(found.image.backup_time, lifecycle.retention_seconds),
        None => CopyRecord { expires: found.copy.expires, ..copy },
    };
    let images = copy.image_names();
    let entered = enter(owner, &found, copy);
    if entered.is_err() {
        match found.catalog.image(&request.backup_id) {
            // Entered, though perhaps not durably; or another's, with images of the same names.
            Ok(Some(image)) if image.has_copy_at(number, &request.storage_unit) => {}
            Ok(_) => delete_images(owner, &target_work, &images),
            Err(_) => owner.result.left_behind.extend(images),
        }
    }
    entered
}

/// The number of the copy. Operations of a lifecycle policy run beside each other, so each has a number of its own: the
/// operation's, unless somebody made a copy of that number by hand.
fn copy_number(image: &ImageRecord, operation: Option<u32>) -> u32 {
    operation.filter(|number| image.copy(Some(*number)).is_none()).unwrap_or_else(|| image.next_copy())
}

/// Whether a normal duplication is to follow an optimized one that ended so.
fn falls_back(rule: FallBack, cause: &Cause) -> bool {
    match rule {
        FallBack::Never => false,
        FallBack::NotOffered => not_offered(cause),
        FallBack::Failed => cause.status != code::CANCELLED,
    }
}

/// Whether the storage server does not offer what was asked of it.
pub(super) fn not_offered(cause: &Cause) -> bool {
    let optional = [Place::Copy, Place::Include];
    cause.sts.as_ref().is_some_and(|sts| optional.contains(&sts.place) && sts.code == ost_abi::STS_ENOTSUP)
}

/// Puts the copy into the catalogue.
fn enter(owner: &mut Owner, found: &Found, copy: CopyRecord) -> Result<(), Cause> {
    owner.operation(Operation::Catalog);
    let (id, number) = (&found.image.backup_id, copy.number);
    let (fragments, images) = (copy.fragments.clone(), copy.image_names());
    let mut taken = false;
    let updated = found.catalog.update(id, |image| {
        let same = |other: &CopyRecord| {
            let operation = copy.lifecycle_operation;
            other.number == number || operation.is_some() && other.lifecycle_operation == operation
        };
        taken = image.copies.iter().any(same);
        if !taken {
            image.copies.push(copy);
        }
        true
    });
    match updated.map_err(catalogue_cause)? {
        Some(_) if !taken => {
            owner.result.kbytes = found.image.stream_bytes.div_ceil(1024);
            owner.result.files = found.image.files;
            (owner.result.fragments, owner.result.images) = (fragments, images);
            owner.info("bpduplicate", std::process::id(), format!("made copy {number} of {id}"));
            Ok(())
        }
        Some(_) => Err(Cause::new(code::IMAGE_CONFLICT, format!("{id} has got a copy {number} meanwhile"))),
        None => Err(Cause::new(code::NO_ENTITY, format!("{id} was expired meanwhile"))),
    }
}

/// The storage copies.
fn optimized(
    owner: &mut Owner,
    request: &DuplicateRequest,
    found: &Found,
    work: &Work,
    number: u32,
) -> Result<CopyRecord, Cause> {
    let task = MoverTask::Copy(CopyTask {
        source: found.image.stored(&found.copy),
        copy: number,
        method: request.method,
        extent_bytes: request.extent_bytes,
    });
    let process = work.start(owner, "bpdm", None, task)?;
    let course = Course::new(None, process, Some(found.image.stream_bytes));
    follow(owner, course, work, found, number)
}

/// One bptm reads, another writes.
fn normal(
    owner: &mut Owner,
    found: &Found,
    source: &Work,
    target: &Work,
    number: u32,
) -> Result<CopyRecord, Cause> {
    let (reader_end, writer_end) = UnixStream::pair().map_err(|e| Cause::new(code::SYSTEM_CALL, e))?;
    let image = &found.image;
    let write = MoverTask::Write(WriteTask {
        client: image.client.clone(),
        schedule: image.schedule.clone(),
        schedule_type: image.schedule_type,
        stream: image.stream,
        source: image.source.clone(),
        copy: number,
        header_order: found.copy.header_order,
        // The list of the catalogue is what a read of the image would give.
        tir: found.copy.tir.as_ref().map(|_| (&*found.catalog.list_path(image)).into()),
        resume: None,
        worm_seconds: None,
        framed: false,
        base: None,
        hold_at: None,
        multiplexed: false,
    });
    let writer = target.start(owner, "bptm", Some(writer_end), write)?;
    let extent = Extent { offset: 0, length: image.stream_bytes };
    let read = MoverTask::Read {
        stop_after: None,
        images: vec![image.stored(&found.copy)],
        pieces: vec![Piece { image: 0, extent }],
        zeros: 0,
    };
    let reader = source.start(owner, "bptm", Some(reader_end), read)?;
    let course = Course::new(None, writer, Some(image.stream_bytes)).with_reader(reader);
    follow(owner, course, target, found, number)
}

/// Follows the processes; what they made is deleted when they fail.
fn follow(
    owner: &mut Owner,
    mut course: Course,
    work: &Work,
    found: &Found,
    number: u32,
) -> Result<CopyRecord, Cause> {
    let mut conduct = Transfer::default();
    let outcome = course.run(owner, &mut conduct);
    let report = course.mover_report();
    match (outcome, report) {
        (Ok(()), Some(report)) if report.bytes == found.image.stream_bytes => {
            Ok(report.copy_record(number, &work.storage_unit, found.copy.header_order))
        }
        (outcome, report) => {
            delete_made(owner, work, report, conduct.created);
            let expected = found.image.stream_bytes;
            let short =
                || Cause::new(code::MEDIA_READ, format!("the copy has not the {expected} bytes it should"));
            Err(outcome.err().unwrap_or_else(short))
        }
    }
}

/// A stream from one bptm to another: both have to agree on its length before images may be completed.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// What the job does once the first image is made, if that is something else.
    writing: Option<Operation>,
    /// Images that may exist.
    pub(super) created: Vec<String>,
    sent: Option<u64>,
    received: Option<u64>,
}

impl Transfer {
    /// One whose job is writing as soon as there is an image.
    pub(super) fn that_writes() -> Self {
        Self { writing: Some(Operation::Write), ..Self::default() }
    }

    fn decide(&self) -> Result<Option<ToMover>, Cause> {
        match (self.sent, self.received) {
            (Some(sent), Some(received)) if sent == received => Ok(Some(ToMover::Finish)),
            (Some(sent), Some(received)) => {
                let what = format!("{sent} bytes were read, {received} arrived at the bptm that writes");
                Err(Cause::new(code::SOCKET_READ, what))
            }
            _ => Ok(None),
        }
    }
}

impl Conduct for Transfer {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Creating(name) => {
                if let Some(operation) = self.writing.take() {
                    owner.operation(operation);
                }
                self.created.push(name);
                Ok(None)
            }
            FromMover::EndOfData { bytes } => {
                self.received = Some(bytes);
                self.decide()
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("bptm sent {other:?} out of turn"))),
        }
    }

    fn client_ended(&mut self, _: usize, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }

    fn reader_ended(&mut self, report: &MoverReport) -> Result<Option<ToMover>, Cause> {
        self.sent = Some(report.bytes);
        self.decide()
    }

    fn files(&self) -> u64 {
        0
    }
}
