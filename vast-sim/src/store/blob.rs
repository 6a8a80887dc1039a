//! Object bytes: immutable blobs, in memory as the chunks that arrived, or in files.
//!
//! A blob is referenced by extents of objects and parts. When the last reference in the state goes, the blob is doomed;
//! its file is removed when the last reader and the last unfinished commit have let go of it too.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::files::FileStore;

/// Bytes read from a file at a time.
pub(crate) const READ_CHUNK: u64 = 1 << 20;

/// An immutable sequence of bytes.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) id: u64,
    pub(crate) len: u64,
    data: Data,
    references: AtomicU64,
    doomed: AtomicBool,
}

#[derive(Debug)]
enum Data {
    Memory(Vec<Bytes>),
    File(Arc<FileStore>),
}

impl Blob {
    pub(crate) fn in_memory(id: u64, chunks: Vec<Bytes>) -> Self {
        let len = chunks.iter().map(|c| c.len() as u64).sum();
        Self::new(id, len, Data::Memory(chunks))
    }

    pub(crate) fn in_file(id: u64, len: u64, files: Arc<FileStore>) -> Self {
        Self::new(id, len, Data::File(files))
    }

    fn new(id: u64, len: u64, data: Data) -> Self {
        Self { id, len, data, references: AtomicU64::new(0), doomed: AtomicBool::new(false) }
    }

    /// The state refers to this blob once more.
    pub(crate) fn retain(&self) {
        self.references.fetch_add(1, Ordering::AcqRel);
    }

    /// The state refers to this blob once less; the last time dooms it.
    pub(crate) fn release(&self) {
        if self.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.doomed.store(true, Ordering::Release);
        }
    }

    /// Nothing will ever refer to this blob: an upload that was refused at the end.
    pub(crate) fn abandon(&self) {
        if self.references.load(Ordering::Acquire) == 0 {
            self.doomed.store(true, Ordering::Release);
        }
    }

    /// The chunks of a range that are in memory, sharing the stored bytes; none when the blob is in a file.
    pub(crate) fn memory_range(&self, offset: u64, len: u64) -> Option<Vec<Bytes>> {
        let Data::Memory(chunks) = &self.data else { return None };
        let (mut skip, mut left) = (offset, len);
        let mut out = Vec::new();
        for chunk in chunks {
            let size = chunk.len() as u64;
            if left == 0 {
                break;
            }
            if skip >= size {
                skip -= size;
                continue;
            }
            let take = left.min(size - skip);
            // Both are at most the chunk's length, which is a usize.
            let (from, to) = (to_usize(skip), to_usize(skip + take));
            out.push(chunk.slice(from..to));
            skip = 0;
            left -= take;
        }
        Some(out)
    }

    /// Opens the file of a blob that is in one.
    pub(crate) fn open(&self) -> std::io::Result<Option<File>> {
        match &self.data {
            Data::Memory(_) => Ok(None),
            Data::File(files) => files.open(self.id).map(Some),
        }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if let (Data::File(files), true) = (&self.data, self.doomed.load(Ordering::Acquire)) {
            files.remove(self.id);
        }
    }
}

/// Reads `len` bytes at `offset`; blocks.
pub(crate) fn read_file(file: &File, offset: u64, len: u64) -> std::io::Result<Bytes> {
    let mut buf = vec![0; to_usize(len)];
    file.read_exact_at(&mut buf, offset)?;
    Ok(buf.into())
}

/// A length that is known to fit memory.
pub(crate) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A piece of a blob.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub(crate) blob: Arc<Blob>,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// The extents that cover `[offset, offset + len)` of the sequence that `extents` make.
pub(crate) fn slice(extents: &[Extent], offset: u64, len: u64) -> Vec<Extent> {
    let (mut skip, mut left) = (offset, len);
    let mut out = Vec::new();
    for e in extents {
        if left == 0 {
            break;
        }
        if skip >= e.len {
            skip -= e.len;
            continue;
        }
        let take = left.min(e.len - skip);
        out.push(Extent { blob: Arc::clone(&e.blob), offset: e.offset + skip, len: take });
        skip = 0;
        left -= take;
    }
    out
}

/// Where new blobs go.
#[derive(Debug, Clone)]
pub(crate) enum BlobStore {
    Memory(Arc<AtomicU64>),
    Files(Arc<FileStore>),
}

impl BlobStore {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(AtomicU64::new(1)))
    }

    /// Starts a new blob.
    pub(crate) fn writer(&self) -> std::io::Result<BlobWriter> {
        Ok(match self {
            Self::Memory(next) => BlobWriter::Memory(next.fetch_add(1, Ordering::Relaxed), Vec::new()),
            Self::Files(files) => BlobWriter::File(super::files::FileWriter::create(files)?),
        })
    }
}

/// A blob that is being received. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub(crate) enum BlobWriter {
    Memory(u64, Vec<Bytes>),
    File(super::files::FileWriter),
}

impl BlobWriter {
    pub(crate) async fn push(&mut self, chunk: Bytes) -> std::io::Result<()> {
        match self {
            Self::Memory(_, chunks) => {
                chunks.push(chunk);
                Ok(())
            }
            Self::File(writer) => writer.push(chunk).await,
        }
    }

    /// The bytes are safe (in a file: on the disk, under their final name) when this returns.
    pub(crate) async fn finish(self) -> std::io::Result<Arc<Blob>> {
        match self {
            Self::Memory(id, mut chunks) => {
                chunks.shrink_to_fit();
                Ok(Arc::new(Blob::in_memory(id, chunks)))
            }
            Self::File(writer) => writer.finish().await.map(Arc::new),
        }
    }
}
