//! The database's rules one by one, its files, and a process that is killed at every step of a change.

use super::store::Step;
use super::*;
use crate::durable::Stage;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

pub(super) fn media_server(name: &str) -> MediaServer {
    MediaServer { name: name.into(), plugin: PluginInstall::default() }
}

fn report(capabilities: &[u32]) -> ServerReport {
    ServerReport { capabilities: capabilities.into(), ..ServerReport::default() }
}

pub(super) fn server(name: &str, media_server: &str) -> NewServer {
    NewServer {
        name: name.into(),
        server_type: "T".into(),
        media_server: media_server.into(),
        ..NewServer::default()
    }
}

fn volume(name: &str) -> VolumeReport {
    VolumeReport { name: name.into(), capacity: Some(1000), used: Some(300), ..VolumeReport::default() }
}

pub(super) fn pool(name: &str, server: &str, volumes: &[&str]) -> NewPool {
    let volumes = volumes.iter().map(|name| volume(name)).collect();
    NewPool { name: name.into(), storage_server: server.into(), volumes, values: PoolValues::default() }
}

pub(super) fn unit(pool: &str) -> UnitValues {
    UnitValues { pool: Some(pool.into()), ..UnitValues::default() }
}

fn credentials(media_server: &str, password: &str) -> Credentials {
    Credentials {
        media_server: media_server.into(),
        storage_server: "T:s1".into(),
        user: "user".into(),
        password: Secret::new(password.into()),
    }
}

/// A media server, a storage server, a pool and a unit.
fn small() -> Database {
    let (mut database, settings) = (Database::default(), Settings::default());
    database.add_media_server(media_server("ms1")).unwrap();
    database.add_storage_server(server("s1", "ms1"), &settings).unwrap();
    database.add_disk_pool(&pool("dp1", "T:s1", &["lsu0"]), &settings).unwrap();
    database.add_storage_unit("stu1", &unit("dp1"), &settings).unwrap();
    database
}

#[test]
fn what_is_missing_is_named_with_the_nearest() {
    let mut database = small();
    let settings = Settings::default();
    let says = |error: EmmError, text: &str, status: i32| {
        assert_eq!((error.to_string().as_str(), error.status()), (text, status));
    };
    let error = database.add_storage_unit("stu2", &unit("dp2"), &settings).unwrap_err();
    says(error, "there is no disk pool dp2, did you mean dp1?", 227);
    let error = database.add_disk_pool(&pool("dp9", "T:s2", &["x"]), &settings).unwrap_err();
    says(error, "there is no storage server T:s2, did you mean T:s1?", 227);
    let error = database.change_volume_state("dp1", "lsu1", StateChange::Down).unwrap_err();
    says(error, "there is no disk volume lsu1, did you mean lsu0?", 227);
    let error = database.storage_unit("elsewhere").unwrap_err();
    says(error, "there is no storage unit elsewhere", 227);
}

#[test]
fn what_is_used_stays_and_says_who_uses_it() {
    let mut database = small();
    let group =
        StorageUnitGroup { name: "g1".into(), units: vec!["stu1".into()], selection: Selection::RoundRobin };
    database.add_storage_unit_group(group).unwrap();
    let operation =
        Operation { use_for: UseFor::Backup, storage: "g1".into(), source: None, retention_seconds: None };
    assert_eq!(database.put_lifecycle_policy("slp1", vec![operation.clone()]).unwrap(), 0);
    assert_eq!(database.put_lifecycle_policy("slp1", vec![operation]).unwrap(), 1, "a new version");

    let none = CredentialStore::default();
    let by = |error: EmmError| match error {
        EmmError::InUse { by, .. } => by,
        other => panic!("{other}"),
    };
    let error = database.remove_media_server("ms1", &none).unwrap_err();
    assert_eq!(by(error), "storage server T:s1");
    assert_eq!(by(database.remove_storage_server("T:s1", &none).unwrap_err()), "disk pool dp1");
    assert_eq!(by(database.remove_disk_pool("dp1").unwrap_err()), "storage unit stu1");
    assert_eq!(by(database.remove_storage_unit("stu1").unwrap_err()), "storage unit group g1");
    let policy = "storage lifecycle policy slp1";
    assert_eq!(by(database.remove_storage_unit_group("g1").unwrap_err()), policy);

    database.remove_lifecycle_policy("slp1").unwrap();
    database.remove_storage_unit_group("g1").unwrap();
    database.remove_storage_unit("stu1").unwrap();
    database.remove_disk_pool("dp1").unwrap();
    let mut held = CredentialStore::default();
    held.add(&database, credentials("ms1", "x")).unwrap();
    assert_eq!(by(database.remove_storage_server("T:s1", &held).unwrap_err()), "set of credentials of ms1");
    database.remove_storage_server("T:s1", &none).unwrap();
    assert_eq!(
        by(database.remove_media_server("ms1", &held).unwrap_err()),
        "its set of credentials for T:s1"
    );
    database.remove_media_server("ms1", &none).unwrap();
    assert_eq!(database.disk_pools().iter().count(), 0);
}

#[test]
fn a_lifecycle_policy_that_cannot_run_is_refused() {
    let mut database = small();
    let operation = |use_for, storage: &str, source| Operation {
        use_for,
        storage: storage.into(),
        source,
        retention_seconds: Some(60),
    };
    let backup = || operation(UseFor::Backup, "stu1", None);
    for (operations, complaint) in [
        (vec![], "at least one operation"),
        (vec![operation(UseFor::Backup, "stu1", Some(0))], "has no source"),
        (vec![backup(), operation(UseFor::Duplication, "stu1", None)], "needs the operation it copies from"),
        (vec![backup(), operation(UseFor::Duplication, "stu1", Some(1))], "must come before it"),
        (vec![backup(), operation(UseFor::Duplication, "stu2", Some(0))], "did you mean stu1?"),
    ] {
        let error = database.put_lifecycle_policy("slp1", operations).unwrap_err().to_string();
        assert!(error.contains(complaint), "{complaint}: {error}");
    }
    let taken = database.put_lifecycle_policy("stu1", vec![backup()]).unwrap_err();
    assert!(matches!(taken, EmmError::Exists { kind: Kind::StorageUnit, .. }), "{taken}");
    let replication = operation(UseFor::Replication, "", Some(0));
    assert_eq!(database.put_lifecycle_policy("slp1", vec![backup(), replication]).unwrap(), 0);
}

#[test]
fn a_refreshed_server_hands_its_flags_down_and_keeps_what_is_the_administrators() {
    let (mut database, settings) = (small(), Settings::default());
    database.change_volume_state("dp1", "lsu0", StateChange::Down).unwrap();
    let grown = VolumeReport { capacity: Some(5000), ..volume("lsu0") };
    database.refresh("T:s1", report(&[ost_abi::STS_SRVC_WORM]), Some(&[grown]), &settings).unwrap();
    let dp1 = database.disk_pool("dp1").unwrap();
    assert!(dp1.flags.contains(&"WORM".to_owned()), "{:?}", dp1.flags);
    assert_eq!(dp1.flags, database.storage_server("T:s1").unwrap().flags);
    assert_eq!(dp1.volumes[0].report.capacity, Some(5000));
    assert_eq!(dp1.volumes[0].states, States { admin: State::Down, internal: State::Up });

    database.refresh("T:s1", report(&[]), Some(&[]), &settings).unwrap();
    let dp1 = database.disk_pool("dp1").unwrap();
    assert!(!dp1.flags.contains(&"WORM".to_owned()), "{:?}", dp1.flags);
    assert_eq!(dp1.volumes[0].states.internal, State::Down, "an LSU that is gone is down");
    database.change_volume_state("dp1", "lsu0", StateChange::Reset).unwrap();
    database.refresh("T:s1", report(&[]), None, &settings).unwrap();
    let states = database.disk_pool("dp1").unwrap().volumes[0].states;
    assert_eq!(states, States { admin: State::Down, internal: State::Up });
}

#[test]
fn values_out_of_range_are_refused_and_change_nothing() {
    let mut database = small();
    let before = database.clone();
    let values = PoolValues::default;
    for (values, expected) in [
        (PoolValues { high_water_mark: Some(0), ..values() }, "1 to 100"),
        (PoolValues { high_water_mark: Some(101), ..values() }, "1 to 100"),
        (PoolValues { low_water_mark: Some(98), ..values() }, "less than the high one, 98"),
        (PoolValues { max_io_streams: Some(0), ..values() }, "-1 for unlimited"),
    ] {
        let error = database.update_disk_pool("dp1", &values).unwrap_err();
        assert!(error.to_string().contains(expected) && error.status() == 20, "{error}");
    }
    for fragment in [19, 524_289] {
        let values = UnitValues { max_fragment_mb: Some(fragment), ..UnitValues::default() };
        assert!(database.update_storage_unit("stu1", &values).is_err(), "{fragment}");
    }
    for name in ["", "-x", "a b", "a/b", &"x".repeat(128)] {
        assert!(database.add_media_server(media_server(name)).is_err(), "{name:?}");
    }
    assert_eq!(database, before);
}

#[test]
fn a_failed_change_writes_nothing_and_a_good_one_is_seen_by_others() {
    let home = tempfile::tempdir().unwrap();
    let emm = Emm::open(home.path()).unwrap();
    emm.change(|database, _| database.add_media_server(media_server("ms1"))).unwrap();
    let other = Emm::open(home.path()).unwrap();
    assert!(other.read().unwrap().media_server("ms1").is_ok());
    let failed = emm.change(|database, _| {
        database.add_media_server(media_server("ms2"))?;
        database.media_server("ms3").map(|_| ())
    });
    assert!(failed.is_err());
    assert!(other.read().unwrap().media_servers().find("ms2").is_none());
}

#[test]
fn changes_of_many_at_once_are_all_there() {
    let home = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for who in 0..4 {
            let home = home.path();
            scope.spawn(move || {
                // Its own lock file, as another process has.
                let emm = Emm::open(home).unwrap();
                for n in 0..10 {
                    let server = media_server(&format!("ms{who}-{n}"));
                    emm.change(|database, _| database.add_media_server(server)).unwrap();
                    assert!(emm.read().unwrap().media_servers().iter().count() > n, "a reader takes no lock");
                }
            });
        }
    });
    let emm = Emm::open(home.path()).unwrap();
    assert_eq!(emm.read().unwrap().media_servers().iter().count(), 40);
}

#[test]
fn passwords_are_in_one_file_that_only_its_owner_reads() {
    let home = tempfile::tempdir().unwrap();
    let emm = Emm::open(home.path()).unwrap();
    emm.change(|database, _| {
        *database = small();
        Ok(())
    })
    .unwrap();
    let held = credentials("ms1", "hunter2");
    assert!(!format!("{held:?}").contains("hunter2"));
    emm.change_credentials(|store, database| store.add(database, held)).unwrap();
    let file = home.path().join("emm/credentials.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(home.path().join("emm/emm.json")).unwrap().contains("hunter2"));
    let read = emm.credentials().unwrap();
    assert_eq!(read.get("ms1", "T:s1").unwrap().password.reveal(), "hunter2");
    let missing = emm.change_credentials(|store, _| store.remove("ms2", "T:s1", None)).unwrap_err();
    let text = "there is no set of credentials of ms2 for T:s1, did you mean of ms1 for T:s1?";
    assert_eq!(missing.to_string(), text);
}

#[test]
fn a_file_of_another_format_is_said_to_be_one_whatever_is_in_it() {
    let home = tempfile::tempdir().unwrap();
    let emm = Emm::open(home.path()).unwrap();
    for (text, says) in [
        (r#"{"format": 2, "content": {"tape_libraries": []}, "signature": "x"}"#, "format 2"),
        (r#"{"format": 1, "content": {"tape_libraries": []}}"#, "unknown field `tape_libraries`"),
        (r#"{"content": {}}"#, "missing field `format`"),
    ] {
        fs::write(home.path().join("emm/emm.json"), text).unwrap();
        let error = emm.read().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

/// Environment variable of the test below when it runs itself as the process that is killed: the home, and the step.
const VICTIM: &str = "NBU_HARNESS_EMM_VICTIM";

#[test]
fn killed_at_any_step_the_old_or_the_new_is_there() {
    let kill_self = || {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    };
    if let Ok(victim) = std::env::var(VICTIM) {
        let (step, home) = victim.split_once(' ').unwrap();
        let emm = Emm::open(Path::new(home)).unwrap();
        let add = |database: &mut Database, _: &_| database.add_media_server(media_server("new"));
        emm.change_stepwise(add, &mut |done| {
            if format!("{done:?}") == step {
                kill_self();
            }
        })
        .unwrap();
        return;
    }
    for step in Step::ALL {
        let home = tempfile::tempdir().unwrap();
        let emm = Emm::open(home.path()).unwrap();
        emm.change(|database, _| database.add_media_server(media_server("old"))).unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["emm::tests::killed_at_any_step_the_old_or_the_new_is_there", "--exact"])
            .env(VICTIM, format!("{step:?} {}", home.path().display()))
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(9), "{step:?}: it was not killed");
        let names: Vec<_> = emm.read().unwrap().media_servers().iter().map(|m| m.name.clone()).collect();
        let renamed = matches!(step, Step::Replaced(Stage::Renamed | Stage::Done));
        let expected: &[&str] = if renamed { &["new", "old"] } else { &["old"] };
        assert_eq!(names, expected, "{step:?}");
        emm.change(|database, _| database.add_media_server(media_server("after"))).unwrap();
        assert_eq!(emm.read().unwrap().media_servers().iter().count(), expected.len() + 1, "{step:?}");
    }
}
