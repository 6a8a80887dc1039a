//! Reading an image at any offset; every byte is checked before it is given out.

mod fetch;
mod map;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::ImageError;
use crate::object_store::ObjectStore;
use crate::pool::{Admission, Permit};
use crate::segment::Table;
use crate::state::Loaded;
use crate::store::{ImageInfo, Shared, info};

use fetch::{Fetcher, Verified};
use map::{Located, SegmentMap};

/// Checksum tables kept, the most recently used.
const TABLES_MAX: usize = 64;
/// A sequential read after a jump fetches this many times what the one before it did.
const GROWTH: u64 = 4;

/// How far [`Reader::try_read`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum ReadOutcome {
    /// So many bytes are in the buffer, perhaps fewer than it holds. 0 only at the end of the image, or for an empty
    /// buffer.
    Read(usize),
    /// Nothing is here. Await [`Reader::fetch`], then try again.
    NeedsIo,
}

/// Verified bytes of the image.
struct Window {
    start: u64,
    data: Bytes,
    _permit: Permit,
}

impl Window {
    /// What the window holds from `offset` on; empty if `offset` is outside.
    fn from(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.data.get(skip..)).unwrap_or_default()
    }
}

/// A segment on its way.
struct Ahead {
    located: Located,
    task: JoinHandle<(Result<Verified, ImageError>, Permit)>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An image open for reading, as it was when it was opened.
///
/// **Threads.** [`Self::try_read`] never waits, makes no request and needs no runtime: it copies from data that is
/// here and checked. [`Self::fetch`] and [`Self::read_into`] must run in the runtime the reader was opened in.
///
/// **Access.** In sequence, whole segments are fetched, the next ones ahead of time as far as the memory budget
/// allows. After a jump, only the blocks asked for (and their segment's checksum table) are fetched, then more and
/// more as long as reading goes on from there.
///
/// **Errors.** Data that does not match its checksum is read again, then reported as [`ImageError::Corrupt`], never
/// returned. A reader can be used after any error.
pub struct Reader<S: ObjectStore> {
    shared: Arc<Shared<S>>,
    admission: Arc<Admission>,
    fetcher: Fetcher<S>,
    info: ImageInfo,
    map: SegmentMap,
    tail: Bytes,
    window: Option<Window>,
    ahead: VecDeque<Ahead>,
    tables: VecDeque<(u64, Arc<Table>)>,
    /// Where the last read ended: reading on from here is sequential.
    expected: u64,
    /// Bytes the last fetch brought, or would have with an unlimited segment.
    reach: u64,
    /// Segments in a row that were read to their end.
    streak: u32,
}

impl<S: ObjectStore> std::fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("info", &self.info).finish_non_exhaustive()
    }
}

impl<S: ObjectStore> Reader<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, admission: Arc<Admission>, loaded: Loaded) -> Self {
        let info = info(&loaded.manifest, &loaded.tail);
        let map = SegmentMap::new(loaded.manifest.extents, loaded.manifest.block_size);
        Self {
            fetcher: Fetcher::new(Arc::clone(&shared), info.identity.clone()),
            shared,
            admission,
            info,
            map,
            tail: loaded.tail,
            window: None,
            ahead: VecDeque::new(),
            tables: VecDeque::new(),
            expected: 0,
            reach: u64::MAX,
            streak: 0,
        }
    }

    /// The image as it was when it was opened.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// Size of the image in bytes.
    pub fn size(&self) -> u64 {
        self.info.size
    }

    /// Copies what is here from `offset` on, without waiting.
    pub fn try_read(&mut self, offset: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while done < buffer.len() {
            let here = self.here(offset.saturating_add(done as u64));
            let count = here.len().min(buffer.len() - done);
            if count == 0 {
                break;
            }
            buffer[done..done + count].copy_from_slice(&here[..count]);
            done += count;
        }
        if done == 0 && !buffer.is_empty() && offset < self.size() {
            return ReadOutcome::NeedsIo;
        }
        if done > 0 {
            self.expected = offset + done as u64;
        }
        ReadOutcome::Read(done)
    }

    /// Reads into the buffer, waiting as necessary. Fewer bytes than it holds only at the end of the image.
    pub async fn read_into(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.saturating_add(done as u64);
            match self.try_read(at, &mut buffer[done..]) {
                ReadOutcome::Read(0) => break,
                ReadOutcome::Read(count) => done += count,
                ReadOutcome::NeedsIo => self.fetch(at, buffer.len() - done).await?,
            }
        }
        Ok(done)
    }

    /// Brings at least one byte from `offset` on, if the image has one; `len` is what the caller wants in all.
    pub async fn fetch(&mut self, offset: u64, len: usize) -> Result<(), ImageError> {
        if !self.here(offset).is_empty() {
            return Ok(());
        }
        let Some(located) = self.map.find(offset) else { return Ok(()) };
        self.window = None;
        let sequential = offset == self.expected;
        if !sequential {
            self.reach = 0;
            self.streak = 0;
        }
        while self.ahead.front().is_some_and(|ahead| ahead.located != located) {
            self.ahead.pop_front();
        }
        match self.ahead.pop_front() {
            Some(mut ahead) => {
                let ended = (&mut ahead.task).await;
                let (verified, permit) =
                    ended.map_err(|_| ImageError::Interrupted { image: self.info.identity.clone() })?;
                self.keep(located, located.start, verified?, permit);
                self.streak = self.streak.saturating_add(1);
            }
            None => self.fetch_now(located, offset, len).await?,
        }
        self.read_ahead(located);
        Ok(())
    }

    /// Fetches from the block that holds `offset`, as far as the access pattern and the memory allow.
    async fn fetch_now(&mut self, located: Located, offset: u64, len: usize) -> Result<(), ImageError> {
        let Located { start, shape } = located;
        let block = u64::from(shape.block_size);
        let from = (offset - start) / block * block;
        let wanted = (offset - start - from).saturating_add(len as u64);
        self.reach = self.reach.saturating_mul(GROWTH).max(wanted);
        let mut to = round_up(from.saturating_add(self.reach), block).min(shape.data_len);
        let chunk = u64::from(self.shared.config.chunk_size);
        let chunks = usize::try_from((to - from).div_ceil(chunk)).unwrap_or(usize::MAX);
        let permit = if let Some(permit) = self.admission.try_take(chunks) {
            permit
        } else {
            // Memory is short: what is set aside for this reader must do. It is free, the window was dropped.
            to = round_up(from + chunk.max(block) - block + 1, block).min(shape.data_len);
            let own = self.admission.try_take(1);
            own.ok_or_else(|| ImageError::Interrupted { image: self.info.identity.clone() })?
        };
        let table = self.tables.iter().find(|(of, _)| *of == start).map(|(_, table)| Arc::clone(table));
        let verified = self.fetcher.fetch(shape, from..to, table).await?;
        self.keep(located, start + from, verified, permit);
        self.streak = if to == shape.data_len { self.streak.saturating_add(1) } else { 0 };
        Ok(())
    }

    fn keep(&mut self, located: Located, start: u64, (data, table): Verified, permit: Permit) {
        self.window = Some(Window { start, data, _permit: permit });
        self.tables.retain(|(of, _)| *of != located.start);
        self.tables.push_front((located.start, table));
        self.tables.truncate(TABLES_MAX);
    }

    /// Starts fetching the segments after `current`: none after the first, then 1, 3, 7, … up to the setting.
    fn read_ahead(&mut self, current: Located) {
        let limit = 1usize.checked_shl(self.streak.saturating_sub(1)).map_or(usize::MAX, |limit| limit - 1);
        let limit = limit.min(self.shared.config.read_ahead);
        let mut next = self.ahead.back().map_or(current.end(), |last| last.located.end());
        while self.ahead.len() < limit
            && let Some(located) = self.map.find(next)
        {
            let chunk = u64::from(self.shared.config.chunk_size);
            let chunks = usize::try_from(located.shape.data_len.div_ceil(chunk)).unwrap_or(usize::MAX);
            let Some(permit) = self.admission.try_take_shared(chunks) else { break };
            let fetcher = self.fetcher.clone();
            let task = tokio::spawn(async move {
                let shape = located.shape;
                (fetcher.fetch(shape, 0..shape.data_len, None).await, permit)
            });
            self.ahead.push_back(Ahead { located, task });
            next = located.end();
        }
    }

    /// What is here from `offset` on.
    fn here(&self, offset: u64) -> &[u8] {
        if let Some(in_tail) = offset.checked_sub(self.map.len()) {
            let skip = usize::try_from(in_tail).unwrap_or(usize::MAX);
            return self.tail.get(skip..).unwrap_or_default();
        }
        self.window.as_ref().map_or(&[], |window| window.from(offset))
    }
}

fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit).saturating_mul(unit)
}
