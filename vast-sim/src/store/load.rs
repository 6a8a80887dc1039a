//! Starting from a data directory: reads all records, rebuilds the state, sweeps what a crash left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Store;
use super::blob::{Blob, BlobStore};
use super::files::FileStore;
use super::frozen::Frozen;
use super::journal::{self, Journal, RedbJournal, Table};
use super::object::{Bucket, Object};
use super::records::{
    BlobTable, FrozenRecord, ObjectRecord, PartRecord, UploadRecord, VersionRecord, decode,
};
use super::state::{AccessKey, State};
use crate::error::StartError;

/// The state as it grows from records, which come in the order of [`Table::ALL`].
struct Loading {
    state: State,
    blobs: BlobTable,
    files: Arc<FileStore>,
    frozen: Vec<((u64, String), FrozenRecord)>,
}

/// A blob that metadata knows, if its file is as long as it should be.
fn blob(files: &Arc<FileStore>, id: u64, len: u64) -> Result<Blob, String> {
    match files.open_len(id) {
        Ok(found) if found == len => Ok(Blob::in_file(id, len, Arc::clone(files))),
        Ok(found) => Err(format!("blob file {id:016x} has {found} bytes, metadata says {len}")),
        Err(error) => Err(format!("blob file {id:016x}: {error}")),
    }
}

fn read<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, String> {
    decode(bytes).map_err(|e| format!("a record of {table:?} is unreadable: {e}"))
}

impl Loading {
    fn take(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), String> {
        let files = Arc::clone(&self.files);
        let make = |id: u64, len: u64| blob(&files, id, len);
        match table {
            Table::Buckets => {
                self.state.put_bucket(&read::<String>(table, key)?, read::<Bucket>(table, value)?);
            }
            Table::Directories => {
                let (tenant, path): (u64, String) = read(table, key)?;
                self.state.make_directory(tenant, &path, read(table, value)?);
            }
            Table::Versions => {
                let (tenant, path, id): (u64, String, String) = read(table, key)?;
                let version = self.blobs.version(&id, read::<VersionRecord>(table, value)?, &make)?;
                self.state.insert_version(tenant, &path, version, false);
            }
            Table::Uploads => {
                let (tenant, path, id): (u64, String, String) = read(table, key)?;
                self.state.create_upload(tenant, &path, &id, read::<UploadRecord>(table, value)?.into());
            }
            Table::Parts => {
                let (tenant, path, id, number): (u64, String, String, u16) = read(table, key)?;
                let part = self.blobs.part(read::<PartRecord>(table, value)?, &make)?;
                self.state.put_part(tenant, &path, &id, number, part);
            }
            // Objects of a snapshot may come before its root.
            Table::Frozen => self.frozen.push((read(table, key)?, read(table, value)?)),
            Table::Keys => self.state.put_key(&read::<String>(table, key)?, read::<AccessKey>(table, value)?),
            Table::Clock => self.state.set_advanced_ms(read(table, value)?),
            Table::Vms => {
                let taken = self.state.vms.load(key, value);
                taken.map_err(|e| format!("a record of {table:?} is unreadable: {e}"))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(State, BlobTable), String> {
        let files = Arc::clone(&self.files);
        let make = |id: u64, len: u64| blob(&files, id, len);
        let blobs = &mut self.blobs;
        for (snapshot, frozen) in frozen(self.frozen, &mut |record| blobs.object(record, &make))? {
            self.state.insert_frozen(snapshot, frozen);
        }
        Ok((self.state, self.blobs))
    }
}

/// Snapshots from their pieces.
fn frozen(
    records: Vec<((u64, String), FrozenRecord)>,
    object: &mut dyn FnMut(ObjectRecord) -> Result<Object, String>,
) -> Result<BTreeMap<u64, Frozen>, String> {
    let mut out: BTreeMap<u64, Frozen> = BTreeMap::new();
    for ((snapshot, at), record) in records {
        let frozen = out.entry(snapshot).or_default();
        match record {
            FrozenRecord::Root { tenant_id, path, directories } => {
                (frozen.tenant_id, frozen.path, frozen.directories) = (tenant_id, path, directories);
            }
            FrozenRecord::Object(record) => {
                let object = object(*record)?;
                frozen.bytes += object.size;
                frozen.objects.insert(at, Arc::new(object));
            }
        }
    }
    Ok(out)
}

pub(super) fn open(dir: &Path) -> Result<Store, StartError> {
    std::fs::create_dir_all(dir).map_err(StartError::file(dir))?;
    let blob_dir = dir.join("blobs");
    let highest = highest_id(&blob_dir).map_err(StartError::file(&blob_dir))?;
    let files = Arc::new(FileStore::at(&blob_dir, highest + 1).map_err(StartError::file(&blob_dir))?);
    let mut loading = Loading {
        state: State::default(),
        blobs: BlobTable::default(),
        files: Arc::clone(&files),
        frozen: Vec::new(),
    };
    let metadata = dir.join("metadata.redb");
    if let Ok(found) = std::fs::metadata(&metadata) {
        tracing::info!("reading {} MiB of metadata in {}", found.len() >> 20, dir.display());
    }
    let db = journal::open(&metadata, &mut |table: Table, key: &[u8], value: &[u8]| {
        loading.take(table, key, value)
    })?;
    let damaged = |detail| StartError::Database { path: dir.to_owned(), detail };
    let (mut state, blobs) = loading.finish().map_err(damaged)?;
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
