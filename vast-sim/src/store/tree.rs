//! Directories, and whole subtrees: made, removed, copied.

use std::sync::Arc;

use super::journal::Table;
use super::namespace::{DirectoryInfo, Usage, normal};
use super::object::{Object, Upload};
use super::records::{FrozenRecord, ObjectRecord};
use super::state::State;
use super::version::{Version, VersionId};

/// Objects and directories by their path behind a common one, with the leading slash.
pub(super) struct Subtree {
    pub(super) objects: Vec<(String, Arc<Object>)>,
    pub(super) directories: Vec<(String, DirectoryInfo)>,
}

impl State {
    /// What lies under a path of a tenant: exact, and in O(log n) for any path.
    pub(crate) fn usage(&self, tenant: u64, path: &str) -> Usage {
        self.files(tenant).usage(path)
    }

    /// Makes a directory, or changes what is known of it.
    pub(crate) fn make_directory(&mut self, tenant: u64, path: &str, info: DirectoryInfo) {
        let path = normal(path);
        self.record(Table::Directories, &(tenant, path), Some(&info));
        self.files_mut(tenant).set_directory(path, info);
    }

    /// Forgets a directory; what is below it stays. False when it was not made as such.
    pub(crate) fn remove_directory(&mut self, tenant: u64, path: &str) -> bool {
        let path = normal(path);
        let was_made = self.files_mut(tenant).unset_directory(path);
        if was_made {
            self.record(Table::Directories, &(tenant, path), None);
        }
        was_made
    }

    /// Removes a directory with everything below it: all versions, open uploads, directories.
    pub(crate) fn remove_tree(&mut self, tenant: u64, path: &str) {
        let files = self.files(tenant);
        let versions: Vec<(String, VersionId)> = files
            .walk(path)
            .flat_map(|(path, entry)| entry.versions().map(move |v| (path.to_owned(), v.id)))
            .collect();
        let uploads: Vec<(String, String)> =
            files.walk_uploads(path).map(|(path, id, _)| (path.to_owned(), id.to_owned())).collect();
        let directories: Vec<String> = files.walk_directories(path).map(|(p, _)| p.to_owned()).collect();
        for (path, id) in versions {
            self.remove_version(tenant, &path, id);
        }
        for (path, id) in uploads {
            self.remove_upload(tenant, &path, &id);
        }
        for directory in directories {
            self.remove_directory(tenant, &directory);
        }
        self.remove_directory(tenant, path);
    }

    /// Moves a directory with everything below it to a path where nothing lies.
    pub(crate) fn move_tree(&mut self, tenant: u64, from: &str, to: &str) {
        let (from, to) = (normal(from), normal(to));
        let moved = |path: &str| format!("{to}{}", &path[from.len()..]);
        let files = self.files(tenant);
        let itself = files.directory(from).map(|info| (to.to_owned(), info.clone()));
        let below = files.walk_directories(from).map(|(path, info)| (moved(path), info.clone()));
        let directories: Vec<(String, DirectoryInfo)> = itself.into_iter().chain(below).collect();
        let versions: Vec<(String, Version)> = files
            .walk(from)
            .flat_map(|(path, entry)| entry.versions().map(move |version| (moved(path), version.clone())))
            .collect();
        let uploads: Vec<(String, String, Upload)> =
            files.walk_uploads(from).map(|(path, id, u)| (moved(path), id.to_owned(), u.clone())).collect();
        for (path, info) in directories {
            self.make_directory(tenant, &path, info);
        }
        // All is there twice before it goes, so that no bytes lose their last reference.
        for (path, version) in versions {
            self.insert_version(tenant, &path, version, false);
        }
        for (path, id, mut upload) in uploads {
            let parts = std::mem::take(&mut upload.parts);
            self.create_upload(tenant, &path, &id, upload);
            for (number, part) in parts {
                self.put_part(tenant, &path, &id, number, part);
            }
        }
        self.remove_tree(tenant, from);
    }

    /// Stores objects and directories below `to`, sharing their bytes. What is there of the same name is replaced. Gives
    /// how many objects that were.
    pub(super) fn paste(&mut self, tenant: u64, to: &str, subtree: Subtree) -> u64 {
        let to = normal(to);
        let count = subtree.objects.len() as u64;
        for (path, info) in subtree.directories {
            self.make_directory(tenant, &format!("{to}{path}"), info);
        }
        for (path, object) in subtree.objects {
            self.put_object(tenant, &format!("{to}{path}"), (*object).clone(), false);
        }
        count
    }

    pub(super) fn record_frozen(&mut self, snapshot: u64, frozen: &super::frozen::Frozen) {
        if !self.durable {
            return;
        }
        for (path, object) in &frozen.objects {
            let record = FrozenRecord::Object(Box::new(ObjectRecord::from(&**object)));
            self.record(Table::Frozen, &(snapshot, path), Some(&record));
        }
        let directories = frozen.directories.clone().into_iter().collect();
        let root = FrozenRecord::Root { tenant_id: frozen.tenant_id, path: frozen.path.clone(), directories };
        self.record(Table::Frozen, &(snapshot, ""), Some(&root));
    }

    pub(super) fn forget_frozen(&mut self, snapshot: u64, frozen: &super::frozen::Frozen) {
        for path in frozen.objects.keys() {
            self.record(Table::Frozen, &(snapshot, path), None);
        }
        self.record(Table::Frozen, &(snapshot, ""), None);
    }
}
