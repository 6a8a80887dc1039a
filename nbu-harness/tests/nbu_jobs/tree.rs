//! A tree with everything that is hard to back up, and its comparison.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// What is compared of one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    content: Option<blake3::Hash>,
    size: u64,
    link: Option<Vec<u8>>,
    /// First path with the same inode.
    same_as: Option<Vec<u8>>,
}

/// Writes a file with content that depends on its name.
pub(crate) fn file(path: &Path, size: usize) {
    let seed = blake3::hash(path.file_name().unwrap().as_bytes());
    let mut content = vec![0; size];
    let mut reader = blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof();
    reader.fill(&mut content);
    fs::write(path, content).unwrap();
}

pub(crate) fn build(root: &Path) {
    let directories = ["empty dir", "a/b/c", "many"];
    for directory in directories {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    file(&root.join("plain"), 1000);
    file(&root.join("a/large"), 3_000_000);
    file(&root.join("empty"), 0);
    file(&root.join("exact block"), 512);
    for i in 0..50 {
        file(&root.join(format!("many/{i:03}")), i * 37);
    }
    file(&root.join("a").join("n".repeat(255)), 10);
    file(&root.join("a/b/c").join("l".repeat(120)), 20);
    file(&root.join(OsStr::from_bytes(b"not utf-8 \xff\xfe\n end")), 30);
    file(&root.join(OsStr::from_bytes(&[b'\xe9'; 255])), 5);
    symlink("plain", root.join("link")).unwrap();
    symlink("t".repeat(300), root.join("a/long link")).unwrap();
    symlink("/nonexistent", root.join("dangling")).unwrap();
    fs::hard_link(root.join("a/large"), root.join("a/b/hard")).unwrap();
    fs::hard_link(root.join("a/large"), root.join("zz hard")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"middle", 5 << 20).unwrap();
    sparse.set_len(20 << 20).unwrap();
    File::create(root.join("all hole")).unwrap().set_len(1 << 20).unwrap();
    fs::set_permissions(root.join("plain"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(root.join("empty dir"), fs::Permissions::from_mode(0o1500)).unwrap();
    let time = |name: &str, time| File::open(root.join(name)).unwrap().set_modified(time).unwrap();
    time("plain", UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789));
    time("sparse", UNIX_EPOCH - Duration::new(5, 500_000_000));
    time("empty dir", UNIX_EPOCH + Duration::new(20_000_000_000, 1));
    time("a/b", UNIX_EPOCH + Duration::new(7, 0));
}

/// Everything below a directory, the directory itself as `.`.
pub(crate) fn scan(root: &Path) -> BTreeMap<Vec<u8>, Entry> {
    let mut entries = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let relative = if relative.is_empty() { b".".to_vec() } else { relative };
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        let same_as = (metadata.is_file() && metadata.nlink() > 1).then(|| {
            let first = inodes.entry(metadata.ino()).or_insert_with(|| relative.clone());
            *first = relative.clone().min(first.clone());
            first.clone()
        });
        entries.insert(
            relative,
            Entry {
                mode: metadata.mode(),
                owner: (metadata.uid(), metadata.gid()),
                mtime: (metadata.mtime(), metadata.mtime_nsec()),
                content: metadata.is_file().then(|| blake3::hash(&fs::read(&path).unwrap())),
                size: if metadata.is_dir() { 0 } else { metadata.len() },
                link: metadata
                    .is_symlink()
                    .then(|| fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()),
                same_as: same_as.map(|_| Vec::new()),
            },
        );
    }
    // The first path of each inode, whatever order the directory was read in.
    for (path, entry) in &mut entries {
        if entry.same_as.is_some() {
            let inode = fs::symlink_metadata(root.join(OsStr::from_bytes(path))).unwrap().ino();
            entry.same_as = inodes.get(&inode).cloned();
        }
    }
    entries
}

/// Compares two trees and names the first few differences.
#[track_caller]
pub(crate) fn assert_same(expected: &Path, actual: &Path) {
    let (expected, actual) = (scan(expected), scan(actual));
    let mut differences = Vec::new();
    for path in expected.keys().chain(actual.keys().filter(|p| !expected.contains_key(*p))) {
        let (a, b) = (expected.get(path), actual.get(path));
        if a != b {
            differences.push(format!("{}: {a:?} became {b:?}", path.escape_ascii()));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
