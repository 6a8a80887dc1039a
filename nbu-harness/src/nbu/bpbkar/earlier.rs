//! What an incremental backup knows of the earlier one, and by it decides what to send.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

use super::Failure;
use crate::nbu::catalog::FileRecord;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::Reference;
use crate::nbu::status::{code, status_text};

/// The files of the earlier backup.
#[derive(Debug)]
pub(super) struct Earlier {
    since: i64,
    files: HashMap<PathBytes, FileRecord>,
}

impl Earlier {
    /// Reads the earlier backup's file list.
    pub(super) fn load(reference: &Reference) -> Result<Self, Failure> {
        let path = reference.list.as_path();
        let failed = |error: &dyn std::fmt::Display| Failure {
            status: code::FILE_READ,
            text: format!("{}: {}: {error}", status_text(code::FILE_READ), path.display()),
        };
        let file = File::open(path).map_err(|e| failed(&e))?;
        let mut files = HashMap::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| failed(&e))?;
            let record: FileRecord = serde_json::from_slice(&line).map_err(|e| failed(&e))?;
            files.insert(record.path.clone(), record);
        }
        Ok(Self { since: i64::try_from(reference.since).unwrap_or(i64::MAX), files })
    }

    /// Whether the earlier backup, or one before it, has this file as it is now. A later modification time says no; so
    /// does a file that was not there under this name (it may have moved here with an old time), or whose size, owner,
    /// mode, time or link is another: these stand for the change time of the inode.
    pub(super) fn has(&self, record: &FileRecord) -> bool {
        record.mtime <= self.since
            && self.files.get(&record.path).is_some_and(|known| known.same_file(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::catalog::FileKind;

    fn record(path: &str, mtime: i64) -> FileRecord {
        FileRecord {
            path: path.into(),
            kind: FileKind::File,
            start: 0,
            data_offset: 512,
            data_length: 10,
            size: 10,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime,
            mtime_nsec: 0,
            link: None,
            tir_only: false,
        }
    }

    #[test]
    fn a_file_is_left_out_only_if_nothing_about_it_changed() {
        let files = HashMap::from([("a".into(), record("a", 100)), ("late".into(), record("late", 300))]);
        let earlier = Earlier { since: 200, files };
        assert!(earlier.has(&record("a", 100)));
        assert!(
            earlier.has(&FileRecord { start: 4096, tir_only: true, ..record("a", 100) }),
            "its place means nothing"
        );
        assert!(!earlier.has(&record("b", 100)), "moved here with an old time");
        assert!(!earlier.has(&record("a", 99)), "another file with an older time");
        assert!(!earlier.has(&FileRecord { mode: 0o600, ..record("a", 100) }));
        assert!(!earlier.has(&FileRecord { kind: FileKind::HardLink, ..record("a", 100) }));
        assert!(!earlier.has(&record("late", 300)), "modified after the earlier backup began");
    }
}
