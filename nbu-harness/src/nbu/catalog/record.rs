//! What the catalogue says of a backup: its copies with their fragments, and its files.

use serde::{Deserialize, Serialize};

use crate::nbu::install::StorageUnit;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::plugin::ImageId;
use crate::nbu::request::{HeaderOrder, ScheduleType, Source};

/// Kinds of files in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Regular file, sparse ones too.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Another name of a file that comes earlier in the stream.
    HardLink,
    /// Named pipe.
    Fifo,
    /// Character device.
    CharacterDevice,
    /// Block device.
    BlockDevice,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path relative to the backup's directory, `.` for the directory itself.
    pub path: PathBytes,
    /// Kind.
    pub kind: FileKind,
    /// Position in the stream of its first header block, a multiple of 512.
    pub start: u64,
    /// Position of its content.
    pub data_offset: u64,
    /// Bytes of content in the stream, without padding: less than `size` for a sparse file.
    pub data_length: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Permission bits, with set-user-id and the like.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: i64,
    /// Nanoseconds of it, 0 to 999 999 999.
    pub mtime_nsec: u32,
    /// Target of a symbolic link as it is; of a hard link, the path in this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBytes>,
    /// The file was there and did not change: it is in the true image restore information of this backup, its content in
    /// an earlier one. Its places in the stream mean nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tir_only: bool,
}

impl FileRecord {
    /// Whether this describes the same file as another record, unchanged: kind, size, times, owner, mode and link.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        (self.kind, self.size, self.mode, self.uid, self.gid)
            == (other.kind, other.size, other.mode, other.uid, other.gid)
            && (self.mtime, self.mtime_nsec, &self.link) == (other.mtime, other.mtime_nsec, &other.link)
    }

    /// Position in the stream right behind this file, a multiple of 512.
    pub const fn end(&self) -> u64 {
        self.data_offset + self.data_length.next_multiple_of(512)
    }
}

/// One data fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FragmentRecord {
    /// Number, from 1.
    pub number: u32,
    /// Image base name, such as `client_1588173008_C1_F2`.
    pub name: String,
    /// Position in the stream of its first byte.
    pub offset: u64,
    /// Bytes of the stream in it.
    pub bytes: u64,
}

impl FragmentRecord {
    /// Size in KiB as the catalogue prints it.
    pub const fn kbytes(&self) -> u64 {
        self.bytes.div_ceil(1024)
    }
}

/// One copy of a backup: where it is, and its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRecord {
    /// Copy number, from 1; it stays when other copies go.
    pub number: u32,
    /// Storage server.
    pub storage_server: String,
    /// LSU.
    pub lsu: String,
    /// Bytes of one buffer when it was written; reads use the same.
    pub buffer_size: u32,
    /// Base name of the header image.
    pub header: String,
    /// When the header was written.
    pub header_order: HeaderOrder,
    /// Data fragments in order.
    pub fragments: Vec<FragmentRecord>,
    /// Base name of the image of the true image restore information, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tir: Option<String>,
    /// Base name of the image that holds this catalogue entry for another domain; there is one once the copy was
    /// replicated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_image: Option<String>,
    /// When the storage lets the images go again (WORM), in seconds since the epoch; none: they are not locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_time: Option<u64>,
    /// Until when the images should be locked and are not: the storage refused it. Image cleanup tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_wanted: Option<u64>,
    /// Number of the operation of a storage lifecycle policy that made it, from 1; none: a backup, or somebody by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle_operation: Option<u32>,
    /// From when on image cleanup deletes it, in seconds since the epoch; none: it is kept until somebody expires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl CopyRecord {
    /// Kept for so long; none: for ever. NetBackup counts from the time of the backup, also for copies that are made later.
    pub(crate) fn kept_for(self, backup_time: u64, retention_seconds: Option<u64>) -> Self {
        Self { expires: retention_seconds.map(|kept| backup_time.saturating_add(kept)), ..self }
    }

    /// Names of all images of the copy: the fragments, the header, and those of the true image restore information and the
    /// catalogue entry, where there are any.
    pub fn image_names(&self) -> Vec<String> {
        let data = self.fragments.iter().map(|f| f.name.clone());
        data.chain([self.header.clone()]).chain(self.tir.clone()).chain(self.catalog_image.clone()).collect()
    }
}

/// What it takes to read one copy of a backup: its images, and what identifies them on the storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCopy {
    pub(crate) backup_id: String,
    pub(crate) backup_time: u64,
    pub(crate) policy: String,
    pub(crate) copy: CopyRecord,
}

impl StoredCopy {
    /// The identity of one of its images.
    pub(crate) fn image_id<'a>(&'a self, name: &'a str) -> ImageId<'a> {
        ImageId { lsu: &self.copy.lsu, name, date: self.backup_time, policy: &self.policy }
    }
}

/// One backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Format of the record.
    pub format: u32,
    /// Backup id.
    pub backup_id: String,
    /// Client.
    pub client: String,
    /// Policy.
    pub policy: String,
    /// Schedule.
    pub schedule: String,
    /// What kind of backup the schedule makes.
    pub schedule_type: ScheduleType,
    /// Number of the policy's data stream, from 1.
    pub stream: u32,
    /// Seconds since the epoch.
    pub backup_time: u64,
    /// The job that made it.
    pub job_id: u64,
    /// Phase 1 of an import made the record, and phase 2 is still to come (`IMAGE_TYPE` 1): there are no files yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_imported: bool,
    /// The true image restore information of an incremental backup has gone, by an import: nothing can be synthesized
    /// from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tir_pruned: bool,
    /// Length of the stream in bytes.
    pub stream_bytes: u64,
    /// Number of file records.
    pub files: u64,
    /// Status of the backup: 0 or 1.
    pub status: i32,
    /// The copy that is read when nobody names another.
    pub primary_copy: u32,
    /// The copies, by number; at least one.
    pub copies: Vec<CopyRecord>,
    /// What was backed up.
    pub source: Source,
    /// Name of the file with the file records, in the catalogue's directory.
    pub file_list: String,
}

impl ImageRecord {
    /// A copy by its number; `None` for the number stands for the primary copy.
    pub fn copy(&self, number: Option<u32>) -> Option<&CopyRecord> {
        let number = number.unwrap_or(self.primary_copy);
        self.copies.iter().find(|copy| copy.number == number)
    }

    /// The copy that an operation of a storage lifecycle policy made.
    pub(crate) fn copy_of_operation(&self, operation: u32) -> Option<&CopyRecord> {
        self.copies.iter().find(|copy| copy.lifecycle_operation == Some(operation))
    }

    /// Whether it has a copy with this number on the unit's LSU.
    pub(crate) fn has_copy_at(&self, number: u32, unit: &StorageUnit) -> bool {
        let mut copies = self.copies.iter().filter(|copy| copy.number == number);
        copies.any(|copy| copy.lsu == unit.lsu && copy.storage_server == unit.server)
    }

    /// A copy with what identifies its images.
    pub(crate) fn stored(&self, copy: &CopyRecord) -> StoredCopy {
        StoredCopy {
            backup_id: self.backup_id.clone(),
            backup_time: self.backup_time,
            policy: self.policy.clone(),
            copy: copy.clone(),
        }
    }

    /// The number that the next copy gets. Numbers of copies that have gone are used again only where no higher one is
    /// left, as nothing of such a copy is left either.
    pub fn next_copy(&self) -> u32 {
        self.copies.iter().map(|copy| copy.number).max().unwrap_or(0) + 1
    }

    /// Names of all images of all copies.
    pub fn image_names(&self) -> Vec<String> {
        self.copies.iter().flat_map(CopyRecord::image_names).collect()
    }

    /// Takes a copy out. When it was the primary one, the one with the lowest number takes its place. False if it was
    /// the last: then the image is to go.
    pub(crate) fn take_out(&mut self, number: u32) -> bool {
        self.copies.retain(|copy| copy.number != number);
        if self.copy(None).is_none()
            && let Some(first) = self.copies.iter().map(|copy| copy.number).min()
        {
            self.primary_copy = first;
        }
        !self.copies.is_empty()
    }

    /// The record's format number for new records.
    pub(crate) const fn current_format() -> u32 {
        super::FORMAT
    }
}
