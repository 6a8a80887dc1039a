//! Logs of both makers, and what becomes of them.

use super::*;
use crate::scenario::{self, ByteSize, JobType, Scenario, Step, StreamSource};

fn imported(log: &str) -> (String, Scenario) {
    let yaml = scenario_of(log, "bptm.log").unwrap();
    let scenario =
        scenario::parse("x.yaml", &yaml).unwrap_or_else(|error| panic!("{}\n{yaml}", error.render(false)));
    (yaml, scenario)
}

/// Two backups that overlap in time, and a restore after them.
const NETBACKUP: &str = "\
10:00:00.100 [501] <2> bptm: INITIATING (VERBOSE = 0)
10:00:00.200 [501] <2> io_init: using 1048576 data buffer size
10:00:00.200 [501] <2> io_init: CINDEX 0, sched bytes for monitoring = 200
10:00:00.201 [501] <2> io_init: using 64 data buffers
10:00:00.202 [501] <2> io_init: child delay = 20, parent delay = 30 (milliseconds)
10:00:01.000 [502] <2> io_init: using 1048576 data buffer size
10:00:09.000 [501] <4> write_backup: successfully wrote backup id fs-01_1700000000, copy 1, fragment 1, 2097152 Kbytes at 250000.5 Kbytes/sec
10:00:12.000 [501] <4> write_backup: successfully wrote backup id fs-01_1700000000, copy 1, fragment 2, 1000 Kbytes at 9000 Kbytes/sec
10:00:12.100 [501] <4> write_data: waited for full buffer 500 times, delayed 40 times
10:00:12.200 [501] <2> fill_buffer: [510] socket is closed, waited for empty buffer 7 times, delayed 3 times, read 2148507648 bytes
10:00:12.300 [501] <4> bptm: EXITING with status 0 <----------
10:00:13.000 [502] <4> write_data: waited for full buffer 1 times, delayed 0 times
10:00:13.300 [502] <16> bptm: EXITING with status 84 <----------
11:00:00.000 [501] <2> bptm: INITIATING (VERBOSE = 0)
11:00:05.000 [501] <2> read_data: waited for empty buffer 3 times, delayed 2 times
11:00:06.000 [501] <4> bptm: EXITING with status 0 <----------
";

#[test]
fn netbackups_lines_become_a_scenario_that_says_what_it_does_not_know() {
    let (yaml, scenario) = imported(NETBACKUP);
    assert_eq!(scenario.buffers.size_data_buffers_disk, 1 << 20);
    assert_eq!(scenario.buffers.number_data_buffers_disk, 64);
    assert_eq!((scenario.buffers.parent_delay_ms, scenario.buffers.child_delay_ms), (30, 20));
    assert_eq!(scenario.unit().max_fragment, ByteSize(2 << 30));
    assert!(!yaml.contains("fragments that were not the last"), "all of them had the same size: {yaml}");
    assert_eq!(scenario.unit().max_concurrent_jobs, 2, "they overlap in time");
    assert_eq!(scenario.clients, ["fs-01"]);
    assert_eq!(kbytes(&scenario), [2_097_152 + 1000 - 2, 1]);
    assert!(
        matches!(scenario.run[..], [Step::Backup(_), Step::Restore(_), Step::Expire(_)]),
        "{:?}",
        scenario.run
    );
    let jobs: Vec<_> = scenario.expect.jobs.iter().map(|job| (job.job_type, job.status)).collect();
    assert_eq!(jobs, [(JobType::Backup, 0), (JobType::Backup, 84), (JobType::Restore, 0)]);
    for unknown in
        ["name and type of the policy", "the LSU", "the data", "what made jobs fail", "header came first"]
    {
        let said = yaml.lines().any(|line| line.contains("# ??") && line.contains(unknown));
        assert!(said, "{unknown}: {yaml}");
    }
    assert!(
        yaml.contains("process 501: bptm waited 500 times, 1200 ms in all; its child waited 7 times, 60 ms")
    );
}

#[test]
fn the_harness_own_lines_are_understood_too() {
    let log = "\
  <2> 1:bptm:77:Fake:server: io_init: using 262144 data buffer size
  <2> 1:bptm:77:Fake:server: io_init: using 30 data buffers
  <2> 1:bptm:77:Fake:server: created image client1_1700000000_C1_HDR
  <4> 1:bptm:77:Fake:server: write_backup: successfully wrote backup id client1_1700000000, copy 1, fragment 1, 4096 Kbytes at 1 Kbytes/sec
  <4> 1:bptm:77:Fake:server: write_backup: successfully wrote backup id client1_1700000000, copy 1, fragment 2, 512 Kbytes at 1 Kbytes/sec
  <4> 1:bptm:77:Fake:server: EXITING with status 0 <----------
";
    let (yaml, scenario) = imported(log);
    assert_eq!((scenario.server.server_type.as_str(), scenario.server.name.as_str()), ("Fake", "server"));
    assert_eq!(scenario.header, crate::nbu::HeaderOrder::First);
    assert_eq!(scenario.unit().max_fragment, ByteSize(4 << 20));
    assert!(yaml.contains("?? how many jobs ran at once"), "{yaml}");
    assert!(!yaml.contains("header came first"), "{yaml}");
}

#[test]
fn what_a_scenario_cannot_have_is_said_and_left_out() {
    let log = "\
<2> io_init: using 1000 data buffer size
<2> io_init: using 100000 data buffers
<4> write_backup: successfully wrote backup id no: at_all, copy 1, fragment 1, 12 Kbytes at 1 Kbytes/sec
<4> write_backup: successfully wrote backup id no: at_all, copy 1, fragment 2, 12 Kbytes at 1 Kbytes/sec
";
    let (yaml, scenario) = imported(log);
    assert_eq!(scenario.buffers, crate::nbu::DataBuffers::default());
    assert!(yaml.contains("the log says 1000, which is not possible here"), "{yaml}");
    assert!(yaml.contains("the log says 100000, which is not possible here"), "{yaml}");
    assert!(yaml.contains("smaller than a scenario can ask for"), "{yaml}");
    assert!(yaml.contains("?? how the Backup of process 0 ended"), "{yaml}");
}

/// KiB of a backup's stream, as the scenario makes it.
fn kbytes(scenario: &Scenario) -> Vec<u64> {
    let data = scenario.streams.iter().map(|stream| match &stream.source {
        StreamSource::Synthetic(data) => data.kb_size * data.max_files,
        other => panic!("{other:?}"),
    });
    data.collect()
}

fn wrote(number: u64, kbytes: u64) -> String {
    format!(
        "<4> write_backup: successfully wrote backup id c_1700000000, copy 1, fragment {number}, {kbytes} Kbytes at 1 Kbytes/sec\n"
    )
}

#[test]
fn a_log_with_large_figures_becomes_a_scenario_too() {
    // 3 TB in fragments of 512 GB.
    let fragments: Vec<String> = (1..=6).map(|number| wrote(number, 524_288 << 10)).collect();
    let (yaml, scenario) = imported(&fragments.concat());
    let files = 3;
    assert_eq!(kbytes(&scenario), [((3 << 30) - 2) / files * files], "{yaml}");
    assert_eq!(scenario.unit().max_fragment, ByteSize(524_288 << 20));

    // A day of backups, each with other buffers.
    let backups: Vec<String> = (0..1500)
        .map(|pid| {
            let buffers = format!("io_init: using {} data buffers", pid + 1);
            format!("10:00:00 [{pid}] <2> {buffers}\n10:00:00 [{pid}] {}", wrote(1, 2000))
        })
        .collect();
    assert_eq!(imported(&backups.concat()).1.streams.len(), 1500);

    // More restores than a scenario has steps.
    let restores: Vec<String> = (0..1500)
        .map(|pid| {
            format!("10:00:00 [{pid}] <2> read_data: waited for empty buffer 3 times, delayed 2 times\n")
        })
        .collect();
    let backup = format!("10:00:00 [9999] {}", wrote(1, 2000));
    let (yaml, scenario) = imported(&(backup + &restores.concat()));
    assert_eq!(scenario.run.len(), 1000);
    assert!(yaml.contains("and 1437 more processes"), "{yaml}");
    assert!(yaml.contains("# ?? 1500 restores are more than a scenario has steps for"), "{yaml}");
}

#[test]
fn figures_at_the_end_of_what_there_is_are_no_accident() {
    let huge = u64::MAX;
    let log = [
        wrote(1, huge),
        wrote(2, huge),
        format!("<4> write_data: waited for full buffer 1 times, delayed {huge} times\n"),
        "<4> bptm: EXITING with status 3000000000\n".to_owned(),
    ];
    let (yaml, scenario) = imported(&log.concat());
    assert_eq!(scenario.unit().max_fragment, ByteSize(524_288 << 20), "the default");
    assert!(scenario.expect.jobs.is_empty());
    for unknown in ["more data than", "larger than a scenario can ask for", "no status"] {
        let said = yaml.lines().any(|line| line.contains("# ??") && line.contains(unknown));
        assert!(said, "{unknown}: {yaml}");
    }
    // Of a fraction of a second, the milliseconds count.
    for (fraction, jobs) in [("18446744073709551615", 1), ("999999999", 2), ("5", 1)] {
        let other = "10:00:00.600 [2] <4> write_data: x\n10:00:00.999 [2] <4> write_data: x\n";
        let log =
            format!("10:00:00.1 [1] <4> write_data: x\n10:00:00.{fraction} [1] <4> write_data: x\n{other}");
        assert_eq!(imported(&log).1.unit().max_concurrent_jobs, jobs, "{fraction}");
    }
}

#[test]
fn a_log_of_something_else_is_refused_with_what_was_looked_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "<2> hello\nio_init\n\u{0}\n").unwrap();
    let error = import(file.path()).unwrap_err().to_string();
    assert!(error.contains("successfully wrote backup id"), "{error}");
    assert!(import(Path::new("/no/such.log")).unwrap_err().to_string().contains("/no/such.log"));
}

proptest::proptest! {
    /// Whatever a log says, the scenario is one that can be read, or there is none.
    #[test]
    fn any_log_gives_a_right_scenario_or_none(
        cuts in proptest::collection::vec((0..NETBACKUP.len(), "[ -~\\n]{0,8}", 0..30usize), 0..6),
    ) {
        let mut log = NETBACKUP.to_owned();
        for (at, text, length) in cuts {
            let at = at.min(log.len());
            let end = (at + length).min(log.len());
            log.replace_range(at..end, &text);
        }
        if let Some(yaml) = scenario_of(&log, "any log: {") {
            let read = scenario::parse("x.yaml", &yaml);
            proptest::prop_assert!(read.is_ok(), "{}\n{yaml}", read.unwrap_err().render(false));
        }
    }
}
