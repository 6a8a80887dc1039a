//! The content of a regular file, as many bytes as its header promised: a file that shrinks or fails while it is read
//! is filled up with zeros, one that grows is cut, and either is reported.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::SeekFrom;

use super::outlet::{Outlet, SendError};
use crate::nbu::tar_stream::Segment;

/// Segments that are kept of one file; one with more is sent whole.
const MAX_SEGMENTS: usize = 1 << 16;

/// What there is to send of a file, decided before its header is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Everything.
    Whole,
    /// Only these ranges; the rest are holes.
    Sparse(Vec<Segment>),
}

/// Finds the holes of a file. Without support of the file system, or with too many holes, a file is whole.
pub(super) fn layout(file: &File, metadata: &std::fs::Metadata) -> Layout {
    let size = metadata.len();
    if metadata.blocks().saturating_mul(512) >= size {
        return Layout::Whole;
    }
    let mut segments = Vec::new();
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // No data behind this point.
            Err(rustix::io::Errno::NXIO) => break,
            Err(_) => return Layout::Whole,
        };
        if data >= size {
            break;
        }
        let Ok(hole) = rustix::fs::seek(file, SeekFrom::Hole(data)) else { return Layout::Whole };
        let end = hole.clamp(data, size);
        if end == data || segments.len() >= MAX_SEGMENTS {
            return Layout::Whole;
        }
        segments.push(Segment { offset: data, length: end - data });
        at = end;
    }
    if segments.first().is_some_and(|s| s.offset == 0 && s.length == size) {
        return Layout::Whole;
    }
    Layout::Sparse(segments)
}

/// Sends `length` bytes of `file` from `offset` on. The inner error says what was wrong with the file; the stream has
/// its `length` bytes all the same.
pub(super) fn send_range(
    file: &File,
    offset: u64,
    length: u64,
    outlet: &mut Outlet,
) -> Result<Result<(), String>, SendError> {
    let mut done = 0;
    while done < length {
        let room = outlet.room(length - done);
        match file.read_at(room, offset + done) {
            Ok(0) => {
                outlet.zeros(length - done)?;
                let (had, promised) = (offset + done, offset + length);
                return Ok(Err(format!(
                    "the file shrank while it was read: {had} of {promised} bytes, the rest is zeros"
                )));
            }
            Ok(count) => {
                outlet.advance(count)?;
                done += count as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                outlet.zeros(length - done)?;
                return Ok(Err(format!("reading failed at byte {}: {e}; the rest is zeros", offset + done)));
            }
        }
    }
    Ok(Ok(()))
}

/// Fills a block with the content of `file` from `offset` on; what cannot be read becomes zeros, and the error says why.
pub(super) fn read_block(file: &File, offset: u64, block: &mut [u8]) -> Result<(), String> {
    let mut done = 0;
    let trouble = loop {
        match file.read_at(&mut block[done..], offset + done as u64) {
            Ok(0) if done == block.len() => return Ok(()),
            Ok(0) => break "the file shrank while it was read, the rest is zeros".to_owned(),
            Ok(count) => done += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                break format!("reading failed at byte {}: {e}; the rest is zeros", offset + done as u64);
            }
        }
    };
    block[done..].fill(0);
    Err(trouble)
}

/// Whether a file is still the one that was described; says what changed.
pub(super) fn changed(file: &File, before: &std::fs::Metadata) -> Option<String> {
    let now = match file.metadata() {
        Ok(now) => now,
        Err(e) => return Some(format!("the file cannot be looked at any more: {e}")),
    };
    if now.len() > before.len() {
        return Some(format!(
            "the file grew while it was read: {} bytes of {} were kept",
            before.len(),
            now.len()
        ));
    }
    let time = |m: &std::fs::Metadata| (m.mtime(), m.mtime_nsec());
    (now.len() != before.len() || time(&now) != time(before))
        .then(|| "the file changed while it was read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn outlet() -> (Outlet, std::thread::JoinHandle<Vec<u8>>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all
        });
        (Outlet::new(ours, false, Duration::from_secs(20)).unwrap(), reader)
    }

    #[test]
    fn a_file_that_shrank_keeps_its_promised_length() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 1000]).unwrap();
        let (mut outlet, reader) = outlet();
        let result = send_range(&file, 0, 5000, &mut outlet).unwrap();
        assert!(result.unwrap_err().contains("shrank while it was read: 1000 of 5000"));
        assert_eq!(outlet.position(), 5000);
        outlet.finish().unwrap();
        let stream = reader.join().unwrap();
        assert_eq!(stream[..1000], [7; 1000]);
        assert_eq!(stream.len(), 5000 + 1024);
        assert!(stream[1000..].iter().all(|b| *b == 0));
    }

    #[test]
    fn a_file_that_grew_or_changed_is_reported() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 1000]).unwrap();
        let before = file.metadata().unwrap();
        assert_eq!(changed(&file, &before), None);
        file.write_all(&[7; 10]).unwrap();
        assert!(changed(&file, &before).unwrap().contains("grew while it was read: 1000 bytes of 1010"));
        file.set_len(1000).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(changed(&file, &before).unwrap().contains("changed while it was read"));
    }

    #[test]
    fn holes_are_found() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.set_len(8 << 20).unwrap();
        let Layout::Sparse(segments) = layout(&file, &file.metadata().unwrap()) else {
            panic!("this file system keeps no holes, the test cannot run here")
        };
        assert!(segments.iter().any(|s| s.offset <= 1 << 20 && s.offset + s.length >= (1 << 20) + 4096));
        assert!(segments.iter().map(|s| s.length).sum::<u64>() < 1 << 20, "{segments:?}");
        let whole = tempfile::tempfile().unwrap();
        whole.write_all_at(&[1; 8192], 0).unwrap();
        assert_eq!(layout(&whole, &whole.metadata().unwrap()), Layout::Whole);
    }
}
