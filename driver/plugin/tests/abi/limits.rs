//! The ends of every range: sizes, write and read lengths, names.

use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EINVAL, STS_MAX_IMAGENAME, STS_MAX_IO, STS_MAX_POLICYNAME, STS_O_READ,
};

use super::{Server, definition, with_each_library};

/// Bytes whose value depends on where they are.
fn stream(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 15).to_le_bytes()[0]).collect()
}

fn write_complete(server: &Server<'_>, name: &[u8], policy: &[u8], data: &[u8], step: usize) {
    let image = server.create(&definition(name, policy)).unwrap();
    for (at, piece) in (0..).zip(data.chunks(step)) {
        assert_eq!(server.write(image, piece, at * step as u64), Ok(piece.len() as u64));
    }
    server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();
}

#[test]
fn sizes_around_a_block_and_reads_around_the_end() {
    with_each_library("abi::limits::sizes_around_a_block_and_reads_around_the_end", |host| {
        let server = host.server();
        let whole = stream(1024);
        let source = definition(b"source", b"");
        write_complete(&server, b"source", b"", &whole, 512);
        for size in [0, 1, 511, 512, 513, 1023, 1024] {
            let name = definition(format!("size{size}").as_bytes(), b"");
            let image = server.create(&name).unwrap();
            if size > 0 {
                assert_eq!(server.include(image, &source, (0, size), 0), Ok(size));
            }
            server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();
            assert_eq!(server.properties_by_name(&name).unwrap().imo_size, size);
            let image = server.open(&name, STS_O_READ).unwrap();
            let wanted = &whole[..usize::try_from(size).unwrap()];
            for offset in [0, 1, 510, 511, 512, 513, 1022, 1023, 1024, 1025] {
                for length in [0, 1, 2, 511, 512, 513, 2048] {
                    let rest = wanted.get(offset..).unwrap_or_default();
                    let there = &rest[..rest.len().min(length)];
                    let read = server.read(image, length, offset as u64).unwrap();
                    assert!(read == there, "{size}: {offset} {length}");
                }
            }
            assert_eq!(server.read(image, 512, u64::MAX), Ok(Vec::new()));
            server.close_image(image, 0).unwrap();
            server.delete(&name).unwrap();
        }
        server.delete(&source).unwrap();
    });
}

#[test]
fn writes_from_one_block_to_the_longest() {
    with_each_library("abi::limits::writes_from_one_block_to_the_longest", |host| {
        let server = host.server();
        let longest = usize::try_from(STS_MAX_IO).unwrap();
        let data = stream(longest);
        let name = definition(b"lengths", b"");
        let image = server.create(&name).unwrap();
        let (mut size, lengths) = (0, [512, 1024, 65_536, 262_144, (1 << 20) + 512, longest]);
        for length in lengths {
            assert_eq!(server.write(image, &data[..length], size), Ok(length as u64));
            size += length as u64;
        }
        for length in [511, 513, 65_535] {
            assert_eq!(server.write(image, &data[..length], size), Err(STS_EINVAL), "{length}");
        }
        assert_eq!(server.write(image, &stream(longest + 512), size), Err(STS_EINVAL));
        server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();

        let image = server.open(&name, STS_O_READ).unwrap();
        let mut at = 0;
        for length in lengths {
            assert!(server.read(image, length, at).unwrap() == data[..length], "{length}");
            at += length as u64;
        }
        // The last write again, from anywhere in it, by lengths that fit no block nor segment.
        let begin = at - longest as u64;
        for (offset, length) in [(1, 3), (131_071, 131_074), (4_194_303, 2), (16_777_213, 5_000_011)] {
            let there = &data[offset..offset + length];
            assert!(server.read(image, length, begin + offset as u64).unwrap() == there, "{offset} {length}");
        }
        assert_eq!(server.read(image, longest, at - 1), Ok(data[longest - 1..].to_vec()));
        server.close_image(image, 0).unwrap();
        server.delete(&name).unwrap();
    });
}

/// Nobody can wait for so much to be written, so a gibibyte is, and becomes the sixteen thousandth part of the image.
#[test]
fn an_image_of_sixteen_tebibytes() {
    with_each_library("abi::limits::an_image_of_sixteen_tebibytes", |host| {
        const GIB: u64 = 1 << 30;
        const PARTS: u64 = 16 * 1024;
        let server = host.server();
        let (source, whole) = (definition(b"gibibyte", b""), definition(b"tebibytes", b""));
        let longest = usize::try_from(STS_MAX_IO).unwrap();
        let data = stream(longest);
        let image = server.create(&source).unwrap();
        for at in (0..GIB).step_by(longest) {
            assert_eq!(server.write(image, &data, at), Ok(STS_MAX_IO));
        }
        server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();

        let image = server.create(&whole).unwrap();
        for part in 0..PARTS {
            assert_eq!(server.include(image, &source, (0, GIB), part * GIB), Ok(GIB));
        }
        assert_eq!(server.write(image, &data[..512], PARTS * GIB), Ok(512));
        server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();
        assert_eq!(server.properties_by_name(&whole).unwrap().imo_size, PARTS * GIB + 512);
        server.delete(&source).unwrap();

        let image = server.open(&whole, STS_O_READ).unwrap();
        let ends = [0, (4 << 30) - 3, (1 << 40) - 1, (1 << 43) + 12_345, PARTS * GIB - 7];
        for at in ends {
            let within = usize::try_from(at % STS_MAX_IO).unwrap();
            let there: Vec<_> = data.iter().cycle().skip(within).take(9).copied().collect();
            assert_eq!(server.read(image, 9, at), Ok(there), "{at}");
        }
        assert_eq!(server.read(image, 1024, PARTS * GIB), Ok(data[..512].to_vec()));
        assert_eq!(server.read(image, 1, PARTS * GIB + 512), Ok(Vec::new()));
        server.close_image(image, 0).unwrap();
        server.delete(&whole).unwrap();
    });
}

#[test]
fn names_of_every_byte_and_of_the_longest_length() {
    with_each_library("abi::limits::names_of_every_byte_and_of_the_longest_length", |host| {
        let server = host.server();
        let every: Vec<u8> = (1..=255).collect();
        assert_eq!(every.len(), STS_MAX_IMAGENAME - 1);
        assert_eq!(every.len(), STS_MAX_POLICYNAME - 1);
        let longest = vec![b'x'; STS_MAX_IMAGENAME - 1];
        let names: [(&[u8], &[u8]); 9] = [
            (&every, &every),
            (&every, b""),
            (&longest, &longest),
            (&[0xff; 255], &[b'/'; 255]),
            (b".", b".."),
            (b"..", b""),
            (b"a/b//c", b" "),
            (b"%2F", b"%"),
            (b"x", b"x"),
        ];
        for (name, policy) in names {
            write_complete(&server, name, policy, &stream(512), 512);
        }
        let (mut wanted, mut found) = (names.map(|(n, p)| (n.to_vec(), p.to_vec())), server.list());
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
        for (name, policy) in names {
            let definition = definition(name, policy);
            let image = server.open(&definition, STS_O_READ).unwrap();
            assert!(server.read(image, 513, 0).unwrap() == stream(512));
            server.close_image(image, 0).unwrap();
            server.delete(&definition).unwrap();
        }
        // A name without an end within its field.
        let mut endless = definition(b"x", b"");
        endless.img_basename = [1; STS_MAX_IMAGENAME];
        assert_eq!(server.create(&endless), Err(STS_EINVAL));
        endless = definition(b"", b"policy");
        assert_eq!(server.create(&endless), Err(STS_EINVAL));
    });
}
