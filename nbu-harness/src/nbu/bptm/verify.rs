//! bptm in a verify: reads every block and compares the headers in the stream with the catalogue. File content is not
//! compared with anything, as NetBackup does not either; damage inside a file is for the storage to notice.

use std::io::{BufReader, Read};

use super::fragments::{FragmentReader, StreamReader};
use super::session::{Failure, Mover};
use crate::nbu::catalog::{Catalog, FileRecord, ImageRecord};
use crate::nbu::process::message::{FromMover, MoverReport};
use crate::nbu::status::code;
use crate::nbu::tar_stream::{Member, MemberReader, StreamError};

/// Differences that are reported one by one.
const MAX_DIFFERENCES: u64 = 100;

/// Verifies one copy of a backup.
pub(super) fn verify_backup(
    mover: &mut Mover,
    image: &ImageRecord,
    copy: u32,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let Some(copy) = image.copy(Some(copy)) else {
        let what = format!("{} has no copy {copy}", image.backup_id);
        return Err(Failure::new(code::NO_FRAGMENTS, what));
    };
    let stored = image.stored(copy);
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    let mut fragments = FragmentReader::new(&plugin, &server, &stored);
    let result = fragments
        .check_header(mover)
        .and_then(|()| walk(mover, &mut fragments, image, copy.buffer_size, report));
    report.bytes_read = fragments.bytes_read;
    let result = result.and_then(|()| fragments.close(mover));
    mover.pass_log(&plugin);
    result
}

fn walk(
    mover: &mut Mover,
    fragments: &mut FragmentReader<'_>,
    image: &ImageRecord,
    buffer_size: u32,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let catalogue = |e: crate::nbu::catalog::CatalogError| Failure::new(code::NO_ENTITY, e);
    let mut expected = Catalog::open(&mover.order.installation.work_dir)
        .and_then(|catalog| catalog.files(&image.backup_id))
        .map_err(catalogue)?;
    let size = usize::try_from(buffer_size).unwrap_or(1 << 18);
    let mut input = StreamReader::new(fragments, mover);
    let mut reader = MemberReader::new(BufReader::with_capacity(size, &mut input));
    let mut differences = Vec::new();
    let mut count = 0u64;
    let outcome = loop {
        let member = match reader.next() {
            Ok(Some(member)) => member,
            Ok(None) => break Ok(reader),
            Err(error) => break Err(error),
        };
        report.files += 1;
        let record = expected.next().transpose().map_err(catalogue)?;
        if let Some(difference) = difference(&member, record.as_ref()) {
            count += 1;
            if count <= MAX_DIFFERENCES {
                differences.push(format!("{} at byte {}: {difference}", member.path, member.start));
            }
        }
    };
    // The last block of the stream is behind the end of the archive: read that too.
    let outcome = outcome.and_then(|reader| {
        std::io::copy(&mut reader.into_input().by_ref(), &mut std::io::sink()).map_err(StreamError::from)
    });
    let (failure, position) = (input.failure.take(), input.position);
    report.bytes = position;
    let _ = mover.link.send(&FromMover::Progress { bytes: position });
    if let Some(failure) = failure {
        return Err(failure);
    }
    outcome.map_err(|e| Failure::new(code::NOT_TAR, e))?;
    let missing = expected.count() as u64;
    if missing > 0 {
        differences.push(format!("{missing} files of the catalogue are not in the stream"));
        count += 1;
    }
    for difference in &differences {
        mover.log(16, difference);
    }
    if count > 0 {
        let first = differences.first().map_or("", String::as_str);
        return Err(Failure::new(
            code::NOT_TAR,
            format!("{count} differences from the catalogue; the first: {first}"),
        ));
    }
    if position != image.stream_bytes {
        let what = format!("{position} bytes were read, the catalogue says {}", image.stream_bytes);
        return Err(Failure::new(code::MEDIA_READ, what));
    }
    Ok(())
}

/// How a header in the stream differs from its record, if it does.
fn difference(member: &Member, record: Option<&FileRecord>) -> Option<String> {
    let Some(record) = record else { return Some("the catalogue has no more files".into()) };
    if member.path != record.path {
        return Some(format!("the catalogue has {} here", record.path));
    }
    let place = (member.start, member.data_offset, member.data_length)
        == (record.start, record.data_offset, record.data_length);
    let attributes = (member.kind, member.size, member.mode, member.uid, member.gid)
        == (record.kind, record.size, record.mode, record.uid, record.gid);
    let times = (member.mtime, member.mtime_nsec) == (record.mtime, record.mtime_nsec);
    if !place {
        Some("its place in the stream differs".into())
    } else if !attributes || !times || member.link != record.link {
        Some("its attributes differ".into())
    } else {
        None
    }
}
