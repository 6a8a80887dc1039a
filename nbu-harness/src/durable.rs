//! Files that are replaced whole: whoever reads one sees the old content or the new one, also after a kill or a power failure
//! in the middle of a change; and directories that stay.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The mode of files that nothing else is said about; the umask takes from it.
const MODE: u32 = 0o666;

/// What has just been done on the way to a new content. A test ends the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Half of the new content is in the file beside.
    HalfWritten,
    /// All of it is.
    Written,
    /// And durable.
    Synced,
    /// It has taken the file's place.
    Renamed,
    /// Durably.
    Done,
}

/// What the file system refused on the way.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub(crate) struct Refused {
    /// As a verb phrase.
    pub(crate) what: &'static str,
    /// The file or directory.
    pub(crate) path: PathBuf,
    /// What it said.
    pub(crate) source: io::Error,
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Refused + use<> {
    let path = path.to_path_buf();
    move |source| Refused { what, path, source }
}

/// Puts `bytes` in the place of the file at `path`, durably. Several processes may do that to one file.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    replace_by(&new, path, bytes, MODE, &mut |_| ()).map_err(|refused| refused.source)
}

/// The same by way of the file `new` beside it, which nobody else uses meanwhile. `stage` hears of every stage.
pub(crate) fn replace_by(
    new: &Path,
    path: &Path,
    bytes: &[u8],
    mode: u32,
    stage: &mut dyn FnMut(Stage),
) -> Result<(), Refused> {
    let written = write_by(new, bytes, mode, stage);
    let replaced = written.and_then(|()| fs::rename(new, path).map_err(refused("replace", path)));
    if replaced.is_err() {
        let _ = fs::remove_file(new);
    }
    replaced?;
    stage(Stage::Renamed);
    let dir = above(path);
    sync_dir(dir).map_err(refused("sync", dir))?;
    stage(Stage::Done);
    Ok(())
}

/// Writes a file whose name will be given to it, or linked, afterwards.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_by(path, bytes, MODE, &mut |_| ()).map_err(|refused| refused.source)
}

fn write_by(path: &Path, bytes: &[u8], mode: u32, stage: &mut dyn FnMut(Stage)) -> Result<(), Refused> {
    // A process that was killed may have left one, whose mode would stay, and which may have another name too.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused("remove", path)(error)),
        _ => {}
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = made.map_err(refused("make", path))?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first).map_err(refused("write", path))?;
    stage(Stage::HalfWritten);
    file.write_all(second).map_err(refused("write", path))?;
    stage(Stage::Written);
    file.sync_all().map_err(refused("sync", path))?;
    stage(Stage::Synced);
    Ok(())
}

/// Makes a directory, and those above it that are missing. They survive a power failure when it returns.
pub(crate) fn make_dirs(dir: &Path, mode: u32) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir());
    let missing: Vec<&Path> = missing.collect();
    DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    // The lowest last: it is reachable once those above it are.
    missing.into_iter().rev().try_for_each(|made| sync_dir(above(made)))
}

/// Makes durable which names a directory has.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn above(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.1_1588173001.json");
        for content in ["a long first version", "short"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        // A directory takes no file's place.
        let taken = dir.path().join("taken.json");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_left_beside_it_gives_neither_its_mode_nor_its_other_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("new"), "left").unwrap();
        fs::hard_link(at("new"), at("other")).unwrap();
        let mut stages = Vec::new();
        replace_by(&at("new"), &at("file"), b"content", 0o600, &mut |stage| stages.push(stage)).unwrap();
        assert_eq!(fs::read_to_string(at("other")).unwrap(), "left");
        assert_eq!(fs::metadata(at("file")).unwrap().permissions().mode() & 0o777, 0o600);
        let all = [Stage::HalfWritten, Stage::Written, Stage::Synced, Stage::Renamed, Stage::Done];
        assert_eq!(stages, all);
        let refused = replace_by(&at("no/new"), &at("no/file"), b"", 0o600, &mut |_| ()).unwrap_err();
        assert!(refused.to_string().starts_with("cannot make "), "{refused}");
    }
}
