//! A snapshot of a tree: for every path its type, mode, time, owner, links and a BLAKE3 hash of its content.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes each hashing thread holds.
const READ_BUFFER: usize = 256 * 1024;
/// Deeper trees are refused: no backup product reaches them, and a cycle of mounts would never end.
const MAX_DEPTH: usize = 512;

/// A tree could not be examined.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct OracleError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl OracleError {
    fn new(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self { what, path, source }
    }
}

/// Length and content of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedFile {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the content.
    pub hash: blake3::Hash,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(HashedFile),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, byte for byte.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// Anything else: its file type bits.
    Other(u32),
}

impl Kind {
    /// The word for it in a report.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory => "directory",
            Self::Symlink { .. } => "symbolic link",
            Self::Fifo => "FIFO",
            Self::Other(_) => "special file",
        }
    }
}

/// One path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type, and for files and links the content.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub mtime: (i64, i64),
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// For a file with several names inside the tree: the first of them in byte order.
    pub hard_links: Option<Vec<u8>>,
}

/// All paths of a tree, relative to its top, which itself is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl Snapshot {
    /// Examines the tree at `root`, hashing with `threads` threads (at least one), each of which holds 256 KiB.
    /// Symbolic links are not followed.
    ///
    /// # Errors
    /// When a directory or file cannot be read: an oracle that leaves something out would prove nothing.
    pub fn take(root: &Path, threads: usize) -> Result<Self, OracleError> {
        let mut walk = Walk::default();
        walk.visit(root, &[], 0)?;
        let hashes = hash_all(&walk.to_hash, threads.max(1))?;
        let mut entries = walk.entries;
        for ((path, _), hashed) in walk.to_hash.iter().zip(hashes) {
            if let Some(entry) = entries.get_mut(path) {
                entry.kind = Kind::File(hashed);
            }
        }
        for paths in walk.linked.into_values().filter(|paths| paths.len() > 1) {
            let first = paths.iter().min().cloned();
            let kind = paths
                .iter()
                .find_map(|path| walk.hashed_as.contains(path).then(|| entries[path].kind.clone()));
            for path in paths {
                if let Some(entry) = entries.get_mut(&path) {
                    entry.hard_links.clone_from(&first);
                    if let Some(kind) = &kind {
                        entry.kind = kind.clone();
                    }
                }
            }
        }
        Ok(Self { entries })
    }

    /// The entry with this path, relative to the top.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_slice(), entry))
    }

    /// All paths in byte order.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    /// Number of regular files (every name of a hard link counts).
    pub fn files(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.kind, Kind::File(_))).count()
    }

    /// Bytes of all regular files (every name of a hard link counts).
    pub fn total_bytes(&self) -> u64 {
        self.entries.values().map(|entry| if let Kind::File(file) = entry.kind { file.size } else { 0 }).sum()
    }

    /// A part of the tree: only the paths for which `keep` says yes. Names of one file stay grouped when at least two
    /// of them are kept.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&[u8]) -> bool) -> Self {
        let kept = self.entries.iter().filter(|(path, _)| keep(path));
        let mut entries: BTreeMap<Vec<u8>, Entry> =
            kept.map(|(path, entry)| (path.clone(), entry.clone())).collect();
        let mut groups: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, entry) in &entries {
            if let Some(first) = &entry.hard_links {
                groups.entry(first.clone()).or_default().push(path.clone());
            }
        }
        for names in groups.into_values() {
            // Byte order of the map: the first name comes first.
            let first = (names.len() > 1).then(|| names[0].clone());
            for name in names {
                if let Some(entry) = entries.get_mut(&name) {
                    entry.hard_links.clone_from(&first);
                }
            }
        }
        Self { entries }
    }

    /// Changes one entry; tests use it to make a wrong snapshot.
    #[cfg(test)]
    pub(crate) fn entry_mut(&mut self, path: &[u8]) -> &mut Entry {
        self.entries.get_mut(path).unwrap()
    }
}

/// Length and hash of one regular file.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(path: &Path, buffer: &mut [u8]) -> Result<HashedFile, OracleError> {
    let mut file = File::open(path).map_err(OracleError::new("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(HashedFile { size, hash: hasher.finalize() }),
            Ok(len) => {
                hasher.update(&buffer[..len]);
                size += len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(OracleError::new("read", path)(error)),
        }
    }
}

#[derive(Default)]
struct Walk {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Relative and full path of every file whose content is hashed: one name of each file.
    to_hash: Vec<(Vec<u8>, PathBuf)>,
    hashed_as: std::collections::HashSet<Vec<u8>>,
    /// Names by (device, inode), for files with more than one.
    linked: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Walk {
    fn visit(&mut self, full: &Path, relative: &[u8], depth: usize) -> Result<(), OracleError> {
        let metadata = full.symlink_metadata().map_err(OracleError::new("examine", full))?;
        if depth > MAX_DEPTH {
            return Err(OracleError::new("descend into", full)(io::Error::other(
                "more than 512 levels deep",
            )));
        }
        let kind = self.kind(full, relative, &metadata)?;
        let is_directory = kind == Kind::Directory;
        let entry = Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            uid: metadata.uid(),
            gid: metadata.gid(),
            hard_links: None,
        };
        self.entries.insert(relative.to_vec(), entry);
        if is_directory {
            for child in fs::read_dir(full).map_err(OracleError::new("list", full))? {
                let child = child.map_err(OracleError::new("list", full))?;
                let name = child.file_name();
                let path = match relative {
                    [] => name.as_bytes().to_vec(),
                    _ => [relative, b"/", name.as_bytes()].concat(),
                };
                self.visit(&child.path(), &path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn kind(&mut self, full: &Path, relative: &[u8], metadata: &fs::Metadata) -> Result<Kind, OracleError> {
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            return Ok(Kind::Directory);
        }
        let mut first_name = true;
        if metadata.nlink() > 1 {
            let names = self.linked.entry((metadata.dev(), metadata.ino())).or_default();
            first_name = names.is_empty();
            names.push(relative.to_vec());
        }
        Ok(if file_type.is_file() {
            if first_name {
                self.to_hash.push((relative.to_vec(), full.to_path_buf()));
                self.hashed_as.insert(relative.to_vec());
            }
            Kind::File(HashedFile { size: metadata.len(), hash: blake3::hash(b"") })
        } else if file_type.is_symlink() {
            let target = fs::read_link(full).map_err(OracleError::new("read the link", full))?;
            Kind::Symlink { target: target.as_os_str().as_bytes().to_vec() }
        } else if file_type.is_fifo() {
            Kind::Fifo
        } else {
            Kind::Other(metadata.mode() & !0o7777)
        })
    }
}

fn hash_all(files: &[(Vec<u8>, PathBuf)], threads: usize) -> Result<Vec<HashedFile>, OracleError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<HashedFile>>> = Mutex::new(vec![None; files.len()]);
    let failure: Mutex<Option<OracleError>> = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; READ_BUFFER];
        while let Some((index, (_, path))) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| files.get(index).map(|file| (index, file)))
        {
            match hash_file(path, &mut buffer) {
                Ok(hashed) => lock(&results)[index] = Some(hashed),
                Err(error) => {
                    next.store(files.len(), Ordering::Relaxed);
                    *lock(&failure) = Some(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    match lock(&failure).take() {
        Some(error) => Err(error),
        None => Ok(lock(&results).iter().flatten().copied().collect()),
    }
}

/// A poisoned lock still holds what was stored before.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_hashed_and_links_are_grouped_under_their_first_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("b"), b"content").unwrap();
        fs::hard_link(dir.path().join("b"), dir.path().join("a/z")).unwrap();
        fs::write(dir.path().join("c"), b"").unwrap();
        let snapshot = Snapshot::take(dir.path(), 3).unwrap();
        assert_eq!(snapshot.paths().collect::<Vec<_>>(), [&b""[..], b"a", b"a/z", b"b", b"c"]);
        for name in [&b"b"[..], b"a/z"] {
            let entry = snapshot.get(name).unwrap();
            assert_eq!(entry.kind, Kind::File(HashedFile { size: 7, hash: blake3::hash(b"content") }));
            assert_eq!(entry.hard_links.as_deref(), Some(&b"a/z"[..]));
        }
        assert_eq!(snapshot.get(b"c").unwrap().hard_links, None);
        assert_eq!((snapshot.files(), snapshot.total_bytes()), (3, 14));
    }

    #[test]
    fn a_part_of_a_tree_keeps_only_groups_of_names_that_are_in_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), b"x").unwrap();
        for name in ["b", "c"] {
            fs::hard_link(dir.path().join("a"), dir.path().join(name)).unwrap();
        }
        let whole = Snapshot::take(dir.path(), 1).unwrap();
        let two = whole.filtered(|path| path != b"a");
        assert_eq!(two.get(b"c").unwrap().hard_links.as_deref(), Some(&b"b"[..]));
        let one = whole.filtered(|path| path == b"c");
        assert_eq!(one.get(b"c").unwrap().hard_links, None);
    }

    #[test]
    fn a_name_whose_other_name_is_outside_the_tree_is_no_group() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        fs::write(dir.path().join("tree/in"), b"x").unwrap();
        fs::hard_link(dir.path().join("tree/in"), dir.path().join("out")).unwrap();
        let snapshot = Snapshot::take(&dir.path().join("tree"), 1).unwrap();
        assert_eq!(snapshot.get(b"in").unwrap().hard_links, None);
    }

    #[test]
    fn a_missing_tree_is_an_error_that_names_it() {
        let error = Snapshot::take(Path::new("/no/such/tree"), 1).unwrap_err().to_string();
        assert!(error.contains("/no/such/tree"), "{error}");
    }
}
