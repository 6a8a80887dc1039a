//! A synthetic backup, owned by bpsynth: the last full backup and the incremental ones after it become a new full one, on
//! the media server and the storage, without the client.

mod plan;

use std::os::unix::net::UnixStream;

use self::plan::{Plan, plan};
use super::backup::FIRST_COPY;
use super::cleanup::{delete_images, delete_made};
use super::course::Course;
use super::duplicate::{Transfer, not_offered};
use super::owner::{Cause, Owner};
use super::{Work, catalogue_cause};
use crate::nbu::catalog::{Catalog, CopyRecord, ImageRecord, NewImage, StoredCopy};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::{ComposeTask, MoverReport, MoverTask, WriteTask};
use crate::nbu::request::{FallBack, HeaderOrder, ScheduleType, SyntheticRequest, backup_id};
use crate::nbu::result::Operation;
use crate::nbu::status::code;
use crate::nbu::tar_stream::TRAILER;

/// Runs a synthetic backup.
pub(super) fn run(owner: &mut Owner, request: &SyntheticRequest) -> Result<(), Cause> {
    let pid = std::process::id();
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    owner.info("bpsynth", pid, "query database for component images");
    let components = components(&catalog, request)?;
    let newest = components.last().ok_or_else(|| nothing(request))?;
    // NetBackup's rule: one second after the newest component.
    let backup_time = newest.backup_time + 1;
    let id = backup_id(&request.client, backup_time);
    owner.result.backup_id.clone_from(&id);
    let names: Vec<&str> = components.iter().map(|image| image.backup_id.as_str()).collect();
    owner.info("bpsynth", pid, format!("{id} is made of {}", names.join(", ")));
    let mut new_image = catalog.begin(&id, request.job_id).map_err(catalogue_cause)?;
    let plan = plan(&catalog, &components, &mut new_image)?;
    let list = new_image.flushed().map_err(catalogue_cause)?.into();
    let job = Job { request, components: &components, plan: &plan, backup_time, list };
    let work =
        Work { storage_unit: request.storage_unit.clone(), backup_time, policy: request.policy.clone() };
    let mut made = None;
    if request.optimized {
        match job.optimized(owner, &work) {
            Err(cause) if request.fall_back != FallBack::Never && not_offered(&cause) => {
                let what = format!(
                    "optimized synthetic backup is not possible ({}), a normal one follows",
                    cause.text
                );
                owner.info("bpsynth", pid, what);
                owner.result.sts_error = None;
            }
            outcome => made = Some(outcome?),
        }
    }
    let report = match made {
        Some(report) => report,
        None => job.normal(owner, &work)?,
    };
    let entered = job.enter(owner, new_image, &id, &report);
    if entered.is_err() {
        delete_images(owner, &work, &report.images);
    }
    entered
}

fn nothing(request: &SyntheticRequest) -> Cause {
    let what = format!(
        "client {}, policy {}, stream {}: a full backup and an incremental one after it are needed",
        request.client, request.policy, request.stream
    );
    Cause::new(code::NOTHING_TO_SYNTHESIZE, what)
}

/// The last full backup, the last cumulative one after it, and every differential one after that, by time.
fn components(catalog: &Catalog, request: &SyntheticRequest) -> Result<Vec<ImageRecord>, Cause> {
    let images =
        catalog.images_of(&request.client, &request.policy, request.stream).map_err(catalogue_cause)?;
    let of_type = |wanted| images.iter().rposition(|image| image.schedule_type == wanted);
    let full = of_type(ScheduleType::Full).ok_or_else(|| nothing(request))?;
    let cumulative = of_type(ScheduleType::Cumulative).filter(|index| *index > full);
    let after = cumulative.unwrap_or(full);
    let chosen: Vec<_> = images
        .into_iter()
        .enumerate()
        .filter(|(index, _)| *index == full || *index >= after)
        .map(|(_, image)| image)
        .collect();
    if let Some(pruned) = chosen.iter().find(|image| image.tir_pruned) {
        let what =
            format!("{} was imported: which files it left out is not known any more", pruned.backup_id);
        return Err(Cause::new(code::TIR_PRUNED, what));
    }
    if chosen.len() < 2 { Err(nothing(request)) } else { Ok(chosen) }
}

struct Job<'a> {
    request: &'a SyntheticRequest,
    components: &'a [ImageRecord],
    plan: &'a Plan,
    backup_time: u64,
    /// File list of the new backup.
    list: PathBytes,
}

impl Job<'_> {
    fn newest(&self) -> Option<&ImageRecord> {
        self.components.last()
    }

    fn header_order(&self) -> HeaderOrder {
        self.newest().and_then(|image| image.copy(None)).map_or(HeaderOrder::Last, |copy| copy.header_order)
    }

    /// Whether its true image restore information becomes an image: as that of its newest component did.
    fn keeps_tir(&self) -> bool {
        self.newest().is_some_and(|image| image.copies.iter().any(|copy| copy.tir.is_some()))
    }

    /// The copy of each component that is read: the one on the LSU that is written to, where there is one.
    fn sources(&self) -> Result<Vec<StoredCopy>, Cause> {
        let unit = &self.request.storage_unit;
        let here = |copy: &&CopyRecord| copy.lsu == unit.lsu && copy.storage_server == unit.server;
        let stored = self.components.iter().map(|image| {
            let copy = image.copies.iter().find(here).or_else(|| image.copy(None));
            copy.map(|copy| image.stored(copy))
                .ok_or_else(|| Cause::new(code::NO_FRAGMENTS, format!("{} has no copy", image.backup_id)))
        });
        stored.collect()
    }

    fn write_task(&self) -> Result<WriteTask, Cause> {
        let newest = self.newest().ok_or_else(|| nothing(self.request))?;
        Ok(WriteTask {
            client: self.request.client.clone(),
            schedule: self.request.schedule.clone(),
            schedule_type: ScheduleType::Full,
            stream: self.request.stream,
            source: newest.source.clone(),
            copy: FIRST_COPY,
            header_order: self.header_order(),
            tir: self.keeps_tir().then(|| self.list.clone()),
            resume: None,
            worm_seconds: None,
            framed: false,
            base: None,
            hold_at: None,
            multiplexed: false,
        })
    }

    /// The storage composes the image.
    fn optimized(&self, owner: &mut Owner, work: &Work) -> Result<MoverReport, Cause> {
        owner.operation(Operation::OrganizeReaders);
        let task = MoverTask::Compose(ComposeTask {
            write: self.write_task()?,
            images: self.sources()?,
            pieces: self.plan.pieces.clone(),
            zeros: TRAILER.len() as u64,
        });
        let process = work.start(owner, "bptm", None, task)?;
        self.follow(owner, Course::new(None, process, Some(self.plan.bytes)), work)
    }

    /// One bptm reads the pieces, another writes.
    fn normal(&self, owner: &mut Owner, work: &Work) -> Result<MoverReport, Cause> {
        owner.operation(Operation::OrganizeReaders);
        owner.info("bpsynth", std::process::id(), "organize readers");
        let (reader_end, writer_end) = UnixStream::pair().map_err(|e| Cause::new(code::SYSTEM_CALL, e))?;
        let writer = work.start(owner, "bptm", Some(writer_end), MoverTask::Write(self.write_task()?))?;
        let read = MoverTask::Read {
            stop_after: None,
            images: self.sources()?,
            pieces: self.plan.pieces.clone(),
            zeros: TRAILER.len() as u64,
        };
        let reader = work.start(owner, "bptm", Some(reader_end), read)?;
        let course = Course::new(None, writer, Some(self.plan.bytes)).with_reader(reader);
        self.follow(owner, course, work)
    }

    /// Follows the processes; what they made is deleted when they fail.
    fn follow(&self, owner: &mut Owner, mut course: Course, work: &Work) -> Result<MoverReport, Cause> {
        owner.operation(Operation::ProcessExtents);
        owner.info("bpsynth", std::process::id(), "process extents");
        let mut conduct = Transfer::that_writes();
        let outcome = course.run(owner, &mut conduct);
        let report = course.mover_report();
        let expected = self.plan.bytes;
        match (outcome, report) {
            (Ok(()), Some(report)) if report.bytes == expected => Ok(report),
            (outcome, report) => {
                delete_made(owner, work, report, conduct.created);
                let what = format!("the image has not the {expected} bytes it should");
                Err(outcome.err().unwrap_or_else(|| Cause::new(code::SYNTHETIC_INVALID, what)))
            }
        }
    }

    fn enter(
        &self,
        owner: &mut Owner,
        new_image: NewImage,
        id: &str,
        report: &MoverReport,
    ) -> Result<(), Cause> {
        owner.operation(Operation::Catalog);
        let newest = self.newest().ok_or_else(|| nothing(self.request))?;
        let copy = report
            .copy_record(FIRST_COPY, &self.request.storage_unit, self.header_order())
            .kept_for(self.backup_time, self.request.retention_seconds);
        let image = ImageRecord {
            format: ImageRecord::current_format(),
            backup_id: id.to_owned(),
            client: self.request.client.clone(),
            policy: self.request.policy.clone(),
            schedule: self.request.schedule.clone(),
            schedule_type: ScheduleType::Full,
            stream: self.request.stream,
            backup_time: self.backup_time,
            job_id: self.request.job_id,
            not_imported: false,
            tir_pruned: false,
            stream_bytes: report.bytes,
            files: new_image.files(),
            status: code::OK,
            primary_copy: FIRST_COPY,
            copies: vec![copy],
            source: newest.source.clone(),
            file_list: new_image.file_list().to_owned(),
        };
        new_image.commit(&image).map_err(catalogue_cause)?;
        owner.info("bpsynth", std::process::id(), format!("synthetic full backup {id} is in the catalogue"));
        let result = &mut owner.result;
        (result.files, result.kbytes) = (image.files, report.bytes.div_ceil(1024));
        result.fragments.clone_from(&report.fragments);
        result.images.clone_from(&report.images);
        Ok(())
    }
}
