//! A replication job, owned by nbreplicate, and the import job of the target domain, owned by bpimport (A.I.R.).

use super::cleanup::delete_made;
use super::course::{Conduct, Course};
use super::owner::{Cause, Owner, wrapped};
use super::{Found, Work, catalogue_cause};
use crate::nbu::catalog::{Catalog, CopyRecord, ImageRecord, NewImage};
use crate::nbu::process::message::{
    CatalogImage, ClientReport, FromClient, FromMover, MoverReport, MoverTask, ReplicateTask, ToMover,
};
use crate::nbu::request::{ReplicaImportRequest, ReplicateRequest};
use crate::nbu::status::code;

/// Runs a replication.
pub(super) fn run(owner: &mut Owner, request: &ReplicateRequest) -> Result<(), Cause> {
    let found = Found::copy(owner, &request.backup_id, request.source_copy)?;
    let work = found.work(&request.storage_unit)?;
    let task = MoverTask::Replicate(ReplicateTask {
        stored: found.image.stored(&found.copy),
        master_server: request.master_server.clone(),
        slp: request.slp.clone(),
    });
    let process = work.start(owner, "bpdm", None, task)?;
    let mut course = Course::new(None, process, Some(found.image.stream_bytes));
    let mut conduct = Told::default();
    let outcome = course.run(owner, &mut conduct);
    let report = course.mover_report();
    if let Err(cause) = outcome {
        delete_made(owner, &work, report, conduct.created);
        return Err(wrapped(owner, cause));
    }
    let MoverReport { header: catalog_image, .. } = report.unwrap_or_default();
    let number = found.copy.number;
    let updated = found.catalog.update(&request.backup_id, |image| {
        if let Some(copy) = image.copies.iter_mut().find(|copy| copy.number == number) {
            copy.catalog_image = Some(catalog_image);
        }
        true
    });
    let expired = || Cause::new(code::NO_ENTITY, format!("{} was expired meanwhile", request.backup_id));
    if let Err(cause) = updated.map_err(catalogue_cause).and_then(|image| image.ok_or_else(expired)) {
        let noted = |copy: &CopyRecord| copy.number == number && copy.catalog_image.is_some();
        let image = found.catalog.image(&request.backup_id);
        if image.is_ok_and(|image| !image.is_some_and(|image| image.copies.iter().any(noted))) {
            // Nobody would know of it, and the next replication would find its name taken.
            delete_made(owner, &work, None, conduct.created);
        }
        return Err(cause);
    }
    owner.result.kbytes = found.image.stream_bytes.div_ceil(1024);
    owner.result.files = found.image.files;
    owner.info(
        "nbreplicate",
        std::process::id(),
        format!("replicated copy {number} of {}", request.backup_id),
    );
    Ok(())
}

/// Runs the import of a target domain: events first, then what they name, and the events go last. An event that comes
/// again finds its backup in the catalogue, and nothing is done.
pub(super) fn import(owner: &mut Owner, request: &ReplicaImportRequest) -> Result<(), Cause> {
    let pid = std::process::id();
    let catalog = Catalog::open(&owner.installation.work_dir).map_err(catalogue_cause)?;
    let work = Work { storage_unit: request.storage_unit.clone(), backup_time: 0, policy: String::new() };
    let mut told = Told::default();
    let process = work.start(owner, "nbrmms", None, MoverTask::PollEvents)?;
    let polled = Course::new(None, process, None).run(owner, &mut told);
    polled.map_err(|cause| wrapped(owner, cause))?;
    if let Some(wanted) = &request.events {
        told.events.retain(|(number, _)| wanted.contains(number));
    }
    if told.events.is_empty() {
        let what = format!("LSU {} has no event", request.storage_unit.lsu);
        return Err(Cause::new(code::NO_IMAGES_FOUND, what));
    }
    let (numbers, images): (Vec<u64>, Vec<Vec<CatalogImage>>) = told.events.into_iter().unzip();
    let images: Vec<CatalogImage> = images.into_iter().flatten().collect();
    owner.info("bpimport", pid, format!("{} events name {} backups", numbers.len(), images.len()));
    let mut replicas = Replicas {
        catalog,
        job_id: request.job_id,
        retention_seconds: request.retention_seconds,
        work: &work,
        current: None,
        entered: 0,
        known: 0,
        failed: Vec::new(),
    };
    let process = work.start(owner, "bpdm", None, MoverTask::ReadCatalogImages { images })?;
    let read = Course::new(None, process, None).run(owner, &mut replicas);
    read.map_err(|cause| wrapped(owner, cause))?;
    replicas.settle(owner);
    let Replicas { entered, known, failed, .. } = replicas;
    owner.info(
        "bpimport",
        pid,
        format!("{entered} backups entered, {known} known already, {} not", failed.len()),
    );
    match failed.into_iter().next() {
        // The events stay, for the next attempt.
        Some(cause) if entered + known == 0 => Err(wrapped(owner, cause)),
        Some(cause) => Err(Cause::new(code::PARTIAL, cause.text)),
        None => {
            let process = work.start(owner, "nbrmms", None, MoverTask::DeleteEvents { numbers })?;
            Course::new(None, process, None).run(owner, &mut Told::default())
        }
    }
}

/// What bpdm and nbrmms tell: images they made, events they found.
#[derive(Debug, Default)]
struct Told {
    created: Vec<String>,
    events: Vec<(u64, Vec<CatalogImage>)>,
}

impl Conduct for Told {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, _: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Creating(name) => self.created.push(name),
            FromMover::Event { number, images } => self.events.push((number, images)),
            other => return Err(Cause::new(code::HANDSHAKE, format!("{other:?} came out of turn"))),
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

/// Enters backups as their catalogue images are read.
struct Replicas<'w> {
    catalog: Catalog,
    job_id: u64,
    retention_seconds: Option<u64>,
    work: &'w Work,
    /// The backup whose files are coming; none for one that is left out.
    current: Option<(ImageRecord, NewImage)>,
    entered: u64,
    known: u64,
    failed: Vec<Cause>,
}

impl Replicas<'_> {
    fn begin(&mut self, owner: &mut Owner, source: ImageRecord) -> Result<(), Cause> {
        let id = source.backup_id.clone();
        let Some(copy) = source.copy(None) else {
            return Err(Cause::new(code::NO_FRAGMENTS, format!("{id} has no copy")));
        };
        let unit = &self.work.storage_unit;
        let copy = CopyRecord {
            storage_server: unit.server.clone(),
            lsu: unit.lsu.clone(),
            catalog_image: Some(format!("{id}_C{}_IM", copy.number)),
            unlock_time: None,
            lock_wanted: None,
            lifecycle_operation: None,
            ..copy.clone()
        }
        .kept_for(source.backup_time, self.retention_seconds);
        if let Some(known) = self.catalog.image(&id).map_err(catalogue_cause)? {
            let same = known.stream_bytes == source.stream_bytes && known.backup_time == source.backup_time;
            if !same {
                return Err(Cause::new(code::IMAGE_CONFLICT, id));
            }
            self.known += 1;
            owner.result.processed.push(id.clone());
            owner.info("bpimport", std::process::id(), format!("{id} is in the catalogue already"));
            return Ok(());
        }
        let list = self.catalog.begin(&id, self.job_id).map_err(catalogue_cause)?;
        owner.result.images.extend(copy.image_names());
        let record = ImageRecord {
            job_id: self.job_id,
            primary_copy: copy.number,
            copies: vec![copy],
            file_list: list.file_list().to_owned(),
            ..source
        };
        self.current = Some((record, list));
        Ok(())
    }

    /// Enters the backup whose files have all come.
    fn settle(&mut self, owner: &mut Owner) {
        let Some((record, list)) = self.current.take() else { return };
        let (id, expected, files) = (&record.backup_id, record.files, list.files());
        if files != expected {
            let what = format!("the catalogue entry of {id} names {expected} files, {files} records arrived");
            return self.failed.push(Cause::new(code::SOCKET_READ, what));
        }
        owner.result.files += list.files();
        owner.result.kbytes += record.stream_bytes.div_ceil(1024);
        match list.commit(&record).map_err(catalogue_cause) {
            Ok(()) => {
                self.entered += 1;
                owner.result.processed.push(record.backup_id.clone());
                owner.info(
                    "bpimport",
                    std::process::id(),
                    format!("{} is in the catalogue", record.backup_id),
                );
            }
            Err(cause) => self.failed.push(cause),
        }
    }
}

impl Conduct for Replicas<'_> {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("{message:?} came out of turn")))
    }

    fn mover_says(&mut self, owner: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        match message {
            FromMover::Replica(record) => {
                self.settle(owner);
                if let Err(cause) = self.begin(owner, *record) {
                    self.failed.push(cause);
                }
            }
            FromMover::Files(records) => {
                if let Some((_, list)) = &mut self.current {
                    list.add(&records).map_err(catalogue_cause)?;
                }
            }
            FromMover::Unreadable { name, status, why } => {
                self.settle(owner);
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
        self.entered
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::owner;
    use super::*;
    use crate::nbu::catalog::{FileKind, FileRecord, sample};
    use crate::nbu::install::StorageUnit;

    fn file(path: &str) -> FileRecord {
        FileRecord {
            path: path.into(),
            kind: FileKind::Directory,
            start: 0,
            data_offset: 512,
            data_length: 0,
            size: 0,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            mtime_nsec: 0,
            link: None,
            tir_only: false,
        }
    }

    #[test]
    fn a_replica_whose_file_list_is_not_whole_is_not_entered() {
        let (dir, mut owner, _nbjm) = owner();
        let catalog = Catalog::open(dir.path()).unwrap();
        let storage_unit = StorageUnit::new("Fake:server", "user", "secret", "lsu0");
        let work = Work { storage_unit, backup_time: 0, policy: String::new() };
        let mut replicas = Replicas {
            catalog: catalog.clone(),
            job_id: 1,
            retention_seconds: Some(60),
            work: &work,
            current: None,
            entered: 0,
            known: 0,
            failed: Vec::new(),
        };
        for (id, files) in [("whole_1", vec![file("."), file("a")]), ("cut_1", vec![file(".")])] {
            for message in [FromMover::Replica(Box::new(sample::image(id, 2))), FromMover::Files(files)] {
                assert!(replicas.mover_says(&mut owner, message).is_ok());
            }
        }
        replicas.settle(&mut owner);
        assert_eq!((replicas.entered, replicas.failed.len()), (1, 1));
        assert!(replicas.failed[0].text.contains("cut_1"), "{}", replicas.failed[0].text);
        let entered = catalog.images().unwrap();
        assert_eq!(entered.len(), 1);
        assert_eq!(entered[0].copies[0].expires, Some(61), "kept as the target's policy says");
        assert_eq!(owner.result.files, 2);
    }
}
