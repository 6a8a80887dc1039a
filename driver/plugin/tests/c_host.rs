//! The real libraries in a host written in C, against a simulated cluster over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod host;
mod images;
mod locks;
mod replication;
mod sdk;
mod steps;

use std::collections::BTreeSet;

use host::{LIBRARIES, MT, Route, ST, World, exported, library};
use ost_abi::{
    CapabilityRow, STS_CAPABILITIES, STS_EACCESS, STS_EAUTH, STS_ECONFIG, STS_ECORRUPT, STS_ENOSPC,
    STS_ESOCKET, STS_ETIMEDOUT, STS_SRVC_CHECKPOINT, sts_error_text,
};
use vast_sim::{Effect, Fault};

fn code(code: i32) -> String {
    assert_ne!(sts_error_text(code), "Not an OST error code");
    code.to_string()
}

fn busy_server() -> Effect {
    Effect::Error { status: 503, code: "SlowDown".to_owned(), message: "on purpose".to_owned() }
}

#[test]
fn the_libraries_export_the_interface_and_nothing_else() {
    for name in LIBRARIES {
        let wanted: BTreeSet<_> = ost_abi::ENTRY_POINTS.iter().map(|n| (*n).to_owned()).collect();
        assert_eq!(exported(&library(name)), wanted, "{name}");
    }
}

/// The whole of it at once: TLS and host names on both paths, a token that expires, requests that have to be repeated.
#[test]
fn st_backs_up_with_one_thread_over_tls_by_name_with_a_token_refresh_and_retries() {
    let world = World::new(Route::NamesAndTls, None);
    let faults = world.cluster.faults();
    let expired = faults.add(Fault::vms(Effect::TokenExpired).skip(1).times(1)).unwrap();
    let upload = |effect| Fault::s3(effect).on("PutObject").key_prefix("segment/");
    let slow = faults.add(upload(busy_server()).times(2)).unwrap();
    let reset = faults.add(upload(Effect::ResetAfterBody).skip(3).times(1)).unwrap();
    let said = world.host(ST, "backup", &["24"]);
    assert_eq!(said.all("name"), ["libstspiVastData"]);
    assert_eq!(said.number("threads_started"), 0);
    assert_eq!(said.number("threads_now"), 1);
    assert!(said.number("names_resolved") >= 5, "{said:?}");
    for fault in faults.list() {
        let hits = if fault.id == slow { 2 } else { 1 };
        assert_eq!(fault.hits, hits, "fault {} of {expired}, {slow}, {reset}: {fault:?}", fault.id);
    }
    assert_eq!(world.left(), Vec::<String>::new());
}

#[test]
fn every_vip_takes_its_turn() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        world.host(name, "backup", &["48"]);
        let counters = world.cluster.counters();
        assert_eq!(counters.vips.len(), 4);
        for (vip, counted) in &counters.vips {
            assert!(counted.operations.contains_key("PutObject"), "{name}: no write on {vip}: {counted:?}");
        }
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn mt_serves_eight_threads_with_handles_of_their_own() {
    let world = World::new(Route::Pool, None);
    let said = world.host(MT, "threads", &[]);
    assert_eq!(said.number("model"), 2);
    // Eight of the host, and the plug-in's small runtime however many there are of those.
    assert_eq!(said.number("threads_started"), 8 + 2);
    assert_eq!(world.left(), Vec::<String>::new());
}

#[test]
fn the_life_of_an_image_and_an_abort_that_leaves_nothing() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        world.host(name, "lifecycle", &[]);
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn lists_and_properties_agree_with_the_cluster() {
    let world = World::new(Route::Pool, Some(1 << 30));
    world.host(ST, "backup", &["2", "keep"]);
    for name in LIBRARIES {
        let said = world.host(name, "lists", &["1"]);
        assert_eq!(said.all("lsu"), [host::LSU]);
        assert_eq!(said.all("image"), ["client_1588173008_C1_F1"]);
        assert_eq!(said.number("capacity"), 1 << 30);
        assert_eq!(said.number("used"), world.cluster.raw_state().bucket(host::LSU).unwrap().bytes);
        assert!(said.all("description")[0].contains("ONLINE"), "{said:?}");
    }
}

/// Each bit is what its calls do; a bit that is taken away takes its calls along.
#[test]
fn capabilities_are_advertised_if_and_only_if_their_calls_are_there() {
    let indexes = |rows: &[&CapabilityRow]| rows.iter().map(|row| row.index.to_string()).collect::<Vec<_>>();
    let world = World::new(Route::Pool, None);
    let config = world.config(Route::Pool);
    for name in LIBRARIES {
        world.write_config(&config);
        let there = world.host(name, "capabilities", &[]).all("capability").to_vec();
        assert!(there.contains(&STS_SRVC_CHECKPOINT.to_string()), "{name}: {there:?}");
        let rows: Vec<_> =
            STS_CAPABILITIES.iter().filter(|row| there.contains(&row.index.to_string())).collect();
        world.host(name, "behaviours", &[]);
        for gone in 0..rows.len() {
            world.write_config(&format!("{config}disable = [{:?}]\n", rows[gone].name));
            let left = world.host(name, "capabilities", &[]).all("capability").to_vec();
            world.host(name, "behaviours", &[]);
            assert_eq!(left, indexes(&[&rows[..gone], &rows[gone + 1..]].concat()), "{name}");
        }
        world.write_config(&format!("{config}disable = [\"includes\"]\n"));
        let said = world.host(name, "expect", &[&code(STS_ECONFIG), "open"]);
        assert!(said.log.contains("includes") && said.log.contains("include, copy_image"), "{}", said.log);
        assert_eq!(world.left_of_images(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn replication_partners_and_lock_limits_come_from_the_configuration() {
    let world = World::new(Route::Pool, None);
    let partners = format!(
        "worm = {{ minimum = 60, maximum = 7200 }}\n[server.vast1.replication]\n{0} = \
         [\"VastData:vast2:lsu-b\"]\n[server.vast1.replication_sources]\n{0} = [\"VastData:vast3:lsu-c\"]\n",
        host::LSU
    );
    world.write_config(&format!("{}{partners}", world.config(Route::Pool)));
    let said = world.host(ST, "replication", &[]);
    assert_eq!(said.all("target"), ["VastData:vast2:lsu-b"]);
    assert_eq!(said.all("source"), ["VastData:vast3:lsu-c"]);
    assert_eq!((said.number("worm_min"), said.number("worm_max")), (60, 7200));
}

#[test]
fn bad_arguments_and_handles_are_codes_and_log_lines() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let said = world.host(name, "hostile", &[]);
        assert!(said.log.contains("sts_session_def_v7_t.size"), "{}", said.log);
        assert!(said.log.contains("belongs to another thread"), "{}", said.log);
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

/// Otherwise a build in which the sanitizer is missing would pass for one in which it finds nothing.
#[test]
fn where_there_is_a_sanitizer_it_sees_into_the_libraries() {
    if !host::is_sanitized() {
        println!("skipped: built without a sanitizer; `cargo ci test --only memory` builds with one");
        return;
    }
    for name in LIBRARIES {
        for (what, report) in [
            ("short_buffer", "AddressSanitizer: heap-buffer-overflow"),
            ("short_result", "AddressSanitizer: heap-buffer-overflow"),
            ("lost", "LeakSanitizer: detected memory leaks"),
        ] {
            let world = World::new(Route::Pool, None);
            let said = world.host_that_fails(name, "careless", &[what]);
            assert!(said.contains(report), "{name}, {what}: {said}");
            let inside = said.contains("stspi_write_image");
            assert!(what == "lost" || inside, "{name}, {what}: not found in the plug-in: {said}");
        }
        let world = World::new(Route::Pool, None);
        world.host(name, "careless", &["nothing"]);
    }
}

#[test]
fn fork_before_during_and_after_use() {
    for name in LIBRARIES {
        let world = World::new(Route::NamesAndTls, None);
        let threads: &[&str] = if name == MT { &["threads"] } else { &[] };
        world.host(name, "fork", threads);
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

/// Whatever the parent was doing: nothing of its connections, its runtime and its randomness is used by its children.
#[test]
fn two_children_forked_at_once_have_connections_and_writer_ids_of_their_own() {
    for (name, route) in
        LIBRARIES.into_iter().flat_map(|name| [(name, Route::Pool), (name, Route::NamesAndTls)])
    {
        let world = World::new(route, None);
        let threads: &[&str] = if name == MT { &["threads"] } else { &[] };
        let said = world.host(name, "siblings", threads);
        assert!(said.number("sockets") > 0, "{name} {route:?}: the parent had no connection to lose");
        let left = world.left();
        let writers: BTreeSet<_> =
            left.iter().filter_map(|key| key.strip_prefix("segment/")?.split('/').next()).collect();
        // Two of the parent, one before it forked and one after it, and one of each child.
        assert_eq!(writers.len(), 4, "{name} {route:?}: {left:?}");
        let images = left.iter().filter(|key| key.starts_with("image/")).count();
        assert_eq!(images, 5, "{name} {route:?}: {left:?}");
    }
}

/// Connections that the server resets under a default SIGPIPE, and a signal every millisecond.
#[test]
fn signals_neither_kill_the_host_nor_disturb_a_backup() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let faults = world.cluster.faults();
        faults.add(Fault::s3(Effect::ResetBeforeBody).on("PutObject").skip(1).times(2)).unwrap();
        faults.add(Fault::s3(Effect::AnswerLost).on("PutObject").skip(4).times(1)).unwrap();
        let said = world.host(name, "signals", &[]);
        assert!(said.number("ticks") > 0, "{name}: the timer never fired");
        assert!(faults.list().iter().all(|f| f.hits > 0), "{name}: {:?}", faults.list());
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn terminate_unload_and_load_again() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let path = library(name);
        world.host(name, "reload", &[path.to_str().unwrap()]);
        let left = world.left();
        assert_eq!(left.len(), 1, "{name}: only the image that was left open: {left:?}");
    }
}

#[test]
fn wrong_credentials_and_configuration_have_their_codes() {
    for name in LIBRARIES {
        let mut world = World::new(Route::Pool, None);
        let good = world.config(Route::Pool);
        world.set_key_mode(0o644);
        let said = world.host(name, "expect", &[&code(STS_ECONFIG), "open"]);
        assert!(said.log.contains("key.toml"), "{}", said.log);
        world.set_key_mode(0o600);
        world.write_config(&good.replace("vip_pool", "vip_pol"));
        let said = world.host(name, "expect", &[&code(STS_ECONFIG), "open"]);
        assert!(said.log.contains("vip_pol") && said.log.contains("line"), "{}", said.log);
        world.write_config(&good.replace(&world.cluster.vms_url(), "https://127.0.0.1:1"));
        world.host(name, "expect", &[&code(STS_ESOCKET), "open"]);
        world.write_config(&good);
        world.password = "wrong".to_owned();
        let said = world.host(name, "expect", &[&code(STS_EAUTH), "open"]);
        assert!(!said.log.contains("wrong"), "a password in the log: {}", said.log);
        world.password = "123456".to_owned();
        world.host(name, "backup", &["1"]);
    }
}

#[test]
fn a_full_lsu_is_no_space_and_leaves_no_orphan() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, Some(20 << 20));
        world.host(name, "expect", &[&code(STS_ENOSPC), "write"]);
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_revoked_key_is_access_denied() {
    let world = World::new(Route::Pool, None);
    let denied = Effect::Error { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
    world.cluster.faults().add(Fault::s3(denied).on("PutObject")).unwrap();
    for name in LIBRARIES {
        world.host(name, "expect", &[&code(STS_EACCESS), "create"]);
    }
}

/// A cluster that takes requests and never answers: the call ends all the same.
#[test]
fn a_silent_cluster_meets_a_deadline() {
    let world = World::new(Route::Pool, None);
    let patience = "stall_timeout = 1\ncall_timeout = 2\n";
    world.write_config(&format!("{}{patience}", world.config(Route::Pool)));
    world.cluster.faults().add(Fault::s3(Effect::Delay { millis: 3_600_000 }).on("PutObject")).unwrap();
    for name in LIBRARIES {
        let begun = std::time::Instant::now();
        world.host(name, "expect", &[&code(STS_ETIMEDOUT), "create"]);
        assert!(begun.elapsed().as_secs() < 30, "{name}: {:?}", begun.elapsed());
    }
}

/// A cluster that stops answering uploads in the middle of a backup: the host gets an error in time, and what did
/// arrive is gone when the image is closed.
#[test]
fn a_cluster_that_falls_silent_mid_backup_leaves_nothing_behind() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let patience = "stall_timeout = 1\ncall_timeout = 2\n";
        world.write_config(&format!("{}{patience}", world.config(Route::Pool)));
        let silent =
            Fault::s3(Effect::Delay { millis: 3_600_000 }).on("PutObject").key_prefix("segment/").skip(2);
        world.cluster.faults().add(silent).unwrap();
        world.host(name, "expect", &[&code(STS_ETIMEDOUT), "write"]);
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

/// The answer to the commit is lost, and so is the first attempt to read what became of it.
#[test]
fn a_commit_whose_answer_is_lost_is_found_out_and_counts() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let faults = world.cluster.faults();
        // Of the writes to the state object the first creates the image, the second completes it.
        faults
            .add(Fault::s3(Effect::AnswerLost).on("PutObject").key_prefix("image/").skip(1).times(1))
            .unwrap();
        faults
            .add(Fault::s3(Effect::ResetAfterBody).on("GetObject").key_prefix("image/").skip(1).times(1))
            .unwrap();
        world.host(name, "backup", &["8"]);
        assert!(faults.list().iter().all(|f| f.hits == 1), "{name}: {:?}", faults.list());
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn damaged_bytes_are_read_again_and_never_returned() {
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        world.host(name, "backup", &["12", "keep"]);
        let faults = world.cluster.faults();
        let damage =
            || Fault::s3(Effect::CorruptBody { offset: 1_000_000 }).on("GetObject").key_prefix("segment/");
        let once = faults.add(damage().times(1)).unwrap();
        let said = world.host(name, "read", &["0"]);
        assert!(said.log.contains("reading it again"), "{name}: {}", said.log);
        assert_eq!(faults.list().iter().find(|f| f.id == once).unwrap().hits, 1, "{name}");
        faults.clear();
        faults.add(damage()).unwrap();
        world.host(name, "read", &[&code(STS_ECORRUPT)]);
    }
}
