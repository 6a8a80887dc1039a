//! Records of a small backup, for tests.

use super::{CopyRecord, ImageRecord};
use crate::nbu::request::{HeaderOrder, ScheduleType, Source};

/// Copy 1 of a backup, without fragments.
pub(crate) fn copy(backup_id: &str) -> CopyRecord {
    CopyRecord {
        number: 1,
        storage_server: "Fake:source".into(),
        lsu: "lsu9".into(),
        buffer_size: 1024,
        header: format!("{backup_id}_C1_HDR"),
        header_order: HeaderOrder::Last,
        fragments: Vec::new(),
        tir: None,
        catalog_image: None,
        unlock_time: None,
        lock_wanted: None,
        lifecycle_operation: None,
        expires: None,
    }
}

/// A full backup of that copy, made at second 1, with so many files.
pub(crate) fn image(backup_id: &str, files: u64) -> ImageRecord {
    ImageRecord {
        format: ImageRecord::current_format(),
        backup_id: backup_id.into(),
        client: "client1".into(),
        policy: "policy1".into(),
        schedule: "full".into(),
        schedule_type: ScheduleType::Full,
        stream: 1,
        backup_time: 1,
        job_id: 1,
        not_imported: false,
        tir_pruned: false,
        stream_bytes: 1024,
        files,
        status: 0,
        primary_copy: 1,
        copies: vec![copy(backup_id)],
        source: Source::Directory("/".into()),
        file_list: String::new(),
    }
}
