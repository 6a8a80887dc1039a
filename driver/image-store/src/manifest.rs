//! The state object of an image: one line of JSON, a newline, then the bytes of the image's tail. The format is in
//! `LAYOUT.md`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checksum::{crc32c, join};
use crate::identity::{ImageIdentity, escape, unescape};
use crate::layout::WriterId;
use crate::object_store::Payload;
use crate::segment::Shape;

const FORMAT: u32 = 1;
/// Most extents of an image: about 4 MiB of manifest.
pub(crate) const EXTENTS_MAX: usize = 100_000;
/// Largest segment that is believed, in bytes.
const SEGMENT_SIZE_MAX: u64 = 5 << 30;
const CRC_MEMBER: &str = ",\"crc32c\":\"";
/// `,"crc32c":"01234567"}`
const CRC_SUFFIX: usize = CRC_MEMBER.len() + 8 + 2;

/// Life-cycle state as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Stored {
    Pending,
    Created,
    Deleting,
}

/// Consecutive segments of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) writer: WriterId,
    /// Index of the first segment.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Bytes of data in each segment but the last.
    pub(crate) segment_size: u64,
    /// Bytes of data in all of them.
    pub(crate) length: u64,
}

impl Extent {
    /// The `number`th segment of the extent, which must be below `count`.
    pub(crate) fn segment(&self, number: u32, block_size: u32) -> Shape {
        let before = u64::from(number) * self.segment_size;
        let data_len = self.length.saturating_sub(before).min(self.segment_size);
        Shape { writer: self.writer, index: self.first + number, data_len, block_size }
    }

    fn is_sound(&self) -> bool {
        self.length > 0
            && (1..=SEGMENT_SIZE_MAX).contains(&self.segment_size)
            && u64::from(self.count) == self.length.div_ceil(self.segment_size)
            && self.first.checked_add(self.count).is_some()
    }
}

/// What a state object says, apart from the tail's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) identity: ImageIdentity,
    pub(crate) state: Stored,
    pub(crate) epoch: u64,
    pub(crate) writer: WriterId,
    pub(crate) busy: bool,
    pub(crate) lease_seconds: u32,
    pub(crate) block_size: u32,
    pub(crate) extents: Vec<Extent>,
    pub(crate) created: u64,
    pub(crate) committed: Option<u64>,
}

impl Manifest {
    /// Bytes in segments.
    pub(crate) fn extents_len(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// Adds one segment at the end.
    pub(crate) fn push_segment(&mut self, segment: &Shape) {
        if let Some(last) = self.extents.last_mut() {
            let whole = last.length == u64::from(last.count) * last.segment_size;
            let follows = last.writer == segment.writer && last.first + last.count == segment.index;
            if whole && follows && segment.data_len <= last.segment_size {
                last.count += 1;
                last.length += segment.data_len;
                return;
            }
        }
        self.extents.push(Extent {
            writer: segment.writer,
            first: segment.index,
            count: 1,
            segment_size: segment.data_len,
            length: segment.data_len,
        });
    }

    /// The object: header line and tail.
    pub(crate) fn encode(&self, tail: Bytes) -> Result<Encoded, String> {
        let mut writers: Vec<WriterId> = Vec::new();
        let extents = self.extents.iter().map(|extent| {
            let writer = writers.iter().rposition(|writer| *writer == extent.writer).unwrap_or_else(|| {
                writers.push(extent.writer);
                writers.len() - 1
            });
            (writer, extent.first, extent.count, extent.segment_size, extent.length)
        });
        let extents = extents.collect();
        let tail_crc = crc32c(&tail);
        let line = Line {
            format: FORMAT,
            base_name: escape(&self.identity.base_name),
            date: self.identity.date,
            policy: escape(&self.identity.policy),
            state: self.state,
            epoch: self.epoch,
            writer: self.writer.to_string(),
            busy: self.busy,
            lease_seconds: self.lease_seconds,
            size: self.extents_len() + tail.len() as u64,
            block_size: self.block_size,
            writers: writers.iter().map(WriterId::to_string).collect(),
            extents,
            tail_length: tail.len() as u64,
            tail_crc32c: format!("{tail_crc:08x}"),
            created: self.created,
            committed: self.committed,
            crc32c: None,
        };
        let mut header = serde_json::to_vec(&line).map_err(|error| error.to_string())?;
        header.pop();
        let crc = crc32c(&header);
        header.extend_from_slice(format!("{CRC_MEMBER}{crc:08x}\"}}\n").as_bytes());
        let crc = join(crc32c(&header), tail_crc, tail.len() as u64);
        Ok(Encoded { header: header.into(), tail, crc32c: crc })
    }

    /// Reads an object back. The error says what is wrong with it.
    pub(crate) fn decode(object: &Bytes) -> Result<(Self, Bytes), String> {
        let end = object.iter().position(|byte| *byte == b'\n').ok_or("the header line does not end")?;
        let (line, tail) = (&object[..end], object.slice(end + 1..));
        let covered = line.len().checked_sub(CRC_SUFFIX).ok_or("the header line is too short")?;
        let suffix = format!("{CRC_MEMBER}{:08x}\"}}", crc32c(&line[..covered]));
        if line[covered..] != *suffix.as_bytes() {
            return Err("the header line does not match its checksum".to_owned());
        }
        let line: Line =
            serde_json::from_slice(line).map_err(|error| format!("the header line is malformed: {error}"))?;
        if line.format != FORMAT {
            return Err(format!("format {} is newer than this program reads ({FORMAT})", line.format));
        }
        if line.tail_length != tail.len() as u64 || line.tail_crc32c != format!("{:08x}", crc32c(&tail)) {
            return Err(format!(
                "the {} bytes after the header line do not match their checksum",
                tail.len()
            ));
        }
        let size = line.size;
        let manifest = line.into_manifest().ok_or("the header line contradicts itself")?;
        let extents = manifest.extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.length));
        if extents.and_then(|sum| sum.checked_add(tail.len() as u64)) != Some(size) {
            return Err(format!("the extents and the tail do not add up to the size, {size}"));
        }
        Ok((manifest, tail))
    }
}

/// A state object ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) header: Bytes,
    pub(crate) tail: Bytes,
    crc32c: u32,
}

impl Encoded {
    pub(crate) fn payload(&self) -> Payload {
        Payload { parts: vec![self.header.clone(), self.tail.clone()], crc32c: self.crc32c }
    }

    /// Whether an object read back is this one: same writer, state and content, by the checksums in the header.
    pub(crate) fn is(&self, object: &Bytes) -> bool {
        object.len() == self.header.len() + self.tail.len() && object.starts_with(&self.header)
    }
}

/// The header line as JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    format: u32,
    base_name: String,
    date: u64,
    policy: String,
    state: Stored,
    epoch: u64,
    writer: String,
    busy: bool,
    lease_seconds: u32,
    size: u64,
    block_size: u32,
    writers: Vec<String>,
    extents: Vec<(usize, u32, u32, u64, u64)>,
    tail_length: u64,
    tail_crc32c: String,
    created: u64,
    committed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32c: Option<String>,
}

impl Line {
    fn into_manifest(self) -> Option<Manifest> {
        let writers: Option<Vec<_>> = self.writers.iter().map(|text| WriterId::parse(text)).collect();
        let writers = writers?;
        let extents: Option<Vec<_>> = self
            .extents
            .iter()
            .map(|&(writer, first, count, segment_size, length)| {
                let extent = Extent { writer: *writers.get(writer)?, first, count, segment_size, length };
                extent.is_sound().then_some(extent)
            })
            .collect();
        let sound = self.block_size > 0 && self.extents.len() <= EXTENTS_MAX;
        sound.then_some(Manifest {
            identity: ImageIdentity::new(unescape(&self.base_name)?, self.date, unescape(&self.policy)?)
                .ok()?,
            state: self.state,
            epoch: self.epoch,
            writer: WriterId::parse(&self.writer)?,
            busy: self.busy,
            lease_seconds: self.lease_seconds,
            block_size: self.block_size,
            extents: extents?,
            created: self.created,
            committed: self.committed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mut manifest = Manifest {
            identity: ImageIdentity::new(b"a b/\xff\"".to_vec(), 5, "").unwrap(),
            state: Stored::Created,
            epoch: 2,
            writer: WriterId([9; 16]),
            busy: false,
            lease_seconds: 480,
            block_size: 16,
            extents: Vec::new(),
            created: 100,
            committed: Some(200),
        };
        let shape = |writer, index, data_len| Shape {
            writer: WriterId([writer; 16]),
            index,
            data_len,
            block_size: 16,
        };
        for segment in [shape(8, 0, 64), shape(8, 1, 64), shape(8, 2, 10), shape(9, 0, 64), shape(9, 1, 128)]
        {
            manifest.push_segment(&segment);
        }
        manifest
    }

    fn object(encoded: &Encoded) -> Bytes {
        encoded.payload().parts.concat().into()
    }

    #[test]
    fn segments_of_one_size_are_one_extent() {
        let manifest = sample();
        assert_eq!(manifest.extents.len(), 3, "{manifest:?}");
        let first = manifest.extents[0];
        assert_eq!((first.count, first.segment_size, first.length), (3, 64, 138));
        assert_eq!(first.segment(2, 16).data_len, 10);
        assert_eq!(first.segment(1, 16).index, 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let encoded = sample().encode(Bytes::from_static(b"tail\nbytes")).unwrap();
        let object = object(&encoded);
        assert!(encoded.is(&object));
        assert_eq!(crc32c(&object), encoded.payload().crc32c);
        let (manifest, tail) = Manifest::decode(&object).unwrap();
        assert_eq!(manifest, sample());
        assert_eq!(&tail[..], b"tail\nbytes");
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let object = object(&sample().encode(Bytes::from_static(b"tail")).unwrap());
        for at in 0..object.len() {
            for bit in 0..8 {
                let mut bad = object.to_vec();
                bad[at] ^= 1 << bit;
                assert!(Manifest::decode(&bad.into()).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Manifest::decode(&object.slice(..at)).is_err(), "cut at {at}");
        }
    }

    /// Replaces text in a valid line and signs it again.
    fn forge(from: &str, to: &str) -> Bytes {
        let object = object(&sample().encode(Bytes::new()).unwrap());
        let line = String::from_utf8(object[..object.len() - 1 - CRC_SUFFIX].to_vec()).unwrap();
        assert!(line.contains(from), "{line}");
        let line = line.replacen(from, to, 1);
        format!("{line}{CRC_MEMBER}{:08x}\"}}\n", crc32c(line.as_bytes())).into_bytes().into()
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(Manifest::decode(&forge("480", "481")).is_ok());
        for (from, to) in [
            ("\"format\":1", "\"format\":2"),
            ("[0,0,3,64,138]", "[0,0,2,64,138]"),
            ("[0,0,3,64,138]", "[0,0,3,0,138]"),
            ("[0,0,3,64,138]", "[7,0,3,64,138]"),
            ("[0,0,3,64,138]", "[0,4294967295,3,64,138]"),
            ("\"block_size\":16", "\"block_size\":0"),
            ("CREATED", "OTHER"),
            ("\"size\":330", "\"size\":331"),
        ] {
            assert!(Manifest::decode(&forge(from, to)).is_err(), "{to}");
        }
    }
}
