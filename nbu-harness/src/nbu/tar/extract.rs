//! Creates the files of a stream: content, owners (as root), modes, times, links, holes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::place::{Destination, PlaceError, make_way};
use crate::nbu::catalog::FileKind;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::Placement;
use crate::nbu::tar_stream::{Member, MemberReader, Segment, StreamError};

const CHUNK: usize = 1 << 20;

/// Why a member was not restored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExtractError {
    /// This file only: the next one can go on.
    #[error("{0}")]
    File(#[from] PlaceError),
    /// The stream itself.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

impl From<Errno> for ExtractError {
    fn from(error: Errno) -> Self {
        Self::File(error.into())
    }
}

/// Extracts members into a destination.
#[derive(Debug)]
pub(super) struct Extractor {
    destination: Destination,
    placements: HashMap<PathBytes, Vec<PathBytes>>,
    /// Directories get their modes and times when nothing is created in them any more.
    directories: Vec<Member>,
    as_root: bool,
    buffer: Vec<u8>,
}

impl Extractor {
    pub(super) fn new(destination: Destination, placements: Vec<Placement>) -> Self {
        Self {
            destination,
            placements: placements.into_iter().map(|p| (p.member, p.outputs)).collect(),
            directories: Vec::new(),
            as_root: rustix::process::geteuid().is_root(),
            buffer: vec![0; CHUNK],
        }
    }

    /// Creates what a member describes; returns how many files that are.
    pub(super) fn extract<R: Read>(
        &mut self,
        mut member: Member,
        reader: &mut MemberReader<R>,
    ) -> Result<u64, ExtractError> {
        let outputs = self.placements.remove(&member.path).unwrap_or_default();
        let Some((first, more)) = outputs.split_first() else {
            self.create(&member, reader)?;
            return Ok(1);
        };
        member.path = first.clone();
        self.create(&member, reader)?;
        for path in more {
            self.hard_link(first, path)?;
        }
        Ok(outputs.len() as u64)
    }

    fn create<R: Read>(&mut self, member: &Member, reader: &mut MemberReader<R>) -> Result<(), ExtractError> {
        match member.kind {
            FileKind::File => self.file(member, reader),
            FileKind::Directory => self.directory(member),
            FileKind::Symlink => self.symlink(member),
            FileKind::HardLink => match &member.link {
                Some(target) => self.hard_link(target, &member.path),
                None => Err(PlaceError::Refused("is a hard link to nothing").into()),
            },
            FileKind::Fifo => self.node(member, FileType::Fifo),
            FileKind::CharacterDevice => self.node(member, FileType::CharacterDevice),
            FileKind::BlockDevice => self.node(member, FileType::BlockDevice),
        }
    }

    fn file<R: Read>(&mut self, member: &Member, reader: &mut MemberReader<R>) -> Result<(), ExtractError> {
        let (parent, name) = self.destination.parent(&member.path.0)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR);
        let file = match create() {
            Err(Errno::EXIST) => {
                make_way(parent, name)?;
                create()?
            }
            other => other?,
        };
        let mut file = File::from(file);
        match &member.segments {
            None => {
                let mut content = reader.content();
                loop {
                    let count = content.read(&mut self.buffer).map_err(StreamError::Io)?;
                    if count == 0 {
                        break;
                    }
                    file.write_all(&self.buffer[..count]).map_err(PlaceError::Io)?;
                }
            }
            Some(segments) => {
                copy_segments(&mut reader.content(), &file, segments, &mut self.buffer)?;
                file.set_len(member.size).map_err(PlaceError::Io)?;
            }
        }
        if self.as_root {
            let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
            rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        // After the owner: a change of owner clears set-user-id.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(member.mode))?;
        rustix::fs::futimens(&file, &times(member))?;
        Ok(())
    }

    fn directory(&mut self, member: &Member) -> Result<(), ExtractError> {
        if !Destination::is_root(&member.path.0) {
            let (parent, name) = self.destination.parent(&member.path.0)?;
            let make = || rustix::fs::mkdirat(parent, name, Mode::RWXU);
            match make() {
                Err(Errno::EXIST) => {
                    let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
                        make_way(parent, name)?;
                        make()?;
                        self.destination.forget();
                    }
                }
                other => other?,
            }
        }
        self.directories.push(member.clone());
        Ok(())
    }

    fn symlink(&mut self, member: &Member) -> Result<(), ExtractError> {
        let target = member.link.clone().unwrap_or_default();
        let target = OsStr::from_bytes(&target.0);
        let as_root = self.as_root;
        let (parent, name) = self.destination.parent(&member.path.0)?;
        match rustix::fs::symlinkat(target, parent, name) {
            Err(Errno::EXIST) => {
                make_way(parent, name)?;
                rustix::fs::symlinkat(target, parent, name)?;
            }
            other => other?,
        }
        finish_at(parent, name, member, as_root)
    }

    fn hard_link(&mut self, target: &PathBytes, path: &PathBytes) -> Result<(), ExtractError> {
        let (from, target) = self.destination.parent(&target.0)?;
        let from = from.try_clone_to_owned().map_err(PlaceError::Io)?;
        let (to, name) = self.destination.parent(&path.0)?;
        match rustix::fs::linkat(&from, target, to, name, AtFlags::empty()) {
            Err(Errno::EXIST) => {
                make_way(to, name)?;
                rustix::fs::linkat(&from, target, to, name, AtFlags::empty())?;
            }
            other => other?,
        }
        Ok(())
    }

    fn node(&mut self, member: &Member, kind: FileType) -> Result<(), ExtractError> {
        let as_root = self.as_root;
        let (parent, name) = self.destination.parent(&member.path.0)?;
        make_way(parent, name)?;
        let device = rustix::fs::makedev(member.device.0, member.device.1);
        rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)?;
        finish_at(parent, name, member, as_root)?;
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?;
        Ok(())
    }

    /// Gives directories their owners, modes and times, the deepest first. Returns those that refused.
    pub(super) fn finish_directories(&mut self) -> Vec<(PathBytes, String)> {
        let mut refused = Vec::new();
        let mut directories = std::mem::take(&mut self.directories);
        // A directory comes before what is in it, so backwards is deepest first.
        while let Some(member) = directories.pop() {
            if let Err(error) = self.finish_directory(&member) {
                refused.push((member.path, error.to_string()));
            }
        }
        refused
    }

    fn finish_directory(&self, member: &Member) -> Result<(), ExtractError> {
        let directory = self.destination.directory(&member.path.0)?;
        if self.as_root {
            rustix::fs::fchown(&directory, Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)))?;
        }
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(member.mode))?;
        rustix::fs::futimens(&directory, &times(member))?;
        Ok(())
    }
}

/// Owner (as root) and time of something that is not opened; also right for symbolic links themselves.
fn finish_at(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    member: &Member,
    as_root: bool,
) -> Result<(), ExtractError> {
    if as_root {
        let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
        rustix::fs::chownat(parent.as_fd(), name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    rustix::fs::utimensat(parent, name, &times(member), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn copy_segments(
    content: &mut impl Read,
    file: &File,
    segments: &[Segment],
    buffer: &mut [u8],
) -> Result<(), ExtractError> {
    for segment in segments {
        let mut done = 0;
        while done < segment.length {
            let want = usize::try_from(segment.length - done).unwrap_or(usize::MAX).min(buffer.len());
            let count = content.read(&mut buffer[..want]).map_err(StreamError::Io)?;
            if count == 0 {
                return Err(StreamError::Io(io::ErrorKind::UnexpectedEof.into()).into());
            }
            file.write_all_at(&buffer[..count], segment.offset + done).map_err(PlaceError::Io)?;
            done += count as u64;
        }
    }
    Ok(())
}

fn times(member: &Member) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: member.mtime, tv_nsec: i64::from(member.mtime_nsec) },
    }
}
