//! The command as people and CI use it: what it prints and how it exits, with good input, bad input and plug-ins that
//! do not do what they should.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

const SCENARIO: &str = "\
scenario: NBU-BKP-900
title: a small one
storage:
  server: {type: Fake, name: server, user: user, password: secret}
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA, GEN_KBSIZE=64, GEN_MAXFILES=4]
run:
  - backup: {}
  - restore: {}
expect:
  data: {restore: byte_identical}
";

/// A plug-in in C that keeps images in a directory and knows nothing of VAST.
fn c_plugin() -> PathBuf {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cc = Command::new("cc")
            .args(["-std=c11", "-shared", "-fPIC", "-O2", "-I"])
            .arg(root.join("../driver/ost-abi/include"))
            .arg(root.join("tests/fixtures/fake_plugin.c"))
            .arg("-o")
            .arg(dir.path().join("libstspiFake.so"))
            .status()
            .unwrap();
        assert!(cc.success(), "the C plug-in does not compile");
        dir
    });
    dir.path().join("libstspiFake.so")
}

/// A directory with the scenario, an LSU for the C plug-in, and a command that works there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("storage/lsu0")).unwrap();
        std::fs::write(dir.path().join("a.yaml"), SCENARIO).unwrap();
        Self(dir)
    }

    fn run(&self, args: &[&str], fail: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbu-harness"));
        command.args(args).current_dir(self.0.path()).env("FAKE_OST_DIR", self.0.path().join("storage"));
        if let Some(fail) = fail {
            command.env("FAKE_OST_FAIL", fail);
        }
        command.output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_scenario_that_holds_exits_with_0_and_prints_the_jobs() {
    let place = Place::new();
    let plugin = c_plugin();
    let output = place.run(&["run", "--plugin", plugin.to_str().unwrap(), "a.yaml"], None);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    for word in ["Backup", "Restore", "NBU-BKP-900 passed", "ok   data.restore"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours without a terminal");
}

#[test]
fn a_plug_in_that_fails_exits_with_1_and_the_reason() {
    for (fail, status) in [
        ("open_server:2060029", "status 83"),
        ("write_image:2060022", "status 84"),
        ("write_image:2060025", "status 129"),
        ("close_image:2060022", "status 87"),
        ("read_image:2060017", "status 85"),
    ] {
        let place = Place::new();
        let plugin = c_plugin();
        let output = place.run(&["run", "--plugin", plugin.to_str().unwrap(), "a.yaml"], Some(fail));
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{fail}: {text}");
        assert!(text.contains("FAIL jobs") && text.contains(status), "{fail}: {text}");
        assert!(text.contains("FAIL data.restore"), "{fail}: {text}");
    }
}

#[test]
fn a_plug_in_that_does_not_know_the_cluster_is_not_certified() {
    let place = Place::new();
    let plugin = c_plugin();
    let args = [
        "certify",
        "--plugin",
        plugin.to_str().unwrap(),
        "--filter",
        "SRV",
        "--filter",
        "LOD",
        "--report-dir",
        "out",
    ];
    let output = place.run(&args, None);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    assert!(text.contains("NOT CERTIFIED"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.0.path().join("out/results.json")).unwrap()).unwrap();
    let outcome = |id: &str| {
        let checks = json["suites"][0]["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap()["outcome"].as_str().unwrap().to_owned()
    };
    for id in ["LOD-001", "LOD-005", "LOD-006"] {
        assert_eq!(outcome(id), "pass", "{id}");
    }
    for id in ["LOD-003", "SRV-001", "SRV-003", "SRV-004"] {
        assert_eq!(outcome(id), "fail", "{id}");
    }
    assert_eq!(outcome("BKP-001"), "not_run");
    let xml = std::fs::read_to_string(place.0.path().join("out/junit.xml")).unwrap();
    assert!(xml.contains("<testcase name=\"SRV-003\""), "{xml}");
}

#[test]
fn bad_input_exits_with_2_and_says_where_and_what_would_be_right() {
    let place = Place::new();
    std::fs::write(place.0.path().join("bad.yaml"), SCENARIO.replace("storage: stu1", "storge: stu1"))
        .unwrap();
    for command in ["check", "run"] {
        let mut args = vec![command, "bad.yaml"];
        if command == "run" {
            args.extend(["--plugin", "x.so"]);
        }
        let output = place.run(&args, None);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for word in ["bad.yaml:7:", "unknown key `storge`", "did you mean `storage`?"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    let output = place.run(&["check", "missing.yaml"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing.yaml"));
    assert_eq!(place.run(&["certify"], None).status.code(), Some(2));
    assert_eq!(place.run(&["nonsense"], None).status.code(), Some(2));
    let output = place.run(&["certify", "--plugin", "missing.so"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing.so"));
    let output = place.run(&["certify", "--plugin", "a.yaml", "--filter", "XXX"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("XXX") && stderr(&output).contains("--list"));
}

#[test]
fn a_missing_plug_in_fails_the_job_and_is_named() {
    let place = Place::new();
    let output = place.run(&["run", "--plugin", "nowhere/libstspiX.so", "a.yaml"], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("nowhere/libstspiX.so"), "{}", stdout(&output));
}

#[test]
fn what_cannot_be_set_up_exits_with_3() {
    let place = Place::new();
    let plugin = c_plugin();
    let args = ["run", "--plugin", plugin.to_str().unwrap(), "--work-dir", "/no/such/dir", "a.yaml"];
    let output = place.run(&args, None);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("/no/such/dir"));
    let text = SCENARIO.replace("[GEN_DATA, GEN_KBSIZE=64, GEN_MAXFILES=4]", "[/no/such/input]");
    std::fs::write(place.0.path().join("b.yaml"), text).unwrap();
    let output = place.run(&["run", "--plugin", plugin.to_str().unwrap(), "b.yaml"], None);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("/no/such/input"));
}

#[test]
fn json_has_every_default_and_all_jobs() {
    let place = Place::new();
    let plugin = c_plugin();
    let output = place.run(&["run", "--json", "--plugin", plugin.to_str().unwrap(), "a.yaml"], None);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["passed"], true);
    assert_eq!(json["record"]["scenario"]["buffers"]["NUMBER_DATA_BUFFERS_DISK"], 30);
    assert_eq!(json["record"]["scenario"]["units"][0]["max_fragment"], 549_755_813_888u64);
    assert_eq!(json["record"]["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn the_list_names_every_check_and_completions_exist_for_every_shell() {
    let place = Place::new();
    let output = place.run(&["certify", "--list"], None);
    assert_eq!(output.status.code(), Some(0));
    for check in nbu_harness::certify::catalogue() {
        assert!(stdout(&output).contains(check.id), "{}", check.id);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = place.run(&["completions", shell], None);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("certify"), "{shell}");
    }
}
