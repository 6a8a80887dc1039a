//! The state object of an image: one line of JSON, a newline, then the bytes of the image's tail and its metadata. The
//! format is in `LAYOUT.md`.

mod copied;
pub(crate) mod extent;
mod line;
pub(crate) mod signed;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checksum::{crc32c, join};
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::object_store::Payload;

pub(crate) use copied::Copied;
pub(crate) use extent::{Extent, Piece};
pub(crate) use line::EXTENTS_MAX;
use line::Line;

/// Life-cycle state as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Stored {
    Pending,
    Created,
    Deleting,
}

/// What a state object says, apart from the bytes after the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) identity: ImageIdentity,
    pub(crate) state: Stored,
    pub(crate) epoch: u64,
    pub(crate) writer: WriterId,
    pub(crate) busy: bool,
    pub(crate) lease_seconds: u32,
    /// Counts the renewals of the lease, so that each is another object.
    pub(crate) renewal: u64,
    /// Bytes under one checksum in what this writer writes.
    pub(crate) block_size: u32,
    pub(crate) extents: Vec<Extent>,
    /// All writers that the image has had: whose markers may hold segments for it.
    pub(crate) holders: Vec<WriterId>,
    pub(crate) created: u64,
    pub(crate) committed: Option<u64>,
    /// Until when the image may not be deleted, in seconds since the epoch by the server's clock.
    pub(crate) locked_until: Option<u64>,
    /// What the image is, or is going to be, a copy of.
    pub(crate) copied: Option<Box<Copied>>,
}

/// The bytes after the line: the end of the image, and what the host keeps beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inline {
    pub(crate) tail: Bytes,
    pub(crate) meta: Bytes,
}

impl Manifest {
    /// Bytes in segments.
    pub(crate) fn extents_len(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// The writers whose segments the image uses, each once.
    pub(crate) fn sources(&self) -> Vec<WriterId> {
        let mut seen = std::collections::HashSet::new();
        let writers = self.extents.iter().map(|extent| extent.series.writer);
        writers.filter(|writer| seen.insert(*writer)).collect()
    }

    /// The manifest once another writer has the image open.
    pub(crate) fn passed_on_to(self, writer: WriterId, lease_seconds: u32) -> Self {
        let mut holders = self.holders;
        holders.push(writer);
        Self {
            epoch: self.epoch + 1,
            writer,
            busy: true,
            lease_seconds,
            renewal: 0,
            holders,
            copied: None,
            ..self
        }
    }

    /// The object: header line, tail and metadata.
    pub(crate) fn encode(&self, inline: &Inline) -> Result<Encoded, String> {
        let (tail_crc, meta_crc) = (crc32c(&inline.tail), crc32c(&inline.meta));
        let line = Line::new(self, inline, tail_crc, meta_crc);
        let header = signed::sign(&line)?;
        let crc = join(crc32c(&header), tail_crc, inline.tail.len() as u64);
        let crc = join(crc, meta_crc, inline.meta.len() as u64);
        Ok(Encoded { header: header.into(), inline: inline.clone(), crc32c: crc })
    }

    /// Reads an object back. The error says what is wrong with it.
    pub(crate) fn decode(object: &Bytes) -> Result<(Self, Inline), String> {
        let (line, rest) = signed::split(object)?;
        let line: Line = serde_json::from_slice(&line)
            .map_err(|error| format!("the header line is malformed: {error}"))?;
        let inline = line.split(&rest)?;
        let size = line.size();
        let manifest = line.into_manifest().ok_or("the header line contradicts itself")?;
        let extents = manifest.extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.length));
        if extents.and_then(|sum| sum.checked_add(inline.tail.len() as u64)) != Some(size) {
            return Err(format!("the extents and the tail do not add up to the size, {size}"));
        }
        Ok((manifest, inline))
    }
}

/// A state object ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    header: Bytes,
    inline: Inline,
    crc32c: u32,
}

impl Encoded {
    pub(crate) fn payload(&self) -> Payload {
        let Inline { tail, meta } = self.inline.clone();
        Payload { parts: vec![self.header.clone(), tail, meta], crc32c: self.crc32c }
    }

    /// Whether an object read back is this one: same writer, state and content, by the checksums in the header.
    pub(crate) fn is(&self, object: &Bytes) -> bool {
        let len = self.header.len() + self.inline.tail.len() + self.inline.meta.len();
        object.len() == len && object.starts_with(&self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::signed::{CRC_MEMBER, CRC_SUFFIX};
    use super::*;
    use crate::segment::{Series, Shape};

    fn sample() -> Manifest {
        let mut manifest = Manifest {
            renewal: 3,
            holders: vec![WriterId([8; 16]), WriterId([9; 16])],
            locked_until: Some(300),
            copied: Some(Box::new(Copied {
                identity: ImageIdentity::new(b"\xfe/".to_vec(), 6, "p").unwrap(),
                writer: WriterId([1; 16]),
                epoch: 3,
                copier: WriterId([2; 16]),
                writers: vec![(WriterId([1; 16]), WriterId([8; 16]))],
            })),
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
        let mut add = |writer, origin, index, data_len, skip, length| {
            let series =
                Series { writer: WriterId([writer; 16]), origin: WriterId([origin; 16]), block_size: 16 };
            let piece = Piece { shape: Shape { series, index, data_len }, skip, length };
            extent::push(&mut manifest.extents, piece.into());
        };
        add(8, 8, 0, 64, 0, 64);
        add(8, 8, 1, 64, 0, 64);
        add(8, 8, 2, 10, 0, 10);
        add(9, 7, 0, 64, 5, 50);
        add(9, 7, 1, 128, 0, 128);
        manifest
    }

    fn inline(tail: &'static [u8], meta: &'static [u8]) -> Inline {
        Inline { tail: Bytes::from_static(tail), meta: Bytes::from_static(meta) }
    }

    fn object(encoded: &Encoded) -> Bytes {
        encoded.payload().parts.concat().into()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let encoded = sample().encode(&inline(b"tail\nbytes", b"meta")).unwrap();
        let object = object(&encoded);
        assert!(encoded.is(&object));
        assert_eq!(crc32c(&object), encoded.payload().crc32c);
        let (manifest, read) = Manifest::decode(&object).unwrap();
        assert_eq!(manifest, sample());
        assert_eq!(read, inline(b"tail\nbytes", b"meta"));
        assert_eq!(manifest.sources(), [WriterId([8; 16]), WriterId([9; 16])]);
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let object = object(&sample().encode(&inline(b"tail", b"m")).unwrap());
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
        let object = object(&sample().encode(&Inline::default()).unwrap());
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
            ("[0,0,3,64,10,0,138]", "[0,0,2,64,10,0,138]"),
            ("[0,0,3,64,10,0,138]", "[0,0,3,0,10,0,138]"),
            ("[0,0,3,64,10,0,138]", "[0,0,3,64,9,0,138]"),
            ("[0,0,3,64,10,0,138]", "[0,0,3,64,10,1,138]"),
            ("[0,0,3,64,10,0,138]", "[7,0,3,64,10,0,138]"),
            ("[0,0,3,64,10,0,138]", "[0,4294967295,3,64,10,0,138]"),
            ("\"block_size\":16", "\"block_size\":0"),
            ("CREATED", "OTHER"),
            ("\"size\":316", "\"size\":317"),
        ] {
            assert!(Manifest::decode(&forge(from, to)).is_err(), "{to}");
        }
    }
}
