//! Operations that outlive the processes that began them, and the replication of whole backups.

use ost_abi::{
    STS_EABORT, STS_EEVSEQ, STS_EHANDLE, STS_ENOTSUP, STS_EVF_INCLUDE, STS_EVF_TRIGGER, STS_EVT_IMG_REP,
    STS_LSUF_REP_ENABLED, STS_LSUF_REP_SOURCE, STS_LSUF_REP_TARGET,
};

use super::*;

/// The number that a step that begins an operation gives.
#[track_caller]
fn begun(host: &mut Steps, step: &str) -> u64 {
    let number = host.ok(step).get("count");
    assert_ne!(number, 0);
    number
}

#[track_caller]
fn waits(host: &mut Steps, number: u64) {
    let ended = host.while_it_gives(STS_EBUSY, &format!("wait 0 - {number}"));
    assert_eq!(ended.code(), STS_EOK);
}

#[test]
fn an_operation_survives_its_caller() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = Steps::start(&pair.near, library);
        backup(&mut host, "a", 1, 40 * MIB);
        backup(&mut host, "b", 2, 40 * MIB);
        // Of a host that ends in order; the next one goes on at once. No target is named.
        let first = begun(&mut host, "async 0 a:a 0 0 1");
        host.end();
        let mut host = Steps::start(&pair.near, library);
        waits(&mut host, first);
        // Of one that is killed: its lease has to run out, unless the copy had ended.
        let second = begun(&mut host, "async 0 b:b 0 0 1");
        host.step(&format!("wait 0 - {second}"));
        host.kill();
        let mut host = Steps::start(&pair.near, library);
        pair.pass(LEASE);
        waits(&mut host, second);
        // Whoever asks is told, and asked again.
        for number in [first, second] {
            host.ok(&format!("wait 0 - {number}"));
            host.ok(&format!("cancel 0 - {number}"));
        }
        host.gives(STS_ENOENT, &format!("wait 0 - {}", first ^ 1));
        host.gives(STS_ENOENT, "wait 0 - 0");
        host.gives(STS_ENOENT, &format!("cancel 0 - {}", first ^ 1));
        host.end();
        let mut other = Steps::start(&pair.far, library);
        reads(&mut other, "a", &pattern(1, 0, 40 * MIB));
        reads(&mut other, "b", &pattern(2, 0, 40 * MIB));
        other.end();
        pair.assert_source_is_unmarked(2);
    }
}

#[test]
fn an_operation_has_its_name_and_one_that_cannot_be_its_code() {
    let pair = Pair::new();
    let mut host = pair.host(ST);
    backup(&mut host, "a", 1, 6 * MIB);
    let number = begun(&mut host, "named_async 0 night:a:a");
    assert_eq!(begun(&mut host, "named_async 0 night:a:a"), number);
    assert_ne!(begun(&mut host, "named_async 0 day:a:b"), number);
    waits(&mut host, number);
    assert_eq!(begun(&mut host, "named_async 0 night:a:a"), number);
    // Without a target in the configuration, with flags of no image set, with unknown flags, of no image.
    host.ok("at 0 lsu3");
    host.gives(STS_EINVAL, "async 0 a:a 0 0 1");
    host.ok("at 0 near");
    host.gives(STS_EINVAL, &format!("async 0 a:a 0 {STS_EVF_INCLUDE}"));
    host.gives(STS_EINVAL, "async 0 a:a 7 4");
    host.gives(STS_ENOENT, "async 0 missing:a");
    host.ok("create 1 pending");
    host.gives(STS_EACCESS, "async 0 pending:a");
    host.ok("close 1 - 0");
    // The target's name is taken by something else: found out while it runs.
    host.ok("at 0 far");
    backup(&mut host, "taken", 9, 512);
    host.ok("at 0 near");
    let number = begun(&mut host, "async 0 a:taken");
    let ended = host.while_it_gives(STS_EBUSY, &format!("wait 0 - {number}"));
    assert_eq!(ended.code(), STS_EEXIST);
    host.ok(&format!("cancel 0 - {number}"));
    host.gives(STS_EABORT, &format!("wait 0 - {number}"));
    host.ok("close_target 0 -");
    host.end();
}

#[test]
fn a_cancelled_operation_leaves_nothing_at_its_target_whoever_runs_it() {
    for library in LIBRARIES {
        for elsewhere in [false, true] {
            let pair = Pair::new();
            let mut host = Steps::start(&pair.near, library);
            backup(&mut host, "a", 1, 60 * MIB);
            // So slow that it cannot be over in the two seconds that are waited for it below.
            let slow = vast_sim::Fault::s3(vast_sim::Effect::Delay { millis: 3000 });
            pair.far.cluster.faults().add(slow.on("PutObject").key_prefix("segment/")).unwrap();
            let number = begun(&mut host, "async 0 a:a 0 0 1");
            host.gives(STS_EBUSY, &format!("wait 0 - {number}"));
            assert!(!pair.far.left().is_empty());
            if elsewhere {
                let mut other = Steps::start(&pair.near, library);
                other.gives(STS_EBUSY, &format!("wait 0 - {number}"));
                other.ok(&format!("cancel 0 - {number}"));
                other.gives(STS_EABORT, &format!("wait 0 - {number}"));
                other.end();
            } else {
                host.ok(&format!("cancel 0 - {number}"));
            }
            // Whoever ran it finds out, and takes away what it still wrote.
            pair.far.cluster.faults().clear();
            let ended = host.while_it_gives(STS_EBUSY, &format!("wait 0 - {number}"));
            assert_eq!(ended.code(), STS_EABORT, "{library}");
            assert_eq!(pair.far.left(), Vec::<String>::new(), "{library} {elsewhere}");
            reads(&mut host, "a", &pattern(1, 0, 60 * MIB));
            pair.assert_source_is_unmarked(1);
            host.end();
        }
    }
}

/// Header, true-image information and catalogue on one LSU, the fragments on another, as a backup leaves them.
const SET: [(&str, &str, u64); 5] = [
    ("c_1588173008_C1_HDR", "near", 1024),
    ("c_1588173008_C1_F1", LSU2, 9 * MIB),
    ("c_1588173008_C1_F2", LSU2, 4 * MIB + 512),
    ("c_1588173008_C1_TIR", "near", 65_536),
    ("c_1588173008_C1_IM", "near", 8192),
];

fn replicate(host: &mut Steps, set: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (name, lsu, _) in SET {
        let flags = match name.rsplit('_').next().unwrap() {
            "IM" => STS_EVF_INCLUDE | STS_EVF_TRIGGER,
            "HDR" => STS_EVF_INCLUDE,
            _ => 0,
        };
        host.ok(&format!("at 0 {lsu}"));
        numbers.push(begun(host, &format!("async 0 {name}:{name} {set} {flags} 1")));
    }
    numbers
}

#[test]
fn a_backup_is_replicated_with_its_event_after_its_data_though_hosts_are_killed() {
    for library in LIBRARIES {
        let pair = Pair::new();
        let mut host = Steps::start(&pair.near, library);
        let mut target = Steps::start(&pair.far, library);
        let media = STS_LSUF_REP_ENABLED | STS_LSUF_REP_SOURCE | STS_LSUF_REP_TARGET;
        let source = STS_LSUF_REP_ENABLED | STS_LSUF_REP_SOURCE;
        assert_eq!(host.ok("lsu_prop 0 -").get("media") & media, source);
        assert_eq!(target.ok("lsu_prop 0 -").get("media") & media, media ^ STS_LSUF_REP_SOURCE);
        for (seed, (name, lsu, size)) in (1..).zip(SET) {
            host.ok(&format!("at 0 {lsu}"));
            backup(&mut host, name, seed, size);
        }
        target.ok("events 0 - 0");
        target.gives(STS_ENOENT, "event 0 -");
        let numbers = replicate(&mut host, 77);
        // Killed while it waits for one of them; somebody else goes on, and asks for the last one first.
        host.step(&format!("wait 0 - {}", numbers[1]));
        host.kill();
        pair.pass(LEASE);
        let mut host = Steps::start(&pair.near, library);
        for number in numbers.iter().rev() {
            waits(&mut host, *number);
        }
        for (seed, (name, _, size)) in (1..).zip(SET) {
            reads(&mut target, name, &pattern(seed, 0, size));
        }

        let event = target.ok("event 0 -");
        assert_eq!((event.get("type"), event.get("images")), (STS_EVT_IMG_REP.into(), 2));
        assert_eq!(
            (event.get("lsu"), event.get("name")),
            (digest(LSU.as_bytes()), digest(SET[4].0.as_bytes()))
        );
        assert!(event.get("time") > 0);
        let seqno = event.get("seqno");
        target.gives(STS_EINVAL, &format!("payload 0 - {seqno} 1"));
        target.gives(STS_EINVAL, &format!("payload 0 unsized {seqno} 2"));
        target.gives(STS_ENOENT, &format!("payload 0 - {} 16", seqno + 100));
        let payload = target.ok(&format!("payload 0 - {seqno} 16"));
        assert_eq!(payload.get("count"), 2);
        for (at, name) in [(0, SET[0]), (1, SET[4])] {
            let told = |field: &str| payload.get(&format!("{field}{at}"));
            assert_eq!((told("name"), told("size"), told("set")), (digest(name.0.as_bytes()), name.2, 77));
            assert_eq!((told("master"), told("slp")), (digest(b"primary1"), digest(b"gold")));
        }
        // One more may be there: at least once. Whoever comes again and remembers nothing gets all of them again.
        while target.step("event 0 -").code() == STS_EOK {}
        target.gives(STS_EBUSY, "close_source 0 -");
        target.ok("close_events 0 -");
        target.gives(STS_EHANDLE, "event 0 -");
        target.gives(STS_EHANDLE, "close_events 0 -");
        target.ok("events 0 - 0");
        assert_eq!(target.ok("event 0 -").get("seqno"), seqno);

        // A second backup: who resumes behind the last number gets its event alone.
        let last = replicate(&mut host, 78);
        for number in &last {
            waits(&mut host, *number);
        }
        host.end();
        let mut second = 0;
        target.ok(&format!("events 1 - {seqno}"));
        while let Some(next) = Some(target.step("event 1 -")).filter(|next| next.code() == STS_EOK) {
            assert!(next.get("seqno") > seqno.max(second));
            second = next.get("seqno");
        }
        assert_eq!(target.ok(&format!("payload 1 - {second} 16")).get("set0"), 78);
        target.gives(STS_EEVSEQ, &format!("events 2 - {}", second + 1));
        target.gives(STS_ENOTSUP, "pushed_events 2 - 0");
        for number in 1..=second {
            target.ok(&format!("delete_event 1 - {number}"));
            target.gives(STS_ENOENT, &format!("delete_event 1 - {number}"));
            target.gives(STS_ENOENT, &format!("payload 1 - {number} 16"));
        }
        target.ok("close_events 0 -");
        target.ok("close_events 1 -");
        target.ok("events 0 - 0");
        target.gives(STS_ENOENT, "event 0 -");
        target.ok("close_events 0 -");
        target.end();
    }
}
