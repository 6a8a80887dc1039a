//! What file systems allow and backup programs get wrong: links of every kind, holes, empty things, names that are
//! long or not UTF-8, deep paths, strange modes, strange times, large owner ids and a FIFO.

use super::{DataError, SyntheticStream, tree};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Makes all of them in `dir`, a new directory, and returns what could not be made, with the reason.
pub(super) fn generate(dir: &Path, seed: u64) -> Result<Vec<String>, DataError> {
    create_dir(dir)?;
    let mut left_out = Vec::new();
    empty_things(&dir.join("empty"))?;
    symbolic_links(&dir.join("symlinks"))?;
    names(&dir.join("names"), &mut left_out)?;
    let deep = deep_paths(&dir.join("deep"), seed)?;
    hard_links(&dir.join("hardlinks"), &deep, seed)?;
    sparse_files(&dir.join("sparse"), seed)?;
    special_files(&dir.join("special"), &mut left_out);
    owners(&dir.join("owners"), &mut left_out)?;
    for name in ["empty", "symlinks", "names", "deep", "hardlinks", "sparse", "special", "owners"] {
        set_directory_times(&dir.join(name), 1_600_000_010)?;
    }
    modes(&dir.join("modes"), &mut left_out)?;
    set_mtime(&dir.join("modes"), 1_600_000_011, 11)?;
    times(&dir.join("times"), &mut left_out)?;
    Ok(left_out)
}

fn create_dir(dir: &Path) -> Result<(), DataError> {
    fs::create_dir(dir).map_err(DataError::io("create", dir))
}

fn write(path: &Path, content: &[u8]) -> Result<(), DataError> {
    fs::write(path, content).map_err(DataError::io("write", path))?;
    set_mtime(path, 1_600_000_000, 0)
}

fn link_to(target: impl AsRef<Path>, path: &Path) -> Result<(), DataError> {
    symlink(target, path).map_err(DataError::io("make the symbolic link", path))?;
    set_mtime(path, 1_600_000_001, 7)
}

/// Sets the modification time of `path` itself, symbolic link or not, in seconds and nanoseconds since 1970.
pub(super) fn set_mtime(path: &Path, seconds: i64, nanoseconds: u32) -> Result<(), DataError> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(DataError::errno("set the time of", path))
}

/// Sets the time of a directory and of every directory below it.
pub(super) fn set_directory_times(dir: &Path, seconds: i64) -> Result<(), DataError> {
    for child in fs::read_dir(dir).map_err(DataError::io("list", dir))? {
        let child = child.map_err(DataError::io("list", dir))?;
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            set_directory_times(&child.path(), seconds + 1)?;
        }
    }
    set_mtime(dir, seconds, 250)
}

fn empty_things(dir: &Path) -> Result<(), DataError> {
    create_dir(dir)?;
    write(&dir.join("file"), b"")?;
    write(&dir.join("one-byte"), b"x")?;
    create_dir(&dir.join("directory"))?;
    set_mtime(&dir.join("directory"), 1_600_000_002, 5)
}

fn symbolic_links(dir: &Path) -> Result<(), DataError> {
    create_dir(dir)?;
    write(&dir.join("target"), b"the target")?;
    link_to("target", &dir.join("relative"))?;
    link_to("../symlinks/target", &dir.join("through-parent"))?;
    link_to("/etc/hostname", &dir.join("absolute"))?;
    link_to("no/such/file", &dir.join("dangling"))?;
    link_to("loop", &dir.join("loop"))?;
    link_to("..", &dir.join("to-directory"))?;
    link_to("t".repeat(99), &dir.join("target-99"))?;
    link_to("t".repeat(100), &dir.join("target-100"))?;
    link_to(format!("{}/end", "long/".repeat(150)), &dir.join("target-753"))?;
    link_to(OsStr::from_bytes(b"not-\xff-utf8"), &dir.join("target-not-utf8"))
}

fn names(dir: &Path, left_out: &mut Vec<String>) -> Result<(), DataError> {
    create_dir(dir)?;
    let mut list: Vec<Vec<u8>> = vec![
        vec![b'n'; 255],
        "ü".repeat(127).into_bytes(),
        vec![b'h'; 100],
        vec![b'h'; 99],
        b"white space \t and\nnewline".to_vec(),
        b"-rf".to_vec(),
        b"quote'\"`$(x)\\*?[a]".to_vec(),
        b"...".to_vec(),
        b"~".to_vec(),
        "e\u{301} decomposed, \u{e9} composed".as_bytes().to_vec(),
        "\u{202e}right to left".as_bytes().to_vec(),
    ];
    for name in &list {
        write(&dir.join(OsStr::from_bytes(name)), name)?;
    }
    list = vec![b"latin-1-\xe9".to_vec(), b"\xff\xfe\xfd".to_vec(), b"bad-utf8-\xc3\x28-end".to_vec()];
    for name in &list {
        if let Err(error) = write(&dir.join(OsStr::from_bytes(name)), name) {
            left_out.push(format!("a name that is not UTF-8: {error}"));
        }
    }
    Ok(())
}

/// Paths of more than 100, 256 and 1,000 bytes; returns a file with one of more than 256.
fn deep_paths(dir: &Path, seed: u64) -> Result<std::path::PathBuf, DataError> {
    create_dir(dir)?;
    let mut path = dir.to_path_buf();
    let mut deep = None;
    for level in 0..22 {
        path.push(format!("level-{level:02}-{}", "d".repeat(40)));
        create_dir(&path)?;
        if level % 3 == 0 {
            let file = path.join(format!("file-{level}"));
            tree::write_stream(
                &file,
                &SyntheticStream::new(seed ^ level, 1000 + level * 977),
                &mut [0; 4096],
            )?;
            set_mtime(&file, 1_600_000_100, 100)?;
            if level == 6 {
                deep = Some(file);
            }
        }
    }
    deep.ok_or_else(|| DataError::io("place a file in", dir)(std::io::ErrorKind::NotFound.into()))
}

fn hard_links(dir: &Path, deep: &Path, seed: u64) -> Result<(), DataError> {
    create_dir(dir)?;
    let link =
        |from: &Path, to: &Path| fs::hard_link(from, to).map_err(DataError::io("make the hard link", to));
    let first = dir.join("b-first");
    tree::write_stream(&first, &SyntheticStream::new(seed ^ 0x6c69_6e6b, 70_000), &mut [0; 4096])?;
    set_mtime(&first, 1_600_000_200, 1)?;
    link(&first, &dir.join("c-second"))?;
    let other = dir.join("a-directory-that-comes-first");
    create_dir(&other)?;
    link(&first, &other.join("third"))?;
    link(deep, &dir.join("to-a-deep-path"))?;
    write(&dir.join("empty"), b"")?;
    link(&dir.join("empty"), &other.join("empty-too"))
}

/// Sparse files: a hole first, between data, last, and nothing but a hole.
fn sparse_files(dir: &Path, seed: u64) -> Result<(), DataError> {
    create_dir(dir)?;
    let shapes: [(&str, u64, &[u64]); 5] = [
        ("hole-first", 9 << 20, &[8 << 20]),
        ("hole-between", 24 << 20, &[0, (12 << 20) + 1, (20 << 20) - 3]),
        ("hole-last", 16 << 20, &[0]),
        ("only-a-hole", 8 << 20, &[]),
        ("hole-of-one-page", 64 << 10, &[0, 8 << 10, 16 << 10]),
    ];
    for (name, size, data_at) in shapes {
        let path = dir.join(name);
        let mut file = fs::File::create_new(&path).map_err(DataError::io("create", &path))?;
        let mut block = [0; 4096];
        for offset in data_at {
            SyntheticStream::new(seed ^ size, size).fill(*offset, &mut block);
            file.seek(SeekFrom::Start(*offset)).map_err(DataError::io("seek in", &path))?;
            file.write_all(&block).map_err(DataError::io("write", &path))?;
        }
        file.set_len(size).map_err(DataError::io("set the length of", &path))?;
        drop(file);
        set_mtime(&path, 1_600_000_300, 300)?;
    }
    Ok(())
}

fn special_files(dir: &Path, left_out: &mut Vec<String>) {
    let fifo = dir.join("fifo");
    let made = create_dir(dir).and_then(|()| {
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(DataError::errno("make the FIFO", &fifo))?;
        set_mtime(&fifo, 1_600_000_400, 4)
    });
    if let Err(error) = made {
        left_out.push(format!("a FIFO: {error}"));
    }
}

/// Owner ids above what seven octal digits hold; only root may give files away.
fn owners(dir: &Path, left_out: &mut Vec<String>) -> Result<(), DataError> {
    create_dir(dir)?;
    for (name, uid, gid) in [("small-ids", 12_345, 54_321), ("large-ids", 3_000_000, 4_000_000)] {
        let path = dir.join(name);
        write(&path, name.as_bytes())?;
        if let Err(error) = std::os::unix::fs::chown(&path, Some(uid), Some(gid)) {
            left_out.push(format!("a file of user {uid}, group {gid}: {error}"));
        }
    }
    Ok(())
}

fn modes(dir: &Path, left_out: &mut Vec<String>) -> Result<(), DataError> {
    create_dir(dir)?;
    let root = rustix::process::geteuid().is_root();
    let set = |path: &Path, mode: u32, left_out: &mut Vec<String>| -> Result<(), DataError> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(DataError::io("change the mode of", path))?;
        let kept = path.metadata().map_err(DataError::io("examine", path))?.mode() & 0o7777;
        if kept != mode {
            left_out.push(format!("mode {mode:04o}: this file system made it {kept:04o}"));
        }
        Ok(())
    };
    for mode in [
        0o0000, 0o0200, 0o0400, 0o0444, 0o0600, 0o0644, 0o0755, 0o0777, 0o1644, 0o2755, 0o4755, 0o6711,
        0o7777,
    ] {
        if mode & 0o400 == 0 && !root {
            left_out.push(format!("a file with mode {mode:04o}: only root could back it up"));
            continue;
        }
        let path = dir.join(format!("file-{mode:04o}"));
        write(&path, format!("{mode:o}").as_bytes())?;
        set(&path, mode, left_out)?;
    }
    for mode in [0o0500, 0o0555, 0o0700, 0o1777, 0o2775, 0o3770] {
        let path = dir.join(format!("dir-{mode:04o}"));
        create_dir(&path)?;
        write(&path.join("inside"), b"inside")?;
        set(&path, mode, left_out)?;
        set_mtime(&path, 1_600_000_500, mode)?;
    }
    Ok(())
}

fn times(dir: &Path, left_out: &mut Vec<String>) -> Result<(), DataError> {
    create_dir(dir)?;
    let list: [(&str, i64, u32); 8] = [
        ("nanoseconds", 1_700_000_000, 123_456_789),
        ("last-nanosecond", 1_700_000_000, 999_999_999),
        ("epoch", 0, 0),
        ("epoch-and-a-nanosecond", 0, 1),
        ("before-1970", -1, 500_000_000),
        ("long-before-1970", -1_500_000_000, 0),
        ("after-2038", 2_147_483_648, 1),
        ("after-2242", 8_589_934_592, 999),
    ];
    for (name, seconds, nanoseconds) in list {
        let path = dir.join(name);
        write(&path, name.as_bytes())?;
        set_mtime(&path, seconds, nanoseconds)?;
        let kept = path.symlink_metadata().map_err(DataError::io("examine", &path))?;
        if (kept.mtime(), kept.mtime_nsec()) != (seconds, i64::from(nanoseconds)) {
            left_out.push(format!(
                "the time {seconds}.{nanoseconds:09}: this file system keeps {}",
                kept.mtime()
            ));
        }
    }
    set_mtime(dir, 1_000_000_000, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Kind, Snapshot};

    #[test]
    fn every_oddity_is_really_there() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("odd");
        let left_out = generate(&dir, 9).unwrap();
        let snapshot = Snapshot::take(&dir, 2).unwrap();
        let entry = |path: &str| snapshot.get(path.as_bytes()).unwrap_or_else(|| panic!("{path} is missing"));
        let longest = snapshot.paths().map(<[u8]>::len).max().unwrap();
        assert!(longest > 1000, "{longest}");
        assert!(snapshot.paths().any(|path| std::str::from_utf8(path).is_err()), "{left_out:?}");
        assert!(snapshot.paths().any(|path| path.rsplit(|b| *b == b'/').next().unwrap().len() == 255));
        assert!(
            matches!(&entry("symlinks/dangling").kind, Kind::Symlink { target } if target == b"no/such/file")
        );
        assert!(matches!(entry("special/fifo").kind, Kind::Fifo), "{left_out:?}");
        assert_eq!(entry("hardlinks/b-first").hard_links, entry("hardlinks/c-second").hard_links);
        assert!(entry("hardlinks/b-first").hard_links.is_some());
        assert_eq!(entry("times/before-1970").mtime, (-1, 500_000_000));
        assert_eq!(entry("modes/file-7777").mode, 0o7777);
        let sparse = dir.join("sparse/only-a-hole").metadata().unwrap();
        assert_eq!(sparse.len(), 8 << 20);
        assert!(sparse.blocks() * 512 < 1 << 20, "a hole takes no space");
    }
}
