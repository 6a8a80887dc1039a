//! Images as several processes see them: included ranges, metadata, leases, taking over, deleting.

use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_EBUSY, STS_ECONFIG, STS_EEXIST, STS_EFENCED, STS_EINVAL,
    STS_ENOENT, STS_EOFFSET, STS_II_BUSY_WRITE, STS_II_IMAGE_CREATED, STS_II_IMAGE_PENDING,
    STS_MAX_IMAGE_META,
};

use vast_sim::{Effect, Fault};

use crate::host::{LIBRARIES, MT, Route, ST, World};
use crate::steps::{Steps, digest, pass, pattern};

const MIB: u64 = 1 << 20;
const COMPLETE: u32 = STS_CLOSEF_IH_COMPLETE;
const PENDING: u64 = STS_II_IMAGE_PENDING as u64;
const BUSY: u64 = PENDING | STS_II_BUSY_WRITE as u64;

/// Writes a complete image of one stream.
fn backup(host: &mut Steps, name: &str, seed: u64, size: u64) {
    host.ok(&format!("create 15 {name}"));
    host.ok(&format!("write 15 - {seed} 0 {size}"));
    host.ok(&format!("close 15 - {COMPLETE}"));
}

/// Reads at an offset and compares.
#[track_caller]
fn reads(host: &mut Steps, slot: u32, wanted: &[u8], offset: usize, length: usize) {
    let answer = host.ok(&format!("read {slot} - {offset} {length}"));
    let end = wanted.len().min(offset + length);
    assert_eq!(answer.get("count"), (end - offset) as u64, "{offset} {length}");
    assert_eq!(answer.get("digest"), digest(&wanted[offset..end]), "{offset} {length}");
}

/// Segments in the bucket.
fn segments(world: &World) -> usize {
    world.left().iter().filter(|key| key.starts_with("segment/")).count()
}

#[test]
fn included_ranges_are_read_back_after_their_sources_are_gone() {
    for library in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let mut host = Steps::start(&world, library);
        let sources = [("large", 6 * MIB), ("small", 1024)];
        for (seed, (name, size)) in (1..).zip(sources) {
            backup(&mut host, name, seed, size);
        }
        let before = segments(&world);
        host.ok("create 0 synthetic");
        host.ok("write 0 - 3 0 512");
        let mut wanted = pattern(3, 0, 512);
        let ranges = [
            (0, 1_000_001, 3_333_333),
            (0, 4 * MIB - 1, 2),
            (1, 1, 1022),
            (0, 0, 6 * MIB),
            (1, 0, 1024),
            (0, 6 * MIB - 1, 1),
            (0, 1_000_001, 3_333_333),
        ];
        for (source, from, length) in ranges {
            let at = wanted.len();
            host.ok(&format!("include 0 {} {from} {length} {at}", sources[source].0));
            wanted.extend(pattern(source as u64 + 1, from, length));
        }
        host.ok(&format!("write 0 - 4 {} 1536", wanted.len()));
        wanted.extend(pattern(4, wanted.len() as u64, 1536));
        host.ok(&format!("close 0 - {COMPLETE}"));
        // The few bytes that were written lie in segments of their own; nothing else was added.
        assert!(segments(&world) - before <= 3, "{library}: {:?}", world.left());
        host.ok("delete 0 large");
        host.ok("delete 1 small");
        host.end();

        let mut host = Steps::start(&world, library);
        host.ok("open_read 0 synthetic");
        assert_eq!(host.ok("prop 0 -").get("size"), wanted.len() as u64);
        reads(&mut host, 0, &wanted, 0, wanted.len() + 1);
        for at in [0, 511, 512, 1_000_000, 3_333_844, 3_333_846, 3_334_869, wanted.len() - 1] {
            for length in [1, 513, 262_145] {
                reads(&mut host, 0, &wanted, at, length);
            }
        }
        host.ok("close 0 - 0");
        host.ok("delete 0 synthetic");
        host.end();
        assert_eq!(world.left(), Vec::<String>::new(), "{library}");
    }
}

#[test]
fn an_include_that_cannot_be_has_its_code_and_leaves_the_writer_as_it_was() {
    for library in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let mut host = Steps::start(&world, library);
        backup(&mut host, "source", 1, 5 * MIB);
        host.ok("create 0 target");
        host.ok("create 1 pending");
        for (code, include) in [
            (STS_ENOENT, "missing 0 1 0"),
            (STS_EACCESS, "pending 0 1 0"),
            (STS_EACCESS, "target 0 1 0"),
            (STS_EINVAL, "source 0 0 0"),
            (STS_EOFFSET, "source 0 1 1"),
            (STS_EOFFSET, "source 5242880 1 0"),
            (STS_EOFFSET, "source 0 5242881 0"),
            (STS_EOFFSET, "source 18446744073709551615 2 0"),
        ] {
            host.gives(code, &format!("include 0 {include}"));
        }
        host.ok("include 0 source 5242879 1 0");
        host.ok(&format!("close 0 - {COMPLETE}"));
        host.ok("open_read 0 target");
        reads(&mut host, 0, &pattern(1, 5 * MIB - 1, 1), 0, 512);
        host.gives(STS_EACCESS, "include 0 source 0 1 1");
        host.ok("close 0 - 0");
        host.ok("close 1 - 0");
        for name in ["pending", "source", "target"] {
            host.ok(&format!("delete 0 {name}"));
        }
        host.end();
        assert_eq!(world.left(), Vec::<String>::new(), "{library}");
    }
}

#[test]
fn metadata_is_written_in_pieces_and_kept_with_the_image() {
    for library in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let mut host = Steps::start(&world, library);
        host.ok("create 0 image");
        assert_eq!(host.ok("read_meta 0 - 0 100").get("count"), 0);
        host.ok("meta 0 abcdef 0");
        host.ok("meta 0 XY 2");
        host.ok("meta 0 ghi 6");
        host.gives(STS_EOFFSET, "meta 0 x 10");
        host.gives(STS_EINVAL, &format!("big_meta 0 - 1 {STS_MAX_IMAGE_META}"));
        assert_eq!(host.ok("prop 0 -").get("meta"), 9);
        // Durable with the data, and not before.
        assert_eq!(host.ok("prop_by_name 0 image").get("meta"), 0);
        host.ok("flush 0 -");
        assert_eq!(host.ok("prop_by_name 0 image").get("meta"), 9);
        host.ok("write 0 - 1 0 1024");
        host.ok("close 0 - 0");
        host.end();

        let mut host = Steps::start(&world, library);
        host.ok("open_write 0 image");
        let answer = host.ok("read_meta 0 - 0 100");
        assert_eq!((answer.get("count"), answer.get("digest")), (9, digest(b"abXYefghi")));
        host.ok(&format!("big_meta 0 - 9 {}", STS_MAX_IMAGE_META - 9));
        host.ok("meta 0 Z 0");
        host.ok(&format!("close 0 - {COMPLETE}"));
        let answer = host.ok("prop_by_name 0 image");
        assert_eq!((answer.get("size"), answer.get("meta")), (1024, STS_MAX_IMAGE_META));
        host.ok("open_read 0 image");
        assert_eq!(host.ok("read_meta 0 - 7 3").get("digest"), digest(b"him"));
        assert_eq!(host.ok(&format!("read_meta 0 - {STS_MAX_IMAGE_META} 3")).get("count"), 0);
        assert_eq!(host.ok("read_meta 0 - 65000 1000").get("count"), 536);
        host.gives(STS_EACCESS, "meta 0 x 0");
        reads(&mut host, 0, &pattern(1, 0, 1024), 0, 2000);
        host.ok("close 0 - 0");
        host.ok("delete 0 image");
        host.end();
        assert_eq!(world.left(), Vec::<String>::new(), "{library}");
    }
}

#[test]
fn a_second_process_sees_pending_and_busy_and_the_states_that_follow() {
    let world = World::new(Route::Pool, None);
    let (mut first, mut second) = (Steps::start(&world, ST), Steps::start(&world, MT));
    let status = |host: &mut Steps| {
        let answer = host.ok("prop_by_name 0 image");
        (answer.get("status"), answer.get("size"))
    };
    first.ok("create 0 image");
    assert_eq!(status(&mut second), (BUSY, 0));
    second.gives(STS_EBUSY, "create 0 image");
    second.gives(STS_EBUSY, "open_write 0 image");
    first.ok("write 0 - 1 0 1024");
    first.ok("close 0 - 0");
    assert_eq!(status(&mut second), (PENDING, 1024));
    second.gives(STS_EEXIST, "create 0 image");

    second.ok("open_write 0 image");
    assert_eq!(status(&mut first), (BUSY, 1024));
    first.gives(STS_EBUSY, "open_write 0 image");
    second.gives(STS_EOFFSET, "write 0 - 1 0 512");
    second.gives(STS_EOFFSET, "write 0 - 1 1536 512");
    second.ok("write 0 - 1 1024 512");
    second.ok(&format!("close 0 - {COMPLETE}"));
    assert_eq!(status(&mut first), (u64::from(STS_II_IMAGE_CREATED), 1536));
    for host in [&mut first, &mut second] {
        host.gives(STS_EACCESS, "open_write 0 image");
        host.gives(STS_EEXIST, "create 0 image");
        host.ok("open_read 0 image");
        reads(host, 0, &pattern(1, 0, 1536), 0, 4096);
        host.ok("close 0 - 0");
    }
    // Deleting is for once; the second time, and for anybody else, there is no such image.
    first.ok("delete 0 image");
    first.gives(STS_ENOENT, "delete 0 image");
    second.gives(STS_ENOENT, "delete 1 image");
    second.gives(STS_ENOENT, "prop_by_name 0 image");
    first.end();
    second.end();
    assert_eq!(world.left(), Vec::<String>::new());
}

/// However slow it is, and whatever it calls.
#[test]
fn a_writer_that_calls_keeps_its_image() {
    for library in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let (mut writer, mut rival) = (Steps::start(&world, library), Steps::start(&world, library));
        backup(&mut writer, "source", 1, 1024);
        writer.ok("create 0 image");
        let calls = [
            "prop 0 -",
            "write 0 - 2 0 1024",
            "meta 0 x 0",
            "read_meta 0 - 0 1",
            "include 0 source 0 1024 1024",
            "flush 0 -",
        ];
        for call in calls {
            pass(&world, 300, &mut [&mut writer, &mut rival]);
            writer.ok(call);
            pass(&world, 300, &mut [&mut writer, &mut rival]);
            let status = rival.ok("prop_by_name 0 image").get("status");
            assert_eq!(status, BUSY, "{library}: {call} renewed nothing");
            rival.gives(STS_EBUSY, "open_write 0 image");
            writer.ok("prop 0 -");
        }
        writer.ok(&format!("close 0 - {COMPLETE}"));
        rival.ok("delete 0 image");
        rival.ok("delete 0 source");
        writer.end();
        rival.end();
        assert_eq!(world.left(), Vec::<String>::new(), "{library}");
    }
}

#[test]
fn a_silent_writer_loses_its_image_and_is_told() {
    for library in LIBRARIES {
        for told_by in ["flush 0 -", "prop 0 -", "write 0 - 1 6291456 512", "meta 0 x 0", "close 0 - 1"] {
            let world = World::new(Route::Pool, None);
            let (mut old, mut new) = (Steps::start(&world, library), Steps::start(&world, library));
            old.ok("create 0 image");
            old.ok(&format!("write 0 - 1 0 {}", 5 * MIB));
            old.ok("flush 0 -");
            old.ok(&format!("write 0 - 7 {} {MIB}", 5 * MIB));
            pass(&world, 479, &mut [&mut old, &mut new]);
            new.gives(STS_EBUSY, "open_write 0 image");
            pass(&world, 4, &mut [&mut old, &mut new]);
            assert_eq!(new.ok("prop_by_name 0 image").get("status"), PENDING, "{library}");
            new.ok("open_write 0 image");
            new.ok(&format!("write 0 - 1 {} {MIB}", 5 * MIB));
            old.gives(STS_EFENCED, told_by);
            if !told_by.starts_with("close") {
                old.gives(STS_EFENCED, &format!("write 0 - 1 {} 512", 6 * MIB));
                old.gives(STS_EFENCED, "close 0 - 0");
            }
            new.ok(&format!("close 0 - {COMPLETE}"));
            new.ok("open_read 0 image");
            reads(&mut new, 0, &pattern(1, 0, 6 * MIB), 0, 7 << 20);
            new.ok("close 0 - 0");
            new.ok("delete 0 image");
            old.end();
            new.end();
            assert_eq!(world.left(), Vec::<String>::new(), "{library}: {told_by}");
        }
    }
}

#[test]
fn the_length_of_a_lease_comes_from_the_configuration() {
    let world = World::new(Route::Pool, None);
    world.write_config(&format!("{}lease_seconds = 60\n", world.config(Route::Pool)));
    let (mut old, mut new) = (Steps::start(&world, ST), Steps::start(&world, MT));
    old.ok("create 0 image");
    pass(&world, 59, &mut [&mut old, &mut new]);
    new.gives(STS_EBUSY, "open_write 0 image");
    pass(&world, 4, &mut [&mut old, &mut new]);
    new.ok("open_write 0 image");
    old.gives(STS_EFENCED, "close 0 - 0");
    new.ok("close 0 - 0");
    new.ok("delete 0 image");
    old.end();
    new.end();
    assert_eq!(world.left(), Vec::<String>::new());
    world.write_config(&format!("{}lease_seconds = 86401\n", world.config(Route::Pool)));
    let said = world.host(ST, "expect", &[&STS_ECONFIG.to_string(), "create"]);
    assert!(said.log.contains("lease_seconds"), "{}", said.log);
}

/// A source's last bytes lie in its manifest: including those needs none of its segments.
#[test]
fn a_source_of_which_no_segment_is_needed_is_free_to_go() {
    for library in LIBRARIES {
        for close in [0, COMPLETE] {
            let world = World::new(Route::Pool, None);
            let mut host = Steps::start(&world, library);
            backup(&mut host, "source", 1, 4 * MIB + 512);
            host.ok("create 0 target");
            host.gives(STS_EOFFSET, &format!("include 0 source 0 {} 0", 5 * MIB));
            host.ok(&format!("include 0 source {} 512 0", 4 * MIB));
            host.ok(&format!("close 0 - {close}"));
            host.ok("delete 0 source");
            assert_eq!(segments(&world), 0, "{library}");
            host.ok("open_read 0 target");
            reads(&mut host, 0, &pattern(1, 4 * MIB, 512), 0, 512);
            host.ok("close 0 - 0");
            host.ok("delete 0 target");
            host.end();
            assert_eq!(world.left(), Vec::<String>::new(), "{library}");
        }
    }
}

/// An image that is deleted and made again under a reader: what the reader gives is of the image that it opened, or nothing.
#[test]
fn a_reader_never_mixes_an_image_with_its_successor() {
    for library in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let mut host = Steps::start(&world, library);
        backup(&mut host, "image", 1, 12 * MIB);
        host.ok("open_read 0 image");
        reads(&mut host, 0, &pattern(1, 0, 12 * MIB), 0, 512);
        host.ok("delete 0 image");
        backup(&mut host, "image", 2, 12 * MIB);
        for at in [11 * MIB, 0, 5 * MIB] {
            host.gives(STS_ENOENT, &format!("read 0 - {at} 512"));
        }
        host.ok("create 1 extents");
        host.gives(STS_ENOENT, &format!("copy_extent 0 1 {} 512 0", 7 * MIB));
        host.ok("close 1 - 0");
        host.ok("delete 1 extents");
        host.ok("close 0 - 0");
        host.ok("delete 0 image");
        host.end();
        assert_eq!(world.left(), Vec::<String>::new(), "{library}");
    }
}

/// The cluster takes a renewal, loses the answer and is not to be asked what became of it: the image is still the writer's.
#[test]
fn a_renewal_of_unknown_outcome_costs_no_image() {
    let world = World::new(Route::Pool, None);
    world.write_config(&format!("{}call_timeout = 1\n", world.config(Route::Pool)));
    let mut host = Steps::start(&world, ST);
    host.ok("create 0 image");
    host.ok("write 0 - 1 0 1024");
    let faults = world.cluster.faults();
    let lost = Fault::s3(Effect::AnswerLost).on("PutObject").key_prefix("image/").times(1);
    let busy = || Effect::Error { status: 503, code: "SlowDown".to_owned(), message: String::new() };
    faults.add(lost).unwrap();
    for (operation, skip) in [("PutObject", 1), ("GetObject", 0)] {
        faults.add(Fault::s3(busy()).on(operation).key_prefix("image/").skip(skip)).unwrap();
    }
    pass(&world, 300, &mut [&mut host]);
    host.ok("prop 0 -");
    assert!(faults.list().iter().all(|fault| fault.hits > 0), "{:?}", faults.list());
    faults.clear();
    host.ok(&format!("close 0 - {COMPLETE}"));
    assert_eq!(host.ok("prop_by_name 0 image").get("size"), 1024);
    host.ok("delete 0 image");
    host.end();
    assert_eq!(world.left(), Vec::<String>::new());
}
