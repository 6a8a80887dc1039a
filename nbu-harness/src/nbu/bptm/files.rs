//! bptm in phase 2 of an import: reads a backup's stream from its beginning to its end and tells bpbrm of every file in it.

use std::io::BufReader;

use super::fragments::{FragmentReader, StreamReader};
use super::session::{Failure, Mover};
use super::tir;
use crate::nbu::catalog::{FileRecord, StoredCopy};
use crate::nbu::plugin::{Plugin, Server};
use crate::nbu::process::message::{FromMover, MoverReport};
use crate::nbu::status::code;
use crate::nbu::tar_stream::{Member, MemberReader};

/// File records per message.
const RECORDS_PER_MESSAGE: usize = 512;

/// Reads the files of one copy of a backup.
pub(super) fn read_files(
    mover: &mut Mover,
    stored: &StoredCopy,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    let mut fragments = FragmentReader::new(&plugin, &server, stored);
    let walked = fragments.check_header(mover).and_then(|()| walk(mover, &mut fragments, stored, report));
    report.bytes_read = fragments.bytes_read;
    let closed = walked.and_then(|records| fragments.close(mover).map(|()| records));
    let records = closed.and_then(|records| with_tir(mover, &plugin, &server, stored, records, report));
    mover.pass_log(&plugin);
    for batch in records?.chunks(RECORDS_PER_MESSAGE) {
        mover.link.send(&FromMover::Files(batch.to_vec()))?;
    }
    Ok(())
}

/// What the copy's true image restore information says, if that is there and fits what is in the stream; else what is in
/// the stream.
fn with_tir(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    stored: &StoredCopy,
    walked: Vec<FileRecord>,
    report: &mut MoverReport,
) -> Result<Vec<FileRecord>, Failure> {
    let why = match tir::read(mover, plugin, server, stored, report) {
        Ok(None) => return Ok(walked),
        Ok(Some(known)) if known.iter().filter(|record| !record.tir_only).eq(&walked) => {
            report.tir.clone_from(&stored.copy.tir);
            return Ok(known);
        }
        Ok(Some(_)) => "it does not fit the stream".to_owned(),
        // The backup is whole without it.
        Err(failure) if failure.sts.is_some() || failure.status == code::INCONSISTENT => failure.text,
        Err(failure) => return Err(failure),
    };
    mover.info(format!("the true image restore information of {} is of no use: {why}", stored.backup_id));
    Ok(walked)
}

fn walk(
    mover: &mut Mover,
    fragments: &mut FragmentReader<'_>,
    stored: &StoredCopy,
    report: &mut MoverReport,
) -> Result<Vec<FileRecord>, Failure> {
    let size = usize::try_from(stored.copy.buffer_size).unwrap_or(1 << 18);
    let mut input = StreamReader::new(fragments, mover);
    let mut reader = MemberReader::new(BufReader::with_capacity(size, &mut input));
    let mut records = Vec::new();
    let outcome = loop {
        match reader.next() {
            Ok(Some(member)) => {
                report.files += 1;
                records.push(record(member));
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(reader);
    report.bytes = input.position;
    if let Some(failure) = input.failure.take() {
        return Err(failure);
    }
    outcome.map_err(|e| Failure::new(code::NOT_TAR, e))?;
    Ok(records)
}

fn record(member: Member) -> FileRecord {
    FileRecord {
        path: member.path,
        kind: member.kind,
        start: member.start,
        data_offset: member.data_offset,
        data_length: member.data_length,
        size: member.size,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        mtime_nsec: member.mtime_nsec,
        link: member.link,
        tir_only: false,
    }
}
