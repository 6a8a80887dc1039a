//! Generated files (`GEN_DATA`): the stream of a backup with no disk behind it.

use std::time::{Duration, Instant};

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
    let mut pace = directives.kb_per_second.map(Pace::new);
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
        if records.resumed_behind(name.as_bytes()) || records.left_out(&head)? {
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
            if let Some(pace) = &mut pace {
                pace.keep(stream.bytes);
            }
            continue;
        }
        let mut done = 0;
        while done < stream.bytes {
            let count = stream.fill(done, outlet.room(stream.bytes - done));
            outlet.advance(count)?;
            done += count as u64;
            if let Some(pace) = &mut pace {
                pace.keep(count as u64);
            }
        }
        outlet.pad()?;
        records.add(record(&head, start, data_offset))?;
        records.checkpoint(outlet)?;
    }
    Ok(())
}

/// Reads no faster than a client that has so many KiB in a second. What took longer is not made up for.
struct Pace {
    bytes_per_second: u64,
    last: Instant,
}

impl Pace {
    fn new(kb_per_second: u64) -> Self {
        Self { bytes_per_second: kb_per_second.saturating_mul(1024).max(1), last: Instant::now() }
    }

    /// Lets the time pass that these bytes take.
    fn keep(&mut self, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        std::thread::sleep(time.saturating_sub(self.last.elapsed())); // tidy: the pace that the directive asks for
        self.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_client_takes_its_time_for_every_portion() {
        let mut pace = Pace::new(1 << 20);
        let began = Instant::now();
        // 4 MiB at 1 GiB in a second.
        for _ in 0..16 {
            pace.keep(256 << 10);
        }
        assert!(began.elapsed() >= Duration::from_micros(3900), "{:?}", began.elapsed());
    }
}
