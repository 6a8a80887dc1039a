//! Everything the cluster knows, and the only functions that change what it stores.
//!
//! Changes go through the methods here and in [`super::tree`], so that accounting, blob references and the journal's
//! records follow from one place. Callers validate first and change last: a change is never taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::Extent;
use super::frozen::Frozen;
use super::journal::{Batch, Change, Table};
use super::namespace::Namespace;
use super::object::{Bucket, Object, Part, Upload};
use super::records::{PartRecord, UploadRecord, VersionRecord, encode};
use super::registry::{Registry, Row, flag};
use super::version::{Content, Entry, Version, VersionId};

/// An S3 key pair of a VMS user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) user_id: u64,
    pub(crate) secret: String,
    pub(crate) enabled: bool,
    pub(crate) tenant_id: u64,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
}

/// The whole state, guarded by [`super::Store`].
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) vms: Registry,
    keys: BTreeMap<String, AccessKey>,
    buckets: BTreeMap<String, Bucket>,
    pub(super) namespaces: BTreeMap<u64, Namespace>,
    /// By snapshot id.
    pub(super) frozen: BTreeMap<u64, Frozen>,
    /// Bytes of all blobs that something refers to.
    physical_bytes: u64,
    /// Order of the newest version.
    last_order: u64,
    /// Milliseconds by which the clock was advanced.
    advanced_ms: u64,
    /// Records are only collected when somebody will write them.
    pub(super) durable: bool,
    pending: Batch,
}

/// What a tenant has that nobody wrote to yet.
static NOTHING: Namespace = Namespace::new();

impl State {
    pub(super) fn take_batch(&mut self) -> Batch {
        if self.durable {
            for change in self.vms.take_changes() {
                self.pending.changes.push(change);
            }
        }
        std::mem::take(&mut self.pending)
    }

    pub(super) fn record(&mut self, table: Table, key: &impl Serialize, value: Option<&dyn erased::Encode>) {
        if self.durable {
            self.pending.changes.push(Change {
                table,
                key: encode(key),
                value: value.map(erased::Encode::bytes),
            });
        }
    }

    pub(super) fn adopt(&mut self, extents: &[Extent]) {
        for extent in extents {
            if extent.blob.retain() {
                self.physical_bytes += extent.blob.len;
            }
        }
    }

    pub(super) fn retire(&mut self, extents: &[Extent]) {
        for e in extents {
            if e.blob.release() {
                self.physical_bytes -= e.blob.len;
            }
            self.pending.retired.push(Arc::clone(&e.blob));
        }
    }

    /// Milliseconds by which the clock was advanced so far, so that it does not go back at the next start.
    pub(crate) fn advanced_ms(&self) -> u64 {
        self.advanced_ms
    }

    pub(crate) fn set_advanced_ms(&mut self, ms: u64) {
        if ms != self.advanced_ms {
            self.record(Table::Clock, &"advanced_ms", Some(&ms));
            self.advanced_ms = ms;
        }
    }

    /// Bytes that are really held, each once however many objects, snapshots and clones share it.
    pub(crate) fn physical_bytes(&self) -> u64 {
        self.physical_bytes
    }

    pub(crate) fn buckets(&self) -> &BTreeMap<String, Bucket> {
        &self.buckets
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// The view behind a bucket.
    pub(crate) fn view_of(&self, bucket: &Bucket) -> Option<&Row> {
        self.vms.row("views", bucket.view_id)
    }

    /// Whether objects of a bucket keep their versions. Object lock brings versioning with it.
    pub(crate) fn is_versioned(&self, bucket: &Bucket) -> bool {
        self.view_of(bucket).is_some_and(|view| flag(view, "s3_versioning") || flag(view, "locking"))
    }

    /// Stores a bucket, new or changed.
    pub(crate) fn put_bucket(&mut self, name: &str, bucket: Bucket) {
        self.record(Table::Buckets, &name, Some(&bucket));
        self.buckets.insert(name.to_owned(), bucket);
    }

    /// Changes a bucket's owner.
    pub(crate) fn set_bucket_owner(&mut self, name: &str, owner: &str) {
        if let Some(mut bucket) = self.buckets.get(name).cloned() {
            owner.clone_into(&mut bucket.owner);
            self.put_bucket(name, bucket);
        }
    }

    /// Attaches a document (policy, ACL, tags, ...) to a bucket, or takes it away.
    pub(crate) fn set_document(&mut self, name: &str, document: &str, value: Option<serde_json::Value>) {
        if let Some(mut bucket) = self.buckets.get(name).cloned() {
            match value {
                Some(value) => bucket.documents.insert(document.to_owned(), value),
                None => bucket.documents.remove(document),
            };
            self.put_bucket(name, bucket);
        }
    }

    /// Removes a bucket. What lies under its path stays: see [`Self::remove_tree`].
    pub(crate) fn remove_bucket(&mut self, name: &str) {
        if self.buckets.remove(name).is_some() {
            self.record(Table::Buckets, &name, None);
        }
    }

    /// Whether S3 sees nothing in a bucket: no version, no delete marker, no open upload.
    pub(crate) fn is_empty_bucket(&self, bucket: &Bucket) -> bool {
        self.files(bucket.tenant_id).usage(&bucket.path).has_no_data()
    }

    /// The files of a tenant.
    pub(crate) fn files(&self, tenant: u64) -> &Namespace {
        self.namespaces.get(&tenant).unwrap_or(&NOTHING)
    }

    pub(super) fn files_mut(&mut self, tenant: u64) -> &mut Namespace {
        self.namespaces.entry(tenant).or_default()
    }

    /// The versions of the object at a path.
    pub(crate) fn entry(&self, tenant: u64, path: &str) -> Option<&Entry> {
        self.files(tenant).entries().get(path)
    }

    /// The object that a plain read of a path gets.
    pub(crate) fn current(&self, tenant: u64, path: &str) -> Option<&Arc<Object>> {
        self.entry(tenant, path)?.current()
    }

    /// What a plain write to a path would replace.
    pub(crate) fn replaced(&self, tenant: u64, path: &str, versioned: bool) -> Option<&Arc<Object>> {
        if versioned {
            return None;
        }
        self.entry(tenant, path)?.get(VersionId::Null)?.object()
    }

    fn next_order(&mut self, modified: u64) -> u64 {
        // Time in the upper bits, so that the order of a version that is gone does not come back after a restart.
        self.last_order = (self.last_order + 1).max(modified << 20);
        self.last_order
    }

    /// Stores an object: as a version of its own when `versioned`, else in place of the null version, if any.
    pub(crate) fn put_object(
        &mut self,
        tenant: u64,
        path: &str,
        object: Object,
        versioned: bool,
    ) -> VersionId {
        let order = self.next_order(object.modified);
        self.write_version(tenant, path, order, Content::Object(Arc::new(object)), versioned)
    }

    /// Hides an object behind a delete marker, which takes the place of the null version unless `versioned`.
    pub(crate) fn put_marker(
        &mut self,
        tenant: u64,
        path: &str,
        modified: u64,
        owner: &str,
        versioned: bool,
    ) -> VersionId {
        let order = self.next_order(modified);
        let content = Content::DeleteMarker { modified, owner: owner.to_owned() };
        self.write_version(tenant, path, order, content, versioned)
    }

    fn write_version(
        &mut self,
        tenant: u64,
        path: &str,
        order: u64,
        content: Content,
        versioned: bool,
    ) -> VersionId {
        let id = if versioned { VersionId::of_order(order) } else { VersionId::Null };
        // The new one first, so that bytes that both share never lose their last reference.
        self.insert_version(tenant, path, Version { id, order, content }, !versioned);
        id
    }

    /// Stores a version as it is. With `replace` the one of the same id goes.
    pub(super) fn insert_version(&mut self, tenant: u64, path: &str, version: Version, replace: bool) {
        self.last_order = self.last_order.max(version.order);
        if self.durable {
            let record = VersionRecord::from(&version);
            self.record(Table::Versions, &(tenant, path, version.id.to_string()), Some(&record));
        }
        if let Some(object) = version.object() {
            self.adopt(&object.extents);
        }
        let id = version.id;
        let files = self.files_mut(tenant);
        let old = if replace { files.take(path, id) } else { None };
        files.insert(path, version);
        if let Some(object) = old.as_ref().and_then(Version::object) {
            self.retire(&object.extents);
        }
    }

    /// Removes one version for good; gives what it was.
    pub(crate) fn remove_version(&mut self, tenant: u64, path: &str, id: VersionId) -> Option<Version> {
        let old = self.files_mut(tenant).take(path, id)?;
        self.record(Table::Versions, &(tenant, path, id.to_string()), None);
        if let Some(object) = old.object() {
            self.retire(&object.extents);
        }
        Some(old)
    }

    /// Changes what belongs to an object beside its bytes; false when there is no such version.
    pub(crate) fn change_object(
        &mut self,
        tenant: u64,
        path: &str,
        id: VersionId,
        change: impl FnOnce(&mut super::object::Attributes),
    ) -> bool {
        let Some(version) = self.files_mut(tenant).version_mut(path, id) else { return false };
        let Content::Object(object) = &mut version.content else { return false };
        change(&mut Arc::make_mut(object).attributes);
        let record = VersionRecord::from(&*version);
        self.record(Table::Versions, &(tenant, path, id.to_string()), Some(&record));
        true
    }

    /// Opens a multipart upload.
    pub(crate) fn create_upload(&mut self, tenant: u64, path: &str, id: &str, upload: Upload) {
        self.record(Table::Uploads, &(tenant, path, id), Some(&UploadRecord::from(&upload)));
        self.files_mut(tenant).insert_upload(path, id, upload);
    }

    /// Stores a part in place of the one of that number, if any; the caller knows that the upload is open.
    pub(crate) fn put_part(&mut self, tenant: u64, path: &str, id: &str, number: u16, part: Part) {
        if self.files(tenant).upload(path, id).is_none() {
            return;
        }
        self.record(Table::Parts, &(tenant, path, id, number), Some(&PartRecord::from(&part)));
        self.adopt(&part.extents);
        if let Some(old) = self.files_mut(tenant).insert_part(path, id, number, part) {
            self.retire(&old.extents);
        }
    }

    /// Closes an upload and drops its parts; none when there is no such upload.
    pub(crate) fn remove_upload(&mut self, tenant: u64, path: &str, id: &str) -> Option<Upload> {
        let upload = self.files_mut(tenant).take_upload(path, id)?;
        self.record(Table::Uploads, &(tenant, path, id), None);
        for (number, part) in &upload.parts {
            self.record(Table::Parts, &(tenant, path, id, number), None);
            self.retire(&part.extents);
        }
        Some(upload)
    }

    pub(crate) fn keys(&self) -> &BTreeMap<String, AccessKey> {
        &self.keys
    }

    /// Stores a key pair, new or changed.
    pub(crate) fn put_key(&mut self, access_key: &str, key: AccessKey) {
        self.record(Table::Keys, &access_key, Some(&key));
        self.keys.insert(access_key.to_owned(), key);
    }

    /// Removes a key pair; false when there is none.
    pub(crate) fn remove_key(&mut self, access_key: &str) -> bool {
        self.record(Table::Keys, &access_key, None);
        self.keys.remove(access_key).is_some()
    }
}

/// Encoding behind a reference, so that one function takes every kind of record.
pub(super) mod erased {
    pub(crate) trait Encode {
        fn bytes(&self) -> Vec<u8>;
    }

    impl<T: serde::Serialize> Encode for T {
        fn bytes(&self) -> Vec<u8> {
            super::encode(self)
        }
    }
}
