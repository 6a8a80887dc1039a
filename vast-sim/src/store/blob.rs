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
use super::pack::Pack;

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
    /// Only the length is known.
    Discarded(Discarded),
}

/// What reading bytes gives that were not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discarded {
    Nothing,
    Zeros,
}

/// Zeros to hand out, over and over.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

impl Blob {
    pub(crate) fn in_memory(id: u64, chunks: Vec<Bytes>) -> Self {
        let len = chunks.iter().map(|c| c.len() as u64).sum();
        Self::new(id, len, Data::Memory(chunks))
    }

    fn discarded(id: u64, len: u64, how: Discarded) -> Self {
        Self::new(id, len, Data::Discarded(how))
    }

    /// Whether its bytes are gone for good.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.data, Data::Discarded(Discarded::Nothing)) && self.len > 0
    }

    pub(crate) fn in_file(id: u64, len: u64, files: Arc<FileStore>) -> Self {
        Self::new(id, len, Data::File(files))
    }

    fn new(id: u64, len: u64, data: Data) -> Self {
        Self { id, len, data, references: AtomicU64::new(0), doomed: AtomicBool::new(false) }
    }

    /// The state refers to this blob once more; true the first time.
    pub(crate) fn retain(&self) -> bool {
        let first = self.references.fetch_add(1, Ordering::AcqRel) == 0;
        if first {
            // A copy may have held it while the last object that had it went.
            self.doomed.store(false, Ordering::Release);
        }
        first
    }

    /// The state refers to this blob once less; true the last time, which dooms it.
    pub(crate) fn release(&self) -> bool {
        let last = self.references.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.doomed.store(true, Ordering::Release);
        }
        last
    }

    /// How often the state refers to this blob.
    pub(crate) fn references(&self) -> u64 {
        self.references.load(Ordering::Acquire)
    }

    /// Nothing will ever refer to this blob: an upload that was refused at the end.
    pub(crate) fn abandon(&self) {
        if self.references.load(Ordering::Acquire) == 0 {
            self.doomed.store(true, Ordering::Release);
        }
    }

    /// The chunks of a range that are in memory, sharing the stored bytes; none when the blob is in a file.
    pub(crate) fn memory_range(&self, offset: u64, len: u64) -> Option<Vec<Bytes>> {
        let chunks = match &self.data {
            Data::Memory(chunks) => chunks,
            Data::Discarded(Discarded::Zeros) => return Some(zeros(len)),
            Data::File(_) | Data::Discarded(Discarded::Nothing) => return None,
        };
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
            Data::Discarded(_) => Err(std::io::Error::other("the bytes were discarded when they arrived")),
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

/// Zeros in pieces that take no memory of their own.
fn zeros(len: u64) -> Vec<Bytes> {
    let mut left = to_usize(len);
    let mut out = Vec::with_capacity(left.div_ceil(ZEROS.len()));
    while left > 0 {
        let n = left.min(ZEROS.len());
        out.push(Bytes::from_static(&ZEROS[..n]));
        left -= n;
    }
    out
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
    /// Nowhere.
    Discard(Arc<AtomicU64>, Discarded),
    Files(Arc<FileStore>),
}

impl BlobStore {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(AtomicU64::new(1)))
    }

    pub(crate) fn discard(how: Discarded) -> Self {
        Self::Discard(Arc::new(AtomicU64::new(1)), how)
    }

    /// Starts a new blob.
    pub(crate) fn writer(&self) -> std::io::Result<BlobWriter> {
        Ok(match self {
            Self::Memory(next) => BlobWriter::Memory(next.fetch_add(1, Ordering::Relaxed), Pack::default()),
            Self::Discard(next, how) => BlobWriter::Discard(next.fetch_add(1, Ordering::Relaxed), 0, *how),
            Self::Files(files) => BlobWriter::File(super::files::FileWriter::create(files)?),
        })
    }
}

/// A blob that is being received. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub(crate) enum BlobWriter {
    Memory(u64, Pack),
    /// Its id and length so far.
    Discard(u64, u64, Discarded),
    File(super::files::FileWriter),
}

impl BlobWriter {
    pub(crate) async fn push(&mut self, chunk: Bytes) -> std::io::Result<()> {
        match self {
            Self::Memory(_, pack) => {
                pack.push(chunk);
                Ok(())
            }
            Self::Discard(_, len, _) => {
                *len += chunk.len() as u64;
                Ok(())
            }
            Self::File(writer) => writer.push(chunk).await,
        }
    }

    /// The bytes are safe (in a file: on the disk, under their final name) when this returns.
    pub(crate) async fn finish(self) -> std::io::Result<Arc<Blob>> {
        match self {
            Self::Memory(id, pack) => Ok(Arc::new(Blob::in_memory(id, pack.finish()))),
            Self::Discard(id, len, how) => Ok(Arc::new(Blob::discarded(id, len, how))),
            Self::File(writer) => writer.finish().await.map(Arc::new),
        }
    }
}
