//! Starting from a data directory: reads all records, rebuilds the state, sweeps what a crash left.

use std::path::Path;
use std::sync::Arc;

use super::Store;
use super::blob::{Blob, BlobStore};
use super::files::FileStore;
use super::journal::{self, Journal, RedbJournal, Table};
use super::object::Bucket;
use super::records::{BlobTable, BucketRecord, ObjectRecord, PartRecord, UploadRecord};
use super::state::{AccessKey, State};
use crate::error::StartError;

/// Records as read, in the order in which they can be applied.
#[derive(Default)]
struct Loaded {
    state: State,
    objects: Vec<((String, String), ObjectRecord)>,
    uploads: Vec<((String, String, String), UploadRecord)>,
    parts: Vec<((String, String, String, u16), PartRecord)>,
}

impl Loaded {
    fn take(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), serde_json::Error> {
        use serde_json::from_slice;
        match table {
            Table::Buckets => {
                let record: BucketRecord = from_slice(value)?;
                self.state.create_bucket(&from_slice::<String>(key)?, Bucket::from(record));
            }
            Table::Objects => self.objects.push((from_slice(key)?, from_slice(value)?)),
            Table::Uploads => self.uploads.push((from_slice(key)?, from_slice(value)?)),
            Table::Parts => self.parts.push((from_slice(key)?, from_slice(value)?)),
            Table::Keys => {
                let record: AccessKey = from_slice(value)?;
                self.state.put_key(&from_slice::<String>(key)?, record);
            }
            Table::Vms => self.state.vms.load(key, value)?,
        }
        Ok(())
    }

    fn build(self, files: &Arc<FileStore>) -> Result<(State, BlobTable), String> {
        let mut state = self.state;
        let mut blobs = BlobTable::default();
        let make = |id: u64, len: u64| match files.open_len(id) {
            Ok(found) if found == len => Ok(Blob::in_file(id, len, Arc::clone(files))),
            Ok(found) => Err(format!("blob file {id:016x} has {found} bytes, metadata says {len}")),
            Err(error) => Err(format!("blob file {id:016x}: {error}")),
        };
        for ((bucket, key), record) in self.objects {
            state.put_object(&bucket, &key, blobs.object(record, &make)?);
        }
        for ((bucket, key, id), record) in self.uploads {
            state.create_upload(&bucket, &key, &id, record.into());
        }
        for ((bucket, key, id, number), record) in self.parts {
            state.put_part(&bucket, &key, &id, number, blobs.part(record, &make)?);
        }
        Ok((state, blobs))
    }
}

pub(super) fn open(dir: &Path) -> Result<Store, StartError> {
    std::fs::create_dir_all(dir).map_err(StartError::file(dir))?;
    let mut loaded = Loaded::default();
    let mut take = |table: Table, key: &[u8], value: &[u8]| {
        loaded.take(table, key, value).map_err(|e| format!("a record of {table:?} is unreadable: {e}"))
    };
    let db = journal::open(&dir.join("metadata.redb"), &mut take)?;
    let blob_dir = dir.join("blobs");
    let highest = highest_id(&blob_dir).map_err(StartError::file(&blob_dir))?;
    let files = Arc::new(FileStore::at(&blob_dir, highest + 1).map_err(StartError::file(&blob_dir))?);
    let damaged = |detail| StartError::Database { path: dir.to_owned(), detail };
    let (mut state, blobs) = loaded.build(&files).map_err(damaged)?;
    let removed = files.sweep(|id| blobs.blobs.contains_key(&id)).map_err(StartError::file(&blob_dir))?;
    tracing::info!(blobs = blobs.blobs.len(), removed, "data directory loaded");
    // What was just read needs no writing.
    drop(state.take_batch());
    state.vms.drop_changes();
    state.durable = true;
    let journal = Journal::Redb(RedbJournal::start(db)?);
    Ok(Store { state: state.into(), journal, blobs: BlobStore::Files(files) })
}

/// The highest blob number in the directory, unfinished ones included, so that numbers are not given twice.
fn highest_id(dir: &Path) -> std::io::Result<u64> {
    let mut highest = 0;
    if dir.exists() {
        for entry in std::fs::read_dir(dir)? {
            let name = entry?.file_name();
            let stem = name.to_str().map(|n| n.trim_end_matches(".part"));
            if let Some(id) = stem.and_then(|n| u64::from_str_radix(n, 16).ok()) {
                highest = highest.max(id);
            }
        }
    }
    Ok(highest)
}
