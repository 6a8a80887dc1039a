//! Generated files (`GEN_DATA`): the stream of a backup with no disk behind it.

use super::outlet::Outlet;
use super::{Failure, Records, record};
use crate::data::GenData;
use crate::nbu::catalog::FileKind;
use crate::nbu::tar_stream::Head;

/// Modification time of generated files that never changed, in seconds since the epoch; each generation adds a second to
/// that of the files that it changes.
const FIRST_MTIME: i64 = 1_500_000_000;

/// Sends every file that the directives describe.
pub(super) fn send(directives: &GenData, outlet: &mut Outlet, records: &mut Records) -> Result<(), Failure> {
    for (name, stream) in directives.files() {
        let head = Head {
            path: name.as_bytes(),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: FIRST_MTIME + i64::from(stream.changed_in()),
            mtime_nsec: 0,
            size: stream.bytes,
            stored: stream.bytes,
            sparse: false,
            link: None,
            device: (0, 0),
        };
        if records.left_out(&head)? {
            continue;
        }
        if records.taken_from_base(&head, outlet)? {
            continue;
        }
        let start = outlet.position();
        let data_offset = outlet.header(&head)?;
        if records.track.is_some() {
            let mut read = |offset: u64, block: &mut [u8]| {
                stream.fill(offset, block);
            };
            let sums = records.send_blocks(name.as_bytes(), stream.bytes, outlet, &mut read)?;
            records.add_sent(record(&head, start, data_offset), &sums)?;
            continue;
        }
        let mut done = 0;
        while done < stream.bytes {
            let count = stream.fill(done, outlet.room(stream.bytes - done));
            outlet.advance(count)?;
            done += count as u64;
        }
        outlet.pad()?;
        records.add(record(&head, start, data_offset))?;
    }
    Ok(())
}
