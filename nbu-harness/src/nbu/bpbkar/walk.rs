//! Walks a directory tree and sends each file. What is in a directory follows it at once, names in byte order.
//!
//! What cannot be read is skipped with a warning; other file systems below the root are not entered.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::content::{Layout, changed, layout, read_block, send_range};
use super::outlet::Outlet;
use super::track::BlockSum;
use super::{Failure, Records, record};
use crate::nbu::catalog::FileKind;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::status::status_text;
use crate::nbu::tar_stream::{Head, encode_map};

/// NetBackup's status for a file list of which nothing exists.
const NOTHING_EXISTS: i32 = 71;

/// Sends the tree below `root`.
pub(super) fn send_tree(root: &Path, outlet: &mut Outlet, records: &mut Records) -> Result<(), Failure> {
    let nothing = |error: io::Error| {
        let text = format!("{}: {}: {error}", status_text(NOTHING_EXISTS), root.display());
        Failure { status: NOTHING_EXISTS, text }
    };
    let metadata = std::fs::metadata(root).map_err(nothing)?;
    if !metadata.is_dir() {
        return Err(nothing(io::ErrorKind::NotADirectory.into()));
    }
    // A root that is a symbolic link is followed, nothing below it is.
    let root = root.canonicalize().map_err(nothing)?;
    let mut walk = Walk { device: metadata.dev(), links: HashMap::new(), outlet, records };
    walk.special(b".", FileKind::Directory, &metadata, None)?;
    // The directories from the root down to where the walk is, each with the names that are still to come.
    let mut open = vec![(PathBuf::new(), walk.names(&root, Path::new(""))?)];
    while let Some((directory, names)) = open.last_mut() {
        let Some(name) = names.next() else {
            open.pop();
            continue;
        };
        let relative = directory.join(name);
        let enter = walk.member(&root, &relative)?;
        walk.records.checkpoint(walk.outlet)?;
        if enter {
            let names = walk.names(&root, &relative)?;
            open.push((relative, names));
        }
    }
    Ok(())
}

struct Walk<'a> {
    device: u64,
    /// Paths of files with more than one name, by device and inode.
    links: HashMap<(u64, u64), PathBytes>,
    outlet: &'a mut Outlet,
    records: &'a mut Records,
}

impl Walk<'_> {
    /// The names in a directory in order; none, with a warning, when it cannot be read.
    fn names(&mut self, root: &Path, directory: &Path) -> Result<std::vec::IntoIter<OsString>, Failure> {
        match names(&root.join(directory)) {
            Ok(names) => Ok(names.into_iter()),
            Err(e) => {
                self.records
                    .warn(directory.as_os_str().as_bytes(), format!("the directory cannot be read: {e}"))?;
                Ok(Vec::new().into_iter())
            }
        }
    }

    /// Sends one file; true for a directory that is to be entered.
    fn member(&mut self, root: &Path, relative: &Path) -> Result<bool, Failure> {
        let path = root.join(relative);
        let name = relative.as_os_str().as_bytes();
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => {
                self.entry(&path, name, &metadata)?;
                Ok(metadata.is_dir() && metadata.dev() == self.device)
            }
            Err(e) => self.skipped(name, &e).map(|()| false),
        }
    }

    fn entry(&mut self, path: &Path, relative: &[u8], metadata: &Metadata) -> Result<(), Failure> {
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.special(relative, FileKind::Directory, metadata, None)
        } else if kind.is_symlink() {
            match std::fs::read_link(path) {
                Ok(target) => {
                    let target = target.into_os_string().into_vec();
                    self.special(relative, FileKind::Symlink, metadata, Some(&target))
                }
                Err(e) => self.skipped(relative, &e),
            }
        } else if kind.is_file() {
            self.file(path, relative, metadata)
        } else if kind.is_fifo() {
            self.special(relative, FileKind::Fifo, metadata, None)
        } else if kind.is_char_device() {
            self.special(relative, FileKind::CharacterDevice, metadata, None)
        } else if kind.is_block_device() {
            self.special(relative, FileKind::BlockDevice, metadata, None)
        } else {
            // A socket means nothing without the program behind it; NetBackup leaves them out too.
            Ok(())
        }
    }

    fn file(&mut self, path: &Path, relative: &[u8], seen: &Metadata) -> Result<(), Failure> {
        if seen.nlink() > 1
            && let Some(first) = self.links.get(&(seen.dev(), seen.ino())).cloned()
        {
            return self.special(relative, FileKind::HardLink, seen, Some(&first.0));
        }
        // Neither follow a link nor wait for a pipe that took the file's place.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let (file, metadata) = match opened.and_then(|f| f.metadata().map(|m| (f, m))) {
            Ok((file, metadata)) if metadata.is_file() => (file, metadata),
            Ok(_) => {
                return self.skipped(relative, &io::Error::other("it is not a regular file any more"));
            }
            Err(e) => return self.skipped(relative, &e),
        };
        // What came to a place before the checkpoint since then is not in the backup, and what was there may be another file
        // by now: no link can lead there.
        if metadata.nlink() > 1 && !self.records.resumed_behind(relative) {
            self.links.insert((metadata.dev(), metadata.ino()), PathBytes::from(relative));
        }
        self.content(&file, relative, &metadata)
    }

    fn content(&mut self, file: &File, relative: &[u8], metadata: &Metadata) -> Result<(), Failure> {
        let size = metadata.len();
        let (map, ranges) = match layout(file, metadata) {
            Layout::Whole => (Vec::new(), vec![(0, size)]),
            Layout::Sparse(segments) => {
                (encode_map(&segments, size), segments.iter().map(|s| (s.offset, s.length)).collect())
            }
        };
        let stored = map.len() as u64 + ranges.iter().map(|(_, length)| length).sum::<u64>();
        let head = Head { stored, sparse: !map.is_empty(), size, ..head(relative, FileKind::File, metadata) };
        if self.records.resumed_behind(relative) || self.records.left_out(&head)? {
            return Ok(());
        }
        if self.records.taken_from_base(&head, self.outlet)? {
            return Ok(());
        }
        let start = self.outlet.position();
        let data_offset = self.outlet.header(&head)?;
        let mut trouble = None;
        if self.records.track.is_some() && !head.sparse {
            let mut read = |offset: u64, block: &mut [u8]| {
                trouble = trouble.take().or(read_block(file, offset, block).err());
            };
            let sums = self.records.send_blocks(relative, size, self.outlet, &mut read)?;
            return self.sent(file, &head, metadata, trouble, (start, data_offset), &sums);
        }
        self.outlet.write(&map)?;
        for (offset, length) in ranges {
            let sent = send_range(file, offset, length, self.outlet)?;
            trouble = trouble.or(sent.err());
        }
        self.outlet.pad()?;
        self.sent(file, &head, metadata, trouble, (start, data_offset), &[])
    }

    /// Reports a file whose content was sent.
    fn sent(
        &mut self,
        file: &File,
        head: &Head<'_>,
        metadata: &Metadata,
        trouble: Option<String>,
        (start, data_offset): (u64, u64),
        sums: &[BlockSum],
    ) -> Result<(), Failure> {
        let relative = head.path;
        if let Some(trouble) = trouble.or_else(|| changed(file, metadata)) {
            self.records.warn(relative, trouble)?;
            // What changed while it was read is read again next time, whatever its time says.
            return self.records.add(record(head, start, data_offset));
        }
        self.records.add_sent(record(head, start, data_offset), sums)
    }

    /// Sends a member without content.
    fn special(
        &mut self,
        relative: &[u8],
        kind: FileKind,
        metadata: &Metadata,
        link: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let head = Head { link, ..head(relative, kind, metadata) };
        if self.records.resumed_behind(relative) || self.records.left_out(&head)? {
            return Ok(());
        }
        if self.records.taken_from_base(&head, self.outlet)? {
            return Ok(());
        }
        let start = self.outlet.position();
        let data_offset = self.outlet.header(&head)?;
        self.records.add_sent(record(&head, start, data_offset), &[])
    }

    fn skipped(&mut self, relative: &[u8], error: &io::Error) -> Result<(), Failure> {
        let vanished = error.kind() == io::ErrorKind::NotFound;
        let text =
            if vanished { "vanished before it was read".to_owned() } else { format!("skipped: {error}") };
        self.records.warn(relative, text)
    }
}

fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names =
        std::fs::read_dir(directory)?.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

fn head<'a>(path: &'a [u8], kind: FileKind, metadata: &Metadata) -> Head<'a> {
    let device = metadata.rdev();
    Head {
        path,
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        mtime_nsec: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        size: 0,
        stored: 0,
        sparse: false,
        link: None,
        device: (rustix::fs::major(device), rustix::fs::minor(device)),
    }
}
