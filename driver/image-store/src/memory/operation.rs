//! The kinds of request that a store in memory counts, and what it counts.

/// Kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`ObjectStore::put`](crate::ObjectStore::put).
    Put,
    /// [`ObjectStore::get`](crate::ObjectStore::get).
    Get,
    /// [`ObjectStore::head`](crate::ObjectStore::head).
    Head,
    /// [`ObjectStore::delete`](crate::ObjectStore::delete).
    Delete,
    /// [`ObjectStore::delete_many`](crate::ObjectStore::delete_many), one request per 1,000 keys.
    DeleteMany,
    /// [`ObjectStore::list`](crate::ObjectStore::list).
    List,
    /// [`ObjectStore::list_groups`](crate::ObjectStore::list_groups).
    ListGroups,
    /// [`ObjectStore::copy_from`](crate::ObjectStore::copy_from), by the key of the copy.
    Copy,
    /// [`ObjectStore::kind`](crate::ObjectStore::kind), by the empty key.
    Kind,
    /// [`ObjectStore::list_versions`](crate::ObjectStore::list_versions).
    ListVersions,
    /// [`ObjectStore::delete_versions`](crate::ObjectStore::delete_versions), one request per 1,000 versions.
    DeleteVersions,
    /// [`ObjectStore::retain`](crate::ObjectStore::retain).
    Retain,
    /// [`ObjectStore::begin_upload`](crate::ObjectStore::begin_upload).
    BeginUpload,
    /// [`ObjectStore::list_uploads`](crate::ObjectStore::list_uploads).
    ListUploads,
    /// [`ObjectStore::abort_upload`](crate::ObjectStore::abort_upload).
    AbortUpload,
    /// [`ObjectStore::upload_part`](crate::ObjectStore::upload_part).
    UploadPart,
    /// [`ObjectStore::complete_upload`](crate::ObjectStore::complete_upload).
    CompleteUpload,
}

/// Requests and bytes since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Put requests.
    pub puts: u64,
    /// Get requests.
    pub gets: u64,
    /// Head requests.
    pub heads: u64,
    /// Delete requests for one object.
    pub deletes: u64,
    /// Delete requests for up to 1,000 objects.
    pub bulk_deletes: u64,
    /// List requests.
    pub lists: u64,
    /// Requests for beginnings of keys.
    pub group_lists: u64,
    /// Copies on the server, counted where the copy is.
    pub copies: u64,
    /// Questions what the bucket keeps.
    pub kinds: u64,
    /// Requests for versions.
    pub version_lists: u64,
    /// Delete requests for up to 1,000 versions.
    pub version_deletes: u64,
    /// Retentions put or extended.
    pub retains: u64,
    /// Uploads begun.
    pub begun_uploads: u64,
    /// Requests for uploads.
    pub upload_lists: u64,
    /// Uploads aborted.
    pub aborted_uploads: u64,
    /// Parts of uploads.
    pub parts: u64,
    /// Uploads completed.
    pub completed_uploads: u64,
    /// Bytes put and sent as parts, whether accepted or not.
    pub bytes_in: u64,
    /// Bytes got.
    pub bytes_out: u64,
}

impl Counters {
    /// Requests of all kinds.
    pub fn requests(&self) -> u64 {
        self.puts
            + self.gets
            + self.heads
            + self.deletes
            + self.bulk_deletes
            + self.lists
            + self.group_lists
            + self.copies
            + self.kinds
            + self.version_lists
            + self.version_deletes
            + self.retains
            + self.begun_uploads
            + self.upload_lists
            + self.aborted_uploads
            + self.parts
            + self.completed_uploads
    }

    pub(super) fn count(&mut self, operation: Operation) {
        let counter = match operation {
            Operation::Put => &mut self.puts,
            Operation::Get => &mut self.gets,
            Operation::Head => &mut self.heads,
            Operation::Delete => &mut self.deletes,
            Operation::DeleteMany => &mut self.bulk_deletes,
            Operation::List => &mut self.lists,
            Operation::ListGroups => &mut self.group_lists,
            Operation::Copy => &mut self.copies,
            Operation::Kind => &mut self.kinds,
            Operation::ListVersions => &mut self.version_lists,
            Operation::DeleteVersions => &mut self.version_deletes,
            Operation::Retain => &mut self.retains,
            Operation::BeginUpload => &mut self.begun_uploads,
            Operation::ListUploads => &mut self.upload_lists,
            Operation::AbortUpload => &mut self.aborted_uploads,
            Operation::UploadPart => &mut self.parts,
            Operation::CompleteUpload => &mut self.completed_uploads,
        };
        *counter += 1;
    }
}
