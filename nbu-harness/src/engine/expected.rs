//! What a restore must give: chosen before it, compared after it, by what the oracle knows.

use super::SetupError;
use super::sources::{Content, HASH_THREADS};
use crate::data::{ChangingFile, GenData};
use crate::nbu::{Catalog, JobResult, PathBytes};
use crate::oracle::{CompareOptions, Comparison, Difference, Kind, Snapshot, compare};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Differences kept for the report.
pub(super) const LIST: usize = 50;

/// Bytes of the stream that these files take, headers included.
pub(super) fn bytes_in_stream(
    catalog: &Catalog,
    backup_id: &str,
    paths: &[PathBytes],
) -> Result<u64, SetupError> {
    let mut bytes = 0;
    for record in catalog.files(backup_id)? {
        let record = record?;
        if paths.contains(&record.path) {
            bytes += record.end() - record.start;
        }
    }
    Ok(bytes)
}

/// Picks regular files of a stream: the first, the last and others by the seed. Files with several names are left out,
/// since one of them alone is not the whole story, and so are files that change.
pub(super) fn pick(content: &Content, count: u32, seed: u64) -> Vec<PathBytes> {
    let candidates: Vec<PathBytes> = match content {
        Content::Tree { before, changing, .. } => {
            let volatile = changing.as_ref().map(|file| file.relative_path.as_os_str().as_bytes());
            let single = before.iter().filter(|(path, entry)| {
                matches!(entry.kind, Kind::File(_)) && entry.hard_links.is_none() && Some(*path) != volatile
            });
            single.map(|(path, _)| PathBytes::from(path)).collect()
        }
        Content::Synthetic(data) => data.files().map(|(name, _)| PathBytes::from(name.as_str())).collect(),
    };
    let mut random = crate::data::tree::Random::new(seed);
    let last = candidates.len().saturating_sub(1);
    let mut chosen = BTreeSet::new();
    for n in 0..count.min(u32::try_from(candidates.len()).unwrap_or(u32::MAX)) {
        chosen.insert(match n {
            0 => 0,
            1 => last,
            _ => usize::try_from(random.next() % candidates.len() as u64).unwrap_or_default(),
        });
    }
    chosen.into_iter().filter_map(|index| candidates.get(index).cloned()).collect()
}

/// What a restore must give.
pub(super) struct Expected {
    pub(super) content: Arc<Content>,
    pub(super) destination: PathBuf,
    /// The chosen files; none for all.
    pub(super) paths: Option<Vec<PathBytes>>,
}

impl Expected {
    pub(super) fn compare(&self, result: &JobResult) -> Result<Comparison, SetupError> {
        match &*self.content {
            Content::Tree { before, changing, .. } => self.compare_tree(before, changing.as_ref(), result),
            Content::Synthetic(data) => Ok(compare_synthetic(data, self.paths.as_deref(), result)),
        }
    }

    fn compare_tree(
        &self,
        before: &Snapshot,
        changing: Option<&ChangingFile>,
        result: &JobResult,
    ) -> Result<Comparison, SetupError> {
        if !self.destination.is_dir() {
            let mut none = Comparison { paths: before.paths().count(), ..Comparison::default() };
            let found = format!("nothing: the job ended with status {}", result.status);
            none.push(difference(&result.backup_id, "missing", "a restored tree", &found), LIST);
            return Ok(none);
        }
        let found = Snapshot::take(&self.destination, HASH_THREADS)?;
        let Some(paths) = &self.paths else {
            let volatile = changing.map(|file| file.relative_path.as_os_str().as_bytes().to_vec());
            let options = CompareOptions {
                list: LIST,
                volatile: volatile.into_iter().collect(),
                ..CompareOptions::default()
            };
            let mut compared = compare(before, &found, &options);
            if let Some(file) = changing
                && let Err(text) = file.accepts(&self.destination.join(&file.relative_path))
            {
                let path = file.relative_path.display().to_string();
                compared.push(difference(&path, "content", "one that the file held", &text), LIST);
            }
            return Ok(compared);
        };
        // A single file comes with the directories above it, whose attributes are not part of the selection.
        let chosen: BTreeSet<&[u8]> = paths.iter().map(|path| path.0.as_slice()).collect();
        let files_found = found.filtered(|path| {
            chosen.contains(path) || found.get(path).is_some_and(|entry| entry.kind != Kind::Directory)
        });
        let options = CompareOptions { list: LIST, ..CompareOptions::default() };
        Ok(compare(&before.filtered(|path| chosen.contains(path)), &files_found, &options))
    }
}

/// Synthetic files are checked while they are restored; what is left to do is to see that all of them were there.
fn compare_synthetic(data: &GenData, paths: Option<&[PathBytes]>, result: &JobResult) -> Comparison {
    let files = paths.map_or_else(|| data.file_count(), |paths| paths.len() as u64);
    let bytes = match paths {
        None => data.total_bytes(),
        Some(paths) => {
            paths.iter().filter_map(|path| data.file(&path.to_string())).map(|stream| stream.bytes).sum()
        }
    };
    let mut compared =
        Comparison { paths: usize::try_from(files).unwrap_or(usize::MAX), bytes, ..Comparison::default() };
    for bad in &result.bad_ranges {
        let found = format!("other bytes from {} to {}", bad.from, bad.to);
        compared.push(difference(&bad.path.to_string(), "content", "the generated bytes", &found), LIST);
    }
    if result.files < files || result.kbytes < bytes / 1024 {
        let expected = format!("{files} files, {} KiB", bytes / 1024);
        let found = format!("{} files, {} KiB", result.files, result.kbytes);
        compared.push(difference(&result.backup_id, "missing", &expected, &found), LIST);
    }
    compared
}

fn difference(path: &str, what: &'static str, expected: &str, found: &str) -> Difference {
    Difference { path: path.into(), what, expected: expected.into(), found: found.into() }
}

/// Removes a restored tree, directories without write permission included.
pub(super) fn remove_tree(root: &Path) -> Result<(), SetupError> {
    if !rustix::process::geteuid().is_root() {
        open_directories(root)?;
    }
    fs::remove_dir_all(root).map_err(SetupError::io("remove", root))
}

fn open_directories(dir: &Path) -> Result<(), SetupError> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(SetupError::io("change the mode of", dir))?;
    for child in fs::read_dir(dir).map_err(SetupError::io("list", dir))? {
        let child = child.map_err(SetupError::io("list", dir))?;
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_directories(&dir.join(OsStr::new(&child.file_name())))?;
        }
    }
    Ok(())
}
