//! Reading an image at any offset; every byte is checked before it is given out.

pub(crate) mod fetch;
mod map;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::ImageError;
use crate::layout::WriterId;
use crate::manifest::Inline;
use crate::object_store::ObjectStore;
use crate::pool::{Admission, Permit};
use crate::segment::{Shape, Table};
use crate::state::Loaded;
use crate::store::{ImageInfo, Shared, info};

use fetch::{Fetcher, Verified};
use map::{Located, SegmentMap};

/// Checksum tables kept, the most recently used.
const TABLES_MAX: usize = 64;
/// Times that a read starts over because the image is being laid out anew.
const MOVES_MAX: usize = 4;
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

/// Windows kept, the most recently used: small ranges of a few segments often take turns.
const WINDOWS_MAX: usize = 4;

/// A segment, by its name in the bucket.
type Place = (WriterId, u32);

fn place_of(shape: Shape) -> Place {
    (shape.series.writer, shape.index)
}

/// Verified bytes of one segment.
struct Window {
    of: Place,
    /// Where they begin in the segment's data.
    start: u64,
    data: Bytes,
    /// The image has this segment once and wholly: reading on, the window will not be needed again.
    whole: bool,
    _permit: Permit,
}

impl Window {
    /// What the window holds of a piece from `offset` of the image on; empty if it is somewhere else.
    fn from(&self, located: Located, offset: u64) -> &[u8] {
        if self.of != place_of(located.shape()) {
            return &[];
        }
        let skip = located.place(offset).checked_sub(self.start);
        let here = skip.and_then(|skip| self.data.get(usize::try_from(skip).ok()?..)).unwrap_or_default();
        let left = usize::try_from(located.end() - offset).unwrap_or(usize::MAX);
        &here[..here.len().min(left)]
    }
}

/// A segment on its way.
struct Ahead {
    located: Located,
    /// Where what is fetched begins in the segment's data.
    start: u64,
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
    /// Its first writer: another image of that name, created after a delete, has another one.
    creator: Option<WriterId>,
    map: SegmentMap,
    inline: Inline,
    windows: VecDeque<Window>,
    ahead: VecDeque<Ahead>,
    tables: VecDeque<(Place, Arc<Table>)>,
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
        let info = info(&loaded);
        let creator = loaded.manifest.holders.first().copied();
        let map = SegmentMap::new(loaded.manifest.extents);
        Self {
            fetcher: Fetcher::new(Arc::clone(&shared), info.identity.clone(), loaded.seal),
            shared,
            admission,
            info,
            creator,
            map,
            inline: loaded.inline,
            windows: VecDeque::new(),
            ahead: VecDeque::new(),
            tables: VecDeque::new(),
            expected: 0,
            reach: u64::MAX,
            streak: 0,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
    }

    /// The first writer of the image.
    pub(crate) fn creator(&self) -> Option<WriterId> {
        self.creator
    }

    /// The image as it was when it was opened.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// What the host keeps beside the image; empty if it never did.
    pub fn metadata(&self) -> &[u8] {
        &self.inline.meta
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
        for _ in 0..MOVES_MAX {
            match self.fetch_here(offset, len).await {
                // The image was laid out anew while it was read; what it says is the same.
                Err(ImageError::Moved { .. }) => self.follow().await?,
                other => return other,
            }
        }
        Err(ImageError::Moved { image: self.info.identity.clone() })
    }

    async fn fetch_here(&mut self, offset: u64, len: usize) -> Result<(), ImageError> {
        if !self.here(offset).is_empty() {
            return Ok(());
        }
        let Some(located) = self.map.find(offset) else { return Ok(()) };
        self.windows.retain(|window| !window.whole);
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
                self.keep(located, ahead.start, verified?, permit);
                self.streak = self.streak.saturating_add(1);
            }
            None => self.fetch_now(located, offset, len).await?,
        }
        self.read_ahead(located);
        Ok(())
    }

    /// Reads the image's state again and goes on with what it says now.
    async fn follow(&mut self) -> Result<(), ImageError> {
        let image = self.info.identity.clone();
        let there = self.shared.load(&image).await?;
        if there.manifest.holders.first() != self.creator.as_ref() || info(&there).size != self.info.size {
            return Err(ImageError::NotFound { image });
        }
        self.ahead.clear();
        self.map = SegmentMap::new(there.manifest.extents.clone());
        self.fetcher = Fetcher::new(Arc::clone(&self.shared), image, there.seal);
        self.inline = there.inline;
        Ok(())
    }

    /// Fetches from the block that holds `offset`, as far as the access pattern and the memory allow.
    async fn fetch_now(&mut self, located: Located, offset: u64, len: usize) -> Result<(), ImageError> {
        let shape = located.shape();
        let (block, place, worth) =
            (u64::from(shape.series.block_size), located.place(offset), located.worth());
        let from = place / block * block;
        let wanted = (place - from).saturating_add(len as u64);
        self.reach = self.reach.saturating_mul(GROWTH).max(wanted);
        let mut to = round_up(from.saturating_add(self.reach), block).min(worth.end);
        let chunk = u64::from(self.shared.config.chunk_size);
        self.windows.truncate(WINDOWS_MAX - 1);
        let permit = loop {
            let chunks = usize::try_from((to - from).div_ceil(chunk)).unwrap_or(usize::MAX);
            if let Some(permit) = self.admission.try_take(chunks) {
                break permit;
            }
            // Memory is short: first what may be needed again goes, then what is set aside for this reader must do.
            if self.windows.pop_back().is_none() {
                to = round_up(from + chunk.max(block) - block + 1, block).min(shape.data_len);
                let own = self.admission.try_take(1);
                break own.ok_or_else(|| ImageError::Interrupted { image: self.info.identity.clone() })?;
            }
        };
        let of = place_of(shape);
        let table = self.tables.iter().find(|(known, _)| *known == of).map(|(_, table)| Arc::clone(table));
        let verified = self.fetcher.fetch(shape, from..to, table).await?;
        self.keep(located, from, verified, permit);
        self.streak = if to >= worth.end { self.streak.saturating_add(1) } else { 0 };
        Ok(())
    }

    fn keep(&mut self, located: Located, start: u64, (data, table): Verified, permit: Permit) {
        let of = place_of(located.shape());
        let whole = located.piece.length == located.shape().data_len;
        self.windows.truncate(WINDOWS_MAX - 1);
        self.windows.push_front(Window { of, start, data, whole, _permit: permit });
        self.tables.retain(|(known, _)| *known != of);
        self.tables.push_front((of, table));
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
            next = located.end();
            if self.windows.iter().any(|window| !window.from(located, located.start).is_empty()) {
                continue;
            }
            let chunk = u64::from(self.shared.config.chunk_size);
            let worth = located.worth();
            let chunks = usize::try_from((worth.end - worth.start).div_ceil(chunk)).unwrap_or(usize::MAX);
            let Some(permit) = self.admission.try_take_shared(chunks) else { break };
            let (fetcher, start) = (self.fetcher.clone(), worth.start);
            let task =
                tokio::spawn(async move { (fetcher.fetch(located.shape(), worth, None).await, permit) });
            self.ahead.push_back(Ahead { located, start, task });
        }
    }

    /// What is here from `offset` on.
    fn here(&self, offset: u64) -> &[u8] {
        if let Some(in_tail) = offset.checked_sub(self.map.len()) {
            let skip = usize::try_from(in_tail).unwrap_or(usize::MAX);
            return self.inline.tail.get(skip..).unwrap_or_default();
        }
        let Some(located) = self.map.find(offset) else { return &[] };
        let here = self.windows.iter().map(|window| window.from(located, offset));
        here.max_by_key(|here| here.len()).unwrap_or_default()
    }
}

fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit).saturating_mul(unit)
}
