//! `bpdbjobs` of a domain that a scenario ran in.

use super::c_plugin::c_plugin;
use super::place::{PROGRAM, Place};
use nbu_harness::jobs_db::{Change, JobUpdate, JobsDb, NewJob};

const HOUR: u64 = 3600;

/// A home with jobs that ended when the database's clock showed these hours, with these statuses: ids from 1. A job that is
/// not done was submitted before all of them, and the clock stands at 1000 hours.
fn home_of(ended: &[(u64, i32)]) -> (Place, u64) {
    let place = Place::new();
    let db = JobsDb::open(&place.home()).unwrap();
    for (hour, status) in ended {
        let job = db.submit(HOUR, NewJob::default()).unwrap();
        let change = Change::Done { status: *status, text: String::new() };
        db.append(JobUpdate { job, at: hour * HOUR, change }).unwrap();
    }
    let open = db.submit(HOUR, NewJob::default()).unwrap();
    db.append(JobUpdate { job: open, at: 1000 * HOUR, change: Change::Detail("waiting".into()) }).unwrap();
    (place, open)
}

/// The jobs that a line says were cleaned.
fn cleaned(place: &Place, line: &str) -> Vec<u64> {
    let said = place.ok(line);
    let id = |line: &str| line.strip_prefix("cleaned job ").unwrap().parse().unwrap();
    said.lines().map(id).collect()
}

#[test]
fn jobs_are_cleaned_that_are_done_for_longer_than_jobs_with_their_outcome_are_kept() {
    // 78 hours are the default of both. Partly successful is successful.
    let jobs = [(921, 0), (923, 0), (921, 84), (923, 84), (921, 1), (990, 0), (990, 84)];
    for (options, gone) in [
        ("", &[1, 3, 5][..]),
        ("-keep_hours 76", &[1, 3, 4, 5]),
        ("-keep_successful_hours 76", &[1, 2, 3, 5]),
        ("-keep_days 4", &[1, 5]),
        ("-keep_successful_days 4", &[3]),
        ("-keep_hours 9 -keep_successful_hours 9", &[1, 2, 3, 4, 5, 6, 7]),
        ("-keep_days 0 -keep_successful_days 0", &[1, 2, 3, 4, 5, 6, 7]),
        ("-keep_days 4 -keep_successful_days 4", &[]),
    ] {
        let (place, open) = home_of(&jobs);
        assert_eq!(cleaned(&place, &format!("bpdbjobs -clean -verbose {options}")), gone, "{options}");
        let left: Vec<u64> =
            JobsDb::open(&place.home()).unwrap().jobs().unwrap().iter().map(|job| job.id).collect();
        let kept: Vec<u64> = (1..=open).filter(|id| !gone.contains(id)).collect();
        assert_eq!(left, kept, "{options}");
        assert!(left.contains(&open), "it is not done");
        assert_eq!(
            place.ok(&format!("bpdbjobs -clean {options}")),
            "",
            "only with -verbose, and they are gone"
        );
    }
}

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
