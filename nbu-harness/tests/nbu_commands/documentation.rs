//! `docs/netbackup-commands.md` is a run on a simulated cluster: the run is done again, and every line compared.

use super::place::{PROGRAM, Place};
use jiff::{Timestamp, tz::TimeZone};
use nbu_harness::jobs_db::{
    Change, Fields, JobType, JobUpdate, JobsDb, NewJob, Operation, Progress, ScheduleType, Subtype,
};
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use vast_sim::{BlockingCluster, Config, VIP_POOL};

/// The time of the documentation's backup.
const THEN: u64 = 1_588_173_000;

/// A cluster with two LSUs, and what the plug-in needs to know of it.
fn cluster(place: &Place) -> BlockingCluster {
    let vips = (0..2).map(|n| std::net::IpAddr::from([127, 0, 0, 11 + n])).collect();
    let config = Config { vips, capacity: 1 << 40, ..Config::default() };
    std::fs::write(place.path("password"), format!("{}\n", config.password)).unwrap();
    let cluster = BlockingCluster::start(config, 2).unwrap();
    let (_, keys) = cluster.create_user("netbackup").unwrap();
    for (lsu, gib) in [("lsu0", 100), ("lsu1", 50)] {
        cluster.create_bucket(lsu, "netbackup").unwrap();
        cluster.create_quota(&format!("/{lsu}"), gib << 30).unwrap();
    }
    std::fs::write(place.path("ca.pem"), cluster.ca_pem()).unwrap();
    let (key_file, ca_file) = (place.path("s3-key.toml"), place.path("ca.pem"));
    let key = format!("access_key = {:?}\nsecret_key = {:?}\n", keys.access_key, keys.secret_key);
    std::fs::write(&key_file, key).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let port = cluster.s3_urls()[0].rsplit(':').next().unwrap().to_owned();
    let text = format!(
        "[server.vast1]\nvms = {:?}\nca_file = \"{}\"\ns3 = \"http\"\ns3_port = {port}\nvip_pool = {VIP_POOL:?}\n\
         key_file = \"{}\"\n",
        cluster.vms_url(),
        ca_file.display(),
        key_file.display(),
    );
    std::fs::write(place.path("vast-ost.toml"), text).unwrap();
    cluster
}

/// A backup of policy p1, run by a scenario; its catalogue becomes the home's. Returns its time.
fn backup(place: &Place) -> u64 {
    let scenario = "scenario: NBU-BKP-900\ntitle: a small backup\nseed: 7\nstorage:\n  server: {name: vast1}\n\
                    \x20 lsus: [{name: lsu0}]\n  units: [{label: stu1, lsu: lsu0}]\n\
                    policy: {name: p1, schedule: full, client: client1, storage: stu1}\n\
                    selections: [GEN_DATA, GEN_KBSIZE=512, GEN_MAXFILES=3]\nrun: [backup: {}]\n";
    std::fs::write(place.path("a.yaml"), scenario).unwrap();
    place.ok(&format!("{PROGRAM} run --keep --work-dir . --plugin libstspiVastData.so a.yaml"));
    place.ok("cp -r nbu-harness-*/netbackup/catalog home/");
    let id = place.ok("bpimagelist -idonly");
    id.trim_end().rsplit_once('_').unwrap().1.parse().unwrap()
}

/// Two jobs, as the primary server records them.
fn jobs(place: &Place) {
    let db = JobsDb::open(&place.home()).unwrap();
    let update = |job, at, change| db.append(JobUpdate { job, at, change }).unwrap();
    let granted = |pid| Change::TryStarted { pid, storage_unit: "stu1".into(), server: "media1".into() };
    let parent = NewJob {
        policy: "p1".into(),
        schedule: "full".into(),
        client: "client1".into(),
        primary: "primary1".into(),
        owner: "root".into(),
        group: "root".into(),
        subtype: Subtype::Scheduled,
        storage_unit: "stu1".into(),
        ..NewJob::default()
    };
    let child = NewJob {
        parent: Some(1),
        schedule_type: ScheduleType::Full,
        job_type: JobType::Backup,
        files_list: vec!["/data/a,b".into(), "/data/c".into()],
        backup_id: format!("client1_{THEN}"),
        ..parent.clone()
    };
    db.submit(THEN - 30, parent).unwrap();
    update(1, THEN - 29, granted(4000));
    let operation =
        |operation| Change::Fields(Box::new(Fields { operation: Some(operation), ..Fields::default() }));
    update(1, THEN - 29, operation(Operation::ParentJob));
    db.submit(THEN - 20, child).unwrap();
    update(2, THEN - 19, Change::Detail("requesting resource stu1".into()));
    update(2, THEN - 18, granted(4001));
    update(2, THEN - 10, Change::TryEnded { status: 84, text: "media write error".into() });
    update(2, THEN, granted(4002));
    update(2, THEN, operation(Operation::Write));
    let progress =
        Progress { kbytes: 1540, files: 4, percent: Some(100), kbytes_per_sec: 770, path: "/data/c".into() };
    update(2, THEN + 2, Change::Progress(progress));
    let text = "the requested operation was successfully completed";
    update(2, THEN + 3, Change::Done { status: 0, text: text.into() });
}

/// The forms in which a time is printed.
fn times(seconds: u64) -> [String; 3] {
    let at = Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_zoned(TimeZone::UTC);
    [
        seconds.to_string(),
        at.strftime("%m/%d/%Y %H:%M").to_string(),
        at.strftime("%a %b %e %Y %H:%M:%S").to_string(),
    ]
}

#[test]
fn the_documentation_is_what_the_commands_print() {
    let built = Path::new(PROGRAM).parent().unwrap();
    let place = Place::new();
    for library in ["libstspiVastData.so", "libstspiVastDataMT.so"] {
        if !built.join(library).exists() {
            println!("not run: there is no {library} in {}; `cargo build` makes it", built.display());
            return;
        }
        symlink(built.join(library), place.path(library)).unwrap();
    }
    let cluster = cluster(&place);
    let vms = cluster.vms_url().trim_start_matches("https://").trim_end_matches('/').to_owned();

    let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/netbackup-commands.md");
    let documentation = std::fs::read_to_string(documentation).unwrap();
    let (mut now, mut run, mut replace) = (String::new(), false, Vec::new());
    for line in documentation.lines() {
        if run && line != "```" && !line.starts_with("$ ") {
            continue;
        }
        if line == "## Jobs and backups" {
            let at = backup(&place);
            jobs(&place);
            replace = times(at).into_iter().zip(times(THEN)).collect();
        }
        now.push_str(line);
        now.push('\n');
        run = line == "```console" || (run && line != "```");
        if let Some(command) = line.strip_prefix("$ ").filter(|_| run) {
            // Only here the backup has another time.
            let given = replace.first().map(|(real, then)| command.replace(then, real));
            let mut text = place.shell(given.as_deref().unwrap_or(command)).text;
            for (real, then) in &replace {
                text = text.replace(real, then);
            }
            let libraries = built.canonicalize().unwrap().display().to_string();
            text = text.replace(&libraries, "/usr/openv/lib/ost-plugins");
            text = text.replace(&vms, "vast1.example.com").replace(env!("CARGO_PKG_VERSION"), "0.1.0");
            let _ = write!(now, "{text}");
        }
    }
    if now != documentation {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("netbackup-commands.md");
        std::fs::write(&path, &now).unwrap();
        let changed = now.lines().zip(documentation.lines()).find(|(now, then)| now != then);
        panic!(
            "docs/netbackup-commands.md is not what the commands print any more; the new one is {}. The first \
             difference, printed and documented: {changed:?}",
            path.display()
        );
    }
}
