//! Jobs that fail: whatever happens, the status says where, nothing hangs and nothing is left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nbu_harness::nbu::{
    BackupRequest, CheckpointEvery, JobControl, JobEvent, JobResult, Place, RestoreRequest, Selection,
    Source, StatusRule, backup, restore,
};

use crate::c_plugin::c_plugin;
use crate::rig::{Rig, assert_status, go_on, synthetic};
use crate::tree;

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill {signal} {pid}");
}

/// Runs a backup and sends a signal to one of its processes once it is under way.
fn backup_with_signal(rig: &Rig, request: &BackupRequest, process: &str, signal: &str) -> JobResult {
    let mut pid = None;
    let mut sent = false;
    backup(&rig.installation, request, &mut |event| {
        match event {
            JobEvent::ProcessStarted { name, pid: started } if name == process => pid = Some(*started),
            // A fragment is finished: data is on the storage and more is on its way.
            JobEvent::Log(line) if line.contains("successfully wrote") && !sent => {
                sent = true;
                kill(pid.unwrap(), signal);
            }
            _ => {}
        }
        JobControl::Continue
    })
}

fn rig_with_small_fragments() -> Rig {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 4 << 20;
    rig
}

#[test]
fn a_cancel_in_the_middle_is_exact_and_leaves_nothing() {
    let rig = rig_with_small_fragments();
    let mut request = rig.request(1, synthetic(64));
    request.abort_after = Some(10 << 20);
    let result = rig.backup(&request);
    assert_status(&result, 150);
    assert_eq!(result.bytes_written, 10 << 20);
    assert_eq!(result.left_behind, Vec::<String>::new());
    rig.assert_nothing_left();
    request.abort_after = None;
    assert_status(&rig.backup(&request), 0);
}

#[test]
fn the_operator_and_a_signal_cancel_too() {
    let rig = rig_with_small_fragments();
    let mut asked = false;
    let result = backup(&rig.installation, &rig.request(1, synthetic(512)), &mut |event| {
        if matches!(event, JobEvent::Log(line) if line.contains("fragment 1,")) {
            asked = true;
            return JobControl::Cancel;
        }
        JobControl::Continue
    });
    assert!(asked);
    assert_status(&result, 150);
    rig.assert_nothing_left();
    let result = backup_with_signal(&rig, &rig.request(2, synthetic(512)), "bpbrm", "-TERM");
    assert_status(&result, 150);
    rig.assert_nothing_left();
}

#[test]
fn a_killed_bptm_is_status_82_and_bpdm_cleans_up() {
    let rig = rig_with_small_fragments();
    let result = backup_with_signal(&rig, &rig.request(1, synthetic(512)), "bptm", "-KILL");
    assert_status(&result, 82);
    assert!(
        result.processes.iter().any(|p| p.name == "bpdm" && p.exit_code == Some(0)),
        "{:?}",
        result.processes
    );
    rig.assert_nothing_left();
    assert_status(&rig.backup(&rig.request(1, synthetic(8))), 0);
}

#[test]
fn a_killed_bptm_child_is_status_82() {
    let rig = rig_with_small_fragments();
    let result = backup_with_signal(&rig, &rig.request(1, synthetic(512)), "bptm child", "-KILL");
    assert_status(&result, 82);
    rig.assert_nothing_left();
}

#[test]
fn a_killed_bpbkar_is_status_50_and_half_a_stream_is_no_backup() {
    let rig = rig_with_small_fragments();
    let result = backup_with_signal(&rig, &rig.request(1, synthetic(512)), "bpbkar", "-KILL");
    assert_status(&result, 50);
    rig.assert_nothing_left();
}

#[test]
fn a_full_lsu_is_status_129_and_leaves_nothing() {
    let mut rig = rig_with_small_fragments();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 10 << 20);
    let result = rig.backup(&rig.request(1, synthetic(64)));
    assert_status(&result, 129);
    let error = result.sts_error.as_ref().unwrap();
    assert_eq!(
        (error.place, error.code, error.call.as_str()),
        (Place::Write, 2_060_025, "stspi_write_image")
    );
    let log = result.log.join("\n");
    assert!(
        log.contains("<32> 1:bptm:") && log.contains("failed: error 2060025: no space left on storage"),
        "{log}"
    );
    assert!(log.contains("<16> 1:bptm:") && log.contains("the fake storage is full"), "{log}");
    rig.assert_nothing_left();

    rig.plugin_env("FAKE_OST_CAPACITY", 0);
    let result = rig.backup(&rig.request(2, synthetic(1)));
    assert_status(&result, 129);
    assert_eq!(result.bytes_written, 0, "refused before anything was written");
}

#[test]
fn what_a_backup_left_is_deleted_by_the_date_and_policy_that_it_has() {
    let mut rig = rig_with_small_fragments();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 6 << 20);
    rig.plugin_env("FAKE_OST_FAIL", "delete_image:2060019");
    let request = rig.request(1, synthetic(16));
    let failed = rig.backup(&request);
    assert_status(&failed, 129);
    assert_eq!((failed.left_behind.len(), rig.stored().len()), (2, 2), "a fragment and half of the next");
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    let hindered = rig.backup(&BackupRequest { earlier_tries: 1, ..request.clone() });
    assert_status(&hindered, 83);
    // Such a job knows the backup's id and time, and not its policy.
    rig.plugin_env("FAKE_OST_FAIL", "");
    assert_status(&rig.discard(&request), 0);
    rig.assert_nothing_left();
}

#[test]
fn the_place_of_an_error_decides_the_status() {
    for (call, status) in [
        ("open_server", 83),
        ("create_image", 83),
        ("write_image", 84),
        ("close_image", 87),
        ("get_lsu_prop_byname", 83),
    ] {
        let mut rig = Rig::new();
        rig.plugin_env("FAKE_OST_FAIL", format!("{call}:2060046"));
        assert_status(&rig.backup(&rig.request(1, synthetic(1))), status);
        rig.assert_nothing_left();
    }
    let mut rig = Rig::new();
    let id = rig.backup(&rig.request(1, synthetic(1))).backup_id;
    for (call, code, status) in
        [("read_image", 2_060_043, 85), ("read_image", 2_060_011, 86), ("open_image", 2_060_019, 83)]
    {
        rig.plugin_env("FAKE_OST_FAIL", format!("{call}:{code}"));
        assert_status(&rig.restore(&id, &rig.path("x"), Selection::All), status);
    }
    rig.plugin_env("FAKE_OST_FAIL", "read_image:227");
    let unmapped = rig.restore(&id, &rig.path("x"), Selection::All);
    assert_status(&unmapped, 174);
    assert!(unmapped.log.iter().any(|l| l.contains("error 227: Not an OST error code")));
    assert!(
        unmapped.warnings.iter().any(|w| w.text.contains("status 174 is a guess")),
        "{:?}",
        unmapped.warnings
    );
    rig.installation.status_rules = vec![StatusRule { place: Some(Place::Read), error: None, status: 130 }];
    assert_status(&rig.restore(&id, &rig.path("x"), Selection::All), 130);
}

#[test]
fn bad_input_has_a_clear_error() {
    let text = |rig: &Rig, status| {
        let result = rig.backup(&rig.request(1, synthetic(1)));
        assert_status(&result, status);
        rig.assert_nothing_left();
        result.text
    };
    let mut rig = Rig::new();
    rig.installation.plugin = "/nonexistent/libstspiX.so".into();
    assert!(text(&rig, 11).contains("cannot load the plug-in /nonexistent/libstspiX.so"));
    let object = rig.path("not a library.so");
    fs::write(&object, "text").unwrap();
    rig.installation.plugin = object;
    assert!(text(&rig, 11).contains("cannot load the plug-in"));
    let source = rig.path("other.c");
    fs::write(&source, "int other(void) { return 0; }").unwrap();
    let other = rig.path("libother.so");
    let cc =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&other).arg(&source).status();
    assert!(cc.unwrap().success());
    rig.installation.plugin = other;
    assert!(text(&rig, 11).contains("does not export stspi_init"));
    rig.installation.plugin = c_plugin();

    rig.unit.password = "wrong".into();
    let wrong = text(&rig, 83);
    assert!(wrong.contains("authorization failure") && !wrong.contains("wrong"), "{wrong}");
    rig.unit.password = "secret".into();
    rig.unit.lsu = "lsu7".into();
    assert!(text(&rig, 83).contains("no LSU \"lsu7\""));
    rig.unit.lsu = "lsu0".into();
    rig.unit.server = "Other:server".into();
    assert!(text(&rig, 83).contains("not claimed"));
    rig.unit.server = "Fake:server".into();
    rig.installation.data_buffers.number_data_buffers_disk = 0;
    assert!(text(&rig, 89).contains("NUMBER_DATA_BUFFERS_DISK"));
    rig.installation.data_buffers.number_data_buffers_disk = 30;

    let mut request = rig.request(1, synthetic(1));
    request.client = "../client".into();
    assert_status(&rig.backup(&request), 20);
    let missing = Source::Directory(rig.path("nowhere"));
    assert_status(&rig.backup(&rig.request(1, missing)), 71);
    rig.installation.exe = "/nonexistent/nbu-harness".into();
    assert_status(&rig.backup(&rig.request(1, synthetic(1))), 11);
}

#[test]
fn a_silent_client_is_status_41() {
    let mut rig = Rig::new();
    rig.installation.timeouts.client_read_timeout_ms = 1500;
    rig.installation.timeouts.stop_timeout_ms = 5000;
    let mut request = rig.request(1, synthetic(512));
    request.storage_unit.max_fragment_size = 4 << 20;
    let result = backup_with_signal(&rig, &request, "bpbkar", "-STOP");
    assert_status(&result, 41);
    rig.assert_nothing_left();
}

#[test]
fn a_file_that_changes_makes_the_backup_partial_and_keeps_it_valid() {
    let mut rig = Rig::new();
    // bptm cannot write before the file has changed, and bpbkar is never more than some MiB ahead of it.
    rig.installation.data_buffers.number_data_buffers_disk = 1;
    rig.installation.data_buffers.size_data_buffers_disk = 2048;
    let mut open_gate = rig.gate();
    let source = rig.path("source");
    fs::create_dir(&source).unwrap();
    tree::file(&source.join("good"), 1000);
    let growing = source.join("growing");
    tree::file(&growing, 40 << 20);
    let mut opened = false;
    let request = rig.request(1, Source::Directory(source.clone()));
    let result = backup(&rig.installation, &request, &mut |event| {
        // The first buffer is full: it ends behind the large file's header, so bpbkar has begun to read it.
        if matches!(event, JobEvent::Log(line) if line.contains("created image")) && !opened {
            fs::OpenOptions::new().append(true).open(&growing).unwrap().set_len(50 << 20).unwrap();
            open_gate();
            opened = true;
        }
        JobControl::Continue
    });
    assert!(opened);
    assert_status(&result, 1);
    assert_eq!(result.warnings.len(), 1, "{:?}", result.warnings);
    assert_eq!(result.warnings[0].path.0, b"growing");
    assert_status(&rig.verify(&result.backup_id), 0);
    let target = rig.path("target");
    assert_status(&rig.restore(&result.backup_id, &target, Selection::All), 0);
    assert_eq!(fs::metadata(target.join("growing")).unwrap().size(), 40 << 20);
    assert_eq!(fs::read(target.join("good")).unwrap(), fs::read(source.join("good")).unwrap());
}

#[test]
fn a_killed_restore_ends_with_a_status() {
    let rig = Rig::new();
    let id = rig.backup(&rig.request(1, synthetic(64))).backup_id;
    for (process, status) in [("bptm", 82), ("tar", 50)] {
        let mut pid = None;
        let request = RestoreRequest {
            copy: None,
            job_id: 5,
            backup_id: id.clone(),
            storage_unit: rig.unit.clone(),
            destination: rig.path("x"),
            selection: Selection::All,
            checkpoint: CheckpointEvery::RESTORE,
            suspend_after: None,
            resume: false,
        };
        let result = restore(&rig.installation, &request, &mut |event| {
            if let JobEvent::ProcessStarted { name, pid: started } = event
                && name == process
            {
                pid = Some(*started);
                kill(*started, "-KILL");
            }
            go_on(event)
        });
        assert!(pid.is_some());
        assert_status(&result, status);
    }
}
