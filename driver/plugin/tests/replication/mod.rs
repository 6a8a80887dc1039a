//! Copies, operations and events as hosts see them, within a cluster and between two.

mod operations;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_EAGAIN, STS_EBUSY, STS_EEXIST, STS_EHANDLE, STS_EINVAL,
    STS_ENOENT, STS_EOFFSET, STS_EOK, STS_II_BUSY_WRITE, STS_II_IMAGE_CREATED, STS_II_IMAGE_PENDING,
};

use crate::host::{LIBRARIES, LSU, MT, Route, ST, World};
use crate::steps::{Steps, digest, pattern};

const MIB: u64 = 1 << 20;
const COMPLETE: u32 = STS_CLOSEF_IH_COMPLETE;
const LSU2: &str = "lsu2";
/// A little more than a lease.
const LEASE: u64 = 484;

/// Two clusters: the hosts of the first one know the second as a target.
struct Pair {
    near: World,
    far: World,
}

impl Pair {
    fn new() -> Self {
        let (near, far) = (World::new(Route::Pool, None), World::new(Route::Pool, None));
        near.cluster.create_bucket(LSU2, &format!("{LSU}-owner")).unwrap();
        let secret = near.config_path().with_file_name("far-password");
        fs::write(&secret, "123456\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let target = far.config(Route::Pool).replace("[server.vast1]", "[server.vast2]");
        near.write_config(&format!(
            "{}{target}user = \"admin\"\npassword_file = \"{}\"\n[server.vast1.replication]\n\
             {LSU} = [\"VastData:vast2:{LSU}\"]\n{LSU2} = [\"VastData:vast2:{LSU}\"]\n",
            near.config(Route::Pool),
            secret.display()
        ));
        far.write_config(&format!(
            "{}[server.vast1.replication_sources]\n{LSU} = [\"VastData:elsewhere:{LSU}\"]\n",
            far.config(Route::Pool)
        ));
        Self { near, far }
    }

    /// A host of the first cluster that has the second one open as its target.
    fn host(&self, library: &str) -> Steps {
        let mut host = Steps::start(&self.near, library);
        host.ok(&format!("open_target 0 vast2:{LSU}"));
        host
    }

    /// Time passes on both clusters. Leases are judged by these clocks alone.
    fn pass(&self, seconds: u64) {
        for world in [&self.near, &self.far] {
            world.cluster.advance(Duration::from_secs(seconds)).unwrap();
        }
    }

    /// What is at the target of a name.
    fn status(&self, name: &str) -> u64 {
        let mut host = Steps::start(&self.far, ST);
        let status = host.ok(&format!("prop_by_name 0 {name}")).get("status");
        host.end();
        status
    }

    fn segments(&self) -> usize {
        self.far.left().iter().filter(|key| key.starts_with("segment/")).count()
    }

    /// Markers of copiers that are left at the source.
    fn assert_source_is_unmarked(&self, images: usize) {
        let markers = self.near.left().into_iter().filter(|key| key.starts_with("holder/"));
        assert_eq!(markers.count(), images, "{:?}", self.near.left());
    }
}

fn backup(host: &mut Steps, name: &str, seed: u64, size: u64) {
    host.ok(&format!("create 15 {name}"));
    if size > 0 {
        host.ok(&format!("write 15 - {seed} 0 {size}"));
    }
    host.ok(&format!("close 15 - {COMPLETE}"));
}

/// Reads a whole image and compares.
#[track_caller]
fn reads(host: &mut Steps, name: &str, wanted: &[u8]) {
    host.ok(&format!("open_read 14 {name}"));
    let answer = host.ok(&format!("read 14 - 0 {}", wanted.len() + 1));
    assert_eq!((answer.get("count"), answer.get("digest")), (wanted.len() as u64, digest(wanted)), "{name}");
    host.ok("close 14 - 0");
}

#[test]
fn whole_images_are_copied_to_a_target_and_within_the_cluster() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = pair.host(library);
        let images = [("large", 1, 12 * MIB + 512), ("small", 2, 1024), ("empty", 3, 0)];
        for (name, seed, size) in images {
            backup(&mut host, name, seed, size);
            host.ok(&format!("copy 0 {name}:{name}"));
            // Copied already: that is what was asked for.
            host.ok(&format!("copy 0 {name}:{name}"));
        }
        // The server stays busy while its target is open.
        host.gives(STS_EBUSY, "close_source 0 -");
        let mut other = Steps::start(&pair.far, library);
        for (name, seed, size) in images {
            reads(&mut other, name, &pattern(seed, 0, size));
        }
        backup(&mut other, "taken", 9, 512);
        host.gives(STS_EEXIST, "copy 0 small:taken");
        host.gives(STS_EEXIST, "copy 0 small:large");
        host.gives(STS_ENOENT, "copy 0 missing:x");
        host.ok("create 1 pending");
        host.gives(STS_EACCESS, "copy 0 pending:x");
        host.ok("close 1 - 0");
        host.ok("close_target 0 -");
        // Within the cluster: on the same LSU. The server copies, so the source is not read.
        let got = |pair: &Pair| {
            let vips = pair.near.cluster.counters().vips;
            vips.values().filter_map(|vip| vip.operations.get("CopyObject")).map(|o| o.requests).sum::<u64>()
        };
        let before = got(&pair);
        host.ok("copy 0 large:twin");
        assert!(got(&pair) - before >= 3, "nothing was copied by the server");
        host.ok("delete 0 large");
        reads(&mut host, "twin", &pattern(1, 0, 12 * MIB + 512));
        for name in ["twin", "small", "empty", "pending"] {
            host.ok(&format!("delete 0 {name}"));
        }
        for name in ["large", "small", "empty", "taken"] {
            other.ok(&format!("delete 0 {name}"));
        }
        host.end();
        other.end();
        for world in [&pair.near, &pair.far] {
            assert_eq!(world.left(), Vec::<String>::new(), "{library}");
        }
    }
}

#[test]
fn a_copy_of_a_killed_host_is_not_visible_early_and_goes_on_after_its_lease() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = pair.host(library);
        backup(&mut host, "a", 1, 40 * MIB);
        host.ok("begin_copy 0 a:a");
        for _ in 0..3 {
            host.gives(STS_EAGAIN, &format!("end_copy 0 - {COMPLETE}"));
        }
        host.kill();
        let there = pair.segments();
        assert!(there >= 3, "{there}");
        assert_eq!(pair.status("a"), u64::from(STS_II_IMAGE_PENDING | STS_II_BUSY_WRITE));
        let mut host = pair.host(library);
        host.gives(STS_EBUSY, "copy 0 a:a");
        host.gives(STS_EBUSY, "begin_copy 0 a:a");
        pair.pass(LEASE);
        let puts = |pair: &Pair| {
            let vips = pair.far.cluster.counters().vips;
            vips.values().filter_map(|vip| vip.operations.get("PutObject")).map(|o| o.requests).sum::<u64>()
        };
        let before = puts(&pair);
        host.ok("copy 0 a:a");
        assert_eq!(pair.status("a"), u64::from(STS_II_IMAGE_CREATED));
        // What was there was not sent again; the rest are segments, markers and two states.
        let sent = puts(&pair) - before;
        let missing = (pair.segments() - there) as u64;
        assert!(sent <= missing + 6, "{sent} for {missing} segments");
        pair.assert_source_is_unmarked(1);
        let mut other = Steps::start(&pair.far, library);
        reads(&mut other, "a", &pattern(1, 0, 40 * MIB));
        other.end();
        host.ok("close_target 0 -");
        host.end();
    }
}

/// The defect of 2008: whoever clears away an unfinished copy must never reach its source.
#[test]
fn a_copy_that_was_given_up_is_deleted_and_its_source_is_not() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = pair.host(library);
        backup(&mut host, "a", 1, 20 * MIB);
        host.ok("begin_copy 0 a:a");
        host.gives(STS_EAGAIN, &format!("end_copy 0 - {COMPLETE}"));
        host.gives(STS_EINVAL, "end_copy 0 - 6");
        host.gives(STS_EBUSY, "close_target 0 -");
        host.ok("end_copy 0 - 0");
        host.gives(STS_EHANDLE, "end_copy 0 - 0");
        assert_eq!(pair.status("a"), u64::from(STS_II_IMAGE_PENDING));
        host.ok("at 0 far");
        host.ok("delete 0 a");
        host.gives(STS_ENOENT, "delete 0 a");
        assert_eq!(pair.far.left(), Vec::<String>::new());
        host.ok("at 0 near");
        reads(&mut host, "a", &pattern(1, 0, 20 * MIB));
        // And begun again, it is a copy like any other.
        host.ok("begin_copy 0 a:a");
        let ended = host.while_it_gives(STS_EAGAIN, &format!("end_copy 0 - {COMPLETE}"));
        assert_eq!(ended.code(), STS_EOK);
        host.ok("at 0 far");
        reads(&mut host, "a", &pattern(1, 0, 20 * MIB));
        host.ok("delete 0 a");
        host.ok("at 0 near");
        host.ok("delete 0 a");
        host.ok("close_target 0 -");
        host.end();
    }
}

#[test]
fn extents_are_copied_anywhere_and_move_no_data_within_an_lsu() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = pair.host(library);
        backup(&mut host, "a", 1, 20 * MIB);
        for place in ["near", "far"] {
            host.ok("at 0 near");
            host.ok("open_read 0 a");
            host.ok("open_read 2 a");
            host.ok(&format!("at 0 {place}"));
            host.ok("create 1 extents");
            host.ok("write 1 - 5 0 512");
            let mut wanted = pattern(5, 0, 512);
            let before = pair.near.left().len();
            for (from, length) in [(0, 256 * 1024), (1_000_001, 17 * MIB + 3), (20 * MIB - 1, 1), (7, 1)] {
                let at = wanted.len();
                let copied = host.ok(&format!("copy_extent 0 1 {from} {length} {at}"));
                assert_eq!(copied.get("count"), length);
                wanted.extend(pattern(1, from, length));
            }
            host.gives(STS_EOFFSET, &format!("copy_extent 0 1 0 512 {}", wanted.len() + 1));
            host.gives(STS_EOFFSET, &format!("copy_extent 0 1 {} 2 {}", 20 * MIB - 1, wanted.len()));
            host.gives(STS_EINVAL, &format!("copy_extent 0 1 0 0 {}", wanted.len()));
            // One image cannot be both ends; neither end may be open in the wrong way.
            host.gives(STS_EBUSY, &format!("copy_extent 1 1 0 1 {}", wanted.len()));
            host.gives(STS_EACCESS, "copy_extent 1 0 0 1 0");
            host.gives(STS_EACCESS, "copy_extent 0 2 0 1 0");
            host.ok("close 2 - 0");
            host.ok(&format!("close 1 - {COMPLETE}"));
            if place == "near" {
                // A segment for what was written and the bytes between, the state object and markers.
                assert!(pair.near.left().len() - before <= 6, "{:?}", pair.near.left());
            }
            reads(&mut host, "extents", &wanted);
            host.ok("delete 0 extents");
            host.ok("close 0 - 0");
        }
        host.ok("close_target 0 -");
        host.ok("at 0 near");
        host.ok("delete 0 a");
        host.end();
        for world in [&pair.near, &pair.far] {
            assert_eq!(world.left(), Vec::<String>::new(), "{library}");
        }
    }
}

#[test]
fn a_label_is_kept_with_the_lsu() {
    let world = World::new(Route::Pool, None);
    let mut host = Steps::start(&world, ST);
    let label = |host: &mut Steps| host.ok("lsu_prop 0 -").get("label");
    assert_eq!(label(&mut host), digest(b""));
    host.ok("label 0 gold-1");
    assert_eq!(label(&mut Steps::start(&world, MT)), digest(b"gold-1"));
    host.ok("label 0 -");
    assert_eq!(label(&mut host), digest(b""));
    host.gives(STS_EINVAL, "long_label 0 - 256");
    host.ok("long_label 0 - 255");
    assert_eq!(label(&mut host), digest(&[b'l'; 255]));
    host.ok("label 0 -");
    host.end();
    assert_eq!(world.left(), Vec::<String>::new());
}
