//! Jobs with the wrapping plug-in between bptm and the plug-in.

use std::path::PathBuf;

use nbu_harness::nbu::{Place, Selection};
use nbu_harness::shim;
use nbu_trace::{Trace, Value, orders};

use crate::rig::{Rig, assert_status, synthetic};

/// A rig whose processes load the wrapping plug-in.
fn wrapped() -> Rig {
    let mut rig = Rig::new();
    let (exe, plugin) = (rig.installation.exe.clone(), rig.installation.plugin.clone());
    rig.installation.plugin = shim::wrap(&exe, &plugin, &mut rig.installation.plugin_env).unwrap();
    rig.unit.max_fragment_size = 4 << 20;
    rig
}

fn traces(rig: &Rig) -> Vec<Trace> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(rig.path("trace")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| Trace::read(file).unwrap()).collect()
}

#[test]
fn every_call_of_every_process_is_recorded_and_no_password() {
    let mut rig = wrapped();
    rig.plugin_env(orders::TRACE, rig.path("trace").display().to_string());
    let result = rig.backup(&rig.request(1, synthetic(8)));
    assert_status(&result, 0);
    assert_status(&rig.expire(&result.backup_id), 0);
    let traces = traces(&rig);
    let of = |name: &str| traces.iter().find(|trace| trace.header.process == name).unwrap();
    let bptm = of("bptm");
    assert_eq!(traces.len(), 2, "bptm's child loads no plug-in");
    let calls = |trace: &Trace, name: &str| {
        trace.calls.iter().filter(|call| trace.entry(call) == name).cloned().collect::<Vec<_>>()
    };
    let created = calls(bptm, "stspi_create_image");
    let names: Vec<_> = created.iter().filter_map(|call| call.arguments[1].field(1).as_text()).collect();
    let id = &result.backup_id;
    assert_eq!(
        names,
        [format!("{id}_C1_F1"), format!("{id}_C1_F2"), format!("{id}_C1_F3"), format!("{id}_C1_HDR")]
    );
    let handles: Vec<_> = created.iter().map(|call| call.results[3].clone()).collect();
    assert_eq!(handles, [2, 3, 4, 5].map(Value::Handle), "the server's is the first");
    let written: u64 = calls(bptm, "stspi_write_image")
        .iter()
        .filter(|call| call.arguments[0] != Value::Handle(5))
        .map(|call| call.results[5].as_number().unwrap())
        .sum();
    assert_eq!(written, (8 << 20) + 1536, "the file, its header, the end of the archive");
    assert_eq!(calls(of("bpdm"), "stspi_delete_image").len(), 4);
    assert!(bptm.calls.windows(2).all(|two| two[0].end_ns() <= two[1].start_ns), "one thread");
    for file in std::fs::read_dir(rig.path("trace")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}

#[test]
fn a_flipped_bit_reaches_the_host_and_only_where_it_was_ordered() {
    let mut rig = wrapped();
    let id = rig.backup(&rig.request(1, synthetic(8))).backup_id;
    assert_status(&rig.verify(&id), 0);
    // The first read is that of the header; the one after the next holds data only.
    let order = r#"[{"call": "read_image", "effect": {"corrupt": 4096}, "skip": 2}]"#;
    rig.plugin_env(orders::FAULTS, order);
    let result = rig.restore(&id, &rig.path("x"), Selection::All);
    assert_eq!(result.bad_ranges.len(), 1, "{:?}", result.bad_ranges);
    assert_eq!(result.bad_ranges[0].to - result.bad_ranges[0].from, 1);
    rig.plugin_env(
        orders::FAULTS,
        order.replace("read_image", "flush_image").replace("\"corrupt\": 4096", "\"error\": 1"),
    );
    assert_eq!(rig.restore(&id, &rig.path("y"), Selection::All).bad_ranges, []);
}

#[test]
fn orders_that_make_no_sense_fail_the_job_instead_of_doing_nothing() {
    let mut rig = wrapped();
    rig.plugin_env(orders::FAULTS, "[{}]");
    let result = rig.backup(&rig.request(1, synthetic(1)));
    assert_status(&result, 11);
    let printed = std::fs::read_to_string(rig.path("work/logs/job-1.log")).unwrap();
    assert!(printed.contains("NBU_SHIM_FAULTS"), "{printed}");
    rig.assert_nothing_left();
}

#[test]
fn a_close_that_is_to_fail_is_made_and_the_image_stays_incomplete() {
    let mut rig = wrapped();
    rig.plugin_env(orders::FAULTS, r#"[{"call": "close_image", "effect": "busy", "skip": 1}]"#);
    rig.plugin_env(orders::HITS, rig.path("hits").display().to_string());
    let result = rig.backup(&rig.request(1, synthetic(16)));
    assert_status(&result, 87);
    assert_eq!(result.sts_error.as_ref().map(|error| error.place), Some(Place::Close));
    assert_eq!(std::fs::read_to_string(rig.path("hits")).unwrap(), "0\n");
    rig.assert_nothing_left();
}

#[test]
fn a_cancelled_job_stays_cancelled_when_bptm_hangs_and_has_to_be_killed() {
    let mut rig = wrapped();
    rig.installation.timeouts.stop_timeout_ms = 300;
    rig.plugin_env(
        orders::FAULTS,
        r#"[{"call": "close_image", "effect": "hang", "skip": 2, "process": "bptm"}]"#,
    );
    let mut request = rig.request(1, synthetic(64));
    request.abort_after = Some(10 << 20);
    let result = rig.backup(&request);
    assert_status(&result, 150);
    assert!(result.log.iter().any(|line| line.contains("did not stop in time")), "{:?}", result.log);
    rig.assert_nothing_left();
}
