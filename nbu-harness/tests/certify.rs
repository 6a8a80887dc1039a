//! `certify` as a product: verdicts, baselines, repeats, seeds, leaks, and the files that it leaves.

#![allow(clippy::unwrap_used, reason = "what fails on the way to a test fails the test")]

mod c_plugin;
mod place;

use c_plugin::c_plugin;
use place::{Place, stderr, stdout};
use serde_json::Value;
use std::process::Output;
use std::sync::{PoisonError, RwLock};

/// Shared memory belongs to the machine: nobody else looks at it while a test leaves some there on purpose.
static MACHINE: RwLock<()> = RwLock::new(());

/// Checks of the C plug-in that take no backup; it passes the first of them and fails others.
const SOME: [&str; 4] = ["--filter", "LOD", "--filter", "SRV-008"];

fn certify(place: &Place, more: &[&str]) -> Output {
    certify_with(place, more, &[])
}

fn certify_with(place: &Place, more: &[&str], env: &[(&str, &str)]) -> Output {
    let _together = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let plugin = c_plugin();
    let mut args = vec!["certify", "--plugin", plugin.to_str().unwrap(), "--report-dir", "out"];
    args.extend(more);
    place.run_with(&args, env)
}

fn results(place: &Place) -> Value {
    serde_json::from_slice(&std::fs::read(place.0.path().join("out/results.json")).unwrap()).unwrap()
}

fn check<'v>(results: &'v Value, id: &str) -> &'v Value {
    let checks = results["suites"][0]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["id"] == id).unwrap()
}

#[test]
fn only_a_new_failure_fails_a_run_that_is_held_against_a_baseline() {
    let place = Place::new();
    let output = certify(&place, &[&SOME[..], &["--write-baseline", "base.json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}{}", stdout(&output), stderr(&output));
    let base = place.0.path().join("base.json");
    let text = std::fs::read_to_string(&base).unwrap();
    assert!(text.contains("\"LOD-003\": \"fail\"") && !text.contains("BKP-001"), "{text}");

    let output = certify(&place, &[&SOME[..], &["--baseline", "base.json"]].concat());
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("new failures: none"), "{said}");
    assert!(said.contains("still failing: libstspiFake.so LOD-003"), "{said}");
    let json = results(&place);
    assert_eq!(check(&json, "LOD-003")["outcome"], "expected_fail");
    assert_eq!(json["delta"]["still_failing"][0]["check"], "LOD-003");

    let changed = text
        .replace("\"LOD-003\": \"fail\"", "\"LOD-003\": \"pass\"")
        .replace("\"LOD-001\": \"pass\"", "\"LOD-001\": \"fail\"");
    std::fs::write(&base, changed).unwrap();
    let output = certify(&place, &[&SOME[..], &["--baseline", "base.json"]].concat());
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("new failures: libstspiFake.so LOD-003"), "{said}");
    assert!(said.contains("fixed: libstspiFake.so LOD-001"), "{said}");

    std::fs::write(&base, "{}").unwrap();
    let output = certify(&place, &["--baseline", "base.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("base.json"), "{}", stderr(&output));
}

#[test]
fn what_failed_can_be_run_again_alone() {
    let place = Place::new();
    certify(&place, &SOME);
    std::fs::rename(place.0.path().join("out/results.json"), place.0.path().join("first.json")).unwrap();
    let output = certify(&place, &["--rerun-failed", "first.json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let json = results(&place);
    let run: Vec<&str> = json["suites"][0]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] != "not_run")
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    assert_eq!(run, ["LOD-003"]);
    assert_eq!(json["rerun"], true);

    let text = std::fs::read_to_string(place.0.path().join("first.json")).unwrap();
    std::fs::write(place.0.path().join("other.json"), text.replace("libstspiFake.so", "libOther.so"))
        .unwrap();
    let output = certify(&place, &["--rerun-failed", "other.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("says nothing about libstspiFake.so"), "{}", stderr(&output));
    std::fs::write(place.0.path().join("fine.json"), text.replace("\"fail\"", "\"pass\"")).unwrap();
    let output = certify(&place, &["--rerun-failed", "fine.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("nothing failed"), "{}", stdout(&output));
}

#[test]
fn checks_are_repeated_and_stop_at_the_first_failure() {
    let place = Place::new();
    let output = certify(&place, &["--filter", "LOD-001", "--repeat", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("in 3 passes"), "{}", stdout(&output));
    let json = results(&place);
    assert_eq!(check(&json, "LOD-001")["passes"], 3);
    let phases = json["suites"][0]["phases"].as_array().unwrap();
    let of_pass = |pass: u64| phases.iter().filter(|phase| phase["pass"] == pass).count();
    assert_eq!([of_pass(1), of_pass(2), of_pass(3)], [2, 2, 2], "set-up and clean-up of the questions");
    assert!(phases.iter().all(|phase| phase["ok"] == true), "{phases:?}");

    let output = certify(&place, &["--filter", "LOD", "--until-failure", "--seed", "9"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("seed 9"), "{}", stdout(&output));
    let json = results(&place);
    assert_eq!(check(&json, "LOD-003")["outcome"], "fail");
    assert_eq!(check(&json, "LOD-004")["outcome"], "not_run");
    assert_eq!(check(&json, "LOD-004")["detail"], "not reached: stopped at the first failure");
}

#[test]
fn what_was_run_with_something_else_in_the_plug_in_s_place_is_kept() {
    let place = Place::new();
    let output = certify(&place, &["--filter", "LOD-005", "--filter", "LOD-006"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let json = results(&place);
    let runs = json["suites"][0]["runs"].as_array().unwrap();
    let ids: Vec<_> = runs.iter().map(|run| &run["record"]["scenario"]["id"]).collect();
    assert_eq!(ids, ["LOD-005", "LOD-006"]);
    assert_eq!(runs[0]["leaks"], Value::Array(Vec::new()));
    assert!(place.0.path().join("out/bundle/logs/libstspiFake.so/LOD-005/job-1.log").is_file());
}

#[test]
fn a_check_of_what_is_not_claimed_says_so_and_one_without_an_answer_has_no_verdict() {
    let place = Place::new();
    let output = certify(&place, &["--filter", "CAP"]);
    let json = results(&place);
    let worm = check(&json, "CAP-015");
    assert_eq!((&worm["outcome"], &worm["detail"]), (&"skip".into(), &"not claimed: worm".into()));
    assert_eq!((&worm["mandatory"], &worm["capability"]), (&false.into(), &"worm".into()));
    assert_eq!(check(&json, "CAP-001")["mandatory"], true);
    assert_eq!(output.status.code(), Some(1), "the C plug-in does not open this server");
}

#[test]
fn a_check_whose_scenario_needs_what_is_not_claimed_is_skipped_and_is_run_where_it_is() {
    let place = Place::new();
    let outcome = |capabilities: &str| {
        let env = [("FAKE_OST_ALSO", "VastData"), ("FAKE_OST_CAPABILITIES", capabilities)];
        certify_with(&place, &["--filter", "DUP-001"], &env);
        let check = check(&results(&place), "DUP-001").clone();
        (check["outcome"].clone(), check["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(outcome("8"), ("skip".into(), "not claimed: copy_image".into()));
    let (ran, detail) = outcome("16");
    assert_eq!(ran, "fail", "{detail}");
    assert!(detail.contains("jobs:"), "{detail}");
}

fn seeds(seed: &str) -> (Value, Value) {
    let _together = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let plugin = c_plugin();
    let args = ["run", "--json", "--seed", seed, "--plugin", plugin.to_str().unwrap(), "a.yaml"];
    let output = place.run(&args, None);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scenario = &json["record"]["scenario"];
    (scenario["seed"].clone(), scenario["streams"][0]["source"]["synthetic"]["seed"].clone())
}

#[test]
fn a_seed_changes_what_is_generated_and_always_in_the_same_way() {
    let (plain, of_stream) = seeds("0");
    assert_eq!(plain, 0, "0 leaves the scenario's own");
    let (changed, of_changed_stream) = seeds("5");
    assert_ne!(changed, plain);
    assert_ne!(of_changed_stream, of_stream);
    assert_eq!(seeds("5"), (changed, of_changed_stream));
}

#[test]
fn what_a_plug_in_leaves_behind_fails_the_run_and_is_named() {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    for (leak, kind) in [("process", "Process"), ("memory", "SharedMemory")] {
        let place = Place::new();
        let plugin = c_plugin();
        let args = ["run", "--plugin", plugin.to_str().unwrap(), "a.yaml"];
        let output = place.run_with(&args, &[("FAKE_OST_LEAK", leak)]);
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{leak}: {said}{}", stderr(&output));
        let mut left = said.lines().filter_map(|line| line.strip_prefix("FAIL nothing is left behind: "));
        let first = left.next().unwrap_or_else(|| panic!("{leak}: {said}"));
        assert!(first.starts_with(kind), "{leak}: {said}");
        for line in said.lines().filter(|line| line.contains("/dev/shm/fake-ost-")) {
            std::fs::remove_file(line.split(' ').next_back().unwrap()).unwrap();
        }
    }
}
