//! Commands that work on what jobs leave, and with plug-ins of the harness's own.

use std::process::{Command, Output};

use crate::c_plugin::c_plugin;
use crate::rig::{Rig, assert_status, synthetic};

fn harness(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nbu-harness")).args(arguments).output().unwrap()
}

#[test]
fn the_log_of_a_job_becomes_a_scenario_that_passes_check() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 4 << 20;
    rig.installation.data_buffers.size_data_buffers_disk = 65_536;
    rig.installation.data_buffers.number_data_buffers_disk = 12;
    let result = rig.backup(&rig.request(1, synthetic(10)));
    assert_status(&result, 0);
    let (log, yaml) = (rig.path("bptm.log"), rig.path("made.yaml"));
    std::fs::write(&log, result.log.join("\n")).unwrap();
    let made = harness(&["import-log", log.to_str().unwrap()]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(&yaml, &made.stdout).unwrap();
    let checked = harness(&["check", "--json", yaml.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let scenario: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(scenario["buffers"]["SIZE_DATA_BUFFERS_DISK"], 65_536);
    assert_eq!(scenario["buffers"]["NUMBER_DATA_BUFFERS_DISK"], 12);
    assert_eq!(scenario["units"][0]["max_fragment"], 4 << 20);
    assert_eq!(scenario["streams"][0]["source"]["synthetic"]["kb_size"], 10 * 1024);
    assert_eq!(scenario["server"]["type"], "Fake");
    assert_eq!(scenario["expect"]["jobs"][0]["status"], 0);
    let refused = harness(&["import-log", yaml.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_overhead_of_the_harness_is_measured_beside_a_plain_copy() {
    let output = harness(&["bench", "--overhead", "--size", "16m", "--rounds", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rate = |part: &str| figures["parts"][part].as_f64().unwrap();
    for part in ["memcpy", "generator", "socket", "stream"] {
        assert!(rate(part) > 1e6, "{part}: {figures:#}");
    }
    assert!((rate("ratio") - rate("stream") / rate("memcpy")).abs() < 1e-9, "{figures:#}");
    assert_eq!(figures["bytes"], 16 << 20);
}

#[test]
fn a_check_is_not_proven_while_others_fall_too() {
    // A plug-in of another storage type: its server cannot be opened, so what asks there fails with any defect.
    let plugin = c_plugin();
    let arguments = ["prove", "--plugin", plugin.to_str().unwrap(), "--filter", "LOD-002", "--json"];
    let output = harness(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let proofs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let proof = &proofs[0];
    assert_eq!(
        (&proof["defect"], &proof["found"], &proof["reason"]),
        (&"any-version".into(), &true.into(), &true.into())
    );
    let others = proof["others"].as_array().unwrap();
    assert!(others.iter().any(|other| other.as_str().unwrap().starts_with("SRV-003: ")), "{proof:#}");
    let unknown = harness(&["prove", "--plugin", plugin.to_str().unwrap(), "--filter", "XYZ"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_run_is_traced_into_a_directory_without_other_traces() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("old.nbutrace"), "").unwrap();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/NBU-BKP-002.yaml");
    let (trace, plugin) = (dir.path().to_str().unwrap(), c_plugin());
    let output = harness(&["run", scenario, "--plugin", plugin.to_str().unwrap(), "--trace", trace]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("traces of another run"), "{output:?}");
    let empty = dir.path().join("new");
    // The plug-in is of another storage type, so the backup fails; its calls are recorded all the same.
    let trace = empty.to_str().unwrap();
    let output = harness(&["run", scenario, "--plugin", plugin.to_str().unwrap(), "--trace", trace]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let files: Vec<_> = std::fs::read_dir(empty).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let recorded = nbu_trace::Trace::read(&files[0]).unwrap();
    let last = recorded.calls.iter().rfind(|call| recorded.entry(call) == "stspi_claim").unwrap();
    assert_eq!(last.code, ost_abi::STS_ECLAIM);
}
