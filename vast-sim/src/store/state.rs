//! Everything the cluster knows, and the only functions that change what it stores.
//!
//! Changes go through the methods here so that accounting, blob references and the journal's records follow from one
//! place. Callers validate first and change last: a change is never taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::Extent;
use super::journal::{Batch, Change, Table};
use super::object::{Bucket, Object, Part, Upload};
use super::records::{BucketRecord, ObjectRecord, PartRecord, UploadRecord, encode};
use super::registry::Registry;

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
    /// Records are only collected when somebody will write them.
    pub(super) durable: bool,
    pending: Batch,
}

impl State {
    pub(super) fn take_batch(&mut self) -> Batch {
        if self.durable {
            for change in self.vms.take_changes() {
                self.pending.changes.push(change);
            }
        }
        std::mem::take(&mut self.pending)
    }

    fn record(&mut self, table: Table, key: &impl Serialize, value: Option<&dyn erased::Encode>) {
        if self.durable {
            self.pending.changes.push(Change {
                table,
                key: encode(key),
                value: value.map(erased::Encode::bytes),
            });
        }
    }

    fn adopt(extents: &[Extent]) {
        for extent in extents {
            extent.blob.retain();
        }
    }

    fn retire(&mut self, extents: &[Extent]) {
        for e in extents {
            e.blob.release();
            self.pending.retired.push(Arc::clone(&e.blob));
        }
    }

    pub(crate) fn buckets(&self) -> &BTreeMap<String, Bucket> {
        &self.buckets
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// Makes a bucket; the caller knows that there is none of that name.
    pub(crate) fn create_bucket(&mut self, name: &str, bucket: Bucket) {
        self.record(Table::Buckets, &name, Some(&BucketRecord::from(&bucket)));
        self.buckets.insert(name.to_owned(), bucket);
    }

    /// Changes a bucket's owner.
    pub(crate) fn set_bucket_owner(&mut self, name: &str, owner: &str) {
        if let Some(bucket) = self.buckets.get_mut(name) {
            owner.clone_into(&mut bucket.owner);
            let record = BucketRecord::from(&*bucket);
            self.record(Table::Buckets, &name, Some(&record));
        }
    }

    /// Removes a bucket with all that it holds.
    pub(crate) fn remove_bucket(&mut self, name: &str) {
        let Some(bucket) = self.buckets.remove(name) else { return };
        for (key, object) in &bucket.objects {
            self.record(Table::Objects, &(name, key), None);
            self.retire(&object.extents);
        }
        for ((key, id), upload) in &bucket.uploads {
            self.record(Table::Uploads, &(name, key, id), None);
            for (number, part) in &upload.parts {
                self.record(Table::Parts, &(name, key, id, number), None);
                self.retire(&part.extents);
            }
        }
        self.record(Table::Buckets, &name, None);
    }

    /// Stores an object in place of the one of that name, if any.
    pub(crate) fn put_object(&mut self, bucket: &str, key: &str, object: Object) {
        self.record(Table::Objects, &(bucket, key), Some(&ObjectRecord::from(&object)));
        Self::adopt(&object.extents);
        let Some(b) = self.buckets.get_mut(bucket) else { return };
        b.bytes += object.size;
        if let Some(old) = b.objects.insert(key.to_owned(), Arc::new(object)) {
            b.bytes -= old.size;
            self.retire(&old.extents);
        }
    }

    /// Removes an object; false when there is none.
    pub(crate) fn remove_object(&mut self, bucket: &str, key: &str) -> bool {
        let Some(b) = self.buckets.get_mut(bucket) else { return false };
        let Some(old) = b.objects.remove(key) else { return false };
        b.bytes -= old.size;
        self.record(Table::Objects, &(bucket, key), None);
        self.retire(&old.extents);
        true
    }

    /// Opens a multipart upload.
    pub(crate) fn create_upload(&mut self, bucket: &str, key: &str, id: &str, upload: Upload) {
        self.record(Table::Uploads, &(bucket, key, id), Some(&UploadRecord::from(&upload)));
        if let Some(b) = self.buckets.get_mut(bucket) {
            b.uploads.insert((key.to_owned(), id.to_owned()), upload);
        }
    }

    /// Stores a part in place of the one of that number, if any; the caller knows that the upload is open.
    pub(crate) fn put_part(&mut self, bucket: &str, key: &str, id: &str, number: u16, part: Part) {
        self.record(Table::Parts, &(bucket, key, id, number), Some(&PartRecord::from(&part)));
        Self::adopt(&part.extents);
        let Some(b) = self.buckets.get_mut(bucket) else { return };
        let Some(upload) = b.uploads.get_mut(&(key.to_owned(), id.to_owned())) else { return };
        b.bytes += part.size;
        if let Some(old) = upload.parts.insert(number, part) {
            b.bytes -= old.size;
            self.retire(&old.extents);
        }
    }

    /// Closes an upload and drops its parts; none when there is no such upload.
    pub(crate) fn remove_upload(&mut self, bucket: &str, key: &str, id: &str) -> Option<Upload> {
        let b = self.buckets.get_mut(bucket)?;
        let upload = b.uploads.remove(&(key.to_owned(), id.to_owned()))?;
        b.bytes -= upload.parts.values().map(|p| p.size).sum::<u64>();
        self.record(Table::Uploads, &(bucket, key, id), None);
        for (number, part) in &upload.parts {
            self.record(Table::Parts, &(bucket, key, id, number), None);
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
mod erased {
    pub(crate) trait Encode {
        fn bytes(&self) -> Vec<u8>;
    }

    impl<T: serde::Serialize> Encode for T {
        fn bytes(&self) -> Vec<u8> {
            super::encode(self)
        }
    }
}
