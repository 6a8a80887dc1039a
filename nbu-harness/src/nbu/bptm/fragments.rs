//! Reads ranges of a backup's stream from the fragments that hold them. Only those fragments are opened.

use std::io::{self, Read};
use std::time::Instant;

use super::header::{BackupHeader, HEADER_SIZE};
use super::session::{Failure, Mover, PROGRESS_EVERY};
use crate::nbu::catalog::{CopyRecord, StoredCopy};
use crate::nbu::plugin::{ImageReader, Plugin, Server};
use crate::nbu::process::message::FromMover;
use crate::nbu::status::code;

/// Where a position of the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    /// Index into the fragments.
    pub(crate) index: usize,
    /// Offset in the fragment.
    pub(crate) offset: u64,
    /// Bytes of the fragment from there on.
    pub(crate) left: u64,
}

/// Finds a position of the stream; `None` behind its end.
pub(crate) fn locate(copy: &CopyRecord, position: u64) -> Option<Located> {
    let index = copy.fragments.partition_point(|f| f.offset <= position).checked_sub(1)?;
    let fragment = &copy.fragments[index];
    let offset = position - fragment.offset;
    (offset < fragment.bytes).then(|| Located { index, offset, left: fragment.bytes - offset })
}

/// The fragments of one backup, read by position.
#[derive(Debug)]
pub(super) struct FragmentReader<'s> {
    plugin: &'s Plugin,
    server: &'s Server<'s>,
    stored: &'s StoredCopy,
    open: Option<(usize, ImageReader<'s>)>,
    /// Bytes that the plug-in returned.
    pub(super) bytes_read: u64,
}

impl<'s> FragmentReader<'s> {
    pub(super) const fn new(plugin: &'s Plugin, server: &'s Server<'s>, stored: &'s StoredCopy) -> Self {
        Self { plugin, server, stored, open: None, bytes_read: 0 }
    }

    /// Reads the header image and checks that it belongs to this backup.
    pub(super) fn check_header(&mut self, mover: &mut Mover) -> Result<(), Failure> {
        let name = &self.stored.copy.header;
        let mut bytes = [0; HEADER_SIZE];
        let read = self.server.open_image(&self.stored.image_id(name)).and_then(|mut image| {
            let count = image.read(&mut bytes, 0)?;
            image.close()?;
            Ok(count)
        });
        let count = read.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
        self.bytes_read += count as u64;
        mover.pass_log(self.plugin);
        // NetBackup: cannot read backup header.
        let unreadable = |what: String| Failure::new(173, format!("{name}: {what}"));
        let header = BackupHeader::decode(&bytes[..count]).map_err(|e| unreadable(e.to_string()))?;
        if header.backup_id != self.stored.backup_id || header.block_size != self.stored.copy.buffer_size {
            let what = format!("it is the header of {}, block size {}", header.backup_id, header.block_size);
            return Err(unreadable(what));
        }
        Ok(())
    }

    /// Reads up to `buffer.len()` bytes of the stream from `position` on, never across a fragment's end. 0 behind the
    /// stream's end.
    pub(super) fn read_at(
        &mut self,
        mover: &mut Mover,
        buffer: &mut [u8],
        position: u64,
    ) -> Result<usize, Failure> {
        let Some(at) = locate(&self.stored.copy, position) else { return Ok(0) };
        let want = usize::try_from(at.left).unwrap_or(usize::MAX).min(buffer.len());
        let reader = match self.open.take() {
            Some((index, reader)) if index == at.index => &mut self.open.insert((index, reader)).1,
            other => {
                if let Some((_, reader)) = other {
                    reader.close().map_err(|sts| mover.failed(Some(self.plugin), sts))?;
                }
                let name = &self.stored.copy.fragments[at.index].name;
                let opened = self.server.open_image(&self.stored.image_id(name));
                let reader = opened.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
                mover.log(2, format!("opened {name} for reading"));
                &mut self.open.insert((at.index, reader)).1
            }
        };
        let count = reader.read(&mut buffer[..want], at.offset);
        let name = reader.name().to_owned();
        let count = count.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
        mover.pass_log(self.plugin);
        if count == 0 {
            let what = format!("{name} ends at byte {} and should have {} more", at.offset, at.left);
            return Err(Failure::new(code::MEDIA_READ, what));
        }
        self.bytes_read += count as u64;
        Ok(count)
    }

    /// Closes the fragment that is open.
    pub(super) fn close(mut self, mover: &mut Mover) -> Result<(), Failure> {
        if let Some((_, reader)) = self.open.take() {
            reader.close().map_err(|sts| mover.failed(Some(self.plugin), sts))?;
        }
        Ok(())
    }
}

/// The whole stream from its start, for a reader that goes through it. A failure of the plug-in is kept aside, since
/// an I/O error cannot carry it.
#[derive(Debug)]
pub(super) struct StreamReader<'a, 's> {
    pub(super) fragments: &'a mut FragmentReader<'s>,
    pub(super) mover: &'a mut Mover,
    pub(super) position: u64,
    pub(super) failure: Option<Failure>,
    reported: Instant,
}

impl<'a, 's> StreamReader<'a, 's> {
    pub(super) fn new(fragments: &'a mut FragmentReader<'s>, mover: &'a mut Mover) -> Self {
        Self { fragments, mover, position: 0, failure: None, reported: Instant::now() }
    }
}

impl Read for StreamReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read =
            self.mover.check().and_then(|()| self.fragments.read_at(self.mover, buffer, self.position));
        match read {
            Ok(count) => {
                self.position += count as u64;
                if self.reported.elapsed() >= PROGRESS_EVERY {
                    self.reported = Instant::now();
                    let _ = self.mover.link.send(&FromMover::Progress { bytes: self.position });
                }
                Ok(count)
            }
            Err(failure) => {
                let error = io::Error::other(failure.text.clone());
                self.failure = Some(failure);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::catalog::{FragmentRecord, sample};

    #[test]
    fn a_position_is_in_exactly_one_fragment() {
        let fragment =
            |number, offset, bytes| FragmentRecord { number, name: format!("F{number}"), offset, bytes };
        let fragments = vec![fragment(1, 0, 1024), fragment(2, 1024, 1024), fragment(3, 2048, 452)];
        let copy = CopyRecord { fragments, ..sample::copy("b_1") };
        let at = |position| locate(&copy, position).map(|l| (l.index, l.offset, l.left));
        assert_eq!(at(0), Some((0, 0, 1024)));
        assert_eq!(at(1023), Some((0, 1023, 1)));
        assert_eq!(at(1024), Some((1, 0, 1024)));
        assert_eq!(at(2499), Some((2, 451, 1)));
        assert_eq!(at(2500), None);
    }
}
