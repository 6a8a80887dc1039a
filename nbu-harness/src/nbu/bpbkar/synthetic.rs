//! Generated files (`GEN_DATA`): the stream of a backup with no disk behind it.

use super::outlet::Outlet;
use super::{Failure, Records};
use crate::data::GenData;
use crate::nbu::catalog::{FileKind, FileRecord};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::tar_stream::Head;

/// Sends every file that the directives describe.
pub(super) fn send(
    directives: &GenData,
    backup_time: u64,
    outlet: &mut Outlet,
    records: &mut Records,
) -> Result<(), Failure> {
    let mtime = i64::try_from(backup_time).unwrap_or(0);
    for (name, stream) in directives.files() {
        let head = Head {
            path: name.as_bytes(),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime,
            mtime_nsec: 0,
            size: stream.bytes,
            stored: stream.bytes,
            sparse: false,
            link: None,
            device: (0, 0),
        };
        let start = outlet.position();
        let data_offset = outlet.header(&head)?;
        let mut done = 0;
        while done < stream.bytes {
            let count = stream.fill(done, outlet.room(stream.bytes - done));
            outlet.advance(count)?;
            done += count as u64;
        }
        outlet.pad()?;
        records.add(FileRecord {
            path: PathBytes::from(name.as_str()),
            kind: FileKind::File,
            start,
            data_offset,
            data_length: stream.bytes,
            size: stream.bytes,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime,
            mtime_nsec: 0,
            link: None,
        })?;
    }
    Ok(())
}
