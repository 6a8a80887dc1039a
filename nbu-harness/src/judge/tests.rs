//! Every expectation is shown to hold on a good record and to fail on a doctored one.

use super::*;
use crate::engine::{
    ChangedFile, FaultOutcome, ImageFacts, KillOutcome, PluginFaultOutcome, StepRecord, StorageState,
    VipRequests,
};
use crate::nbu::{BufferWaits, Footprint, JobResult, JobState, Operation, WaitDelay, Warning};
use crate::oracle::{Comparison as Compared, Difference};
use crate::scenario::{Fault, FaultEffect, KillStep, Victim, parse};
use nbu_trace::orders;
use std::collections::BTreeMap;

const SCENARIO: &str = "\
scenario: NBU-BKP-900
title: everything that can be expected
storage:
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA]
run:
  - backup: {}
  - backup: {abort_after: 1m}
  - restore: {}
  - restore: {single_files: 1}
  - expire: {}
expect:
  jobs: [{type: Backup, status: 0, count: 1}, {type: Backup, status: 150}, {type: Restore, status: 0}]
  catalog: {images: 1, fragments: '>=2', copies: 2, header_in_order: true}
  storage: {no_orphans: true, empty: true, all_vips_used: true}
  data: {restore: byte_identical, single_file: byte_identical, single_file_read_overhead: <= 1m, no_wrong_bytes: true, changed_file_reported: true}
  media_server_writes: [{step: 1, bytes: <= 1m}]
  media_server_reads: [{step: 4, bytes: '>=1'}]
  counters: consistent
  leaks: none
  bptm_peak_memory: <= 512m
  all_jobs_done_within: 1m
  job_details_say: [cancelled]
  step_details_say: [{step: 3, says: waited for}]
  faults_fired: true
";

fn job(step: usize, id: u64, kind: JobKind, status: i32) -> JobRecord {
    let waits = WaitDelay { waits: 3, delays: 2, waited_ns: 31_000_000 };
    JobRecord {
        step,
        stream: 1,
        unit: "stu1".into(),
        wanted_bytes: (step == 3).then_some(10_240),
        state: JobState::Done,
        tries: Vec::new(),
        parent: None,
        reason: None,
        result: JobResult {
            job_id: id,
            kind,
            state: JobState::Done,
            status,
            text: "text".into(),
            cause: None,
            backup_id: "client1_1".into(),
            processed: Vec::new(),
            kbytes: 100,
            files: 10,
            elapsed_ms: 900,
            kbytes_per_sec: 111,
            waits: BufferWaits { parent: waits, child: WaitDelay { delays: 3, ..waits } },
            bytes_written: 102_400,
            bytes_read: 262_144,
            peak_rss_bytes: 64 << 20,
            footprints: vec![Footprint::default()],
            fragments: Vec::new(),
            images: Vec::new(),
            left_behind: Vec::new(),
            log: vec![
                "waited for full buffer 3 times, delayed 2 times".into(),
                "waited for empty buffer 3 times, delayed 3 times".into(),
                "Info bpbrm job cancelled by the administrator".into(),
            ],
            warnings: vec![Warning { path: "changing.db".into(), text: "changed".into() }],
            sts_error: None,
            bad_ranges: Vec::new(),
            processes: Vec::new(),
            operations: vec![Operation::Connect],
        },
    }
}

fn image() -> ImageFacts {
    let fragment =
        |n: u32| format!("{{\"number\":{n},\"name\":\"client1_1_C1_F{n}\",\"offset\":0,\"bytes\":1}}");
    let text = format!(
        "{{\"format\":2,\"backup_id\":\"client1_1\",\"client\":\"client1\",\"policy\":\"p1\",\"schedule\":\"full\",\
         \"backup_time\":1,\"job_id\":1,\"schedule_type\":\"full\",\"stream\":1,\"stream_bytes\":2,\"files\":10,\"status\":0,\
         \"primary_copy\":1,\"copies\":[{{\"number\":1,\"storage_server\":\"VastData:vast1\",\"lsu\":\"lsu0\",\
         \"buffer_size\":262144,\"header\":\"client1_1_C1_HDR\",\"header_order\":\"last\",\
         \"fragments\":[{},{}]}}],\"source\":{{\"directory\":\"/x\"}},\
         \"file_list\":\"client1_1.f\"}}",
        fragment(1),
        fragment(2)
    );
    let names = ["client1_1_C1_F1", "client1_1_C1_F2", "client1_1_C1_HDR"].map(str::to_owned);
    ImageFacts { stream: 1, image: serde_json::from_str(&text).unwrap(), made: names.into() }
}

fn step(name: &'static str, before: &[&str], after: &[&str]) -> StepRecord {
    StepRecord {
        name,
        elapsed_ms: 1,
        before: Some(state(before)),
        after: Some(state(after)),
        full: None,
        single: None,
        images: Vec::new(),
        copies: Vec::new(),
        changed: Vec::new(),
    }
}

fn state(keys: &[&str]) -> StorageState {
    let things = keys.iter().map(|key| ((*key).to_owned(), 1)).collect();
    StorageState { bytes: keys.len() as u64, objects: keys.len(), uploads: 0, things }
}

pub(crate) fn good() -> Record {
    let same = Compared { paths: 10, bytes: 100, ..Compared::default() };
    let mut first = step("backup", &[], &["lsu0/a"]);
    first.images = vec![image()];
    first.copies = vec![("client1_1".into(), 2)];
    first.changed = vec![ChangedFile { stream: 1, path: "changing.db".into(), rewrites: 9, reported: true }];
    let cancelled = step("backup", &["lsu0/a"], &["lsu0/a"]);
    let restore = StepRecord { full: Some(same.clone()), ..step("restore", &["lsu0/a"], &["lsu0/a"]) };
    let single = StepRecord { single: Some(same), ..step("restore", &["lsu0/a"], &["lsu0/a"]) };
    let fault = Fault {
        effect: FaultEffect::SlowDown,
        operation: None,
        vip: None,
        by: None,
        skip: 0,
        times: 1,
        fragment: Some(1),
    };
    let one_request =
        VipRequests { operations: BTreeMap::from([("GetObject".into(), 1)]), ..VipRequests::default() };
    Record {
        set_up: Vec::new(),
        attributes: Vec::new(),
        scenario: parse("a.yaml", SCENARIO).unwrap(),
        streams: Vec::new(),
        steps: vec![first, cancelled, restore, single, step("expire", &["lsu0/a"], &[])],
        jobs: vec![
            job(0, 1, JobKind::Backup, 0),
            job(1, 2, JobKind::Backup, 150),
            job(2, 3, JobKind::Restore, 0),
            job(3, 4, JobKind::Restore, 0),
            job(4, 5, JobKind::ImageCleanup, 0),
        ],
        vips: Some(BTreeMap::from([
            ("127.0.0.11".into(), one_request.clone()),
            ("127.0.0.12".into(), one_request),
        ])),
        vms: BTreeMap::new(),
        faults: vec![FaultOutcome { fault, hits: 1 }],
        kills: Vec::new(),
        orders: Vec::new(),
        pauses: Vec::new(),
        plugin_faults: Vec::new(),
        storage: Some(StorageState::default()),
        elapsed_ms: 1000,
    }
}

#[test]
fn a_good_record_meets_every_expectation() {
    let findings = judge(&good());
    assert_eq!(findings.len(), 22, "{findings:#?}");
    for finding in findings {
        assert!(finding.holds, "{}: {}", finding.aspect, finding.detail);
    }
}

/// Exactly this expectation fails on the changed record, and its detail says why.
fn fails(aspect: &str, says: &str, change: impl FnOnce(&mut Record)) {
    let mut record = good();
    change(&mut record);
    let failed: Vec<Finding> = judge(&record).into_iter().filter(|finding| !finding.holds).collect();
    assert_eq!(failed.len(), 1, "{aspect}: {failed:#?}");
    assert_eq!(failed[0].aspect, aspect);
    assert!(failed[0].detail.contains(says), "{aspect}: {}", failed[0].detail);
}

#[test]
fn every_expectation_fails_on_what_it_is_there_to_find() {
    fails("jobs", "status 84", |r| r.jobs[2].result.status = 84);
    fails("jobs", "expected == 2", |r| r.scenario.expect.jobs[0].count = Some(Comparison::equal(2)));
    fails("jobs", "status 129: 0", |r| r.scenario.expect.jobs[0].status = 129);
    fails("jobs", "status 1", |r| r.jobs[4].result.status = 1);
    fails("jobs", "Suspended", |r| r.jobs[4].state = JobState::Suspended);
    fails("jobs", "status 0: 0", |r| r.scenario.expect.jobs[0].tries = Some(Comparison::equal(2)));
    fails("jobs", "status 0: 0", |r| r.scenario.expect.jobs[0].try_statuses = Some(vec![84]));
    fails("jobs", "status 0: 0", |r| r.scenario.expect.jobs[0].media = Some("ms2".into()));
    fails("jobs", "status 0: 0", |r| r.scenario.expect.jobs[0].unit = Some("stu2".into()));
    fails("jobs", "status 0: 0", |r| r.scenario.expect.jobs[0].operations = Some(vec![Operation::Write]));
    fails("catalog.images", "images: 2", |r| {
        let another = r.steps[0].images[0].clone();
        r.steps[0].images.push(another);
    });
    fails("catalog.fragments", "client1_1: 1", |r| {
        r.steps[0].images[0].image.copies[0].fragments.pop();
    });
    fails("catalog.copies", "client1_1: 1", |r| r.steps[0].copies[0].1 = 1);
    fails("catalog.copies", "nothing to measure", |r| r.steps[0].copies.clear());
    fails("media_server_writes", "job 1", |r| r.jobs[0].result.bytes_written = 2 << 20);
    fails("media_server_reads", "job 4", |r| r.jobs[3].result.bytes_read = 0);
    fails("catalog.header_in_order", "HDR", |r| r.steps[0].images[0].made.rotate_right(1));
    fails("storage.no_orphans", "lsu0/left", |r| r.steps[1].after = Some(state(&["lsu0/a", "lsu0/left"])));
    fails("storage.no_orphans", "is gone", |r| r.steps[1].after = Some(state(&[])));
    fails("storage.empty", "lsu0/left", |r| r.storage = Some(state(&["lsu0/left"])));
    fails("storage.empty", "cannot be examined", |r| r.storage = None);
    fails("storage.all_vips_used", "127.0.0.12: 0", |r| {
        r.vips.as_mut().unwrap().insert("127.0.0.12".into(), VipRequests::default());
    });
    let difference =
        |what| Difference { path: "etc/hosts".into(), what, expected: "a".into(), found: "b".into() };
    fails("data.restore", "etc/hosts", |r| r.steps[2].full.as_mut().unwrap().push(difference("mode"), 1));
    fails("data.no_wrong_bytes", "etc/hosts", |r| {
        r.scenario.expect.data.restore = None;
        r.steps[2].full.as_mut().unwrap().push(difference("content"), 1);
    });
    fails("data.no_wrong_bytes", "1 files", |r| {
        r.scenario.expect.data.restore = None;
        let full = r.steps[2].full.as_mut().unwrap();
        // The list is full of other things.
        (full.total, full.wrong_bytes, full.differences) = (2, 1, vec![difference("mode")]);
    });
    fails("data.no_wrong_bytes", "nothing was restored", |r| {
        (r.scenario.expect.data.restore, r.scenario.expect.data.single_file) = (None, None);
        (r.steps[2].full, r.steps[3].single) = (None, None);
    });
    fails("data.restore", "nothing was restored", |r| r.steps[2].full = None);
    fails("data.single_file", "etc/hosts", |r| {
        r.steps[3].single.as_mut().unwrap().push(difference("mode"), 1);
    });
    fails("data.single_file_read_overhead", "job 4", |r| r.jobs[3].result.bytes_read = 64 << 20);
    fails("data.changed_file_reported", "no warning", |r| r.steps[0].changed[0].reported = false);
    fails("data.changed_file_reported", "no file changed", |r| r.steps[0].changed.clear());
    fails("counters", "delayed 5 times", |r| r.jobs[0].result.waits.parent.delays = 5);
    fails("counters", "no wait at all", |r| r.jobs[0].result.waits.parent.waits = 0);
    fails("counters", "in a job of", |r| {
        r.jobs[0].result.waits.child = WaitDelay { waits: 1, delays: 200, waited_ns: 2_000_000_000 };
    });
    fails("counters", "full buffer", |r| {
        r.jobs[0].result.log.remove(0);
    });
    fails("leaks", "job 1: descriptor 7 socket", |r| {
        r.jobs[0].result.footprints[0].left_descriptors.push("7 socket:[1]".into());
    });
    fails("leaks", "job 3: thread 12 s3", |r| {
        r.jobs[2].result.footprints[0].left_threads.push("12 s3".into());
    });
    fails("bptm_peak_memory", "job 1", |r| r.jobs[0].result.peak_rss_bytes = 1 << 30);
    fails("all_jobs_done_within", "job 1", |r| r.jobs[0].result.elapsed_ms = 60_001);
    fails("job_details_say", "cancelled", |r| {
        r.jobs[1].result.log.pop();
    });
    fails("step_details_say", "job 3", |r| r.scenario.expect.step_details_say[0].says = "nothing".into());
    fails("step_details_say", "no job", |r| r.scenario.expect.step_details_say[0].step = 9);
    fails("faults_fired", "never happened", |r| r.faults[0].hits = 0);
    fails("faults_fired", "Server", |r| {
        let kill = KillStep { victim: Victim::Server("ms1".into()), fragment: None };
        r.kills.push(KillOutcome { kill, hits: 0 });
    });
    fails("faults_fired", "stspi_claim", |r| {
        let fault = orders::FaultOrder {
            id: 0,
            call: "stspi_claim".into(),
            effect: orders::FaultEffect::Busy,
            skip: 0,
            times: 1,
            process: None,
        };
        r.plugin_faults.push(PluginFaultOutcome { fault, hits: 0 });
    });
}

type Change = fn(&mut Record);

#[test]
fn what_cannot_be_looked_at_is_unknown_and_what_is_wrong_is_not() {
    let found = |change: Change, aspect: &str| {
        let mut record = good();
        change(&mut record);
        let findings = judge(&record);
        findings.into_iter().find(|finding| finding.aspect == aspect).unwrap()
    };
    let blind: [(&str, Change); 4] = [
        ("leaks", |r| r.jobs.iter_mut().for_each(|job| job.result.footprints.clear())),
        ("storage.empty", |r| r.storage = None),
        ("storage.no_orphans", |r| r.steps[1].after = None),
        ("storage.all_vips_used", |r| r.vips = None),
    ];
    for (aspect, change) in blind {
        let finding = found(change, aspect);
        assert!(finding.unknown && !finding.holds, "{finding:?}");
    }
    let wrong = found(|r| r.storage = Some(state(&["lsu0/a"])), "storage.empty");
    assert!(!wrong.unknown && !wrong.holds, "{wrong:?}");
}

#[test]
fn a_command_of_the_set_up_that_failed_is_named_with_what_it_said() {
    let command = |line: &str, status, output: &str| crate::engine::CommandRecord {
        line: line.into(),
        status,
        output: output.into(),
    };
    let went = command("bpstuadd -label stu1", 0, "");
    let failed = command("tpconfig -add", 252, "refused\n");
    let of = |set_up| judge(&Record { set_up, ..good() }).into_iter().find(|one| one.aspect == "set_up");
    assert!(of(Vec::new()).is_none());
    assert!(of(vec![went.clone()]).is_some_and(|finding| finding.holds && finding.detail == "1 commands"));
    let finding = of(vec![went, failed]).unwrap();
    assert!(!finding.holds && finding.detail == "tpconfig -add\nrefused", "{}", finding.detail);
}
