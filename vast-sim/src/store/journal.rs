//! Where metadata changes go: nowhere, or into redb, in order, several callers' changes to one transaction.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::watch;

use super::blob::Blob;
use crate::error::StartError;

/// A kind of metadata record; one database table each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Buckets,
    Versions,
    Directories,
    Uploads,
    Parts,
    Frozen,
    Keys,
    Vms,
    Clock,
}

impl Table {
    pub(crate) const ALL: [Self; 9] = [
        Self::Buckets,
        Self::Versions,
        Self::Directories,
        Self::Uploads,
        Self::Parts,
        Self::Frozen,
        Self::Keys,
        Self::Vms,
        Self::Clock,
    ];

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Self::Buckets => "buckets",
            Self::Versions => "versions",
            Self::Directories => "directories",
            Self::Uploads => "uploads",
            Self::Parts => "parts",
            Self::Frozen => "frozen",
            Self::Keys => "keys",
            Self::Vms => "vms",
            Self::Clock => "clock",
        })
    }
}

/// One record written, or removed when there is no value.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Changes that hold together, and the blobs that nothing refers to once they are safe.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) retired: Vec<Arc<Blob>>,
}

/// The durable side of the state.
#[derive(Debug)]
pub(crate) enum Journal {
    Memory,
    Redb(RedbJournal),
}

/// The journal has failed: nothing can be acknowledged any more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("metadata could not be made durable: {0}")]
pub(crate) struct JournalError(pub(crate) String);

impl Journal {
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Redb(_))
    }

    /// Hands over changes. Call in the order in which they were made.
    pub(crate) fn append(&self, batch: Batch) {
        if let Self::Redb(journal) = self {
            journal.append(batch);
        }
    }

    /// Completes when everything handed over so far is on the disk.
    pub(crate) async fn barrier(&self) -> Result<(), JournalError> {
        match self {
            Self::Memory => Ok(()),
            Self::Redb(journal) => journal.barrier().await,
        }
    }

    /// Counts a change that the writer never gets, and ends the writer.
    #[cfg(test)]
    pub(crate) fn lose_a_change(&self) {
        if let Self::Redb(journal) = self {
            journal.appended.fetch_add(1, Ordering::AcqRel);
            journal.close();
        }
    }

    /// Finishes what was handed over and ends the writer.
    pub(crate) fn close(&self) {
        if let Self::Redb(journal) = self {
            journal.close();
        }
    }
}

type Progress = Result<u64, JournalError>;

/// A writer thread in front of a redb database.
#[derive(Debug)]
pub(crate) struct RedbJournal {
    sender: std::sync::Mutex<Option<mpsc::Sender<(u64, Batch)>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    appended: AtomicU64,
    durable: watch::Receiver<Progress>,
}

/// Most batches that share one transaction.
const GROUP: usize = 256;

impl RedbJournal {
    pub(crate) fn start(db: Database) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (progress, durable) = watch::channel(Ok(0));
        let thread = std::thread::Builder::new()
            .name("vast-sim-journal".to_owned())
            .spawn(move || write_loop(&db, &receiver, &progress))?;
        Ok(Self {
            sender: Some(sender).into(),
            thread: Some(thread).into(),
            appended: AtomicU64::new(0),
            durable,
        })
    }

    fn append(&self, batch: Batch) {
        let guard = super::lock(&self.sender);
        if let Some(sender) = guard.as_ref() {
            let seq = self.appended.fetch_add(1, Ordering::AcqRel) + 1;
            // A closed channel means that the writer failed; the barrier reports it.
            let _ = sender.send((seq, batch));
        }
    }

    async fn barrier(&self) -> Result<(), JournalError> {
        let wanted = self.appended.load(Ordering::Acquire);
        let mut durable = self.durable.clone();
        let reached = durable.wait_for(|p| p.as_ref().map_or(true, |seq| *seq >= wanted)).await;
        match reached {
            Ok(progress) => progress.as_ref().map(|_| ()).map_err(Clone::clone),
            Err(_) => Err(JournalError("the journal is closed".to_owned())),
        }
    }

    fn close(&self) {
        drop(super::lock(&self.sender).take());
        if let Some(thread) = super::lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn write_loop(db: &Database, receiver: &mpsc::Receiver<(u64, Batch)>, progress: &watch::Sender<Progress>) {
    while let Ok(first) = receiver.recv() {
        let mut group = vec![first];
        group.extend(receiver.try_iter().take(GROUP - 1));
        let last = group.iter().map(|(seq, _)| *seq).max().unwrap_or(0);
        let batches: Vec<Batch> = group.into_iter().map(|(_, b)| b).collect();
        if let Err(error) = write_group(db, &batches) {
            tracing::error!(%error, "metadata could not be written; the cluster stops acknowledging");
            let _ = progress.send(Err(JournalError(error.to_string())));
            // The database still refers to the blobs that these changes retired: keep their files.
            std::mem::forget(batches);
            receiver.iter().for_each(std::mem::forget);
            return;
        }
        let _ = progress.send(Ok(last));
        // Only now may the bytes that these changes retired go.
        drop(batches);
    }
}

fn write_group(db: &Database, batches: &[Batch]) -> Result<(), redb::Error> {
    let transaction = db.begin_write()?;
    for change in batches.iter().flat_map(|b| &b.changes) {
        let mut table = transaction.open_table(change.table.definition())?;
        match &change.value {
            Some(value) => table.insert(&change.key[..], &value[..])?,
            None => table.remove(&change.key[..])?,
        };
    }
    transaction.commit()?;
    Ok(())
}

/// Memory of the database for pages. It is read once, at the start; after that only writes touch it.
const CACHE: usize = 64 << 20;

/// Takes one record in; the error says what is wrong with it.
type Take<'t> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), String> + 't;

/// Opens (or makes) the database and reads every record.
pub(crate) fn open(path: &Path, take: &mut Take<'_>) -> Result<Database, StartError> {
    let bad = |detail: String| StartError::Database { path: path.to_owned(), detail };
    let db = Database::builder().set_cache_size(CACHE).create(path).map_err(|e| bad(e.to_string()))?;
    match read_all(&db, take) {
        Ok(Ok(())) => Ok(db),
        Ok(Err(detail)) => Err(bad(detail)),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The layout of the records; raised with every change that older programs would misread.
const FORMAT: u64 = 5;

const FORMAT_TABLE: TableDefinition<'static, &'static str, u64> = TableDefinition::new("format");

/// Writes the format into a new database, or says why one that is there cannot be used.
fn check_format(db: &Database) -> Result<Result<(), String>, redb::Error> {
    let setup = db.begin_write()?;
    let is_new = setup.list_tables()?.next().is_none();
    let found = {
        let mut table = setup.open_table(FORMAT_TABLE)?;
        if is_new {
            table.insert("version", FORMAT)?;
        }
        table.get("version")?.map_or(1, |v| v.value())
    };
    if found != FORMAT {
        setup.abort()?;
        return Ok(Err(format!(
            "it was written in format {found}, this version reads format {FORMAT}: start with an empty directory, \
             or with the version that wrote it"
        )));
    }
    for table in Table::ALL {
        setup.open_table(table.definition())?;
    }
    setup.commit()?;
    Ok(Ok(()))
}

fn read_all(db: &Database, take: &mut Take<'_>) -> Result<Result<(), String>, redb::Error> {
    if let Err(detail) = check_format(db)? {
        return Ok(Err(detail));
    }
    let transaction = db.begin_read()?;
    for table in Table::ALL {
        for row in transaction.open_table(table.definition())?.iter()? {
            let (key, value) = row?;
            if let Err(detail) = take(table, key.value(), value.value()) {
                return Ok(Err(detail));
            }
        }
    }
    Ok(Ok(()))
}
