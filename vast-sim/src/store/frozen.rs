//! Frozen subtrees: what a snapshot keeps. They share the bytes of the objects and count as references to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::namespace::{DirectoryInfo, is_under, normal};
use super::object::{Bucket, Object};
use super::registry::{number, text};
use super::state::State;
use super::tree::Subtree;

/// A subtree as it was at one moment: current objects and directories; no older versions, no open uploads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frozen {
    pub(crate) tenant_id: u64,
    /// The directory, without trailing slash.
    pub(crate) path: String,
    /// By path behind [`Self::path`], with its leading slash.
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    /// Likewise.
    pub(crate) directories: BTreeMap<String, DirectoryInfo>,
    /// Bytes of all objects.
    pub(crate) bytes: u64,
}

impl Frozen {
    /// The object at a full path, as it was.
    pub(crate) fn object(&self, path: &str) -> Option<&Arc<Object>> {
        self.objects.get(path.strip_prefix(self.path.as_str())?)
    }
}

/// The name of the directory through which snapshots are read.
pub(crate) const SNAPSHOT_DIR: &str = ".snapshot";

/// A key that names something in a snapshot, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SnapshotKey<'k> {
    /// What stands before `.snapshot`: empty, or ending with a slash.
    pub(crate) before: &'k str,
    /// The snapshot's name.
    pub(crate) snapshot: &'k str,
    /// What stands behind the name and its slash.
    pub(crate) rest: &'k str,
}

impl<'k> SnapshotKey<'k> {
    /// Takes `<before>.snapshot/<name>/<rest>` apart; none for any other key.
    pub(crate) fn parse(key: &'k str) -> Option<Self> {
        let (before, behind) = key.match_indices(SNAPSHOT_DIR).find_map(|(at, dir)| {
            let behind = key[at + dir.len()..].strip_prefix('/')?;
            let before = &key[..at];
            (before.is_empty() || before.ends_with('/')).then_some((before, behind))
        })?;
        let (snapshot, rest) = behind.split_once('/')?;
        (!snapshot.is_empty()).then_some(Self { before, snapshot, rest })
    }
}

/// A prefix that ends in the directory of all snapshots, or in the middle of a snapshot's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SnapshotDir<'k> {
    /// What stands before `.snapshot`.
    pub(crate) before: &'k str,
    /// What the snapshot's name begins with.
    pub(crate) begins: &'k str,
}

impl<'k> SnapshotDir<'k> {
    /// Takes `<before>.snapshot/<begins>` apart; none for any other prefix.
    pub(crate) fn parse(prefix: &'k str) -> Option<Self> {
        let (dir, begins) = prefix.rsplit_once('/')?;
        let before = dir.strip_suffix(SNAPSHOT_DIR)?;
        (before.is_empty() || before.ends_with('/')).then_some(Self { before, begins })
    }
}

/// Whether a path leads into a snapshot, or to the directory of all of them.
pub(crate) fn is_in_snapshot(path: &str) -> bool {
    path.split('/').any(|segment| segment == SNAPSHOT_DIR)
}

impl State {
    /// Whether there is a directory, among the files or in a snapshot.
    pub(crate) fn has_directory(&self, tenant: u64, path: &str) -> bool {
        if !is_in_snapshot(path) {
            return self.files(tenant).is_directory(path);
        }
        let full = format!("{}/", normal(path));
        let Some(key) = SnapshotKey::parse(&full) else { return false };
        let Some(frozen) = self.snapshot_of(tenant, key.before, key.snapshot) else { return false };
        let below = format!("{}/{}", &normal(key.before)[frozen.path.len()..], key.rest);
        let dir = normal(&below);
        let inside = |found: &String| is_under(found, dir);
        dir.is_empty()
            || frozen.directories.contains_key(dir)
            || frozen.objects.range(format!("{dir}/")..).next().is_some_and(|(found, _)| inside(found))
    }

    /// What a snapshot keeps.
    pub(crate) fn frozen(&self, snapshot: u64) -> Option<&Frozen> {
        self.frozen.get(&snapshot)
    }

    /// The snapshots that keep a directory, each with its name: those of the directory itself and of the ones above.
    pub(crate) fn snapshots_over(&self, tenant: u64, dir: &str) -> impl Iterator<Item = (&str, &Frozen)> {
        self.vms.rows("snapshots").filter_map(move |(id, row)| {
            let covers =
                number(row, "tenant_id").unwrap_or(1) == tenant && is_under(normal(dir), text(row, "path"));
            covers.then(|| self.frozen(id).map(|f| (text(row, "name"), f))).flatten()
        })
    }

    /// The snapshot that a full path goes through, and the path behind it as it was.
    pub(crate) fn frozen_for<'s>(
        &'s self,
        bucket: &Bucket,
        key: &SnapshotKey<'_>,
    ) -> Option<(&'s Frozen, String)> {
        let frozen = self.snapshot_of(bucket.tenant_id, key.before, key.snapshot)?;
        Some((frozen, format!("{}/{}", normal(key.before), key.rest)))
    }

    /// The snapshot of that name that keeps a directory: the directory's own before one of those above.
    pub(crate) fn snapshot_of(&self, tenant: u64, dir: &str, name: &str) -> Option<&Frozen> {
        let named = self.snapshots_over(tenant, dir).filter(|(found, _)| *found == name);
        named.map(|(_, frozen)| frozen).max_by_key(|frozen| frozen.path.len())
    }

    /// Keeps the subtree below a directory for a snapshot: O(objects), no bytes move.
    pub(crate) fn freeze(&mut self, snapshot: u64, tenant: u64, dir: &str) {
        let path = normal(dir);
        let files = self.files(tenant);
        let mut frozen = Frozen { tenant_id: tenant, path: path.to_owned(), ..Frozen::default() };
        for (full, entry) in files.walk(path) {
            if let Some(object) = entry.current() {
                frozen.bytes += object.size;
                frozen.objects.insert(full[path.len()..].to_owned(), Arc::clone(object));
            }
        }
        for (full, info) in files.walk_directories(path) {
            frozen.directories.insert(full[path.len()..].to_owned(), info.clone());
        }
        self.insert_frozen(snapshot, frozen);
    }

    /// Lets go of what a snapshot keeps; false when it kept nothing.
    pub(crate) fn thaw(&mut self, snapshot: u64) -> bool {
        let Some(frozen) = self.frozen.remove(&snapshot) else { return false };
        self.forget_frozen(snapshot, &frozen);
        for object in frozen.objects.values() {
            self.retire(&object.extents);
        }
        true
    }

    pub(super) fn insert_frozen(&mut self, snapshot: u64, frozen: Frozen) {
        self.record_frozen(snapshot, &frozen);
        for object in frozen.objects.values() {
            self.adopt(&object.extents);
        }
        self.frozen.insert(snapshot, frozen);
    }

    /// Copies what a snapshot keeps into a directory of a tenant, sharing the bytes. Gives how many objects that were.
    pub(crate) fn copy_frozen(&mut self, snapshot: u64, below: &str, tenant: u64, to: &str) -> u64 {
        let Some(frozen) = self.frozen.get(&snapshot) else { return 0 };
        let from = normal(below);
        let mut objects = Vec::new();
        let mut directories = Vec::new();
        for (path, object) in &frozen.objects {
            let full = format!("{}{path}", frozen.path);
            if full.len() > from.len() && is_under(&full, from) {
                objects.push((full[from.len()..].to_owned(), Arc::clone(object)));
            }
        }
        for (path, info) in &frozen.directories {
            let full = format!("{}{path}", frozen.path);
            if full.len() > from.len() && is_under(&full, from) {
                directories.push((full[from.len()..].to_owned(), info.clone()));
            }
        }
        self.paste(tenant, to, Subtree { objects, directories })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_keys_are_taken_apart() {
        let parsed = |key| SnapshotKey::parse(key).map(|k| (k.before, k.snapshot, k.rest));
        assert_eq!(parsed(".snapshot/s/a/b"), Some(("", "s", "a/b")));
        assert_eq!(parsed("d/e/.snapshot/s/"), Some(("d/e/", "s", "")));
        assert_eq!(parsed("x.snapshot/y/.snapshot/s/k"), Some(("x.snapshot/y/", "s", "k")));
        let dir = |prefix| SnapshotDir::parse(prefix).map(|d| (d.before, d.begins));
        assert_eq!(dir("/d/.snapshot/"), Some(("/d/", "")));
        assert_eq!(dir("/d/.snapshot/na"), Some(("/d/", "na")));
        assert_eq!([dir("/d/.snapshot"), dir("/x.snapshot/"), dir("/d/.snapshot/n/")], [None; 3]);
        for plain in ["a", ".snapshot", ".snapshot/s", ".snapshots/s/k", "x.snapshot/s/k", ".snapshot//k"] {
            assert_eq!(parsed(plain), None, "{plain}");
        }
    }
}
