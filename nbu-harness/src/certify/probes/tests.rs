//! Good answers pass every probe, and each probe fails on what it is there to find.

use super::*;
use crate::bpstsinfo::{LsuFacts, PluginFacts};

fn good() -> Seen {
    let server = ServerFacts {
        name: "vast1".into(),
        description: "x".into(),
        flags: STS_SRV_DISK,
        capabilities: vec![0, 1],
    };
    let lsu = |name: &str, capacity| LsuFacts {
        name: name.into(),
        code: 0,
        capacity: Some(capacity),
        used: Some(0),
        media: 3,
        save_as: 1,
        block_size: 512,
        max_transfer: 1 << 20,
        ..LsuFacts::default()
    };
    let right = Answer {
        plugin: Some(PluginFacts {
            name: "vast".into(),
            prefix: "VastData".into(),
            label: "label".into(),
            build_version: "1".into(),
            interface_version: STSPI_INTERFACE_VERSION,
            thread_model: STSPI_THREADS_MULTI,
            init_version_0_code: STS_ENOTSUP,
        }),
        claims: vec![("VastData:vast1".into(), 0), ("PureDisk:vast1".into(), STS_ECLAIM)],
        by_name: Some(server.clone()),
        open_code: Some(0),
        server: Some(server),
        lsus: vec![lsu("b", CAPACITY), lsu("a", QUOTA)],
        list_end_code: Some(STS_ENOENT),
        unknown_lsu_code: Some(STS_ENOENT),
        close_code: Some(0),
        optional_calls: vec!["stspi_flush_image".into(), "stspi_copy_extent".into()],
        ..Answer::default()
    };
    let wrong_password = Answer { open_code: Some(STS_EAUTH), open_ms: 10, ..Answer::default() };
    Seen { right, wrong_password, lsus: vec![("a".into(), QUOTA, 0), ("b".into(), CAPACITY, 0)] }
}

type Probe = (&'static str, fn(&Seen) -> Finding);
const ALL: [Probe; 13] = [
    ("loads", loads),
    ("version", refuses_version_0),
    ("claims", claims),
    ("threads", thread_model),
    ("opens", opens),
    ("properties", server_properties),
    ("list", lsu_list),
    ("capacity", capacity),
    ("used", used),
    ("unknown", unknown_lsu),
    ("flags", flags_fit_claims),
    ("capability", |seen| capability_works(seen, "flush")),
    ("password", wrong_password),
];

#[test]
fn good_answers_pass_every_probe() {
    for (name, probe) in ALL {
        probe(&good()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Exactly these probes fail on the changed answers.
fn fails(expected: &[&str], change: impl FnOnce(&mut Seen)) {
    let mut seen = good();
    change(&mut seen);
    let failed: Vec<_> =
        ALL.iter().filter(|(_, probe)| probe(&seen).is_err()).map(|(name, _)| *name).collect();
    assert_eq!(failed, expected);
}

#[test]
fn every_probe_fails_on_what_it_is_there_to_find() {
    fails(&["loads"], |s| s.right.plugin.as_mut().unwrap().build_version.clear());
    fails(&["loads"], |s| s.right.plugin.as_mut().unwrap().interface_version = 9);
    fails(&["version"], |s| s.right.plugin.as_mut().unwrap().init_version_0_code = 0);
    fails(&["claims"], |s| s.right.claims[0].1 = STS_ECLAIM);
    fails(&["claims"], |s| s.right.claims[1].1 = 0);
    fails(&["threads"], |s| s.right.plugin.as_mut().unwrap().thread_model = 0);
    fails(&["opens"], |s| s.right.close_code = Some(2_060_005));
    fails(&["properties"], |s| s.right.by_name.as_mut().unwrap().flags = 0);
    fails(&["list", "capacity", "used"], |s| {
        s.right.lsus.pop();
    });
    fails(&["list"], |s| s.right.list_end_code = Some(STS_EAUTH));
    fails(&["capacity"], |s| s.right.lsus[1].capacity = Some(CAPACITY));
    fails(&["capacity"], |s| s.right.lsus[0].capacity = None);
    fails(&["used"], |s| s.right.lsus[0].used = Some(1));
    fails(&["unknown"], |s| s.right.unknown_lsu_code = Some(0));
    fails(&["properties", "flags"], |s| s.right.server.as_mut().unwrap().capabilities.push(400));
    fails(&["properties", "flags"], |s| s.right.server.as_mut().unwrap().flags |= ost_abi::STS_SRV_EVSYNC);
    fails(&["capability"], |s| s.right.optional_calls.clear());
    fails(&["password"], |s| s.wrong_password.open_code = Some(0));
    fails(&["password"], |s| s.wrong_password.open_ms = SOON_MS + 1);
    let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).take(12).collect();
    fails(&names, |s| s.right.load_error = Some("no".into()));
}

#[test]
fn a_claimed_capability_has_its_flags_too() {
    let mut seen = good();
    seen.right.optional_calls.push("stspi_open_target_server".into());
    assert!(capability_works(&seen, "copy_extent").is_ok());
    let events = STS_CAPABILITIES.iter().find(|row| row.name == "events").unwrap();
    seen.right.optional_calls.extend(events.calls.iter().map(|call| (*call).to_owned()));
    let said = capability_works(&seen, "events").unwrap_err();
    assert!(said.contains("flags"), "{said}");
    seen.right.server.as_mut().unwrap().flags |= events.server_flags;
    assert!(capability_works(&seen, "events").is_ok());
    assert_eq!(seen.claims(), ["checkpoint", "flush"]);
}

#[test]
fn an_answer_that_changes_from_one_time_to_the_next_is_found() {
    let same = [good(), good(), good()];
    assert_eq!(alike(&same), Ok("asked 3 times".into()));
    let mut slower = same.clone();
    slower[1].right.open_ms += 5;
    slower[2].right.log.push("a line".into());
    assert!(alike(&slower).is_ok(), "how long it takes may differ");
    let mut other = same.clone();
    other[2].right.lsus.reverse();
    assert!(alike(&other).unwrap_err().contains("the 3. time"));
    let mut other = same;
    other[1].wrong_password.open_code = Some(0);
    assert!(alike(&other).unwrap_err().contains("a wrong password"));
    assert!(alike(&[]).is_err());
}
