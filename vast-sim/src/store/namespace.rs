//! The files of one tenant: every object under its full path, with usage kept for every directory above it.
//!
//! Paths are plain strings. A view is a prefix of them, as are quotas and snapshots; nothing here knows of those.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

use super::object::Upload;
use super::owners::Counted;
use super::version::{Content, Entry, Version};

/// What lies under a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of all versions of all objects, and of the parts of open uploads.
    pub(crate) bytes: u64,
    /// Objects, counting each version that holds data.
    pub(crate) objects: u64,
    /// Delete markers.
    pub(crate) markers: u64,
    /// Open uploads.
    pub(crate) uploads: u64,
    /// Directories that were made as such, without the path itself.
    pub(crate) directories: u64,
}

impl Usage {
    pub(super) fn of_version(version: &Version) -> Self {
        match &version.content {
            Content::Object(object) => Self { bytes: object.size, objects: 1, ..Self::default() },
            Content::DeleteMarker { .. } => Self { markers: 1, ..Self::default() },
        }
    }

    pub(super) fn of_bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(super) const UPLOAD: Self = Self { bytes: 0, objects: 0, markers: 0, uploads: 1, directories: 0 };
    pub(super) const DIRECTORY: Self = Self { bytes: 0, objects: 0, markers: 0, uploads: 0, directories: 1 };

    /// Whether S3 sees nothing here: directories do not count.
    pub(crate) fn has_no_data(&self) -> bool {
        *self == Self { directories: self.directories, ..Self::default() }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.objects += other.objects;
        self.markers += other.markers;
        self.uploads += other.uploads;
        self.directories += other.directories;
    }
}

impl SubAssign for Usage {
    fn sub_assign(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.objects -= other.objects;
        self.markers -= other.markers;
        self.uploads -= other.uploads;
        self.directories -= other.directories;
    }
}

/// Whose directories are.
const NOBODY: &str = "";

/// A directory that was made as such; those that objects imply need no making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirectoryInfo {
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Owner, mode and the like, as the management API wants them back.
    pub(crate) attributes: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Default)]
struct Directory {
    made: Option<DirectoryInfo>,
    usage: Usage,
}

/// A directory without its trailing slashes; the root is empty.
pub(crate) fn normal(dir: &str) -> &str {
    dir.trim_end_matches('/')
}

/// Whether `path` is `dir` or below it.
pub(crate) fn is_under(path: &str, dir: &str) -> bool {
    path.strip_prefix(normal(dir)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The directories above a path, from the root on. Of several slashes in a row only the first ends a directory.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).filter(|dir| !dir.ends_with('/'))
}

/// The bounds of everything below a directory.
fn below(dir: &str) -> std::ops::Range<String> {
    let dir = normal(dir);
    // '0' is the character after '/'.
    format!("{dir}/")..format!("{dir}0")
}

/// The files of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    entries: BTreeMap<String, Entry>,
    /// By path, then upload id.
    uploads: BTreeMap<String, BTreeMap<String, Upload>>,
    directories: BTreeMap<String, Directory>,
    pub(super) counted: Counted,
}

impl Namespace {
    pub(super) const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            uploads: BTreeMap::new(),
            directories: BTreeMap::new(),
            counted: Counted::new(),
        }
    }

    /// Everything by path.
    pub(crate) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// Open uploads by path, then id.
    pub(crate) fn uploads(&self) -> &BTreeMap<String, BTreeMap<String, Upload>> {
        &self.uploads
    }

    pub(crate) fn upload(&self, path: &str, id: &str) -> Option<&Upload> {
        self.uploads.get(path)?.get(id)
    }

    /// Everything below a directory, in order of path.
    pub(crate) fn walk(&self, dir: &str) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.range(below(dir)).map(|(path, entry)| (path.as_str(), entry))
    }

    /// Open uploads below a directory.
    pub(crate) fn walk_uploads(&self, dir: &str) -> impl Iterator<Item = (&str, &str, &Upload)> {
        self.uploads
            .range(below(dir))
            .flat_map(|(path, uploads)| uploads.iter().map(move |(id, u)| (path.as_str(), id.as_str(), u)))
    }

    /// Directories that were made below a directory, without itself.
    pub(crate) fn walk_directories(&self, dir: &str) -> impl Iterator<Item = (&str, &DirectoryInfo)> {
        self.directories.range(below(dir)).filter_map(|(path, d)| Some((path.as_str(), d.made.as_ref()?)))
    }

    /// What lies under a path: in O(log n), for any path.
    pub(crate) fn usage(&self, path: &str) -> Usage {
        let path = normal(path);
        let mut usage = self.directories.get(path).map(|d| d.usage).unwrap_or_default();
        // A path may also name a file.
        for version in self.entries.get(path).into_iter().flat_map(Entry::versions) {
            usage += Usage::of_version(version);
        }
        usage
    }

    /// The facts of a directory that was made; none for one that only objects imply.
    pub(crate) fn directory(&self, path: &str) -> Option<&DirectoryInfo> {
        self.directories.get(normal(path))?.made.as_ref()
    }

    /// Whether there is a directory: made, or implied by what is below it. The root always is.
    pub(crate) fn is_directory(&self, path: &str) -> bool {
        let path = normal(path);
        path.is_empty()
            || self.directories.get(path).is_some_and(|d| {
                // An open upload is no file yet.
                d.made.is_some() || d.usage.objects + d.usage.directories > 0
            })
    }

    /// How many names a directory holds.
    pub(crate) fn children(&self, dir: &str) -> u64 {
        let bounds = below(dir);
        let prefix = bounds.start.len();
        let mut names = std::collections::BTreeSet::new();
        let mut from = bounds.start.clone();
        while let Some((path, entry)) = self.entries.range(from..bounds.end.clone()).next() {
            let name = path[prefix..].split('/').next().unwrap_or_default();
            if path.len() > prefix + name.len() {
                from = format!("{}{name}0", bounds.start);
                names.insert(name);
            } else {
                from = format!("{path}\0");
                if entry.current().is_some() {
                    names.insert(name);
                }
            }
        }
        for (path, _) in self.walk_directories(dir) {
            names.insert(path[prefix..].split('/').next().unwrap_or_default());
        }
        names.len() as u64
    }

    /// The names of the directories right below one, made or implied.
    pub(crate) fn child_directories(&self, dir: &str) -> impl Iterator<Item = &str> {
        let prefix = below(dir).start.len();
        self.directories
            .range(below(dir))
            .map(move |(path, _)| &path[prefix..])
            .filter(|name| !name.is_empty() && !name.contains('/'))
    }

    fn account(&mut self, path: &str, owner: &str, plus: Usage, minus: Usage) {
        for dir in above(path) {
            if owner != NOBODY {
                self.counted.account(dir, owner, plus, minus);
            }
            if !self.directories.contains_key(dir) {
                self.directories.insert(dir.to_owned(), Directory::default());
            }
            if let Some(directory) = self.directories.get_mut(dir) {
                directory.usage += plus;
                directory.usage -= minus;
                if directory.made.is_none() && directory.usage == Usage::default() {
                    self.directories.remove(dir);
                }
            }
        }
    }

    pub(super) fn insert(&mut self, path: &str, version: Version) {
        self.account(path, version.owner(), Usage::of_version(&version), Usage::default());
        if let Some(entry) = self.entries.get_mut(path) {
            entry.push(version);
        } else {
            let mut entry = Entry::default();
            entry.push(version);
            self.entries.insert(path.to_owned(), entry);
        }
    }

    pub(super) fn take(&mut self, path: &str, id: super::version::VersionId) -> Option<Version> {
        let entry = self.entries.get_mut(path)?;
        let version = entry.take(id)?;
        if entry.is_empty() {
            self.entries.remove(path);
        }
        self.account(path, version.owner(), Usage::default(), Usage::of_version(&version));
        Some(version)
    }

    pub(super) fn version_mut(&mut self, path: &str, id: super::version::VersionId) -> Option<&mut Version> {
        self.entries.get_mut(path)?.get_mut(id)
    }

    pub(super) fn insert_upload(&mut self, path: &str, id: &str, upload: Upload) {
        self.account(path, &upload.attributes.owner, Usage::UPLOAD, Usage::default());
        self.uploads.entry(path.to_owned()).or_default().insert(id.to_owned(), upload);
    }

    /// Stores a part; gives the one it replaces. The caller knows that the upload is open.
    pub(super) fn insert_part(
        &mut self,
        path: &str,
        id: &str,
        number: u16,
        part: super::object::Part,
    ) -> Option<super::object::Part> {
        let upload = self.uploads.get_mut(path)?.get_mut(id)?;
        let (size, owner) = (part.size, upload.attributes.owner.clone());
        let old = upload.parts.insert(number, part);
        let minus = Usage::of_bytes(old.as_ref().map_or(0, |p| p.size));
        self.account(path, &owner, Usage::of_bytes(size), minus);
        old
    }

    pub(super) fn take_upload(&mut self, path: &str, id: &str) -> Option<Upload> {
        let of_path = self.uploads.get_mut(path)?;
        let upload = of_path.remove(id)?;
        if of_path.is_empty() {
            self.uploads.remove(path);
        }
        let mut minus = Usage::UPLOAD;
        minus.bytes = upload.parts.values().map(|p| p.size).sum();
        self.account(path, &upload.attributes.owner, Usage::default(), minus);
        Some(upload)
    }

    /// Makes a directory, or changes what is known of it.
    pub(super) fn set_directory(&mut self, path: &str, info: DirectoryInfo) {
        let path = normal(path);
        let before = self.directories.entry(path.to_owned()).or_default().made.replace(info);
        if before.is_none() {
            self.account(path, NOBODY, Usage::DIRECTORY, Usage::default());
        }
    }

    /// Forgets that a directory was made; false when it was not.
    pub(super) fn unset_directory(&mut self, path: &str) -> bool {
        let path = normal(path);
        let Some(directory) = self.directories.get_mut(path) else { return false };
        if directory.made.take().is_none() {
            return false;
        }
        if directory.usage == Usage::default() {
            self.directories.remove(path);
        }
        self.account(path, NOBODY, Usage::default(), Usage::DIRECTORY);
        true
    }
}
