//! The backup stream: POSIX tar (pax), readable by GNU tar.
//!
//! A pax record is written only for what the plain header cannot say: nanoseconds, names over 100 bytes, links over
//! 100 bytes, sparse files (GNU's pax format 1.0). Names are bytes; nothing is transcoded.

mod decode;
mod encode;
mod pax;
mod sparse;

pub(crate) use decode::{Member, MemberReader, StreamError};
pub(crate) use encode::{Head, encode};
pub(crate) use sparse::{Segment, encode_map};

/// Bytes of a tar block; every header and all content is a multiple of it.
pub(crate) const BLOCK: usize = 512;

/// What ends a stream: two blocks of zeros.
pub(crate) const TRAILER: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::catalog::FileKind;
    use proptest::prelude::*;
    use std::io::Read;

    fn head(path: &[u8]) -> Head<'_> {
        Head {
            path,
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            mtime_nsec: 0,
            size: 0,
            stored: 0,
            sparse: false,
            link: None,
            device: (0, 0),
        }
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(1u8..=255, 1..300).prop_map(|mut name| {
            for byte in &mut name {
                if *byte == b'/' {
                    *byte = b'_';
                }
            }
            name
        })
    }

    proptest! {
        #[test]
        fn a_member_reads_back_as_it_was_written(
            path in name(), link in name(), symlink: bool,
            mode in 0u32..0o10000, uid: u32, gid: u32,
            mtime in -10_000_000_000i64..1_000_000_000_000, mtime_nsec in 0u32..1_000_000_000,
            content in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let kind = if symlink { FileKind::Symlink } else { FileKind::File };
            let stored = if symlink { 0 } else { content.len() as u64 };
            let head = Head {
                kind, mode, uid, gid, mtime, mtime_nsec, size: stored, stored,
                link: symlink.then_some(&link[..]), ..head(&path)
            };
            let mut stream = Vec::new();
            encode(&head, &mut stream);
            let data_offset = stream.len() as u64;
            if !symlink {
                stream.extend(&content);
                stream.resize(stream.len().next_multiple_of(BLOCK), 0);
            }
            stream.extend(TRAILER);
            let mut reader = MemberReader::new(&stream[..]);
            let member = reader.next().unwrap().unwrap();
            prop_assert_eq!(&member.path.0, &path);
            prop_assert_eq!((member.kind, member.mode, member.uid, member.gid), (kind, mode, uid, gid));
            prop_assert_eq!((member.mtime, member.mtime_nsec), (mtime, mtime_nsec));
            prop_assert_eq!((member.size, member.data_offset, member.data_length), (stored, data_offset, stored));
            prop_assert_eq!(member.link.map(|l| l.0), symlink.then_some(link));
            let mut read = Vec::new();
            reader.content().read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, if symlink { Vec::new() } else { content });
            prop_assert!(reader.next().unwrap().is_none());
        }

        #[test]
        fn garbage_is_refused_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut reader = MemberReader::new(&bytes[..]);
            while let Ok(Some(_)) = reader.next() {}
        }
    }

    #[test]
    fn a_sparse_member_carries_its_map() {
        let segments = [Segment { offset: 0, length: 5 }, Segment { offset: 1 << 40, length: 3 }];
        let size = (1 << 40) + 10;
        let map = encode_map(&segments, size);
        assert_eq!(map.len() % BLOCK, 0);
        let stored = map.len() as u64 + 8;
        let mut stream = Vec::new();
        encode(&Head { size, stored, sparse: true, ..head(b"sparse\n name") }, &mut stream);
        stream.extend(&map);
        stream.extend(b"helloend");
        stream.resize(stream.len().next_multiple_of(BLOCK), 0);
        stream.extend(TRAILER);
        let mut reader = MemberReader::new(&stream[..]);
        let member = reader.next().unwrap().unwrap();
        assert_eq!(member.path.0, b"sparse\n name");
        assert_eq!((member.size, member.data_length), (size, stored));
        assert_eq!(member.segments.unwrap()[..2], segments);
        let mut data = Vec::new();
        reader.content().read_to_end(&mut data).unwrap();
        assert_eq!(data, b"helloend");
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn a_stream_that_stops_early_is_an_error() {
        let mut stream = Vec::new();
        encode(&Head { size: 600, stored: 600, ..head(b"file") }, &mut stream);
        stream.extend([1; 512]);
        let mut reader = MemberReader::new(&stream[..]);
        reader.next().unwrap().unwrap();
        assert!(reader.next().is_err());
    }
}
