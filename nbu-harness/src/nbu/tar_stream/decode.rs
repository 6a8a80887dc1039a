//! Reads a stream member by member. Every byte comes from storage and is distrusted.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::sparse::MapParser;
use super::{BLOCK, Segment, pax};
use crate::nbu::catalog::FileKind;
use crate::nbu::path_bytes::PathBytes;

/// Longest pax header.
const MAX_PAX: u64 = 1 << 20;

/// Why a stream could not be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What was read is no tar stream.
    #[error("the stream is not in tar format at byte {at}: {what}")]
    NotTar {
        /// Position in the stream.
        at: u64,
        /// What is wrong.
        what: String,
    },
}

/// A member's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Path without the trailing slash of a directory.
    pub(crate) path: PathBytes,
    pub(crate) kind: FileKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) mtime_nsec: u32,
    /// Size of the file.
    pub(crate) size: u64,
    /// Position of the first header block.
    pub(crate) start: u64,
    /// Position of the content.
    pub(crate) data_offset: u64,
    /// Bytes of content in the stream, with the map of a sparse file.
    pub(crate) data_length: u64,
    pub(crate) link: Option<PathBytes>,
    /// Ranges with data, of a sparse file.
    pub(crate) segments: Option<Vec<Segment>>,
    pub(crate) device: (u32, u32),
}

/// What a pax header said.
#[derive(Debug, Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    mtime: Option<(i64, u32)>,
    size: Option<u64>,
    sparse_version: (Option<u64>, Option<u64>),
    real_size: Option<u64>,
}

/// Reads members from `R`.
#[derive(Debug)]
pub(crate) struct MemberReader<R> {
    input: R,
    at: u64,
    /// Content of the current member that has not been read.
    left: u64,
    padding: u64,
}

impl<R: Read> MemberReader<R> {
    /// A reader for a stream that starts here.
    pub(crate) const fn new(input: R) -> Self {
        Self { input, at: 0, left: 0, padding: 0 }
    }

    /// The next member; `None` at the end of the stream: a block of zeros, or the end of the input between members.
    /// What is left of the current member's content is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, StreamError> {
        self.skip()?;
        let start = self.at;
        let mut pax = Pax::default();
        loop {
            let Some(block) = self.block()? else {
                return if self.at == start {
                    Ok(None)
                } else {
                    Err(self.not_tar("ends after a pax header"))
                };
            };
            if block == [0; BLOCK] {
                return Ok(None);
            }
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&block);
            self.check_sum(&header)?;
            let size = header.entry_size().map_err(|e| self.not_tar(&e.to_string()))?;
            match header.entry_type() {
                EntryType::XHeader => pax = self.pax(size)?,
                EntryType::XGlobalHeader => drop(self.pax(size)?),
                other => return self.member(start, &header, other, size, pax).map(Some),
            }
        }
    }

    /// The unread content of the current member.
    pub(crate) fn content(&mut self) -> impl Read + '_ {
        Content { reader: self }
    }

    /// The input, to read what comes after the end of the stream.
    pub(crate) fn into_input(self) -> R {
        self.input
    }

    fn member(
        &mut self,
        start: u64,
        header: &Header,
        entry: EntryType,
        size: u64,
        pax: Pax,
    ) -> Result<Member, StreamError> {
        let kind = match entry {
            EntryType::Regular | EntryType::Continuous => FileKind::File,
            EntryType::Directory => FileKind::Directory,
            EntryType::Symlink => FileKind::Symlink,
            EntryType::Link => FileKind::HardLink,
            EntryType::Fifo => FileKind::Fifo,
            EntryType::Char => FileKind::CharacterDevice,
            EntryType::Block => FileKind::BlockDevice,
            other => return Err(self.not_tar(&format!("member type {:?}", char::from(other.as_byte())))),
        };
        let number = |field: io::Result<u64>| {
            field
                .ok()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| self.not_tar("an owner is not a number"))
        };
        let mut path = pax.path.unwrap_or_else(|| header.path_bytes().into_owned());
        if kind == FileKind::Directory && path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let stored = if kind == FileKind::File { pax.size.unwrap_or(size) } else { 0 };
        let (mtime, mtime_nsec) = match pax.mtime {
            Some(time) => time,
            None => (header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0), 0),
        };
        let link = matches!(kind, FileKind::Symlink | FileKind::HardLink)
            .then(|| pax.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned)))
            .flatten();
        let device = |field: io::Result<Option<u32>>| field.ok().flatten().unwrap_or(0);
        let mut member = Member {
            path: PathBytes(path),
            kind,
            mode: header.mode().map_err(|e| self.not_tar(&e.to_string()))? & 0o7777,
            uid: number(header.uid())?,
            gid: number(header.gid())?,
            mtime,
            mtime_nsec,
            size: pax.real_size.unwrap_or(stored),
            start,
            data_offset: self.at,
            data_length: stored,
            link: link.map(PathBytes),
            segments: None,
            device: (device(header.device_major()), device(header.device_minor())),
        };
        self.left = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        if pax.sparse_version == (Some(1), Some(0)) {
            member.segments = Some(self.sparse_map(member.size)?);
        } else if pax.real_size.is_some() {
            return Err(self.not_tar("a sparse file in an unknown format"));
        }
        Ok(member)
    }

    fn sparse_map(&mut self, size: u64) -> Result<Vec<Segment>, StreamError> {
        let mut parser = MapParser::default();
        loop {
            if self.left < BLOCK as u64 {
                return Err(self.not_tar("a sparse map without an end"));
            }
            let block = self.block()?.ok_or_else(|| self.not_tar("ends in a sparse map"))?;
            self.left -= BLOCK as u64;
            match parser.feed(&block) {
                Some(true) => break,
                Some(false) => {}
                None => return Err(self.not_tar("a malformed sparse map")),
            }
        }
        let segments = parser.into_segments();
        let data = segments.iter().map(|s| s.length).sum::<u64>();
        let end = segments.last().map_or(0, |s| s.offset + s.length);
        if data != self.left || end > size {
            return Err(self.not_tar("a sparse map that does not fit its file"));
        }
        Ok(segments)
    }

    fn pax(&mut self, size: u64) -> Result<Pax, StreamError> {
        if size > MAX_PAX {
            return Err(self.not_tar("a pax header of more than 1 MiB"));
        }
        let mut data = Vec::new();
        while (data.len() as u64) < size {
            data.extend(self.block()?.ok_or_else(|| self.not_tar("ends in a pax header"))?);
        }
        data.truncate(usize::try_from(size).unwrap_or(0));
        let mut pax = Pax::default();
        for record in pax::records(&data) {
            let (key, value) = record.ok_or_else(|| self.not_tar("a malformed pax record"))?;
            let number = || std::str::from_utf8(value).ok().and_then(|v| v.parse::<u64>().ok());
            let good = match key {
                b"path" | b"GNU.sparse.name" => pax.path.insert(value.to_vec()).len() == value.len(),
                b"linkpath" => pax.link.insert(value.to_vec()).len() == value.len(),
                b"mtime" => {
                    pax.mtime = pax::parse_time(value);
                    pax.mtime.is_some()
                }
                b"size" => {
                    pax.size = number();
                    pax.size.is_some_and(|s| s < i64::MAX.unsigned_abs())
                }
                b"GNU.sparse.major" => {
                    pax.sparse_version.0 = number();
                    true
                }
                b"GNU.sparse.minor" => {
                    pax.sparse_version.1 = number();
                    true
                }
                b"GNU.sparse.realsize" => {
                    pax.real_size = number();
                    pax.real_size.is_some_and(|s| s < i64::MAX.unsigned_abs())
                }
                _ => true,
            };
            if !good {
                return Err(self.not_tar(&format!("pax record {} has a bad value", key.escape_ascii())));
            }
        }
        Ok(pax)
    }

    fn check_sum(&self, header: &Header) -> Result<(), StreamError> {
        let bytes = header.as_bytes();
        let field = 148..156;
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(i, b)| if field.contains(&i) { u32::from(b' ') } else { u32::from(*b) })
            .sum();
        match header.cksum() {
            Ok(expected) if expected == sum => Ok(()),
            _ => Err(StreamError::NotTar {
                at: self.at - BLOCK as u64,
                what: "no header: wrong checksum".into(),
            }),
        }
    }

    /// The next block; `None` at the end of the input. A part of a block is an error.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, StreamError> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match self.input.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(self.not_tar("ends within a block")),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }

    fn skip(&mut self) -> Result<(), StreamError> {
        let left = std::mem::take(&mut self.left) + std::mem::take(&mut self.padding);
        let skipped = io::copy(&mut self.input.by_ref().take(left), &mut io::sink())?;
        self.at += skipped;
        if skipped < left { Err(self.not_tar("ends within a file")) } else { Ok(()) }
    }

    fn not_tar(&self, what: &str) -> StreamError {
        StreamError::NotTar { at: self.at, what: what.to_owned() }
    }
}

struct Content<'a, R> {
    reader: &'a mut MemberReader<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.reader.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let read = self.reader.input.read(&mut buffer[..want])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ends within a file"));
        }
        self.reader.left -= read as u64;
        self.reader.at += read as u64;
        Ok(read)
    }
}
