//! An import job, owned by bpimport: phase 1 enters what the headers on the storage say, phase 2 reads a backup for its files.

use super::course::{Conduct, Course};
use super::owner::{Cause, Owner, wrapped};
use super::{Found, Work, catalogue_cause};
use crate::nbu::catalog::{Catalog, ImageRecord, NewImage};
use crate::nbu::process::message::{ClientReport, FoundCopy, FromClient, FromMover, MoverTask, ToMover};
use crate::nbu::request::{ImportPhase, ImportRequest, ScheduleType, Source};
use crate::nbu::status::{code, status_text};

/// Runs an import.
pub(super) fn run(owner: &mut Owner, request: &ImportRequest) -> Result<(), Cause> {
    match &request.phase {
        ImportPhase::One => phase_one(owner, request),
        ImportPhase::Two { backup_id } => phase_two(owner, request, backup_id),
    }
}

fn phase_one(owner: &mut Owner, request: &ImportRequest) -> Result<(), Cause> {
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let work = Work { storage_unit: request.storage_unit.clone(), backup_time: 0, policy: String::new() };
    let process = work.start(owner, "bpdm", None, MoverTask::ReadHeaders)?;
    let mut conduct = Headers { catalog, job_id: request.job_id, entered: 0, failed: Vec::new() };
    let outcome = Course::new(None, process, None).run(owner, &mut conduct);
    outcome.map_err(|cause| wrapped(owner, cause))?;
    let Headers { entered, failed, .. } = conduct;
    owner.info(
        "bpimport",
        std::process::id(),
        format!("phase 1: {entered} copies entered, {} not", failed.len()),
    );
    match (entered, failed.into_iter().next()) {
        (0, None) => {
            let what = format!("LSU {} holds no backup", request.storage_unit.lsu);
            Err(Cause::new(code::NO_IMAGES_FOUND, what))
        }
        (0, Some(cause)) => Err(wrapped(owner, cause)),
        (_, Some(cause)) => Err(Cause::new(code::PARTIAL, cause.text)),
        (_, None) => Ok(()),
    }
}

/// Enters copies as they are found.
struct Headers {
    catalog: Catalog,
    job_id: u64,
    entered: u64,
    failed: Vec<Cause>,
}

impl Headers {
    fn enter(&mut self, owner: &mut Owner, found: FoundCopy) -> Result<(), Cause> {
        let id = found.backup_id.clone();
        let number = found.copy.number;
        owner.result.images.extend(found.copy.image_names());
        let known = self.catalog.image(&id).map_err(catalogue_cause)?;
        let Some(known) = known else {
            let list = self.catalog.begin(&id, self.job_id).map_err(catalogue_cause)?;
            let record = record(found, &list);
            return list.commit(&record).map_err(catalogue_cause);
        };
        if known.copies.iter().any(|copy| copy.number == number) || known.stream_bytes != found.stream_bytes {
            return Err(Cause::new(code::IMAGE_CONFLICT, format!("copy {number} of {id}")));
        }
        let added = self.catalog.update(&id, |image| {
            image.copies.push(found.copy);
            image.copies.sort_by_key(|copy| copy.number);
            true
        });
        added.map(drop).map_err(catalogue_cause)
    }
}

/// The record that phase 1 makes of a header.
fn record(found: FoundCopy, list: &NewImage) -> ImageRecord {
    ImageRecord {
        format: ImageRecord::current_format(),
        backup_id: found.backup_id,
        client: found.client,
        policy: found.policy,
        schedule: found.schedule,
        schedule_type: found.schedule_type,
        stream: found.stream,
        backup_time: found.backup_time,
        job_id: 0,
        not_imported: true,
        tir_pruned: found.schedule_type != ScheduleType::Full && found.copy.tir.is_none(),
        stream_bytes: found.stream_bytes,
        files: 0,
        status: code::OK,
        primary_copy: found.copy.number,
        copies: vec![found.copy],
        // Only what a restore has to know of it is lost: whether files are created or checked.
        source: found.source.unwrap_or_else(|| Source::Directory("/".into())),
        file_list: list.file_list().to_owned(),
    }
}

impl Conduct for Headers {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Found(found) => {
                let name = format!("copy {} of {}", found.copy.number, found.backup_id);
                match self.enter(owner, *found) {
                    Ok(()) => self.entered += 1,
                    Err(cause) => {
                        owner.info("bpimport", std::process::id(), format!("{name}: {}", cause.text));
                        self.failed.push(cause);
                    }
                }
            }
            FromMover::Unreadable { name, status, why } => {
                self.failed.push(Cause { status, text: format!("{name}: {why}"), sts: None });
            }
            other => return Err(Cause::new(code::HANDSHAKE, format!("bpdm sent {other:?} out of turn"))),
        }
        Ok(None)
    }

    fn client_ended(&mut self, _: usize, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }

    fn files(&self) -> u64 {
        0
    }
}

fn phase_two(owner: &mut Owner, request: &ImportRequest, backup_id: &str) -> Result<(), Cause> {
    let found = Found::any(owner, backup_id, None)?;
    if !found.image.not_imported {
        return Err(Cause::new(code::IMAGE_CONFLICT, format!("{backup_id} has its file list")));
    }
    let work = found.work(&request.storage_unit)?;
    let list = found.catalog.begin_list(backup_id, request.job_id).map_err(catalogue_cause)?;
    let task = MoverTask::ReadFiles(found.image.stored(&found.copy));
    let process = work.start(owner, "bptm", None, task)?;
    let mut conduct = Files { list };
    let mut course = Course::new(None, process, Some(found.image.stream_bytes));
    course.run(owner, &mut conduct).map_err(|cause| wrapped(owner, cause))?;
    let files = conduct.list.files();
    let tir = course.mover_report().is_some_and(|report| report.tir.is_some());
    let replaced = conduct.list.replace(backup_id, |image| {
        image.not_imported = false;
        image.tir_pruned = image.schedule_type != ScheduleType::Full && !tir;
    });
    if replaced.map_err(catalogue_cause)?.is_none() {
        return Err(Cause::new(code::NO_ENTITY, format!("{backup_id} was expired meanwhile")));
    }
    owner.result.files = files;
    owner.result.kbytes = found.image.stream_bytes.div_ceil(1024);
    owner.info("bpimport", std::process::id(), format!("phase 2 of {backup_id}: {}", status_text(code::OK)));
    Ok(())
}

/// Takes files down as they are read.
struct Files {
    list: NewImage,
}

impl Conduct for Files {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, _: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Files(records) => self.list.add(&records).map_err(catalogue_cause).map(|()| None),
            other => Err(Cause::new(code::HANDSHAKE, format!("bptm sent {other:?} out of turn"))),
        }
    }

    fn client_ended(&mut self, _: usize, _: &ClientReport) -> Result<Option<ToMover>, Cause> {
        Ok(None)
    }

    fn files(&self) -> u64 {
        self.list.files()
    }
}
