//! Locks as a host sees them: limits, ends, deletes that are refused, and LSUs that have none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_ENOENT, STS_ENOTSUP, STS_EWORMLOCKED, STS_EWORMMAX,
    STS_EWORMMIN, STS_LOCKF_COMPLIANCE, STS_LOCKF_LOCKED, STS_LSUF_WORM, STS_UNKNOWN,
};
use serde_json::{Value, json};

use crate::host::{LIBRARIES, LSU, Route, World};
use crate::steps::Steps;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// A cluster whose LSU has object lock and these further fields, and a configuration with one more line.
fn world(fields: Value, line: &str) -> World {
    let world = World::new(Route::Pool, None);
    let mut all = json!({ "s3_versioning": true, "locking": true });
    if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
        all.extend(fields);
    }
    let views = world.cluster.vms("GET", &format!("views/?bucket={LSU}"), &Value::Null).unwrap();
    world.cluster.vms("PATCH", &format!("views/{}", views[0]["id"]), &all).unwrap();
    world.write_config(&format!("{}{line}\n", world.config(Route::Pool)));
    world
}

/// The clock of a cluster that has not been advanced.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn backup(host: &mut Steps, name: &str, size: u64) {
    host.ok(&format!("create 0 {name}"));
    host.ok(&format!("write 0 - 1 0 {size}"));
    host.ok(&format!("close 0 - {STS_CLOSEF_IH_COMPLETE}"));
}

/// The lock of an image, as both calls tell it: flags and end.
fn lock(host: &mut Steps, name: &str) -> (u64, u64) {
    let [lock, info] = ["get_lock", "prop_by_name"].map(|step| {
        let told = host.ok(&format!("{step} 0 {name}"));
        (told.get("lock_flags"), told.get("lock_until"))
    });
    assert_eq!(lock, info);
    lock
}

/// Fails if anything is left in the bucket: object, version, delete marker or upload.
fn assert_nothing_left(world: &World) {
    assert_eq!(world.left(), Vec::<String>::new());
    let state = world.cluster.raw_state();
    let versions = &state.bucket(LSU).unwrap().versions;
    assert!(versions.is_empty(), "{versions:?}");
}

#[test]
fn a_locked_image_stays_until_its_lock_ends_and_the_lock_has_limits() {
    for library in LIBRARIES {
        let world = world(json!({}), "worm = { minimum = 3600, maximum = 864000 }");
        let mut host = Steps::start(&world, library);
        let lsu = host.ok("lsu_prop 0 -");
        assert_ne!(lsu.get("media") & STS_LSUF_WORM, 0);
        assert_eq!((lsu.get("worm_min"), lsu.get("worm_max")), (HOUR, 10 * DAY));
        // One of several segments, and one that is a single object.
        for (name, size) in [("large", 9 << 20), ("small", 512)] {
            let now = now();
            host.gives(STS_ENOENT, &format!("lock 0 {name} {}", now + DAY));
            host.gives(STS_ENOENT, &format!("get_lock 0 {name}"));
            backup(&mut host, name, size);
            assert_eq!(lock(&mut host, name), (0, 0));
            host.gives(STS_EWORMMIN, &format!("lock 0 {name} {}", now + HOUR - 60));
            host.gives(STS_EWORMMIN, &format!("lock 0 {name} 0"));
            host.gives(STS_EWORMMAX, &format!("lock 0 {name} {}", now + 11 * DAY));
            host.gives(STS_EWORMMAX, &format!("lock 0 {name} {}", u64::MAX));
            host.gives(STS_EACCESS, &format!("extend_lock 0 {name} {}", now + DAY));
            assert_eq!(lock(&mut host, name), (0, 0));

            host.ok(&format!("lock 0 {name} {}", now + DAY));
            host.ok(&format!("lock 0 {name} {}", now + DAY));
            assert_eq!(lock(&mut host, name), (STS_LOCKF_LOCKED.into(), now + DAY));
            host.gives(STS_EACCESS, &format!("lock 0 {name} {}", now + 2 * HOUR));
            host.gives(STS_EACCESS, &format!("extend_lock 0 {name} {}", now + 2 * HOUR));
            host.ok(&format!("extend_lock 0 {name} {}", now + 2 * DAY));
            for asynchronous in 0..2 {
                host.gives(STS_EWORMLOCKED, &format!("delete {asynchronous} {name}"));
            }
            assert_eq!(lock(&mut host, name), (STS_LOCKF_LOCKED.into(), now + 2 * DAY));
        }
        world.cluster.advance(Duration::from_secs(DAY + HOUR)).unwrap();
        for name in ["large", "small"] {
            host.gives(STS_EWORMLOCKED, &format!("delete 0 {name}"));
            host.ok(&format!("open_read 0 {name}"));
            assert_eq!(host.ok("read 0 - 0 512").get("count"), 512);
            host.ok("close 0 - 0");
        }
        world.cluster.advance(Duration::from_secs(DAY)).unwrap();
        for name in ["large", "small"] {
            let (flags, until) = lock(&mut host, name);
            assert!(flags == 0 && until > 0, "it is over");
            host.ok(&format!("delete 0 {name}"));
            host.gives(STS_ENOENT, &format!("delete 0 {name}"));
        }
        host.end();
        assert_nothing_left(&world);
    }
}

#[test]
fn limits_and_mode_of_locks_come_from_the_cluster_unless_configured() {
    let fields = json!({
        "s3_locks_retention_mode": "COMPLIANCE", "default_retention_period": "2h",
        "min_retention_period": "2h", "max_retention_period": "3d",
    });
    for (line, limits, mode) in [
        ("", (2 * HOUR, 3 * DAY), STS_LOCKF_COMPLIANCE),
        ("worm = { minimum = 7300 }", (7300, 3 * DAY), STS_LOCKF_COMPLIANCE),
        ("worm = { maximum = 90000, mode = \"governance\" }", (2 * HOUR, 90_000), 0),
    ] {
        let world = world(fields.clone(), line);
        let mut host = Steps::start(&world, LIBRARIES[0]);
        let lsu = host.ok("lsu_prop 0 -");
        assert_eq!((lsu.get("worm_min"), lsu.get("worm_max")), limits, "{line}");
        backup(&mut host, "a", 512);
        let now = now();
        host.gives(STS_EWORMMIN, &format!("lock 0 a {}", now + limits.0 - 60));
        host.gives(STS_EWORMMAX, &format!("lock 0 a {}", now + limits.1 + 60));
        host.ok(&format!("lock 0 a {}", now + limits.1 - 60));
        assert_eq!(lock(&mut host, "a").0, u64::from(STS_LOCKF_LOCKED | mode), "{line}");
        host.end();
    }
}

#[test]
fn what_is_not_complete_is_not_locked() {
    let world = world(json!({}), "");
    let mut host = Steps::start(&world, LIBRARIES[1]);
    let lsu = host.ok("lsu_prop 0 -");
    assert_eq!((lsu.get("worm_min"), lsu.get("worm_max")), (0, STS_UNKNOWN));
    let until = now() + DAY;
    host.ok("create 0 a");
    host.gives(STS_EACCESS, &format!("lock 0 a {until}"));
    host.ok("close 0 - 0");
    host.gives(STS_EACCESS, &format!("lock 0 a {until}"));
    host.ok("delete 0 a");
    host.end();
    assert_nothing_left(&world);
}

#[test]
fn without_object_lock_or_with_the_capability_switched_off_nothing_is_locked() {
    let plain = World::new(Route::Pool, None);
    let off = world(json!({}), "disable = [\"worm\"]");
    for world in [plain, off] {
        for library in LIBRARIES {
            let mut host = Steps::start(&world, library);
            assert_eq!(host.ok("lsu_prop 0 -").get("media") & STS_LSUF_WORM, 0);
            backup(&mut host, "a", 512);
            for step in ["lock", "extend_lock"] {
                host.gives(STS_ENOTSUP, &format!("{step} 0 a {}", now() + DAY));
            }
            host.ok("delete 0 a");
            host.end();
        }
        assert_nothing_left(&world);
    }
    let off = world(json!({}), "disable = [\"worm\"]");
    let mut host = Steps::start(&off, LIBRARIES[0]);
    backup(&mut host, "a", 512);
    host.gives(STS_ENOTSUP, "get_lock 0 a");
    let told = host.ok("prop_by_name 0 a");
    assert_eq!((told.get("lock_flags"), told.get("lock_until")), (0, 0));
    host.end();
}
