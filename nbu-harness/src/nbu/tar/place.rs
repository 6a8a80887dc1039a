//! Where restored files go: below one directory, whatever the names and links in the stream say.
//!
//! Paths are walked component by component with descriptors, never following a symbolic link, so that neither `..` nor
//! an absolute path nor a link that was restored a moment ago leads out.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// For directories that were not backed up or not selected themselves.
const DEFAULT_MODE: Mode = Mode::from_raw_mode(0o755);

/// Why a path has no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// The path leads out of the destination, or is none.
    #[error("refused: the path {0}")]
    Refused(&'static str),
    /// The system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for PlaceError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The destination, with the directory that was used last kept open.
#[derive(Debug)]
pub(super) struct Destination {
    root: OwnedFd,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl Destination {
    /// Creates the directory when missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        // The destination itself may be a link: the operator chose it.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(Self { root: rustix::fs::openat(CWD, path, flags, Mode::empty())?, last: None })
    }

    /// Whether a path is the destination itself.
    pub(super) fn is_root(path: &[u8]) -> bool {
        path == b"." || path == b"./"
    }

    /// The open directory that `path` belongs into, and the name in it. Missing directories are made.
    pub(super) fn parent<'p>(&mut self, path: &'p [u8]) -> Result<(BorrowedFd<'_>, &'p OsStr), PlaceError> {
        let path = checked(path)?;
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        let name = OsStr::from_bytes(name);
        if parent.is_empty() {
            return Ok((self.root.as_fd(), name));
        }
        if self.last.as_ref().is_none_or(|(known, _)| known != parent) {
            let opened = self.walk(parent, true)?;
            self.last = Some((parent.to_vec(), opened));
        }
        let fd = self.last.as_ref().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
        Ok((fd, name))
    }

    /// Opens an existing directory.
    pub(super) fn directory(&self, path: &[u8]) -> Result<OwnedFd, PlaceError> {
        if Self::is_root(path) {
            return Ok(self.root.try_clone()?);
        }
        self.walk(checked(path)?, false)
    }

    /// Forgets the directory that is kept open: something else may be in its place.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn walk(&self, path: &[u8], create: bool) -> Result<OwnedFd, PlaceError> {
        let mut at = self.root.try_clone()?;
        for name in path.split(|b| *b == b'/') {
            let name = OsStr::from_bytes(name);
            at = match rustix::fs::openat(&at, name, DIRECTORY, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) if create => {
                    rustix::fs::mkdirat(&at, name, DEFAULT_MODE)?;
                    rustix::fs::openat(&at, name, DIRECTORY, Mode::empty())?
                }
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(PlaceError::Refused("leads through something that is not a directory"));
                }
                Err(e) => return Err(e.into()),
            };
        }
        Ok(at)
    }
}

/// A path in its plain form: relative, no empty component, no `.` or `..`.
fn checked(path: &[u8]) -> Result<&[u8], PlaceError> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    if path.is_empty() {
        return Err(PlaceError::Refused("is empty"));
    }
    if path.contains(&0) {
        return Err(PlaceError::Refused("holds a NUL"));
    }
    for name in path.split(|b| *b == b'/') {
        match name {
            b"" => return Err(PlaceError::Refused("is absolute or has an empty component")),
            b"." | b".." => return Err(PlaceError::Refused("has a component . or ..")),
            _ => {}
        }
    }
    Ok(path)
}

/// Makes way for a new entry: removes what is not a directory.
pub(super) fn make_way(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_path_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let root = dir.path().join("root");
        let mut destination = Destination::open(&root).unwrap();
        symlink(&outside, root.join("link")).unwrap();
        for bad in ["/etc/x", "../x", "a/../../x", "a//b", "", "a/./b", "link/x", "link/deeper/x", "a\0b"] {
            let error = destination.parent(bad.as_bytes()).unwrap_err();
            assert!(matches!(error, PlaceError::Refused(_)), "{bad}: {error}");
        }
        assert!(matches!(destination.directory(b"link"), Err(PlaceError::Refused(_))));
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn missing_directories_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut destination = Destination::open(dir.path()).unwrap();
        let (_, name) = destination.parent(b"a/b/c").unwrap();
        assert_eq!(name, "c");
        assert!(dir.path().join("a/b").is_dir());
        destination.directory(b"a/b").unwrap();
        assert!(Destination::is_root(b".") && !Destination::is_root(b"a"));
    }
}
