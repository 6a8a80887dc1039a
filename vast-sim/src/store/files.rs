//! Blobs as files: written under a temporary name, synced, renamed; only then may metadata refer to them.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::blob::Blob;

/// Bytes gathered before they are written to the file.
const WRITE_BATCH: usize = 1 << 20;

/// The directory of blob files.
#[derive(Debug)]
pub(crate) struct FileStore {
    dir: PathBuf,
    next: AtomicU64,
}

impl FileStore {
    /// Opens (or makes) the directory. `first_free` is above every id that metadata knows.
    pub(crate) fn at(dir: &Path, first_free: u64) -> std::io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), next: AtomicU64::new(first_free) })
    }

    /// Removes every file that `is_known` does not know: uploads cut short by a crash.
    ///
    /// Returns how many files were removed.
    pub(crate) fn sweep(&self, is_known: impl Fn(u64) -> bool) -> std::io::Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|n| u64::from_str_radix(n, 16).ok());
            if !id.is_some_and(&is_known) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    pub(crate) fn open_len(&self, id: u64) -> std::io::Result<u64> {
        fs::metadata(self.path(id)).map(|m| m.len())
    }

    pub(crate) fn open(&self, id: u64) -> std::io::Result<File> {
        File::open(self.path(id))
    }

    pub(crate) fn remove(&self, id: u64) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            // The next start sweeps it.
            tracing::warn!(%error, id, "could not remove a blob file");
        }
    }

    fn path(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{id:016x}"))
    }
}

/// A blob file that is being written.
#[derive(Debug)]
pub(crate) struct FileWriter {
    store: Arc<FileStore>,
    id: u64,
    temporary: PathBuf,
    file: Option<File>,
    pending: Vec<Bytes>,
    pending_len: usize,
    len: u64,
}

impl FileWriter {
    pub(crate) fn create(store: &Arc<FileStore>) -> std::io::Result<Self> {
        let id = store.next.fetch_add(1, Ordering::Relaxed);
        let temporary = store.dir.join(format!("{id:016x}.part"));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(Self {
            store: Arc::clone(store),
            id,
            temporary,
            file: Some(file),
            pending: Vec::new(),
            pending_len: 0,
            len: 0,
        })
    }

    pub(crate) async fn push(&mut self, chunk: Bytes) -> std::io::Result<()> {
        self.len += chunk.len() as u64;
        self.pending_len += chunk.len();
        self.pending.push(chunk);
        if self.pending_len >= WRITE_BATCH { self.flush(false).await } else { Ok(()) }
    }

    async fn flush(&mut self, sync: bool) -> std::io::Result<()> {
        let mut file = self.file.take().ok_or_else(|| std::io::Error::other("an earlier write failed"))?;
        let chunks = std::mem::take(&mut self.pending);
        self.pending_len = 0;
        let written = tokio::task::spawn_blocking(move || {
            write_all(&mut file, &chunks)?;
            if sync {
                file.sync_data()?;
            }
            Ok::<_, std::io::Error>(file)
        });
        self.file = Some(written.await.map_err(std::io::Error::other)??);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> std::io::Result<Blob> {
        self.flush(true).await?;
        let (from, to, dir) = (self.temporary.clone(), self.store.path(self.id), self.store.dir.clone());
        let renamed = tokio::task::spawn_blocking(move || {
            fs::rename(from, to)?;
            File::open(dir)?.sync_all()
        });
        renamed.await.map_err(std::io::Error::other)??;
        self.file = None;
        self.temporary = PathBuf::new();
        Ok(Blob::in_file(self.id, self.len, Arc::clone(&self.store)))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn write_all(file: &mut File, chunks: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let n = file.write_vectored(left)?;
        if n == 0 && left.iter().any(|s| !s.is_empty()) {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, n);
    }
    Ok(())
}
