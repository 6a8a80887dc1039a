//! bpdm in a replication: the catalogue entry is put on the storage beside the data, everything is copied in the background,
//! and at the target the entry is read again. The catalogue image has the harness's own format: the record as one line of
//! JSON, the file list behind it, and zeros up to a whole block.

use std::io::Read;
use std::time::Duration;

use ost_abi::{STS_EVF_INCLUDE, STS_EVF_TRIGGER, STS_SRVC_ASYNC_COPY, STS_SRVC_IMAGE_SET};

use crate::nbu::bptm::session::{Failure, Mover, not_offered};
use crate::nbu::catalog::{Catalog, CatalogError, FileRecord, ImageRecord};
use crate::nbu::plugin::{BackupInfo, ImageId, Plugin, Server};
use crate::nbu::process::message::{CatalogImage, FromMover, MoverReport, ReplicateTask};
use crate::nbu::process::os::wait_readable;
use crate::nbu::status::{Place, code};
use crate::nbu::tar_stream::BLOCK;

/// Time between two questions after an operation that is still running.
const POLL: Duration = Duration::from_millis(20);
/// File records per message.
const RECORDS_PER_MESSAGE: usize = 512;
/// Bytes written or read at a time.
const CHUNK: usize = 1 << 18;

/// Replicates one copy of a backup.
pub(super) fn replicate_backup(
    mover: &mut Mover,
    task: &ReplicateTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let (server, properties) = mover.open_with_properties(&plugin)?;
    if !properties.has(STS_SRVC_ASYNC_COPY) || !properties.has(STS_SRVC_IMAGE_SET) {
        return Err(mover.failed(Some(&plugin), not_offered(Place::Replicate, "stspi_async_copy_image")));
    }
    let lsu = task.stored.copy.lsu.clone();
    let targets = server.replication_targets(&lsu).map_err(|sts| mover.failed(Some(&plugin), sts))?;
    if targets == 0 {
        return Err(Failure::new(
            code::NOT_REPLICATION_CAPABLE,
            format!("LSU {lsu} has no replication target"),
        ));
    }
    mover.log(4, format!("LSU {lsu} has {targets} replication targets"));
    let mut running = Vec::new();
    let result = run(mover, &plugin, &server, task, &mut running, report);
    if let Err(failure) = &result {
        for (_, operation) in running {
            if let Err(sts) = server.cancel_operation(operation) {
                mover.complain(&plugin, &sts);
            }
        }
        mover.discard(&plugin, &server, failure, report);
    }
    mover.pass_log(&plugin);
    result
}

fn run(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    task: &ReplicateTask,
    running: &mut Vec<(String, u64)>,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let stored = &task.stored;
    let catalog_image = match &stored.copy.catalog_image {
        Some(name) => name.clone(),
        None => write_catalog_image(mover, plugin, server, task, report)?,
    };
    let backup = BackupInfo {
        // One backup, one set; a later replication of it is another one.
        set: mover.order.job_id << 40 | (stored.backup_time & 0xff_ffff_ffff),
        copy: 1,
        master_server: &task.master_server,
        slp: &task.slp,
    };
    let data = stored.copy.fragments.iter().map(|fragment| (fragment.name.as_str(), 0));
    let told = [(stored.copy.header.as_str(), 0), (&*catalog_image, STS_EVF_INCLUDE | STS_EVF_TRIGGER)];
    let tir = stored.copy.tir.iter().map(|name| (name.as_str(), 0));
    for (name, flags) in data.chain(tir).chain(told) {
        mover.check()?;
        let begun = server.begin_replication(&stored.image_id(name), &backup, flags);
        let operation = begun.map_err(|sts| mover.failed(Some(plugin), sts))?;
        mover.log(4, format!("operation {operation} replicates {name}"));
        running.push((name.to_owned(), operation));
    }
    while let Some((name, operation)) = running.last() {
        match server.operation_done(*operation) {
            Ok(true) => {
                mover.log(4, format!("replicated {name}"));
                running.pop();
            }
            Ok(false) => {
                // bpbrm may have something to say meanwhile.
                let _ = wait_readable(&mover.link, POLL);
                mover.check()?;
            }
            Err(sts) => return Err(mover.failed(Some(plugin), sts)),
        }
        mover.pass_log(plugin);
    }
    report.bytes = stored.copy.fragments.iter().map(|fragment| fragment.bytes).sum();
    report.header = catalog_image;
    Ok(())
}

fn catalogue(error: CatalogError) -> Failure {
    Failure::new(code::NO_ENTITY, error)
}

fn write_catalog_image(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    task: &ReplicateTask,
    report: &mut MoverReport,
) -> Result<String, Failure> {
    let stored = &task.stored;
    let catalog = Catalog::open(&mover.order.installation.work_dir).map_err(catalogue)?;
    let record = catalog.image(&stored.backup_id).map_err(catalogue)?;
    let record = record.ok_or_else(|| Failure::new(code::NO_ENTITY, &stored.backup_id))?;
    let path = catalog.list_path(&record);
    let mut content = serde_json::to_vec(&record).map_err(|e| Failure::new(code::NO_ENTITY, e))?;
    content.push(b'\n');
    let read = std::fs::File::open(&path).and_then(|mut list| list.read_to_end(&mut content));
    read.map_err(|e| Failure::new(code::FILE_READ, format!("{}: {e}", path.display())))?;
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    let name = format!("{}_C{}_IM", stored.backup_id, stored.copy.number);
    let mut image = mover.create(plugin, server, &name, false, report)?;
    let mut done = 0;
    for chunk in content.chunks(CHUNK) {
        image.write(chunk, done).map_err(|sts| mover.failed(Some(plugin), sts))?;
        done += chunk.len() as u64;
    }
    image.complete().map_err(|sts| mover.failed(Some(plugin), sts))?;
    report.bytes_written += done;
    Ok(name)
}

/// Reads catalogue images and tells of every backup in them.
pub(super) fn read_catalog_images(mover: &mut Mover, images: &[CatalogImage]) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    let lsu = mover.order.storage_unit.lsu.clone();
    for image in images {
        mover.check()?;
        let id = ImageId { lsu: &lsu, name: &image.name, date: image.date, policy: &image.policy };
        match read_one(mover, &plugin, &server, &id) {
            Ok((record, files)) => {
                mover.link.send(&FromMover::Replica(Box::new(record)))?;
                for batch in files.chunks(RECORDS_PER_MESSAGE) {
                    mover.link.send(&FromMover::Files(batch.to_vec()))?;
                }
            }
            Err(failure) => {
                let (status, why) = (failure.status, failure.text);
                mover.link.send(&FromMover::Unreadable { name: image.name.clone(), status, why })?;
            }
        }
    }
    mover.pass_log(&plugin);
    Ok(())
}

fn read_one(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    id: &ImageId<'_>,
) -> Result<(ImageRecord, Vec<FileRecord>), Failure> {
    let mut content = Vec::new();
    let read = server.open_image(id).and_then(|mut image| {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = image.read(&mut buffer, content.len() as u64)?;
            if count == 0 {
                return image.close();
            }
            content.extend_from_slice(&buffer[..count]);
        }
    });
    read.map_err(|sts| mover.failed(Some(plugin), sts))?;
    let bad =
        |what: &dyn std::fmt::Display| Failure::new(code::BACKUP_HEADER, format!("{}: {what}", id.name));
    let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut lines = content[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let first = lines.next().ok_or_else(|| bad(&"it is empty"))?;
    let record: ImageRecord = serde_json::from_slice(first).map_err(|e| bad(&e))?;
    let files: Result<Vec<FileRecord>, _> = lines.map(serde_json::from_slice).collect();
    Ok((record, files.map_err(|e| bad(&e))?))
}
