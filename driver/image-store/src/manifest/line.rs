//! The header line of a state object as JSON, both ways.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::copied::CopiedLine;
use super::{Extent, Inline, Manifest, Stored};
use crate::checksum::crc32c;
use crate::identity::{ImageIdentity, escape, unescape};
use crate::layout::WriterId;
use crate::segment::Series;

const FORMAT: u32 = 1;
/// Most extents of an image: about 4 MiB of manifest.
pub(crate) const EXTENTS_MAX: usize = 100_000;

/// The members of the line, in their order in the object.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    format: u32,
    base_name: String,
    date: u64,
    policy: String,
    state: Stored,
    epoch: u64,
    writer: String,
    busy: bool,
    lease_seconds: u32,
    renewal: u64,
    size: u64,
    block_size: u32,
    holders: Vec<String>,
    writers: Vec<Writer>,
    extents: Vec<(usize, u32, u32, u64, u64, u64, u64)>,
    tail_length: u64,
    tail_crc32c: String,
    meta_length: u64,
    meta_crc32c: String,
    created: u64,
    committed: Option<u64>,
    locked_until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copied: Option<CopiedLine>,
}

/// Whose segments an extent names.
#[derive(Serialize, Deserialize)]
struct Writer {
    id: String,
    block_size: u32,
    /// The id in the footers, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

impl Writer {
    fn of(series: Series) -> Self {
        let origin = (series.origin != series.writer).then(|| series.origin.to_string());
        Self { id: series.writer.to_string(), block_size: series.block_size, origin }
    }

    fn series(&self) -> Option<Series> {
        let writer = WriterId::parse(&self.id)?;
        let origin = self.origin.as_ref().map_or(Some(writer), |text| WriterId::parse(text))?;
        Some(Series { writer, origin, block_size: self.block_size })
    }
}

impl Line {
    pub(super) fn new(manifest: &Manifest, inline: &Inline, tail_crc: u32, meta_crc: u32) -> Self {
        let mut numbers = std::collections::HashMap::new();
        let mut writers = Vec::new();
        let extents = manifest.extents.iter().map(|extent| {
            let number = *numbers.entry(extent.series).or_insert_with(|| {
                writers.push(Writer::of(extent.series));
                writers.len() - 1
            });
            let Extent { first, count, segment_size, last_size, skip, length, .. } = *extent;
            (number, first, count, segment_size, last_size, skip, length)
        });
        let extents = extents.collect();
        Self {
            format: FORMAT,
            base_name: escape(&manifest.identity.base_name),
            date: manifest.identity.date,
            policy: escape(&manifest.identity.policy),
            state: manifest.state,
            epoch: manifest.epoch,
            writer: manifest.writer.to_string(),
            busy: manifest.busy,
            lease_seconds: manifest.lease_seconds,
            renewal: manifest.renewal,
            size: manifest.extents_len() + inline.tail.len() as u64,
            block_size: manifest.block_size,
            holders: manifest.holders.iter().map(WriterId::to_string).collect(),
            writers,
            extents,
            tail_length: inline.tail.len() as u64,
            tail_crc32c: format!("{tail_crc:08x}"),
            meta_length: inline.meta.len() as u64,
            meta_crc32c: format!("{meta_crc:08x}"),
            created: manifest.created,
            committed: manifest.committed,
            locked_until: manifest.locked_until,
            copied: manifest.copied.as_deref().map(CopiedLine::of),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Cuts the bytes after the line in two, and checks them and the format.
    pub(super) fn split(&self, rest: &Bytes) -> Result<Inline, String> {
        if self.format != FORMAT {
            return Err(format!("format {} is newer than this program reads ({FORMAT})", self.format));
        }
        let damaged =
            || format!("the {} bytes after the header line do not match their checksums", rest.len());
        if self.tail_length.checked_add(self.meta_length) != Some(rest.len() as u64) {
            return Err(damaged());
        }
        let at = usize::try_from(self.tail_length).map_err(|_| damaged())?;
        let inline = Inline { tail: rest.slice(..at), meta: rest.slice(at..) };
        let matches = |text: &str, data: &Bytes| *text == format!("{:08x}", crc32c(data));
        let whole = matches(&self.tail_crc32c, &inline.tail) && matches(&self.meta_crc32c, &inline.meta);
        if whole { Ok(inline) } else { Err(damaged()) }
    }

    /// `None` if the members do not fit together.
    pub(super) fn into_manifest(self) -> Option<Manifest> {
        let writers: Vec<Series> = self.writers.iter().map(Writer::series).collect::<Option<_>>()?;
        let extents =
            self.extents.iter().map(|&(writer, first, count, segment_size, last_size, skip, length)| {
                let series = *writers.get(writer)?;
                let extent = Extent { series, first, count, segment_size, last_size, skip, length };
                extent.is_sound().then_some(extent)
            });
        let extents: Vec<Extent> = extents.collect::<Option<_>>()?;
        let sound = self.block_size > 0 && extents.len() <= EXTENTS_MAX;
        sound.then_some(Manifest {
            identity: ImageIdentity::new(unescape(&self.base_name)?, self.date, unescape(&self.policy)?)
                .ok()?,
            state: self.state,
            epoch: self.epoch,
            writer: WriterId::parse(&self.writer)?,
            busy: self.busy,
            lease_seconds: self.lease_seconds,
            renewal: self.renewal,
            block_size: self.block_size,
            extents,
            holders: self.holders.iter().map(|text| WriterId::parse(text)).collect::<Option<_>>()?,
            created: self.created,
            committed: self.committed,
            locked_until: self.locked_until,
            copied: match self.copied {
                Some(line) => Some(Box::new(line.read()?)),
                None => None,
            },
        })
    }
}
