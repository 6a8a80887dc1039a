//! `bpdbjobs` of a domain that a scenario ran in.

use super::c_plugin::c_plugin;
use super::place::{PROGRAM, Place};

#[test]
fn what_a_scenario_ran_is_in_the_jobs_database_of_its_domain() {
    let mut place = Place::new();
    std::fs::create_dir_all(place.path("storage/lsu0")).unwrap();
    place.set("FAKE_OST_DIR", &place.path("storage").display());
    let scenario = "scenario: NBU-BKP-900\ntitle: two jobs\nseed: 7\nstorage:\n\
                    \x20 server: {type: Fake, name: server, user: user, password: secret}\n\
                    \x20 lsus: [{name: lsu0}]\n  units: [{label: stu1, lsu: lsu0}]\n\
                    policy: {name: p1, schedule: full, client: client1, storage: stu1}\n\
                    selections: [GEN_DATA, GEN_KBSIZE=512, GEN_MAXFILES=3]\n\
                    run:\n  - kill: {process: bptm, fragment: 1}\n  - backup: {tries: 2}\n  - restore: {}\n\
                    \x20 - restore: {copy: 2}\n\
                    expect: {jobs: [{type: Restore, status: 0, count: 1}, {type: Restore, status: 165, count: 1}]}\n";
    std::fs::write(place.path("a.yaml"), scenario).unwrap();
    place.shell(&format!("{PROGRAM} run --keep --work-dir . --plugin {} a.yaml", c_plugin().display()));
    let home = std::fs::read_dir(place.path(".")).unwrap().filter_map(Result::ok);
    let home = home.map(|entry| entry.path()).find(|path| path.join("netbackup").is_dir()).unwrap();
    place.set("NBU_HARNESS_HOME", &home.join("netbackup").display());

    let table = place.ok("bpdbjobs -report");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..6], ["3", "Restore", "Done", "165", "p1", "client1"], "{table}");
    assert_eq!(rows[2][..7], ["2", "Restore", "Done", "0", "p1", "client1", "ms1"], "{table}");
    assert_eq!(rows[3][..7], ["1", "Backup", "Done", "0", "p1", "full", "client1"], "{table}");
    let job = place.ok("bpdbjobs -report -all_columns -jobid 1");
    let columns: Vec<&str> = job.trim_end().split(',').collect();
    // Id, type, state, status, policy, schedule, client; tries, of which each has its status.
    assert_eq!(columns[..7], ["1", "0", "3", "0", "p1", "full", "client1"], "{job}");
    assert!(job.contains("Info bptm (pid="), "{job}");
    let (first, second) = (job.find(",82,").unwrap(), job.find("media manager killed by signal").unwrap());
    assert!(first < second, "the first try was lost with 82: {job}");
    let restore = place.ok("bpdbjobs -report -all_columns -jobid 2");
    let (asked, read) = (restore.find("Info bprd (pid=").unwrap(), restore.find("Info bptm (pid=").unwrap());
    assert!(asked < read, "bprd comes first: {restore}");
    let refused = place.ok("bpdbjobs -report -all_columns -jobid 3");
    assert!(refused.contains("has no copy 2: status 165"), "{refused}");
    assert!(!refused.contains("Info bpbrm"), "nothing was started: {refused}");
    let summary = place.ok("bpdbjobs -summary -l");
    assert_eq!(summary, "primary 0 0 0 2 0 1 0 0 3\n");

    // The clock of the database stands where its last job ended, which is minutes behind the first.
    assert_eq!(place.ok("bpdbjobs -clean -verbose"), "");
}
