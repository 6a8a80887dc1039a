//! bptm in phase 2 of an import: reads a backup's stream from its beginning to its end and tells bpbrm of every file in it.

use std::io::BufReader;

use super::fragments::{FragmentReader, StreamReader};
use super::session::{Failure, Mover};
use crate::nbu::catalog::{FileRecord, StoredCopy};
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
    let result = fragments.check_header(mover).and_then(|()| walk(mover, &mut fragments, stored, report));
    report.bytes_read = fragments.bytes_read;
    let result = result.and_then(|()| fragments.close(mover));
    mover.pass_log(&plugin);
    result
}

fn walk(
    mover: &mut Mover,
    fragments: &mut FragmentReader<'_>,
    stored: &StoredCopy,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let size = usize::try_from(stored.copy.buffer_size).unwrap_or(1 << 18);
    let mut input = StreamReader::new(fragments, mover);
    let mut reader = MemberReader::new(BufReader::with_capacity(size, &mut input));
    let mut batches = vec![Vec::new()];
    let outcome = loop {
        match reader.next() {
            Ok(Some(member)) => {
                report.files += 1;
                match batches.last_mut() {
                    Some(batch) if batch.len() < RECORDS_PER_MESSAGE => batch.push(record(member)),
                    _ => batches.push(vec![record(member)]),
                }
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
    for batch in batches {
        mover.link.send(&FromMover::Files(batch))?;
    }
    Ok(())
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
