//! Recorded runs made again: on the same plug-in nothing differs, on another one what differs is named.

use std::path::Path;
use std::process::{Command, Output};

use nbu_harness::data::TreeSpec;
use nbu_harness::nbu::{Accelerator, Selection, Source};
use nbu_harness::shim;
use nbu_trace::{Begun, Ended, Header, Value as Recorded, Writer, orders};
use ost_abi::ENTRY_POINTS;
use serde_json::Value;

use crate::c_plugin::c_plugin;
use crate::rig::{Rig, assert_status, synthetic};

/// The bits of `include`.
const INCLUDE: u32 = 1 << 3;

/// Gets every call recorded below `trace`.
fn record(rig: &mut Rig) {
    let (exe, plugin) = (rig.installation.exe.clone(), rig.installation.plugin.clone());
    rig.installation.plugin = shim::wrap(&exe, &plugin, &mut rig.installation.plugin_env).unwrap();
    rig.plugin_env(orders::TRACE, rig.path("trace").display().to_string());
}

/// A backup in three fragments, a restore and a clean-up, recorded below `trace`.
fn recorded() -> Rig {
    let mut rig = Rig::new();
    record(&mut rig);
    rig.unit.max_fragment_size = 4 << 20;
    let result = rig.backup(&rig.request(1, synthetic(8)));
    assert_status(&result, 0);
    assert_status(&rig.restore(&result.backup_id, &rig.path("restored"), Selection::All), 0);
    assert_status(&rig.expire(&result.backup_id), 0);
    rig
}

/// Replays on a fresh storage.
fn replay(rig: &Rig, plugin: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let (output, left) = replay_fresh(rig, plugin, arguments, environment);
    assert!(left == 0 || !output.status.success(), "a replay of everything leaves nothing: {left} images");
    output
}

/// Replays on a fresh storage; returns how many images are left there, too.
fn replay_fresh(
    rig: &Rig,
    plugin: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Output, usize) {
    let fresh = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(fresh.path().join("lsu0")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbu-harness"));
    command.arg("replay").arg(rig.path("trace")).arg("--plugin").arg(plugin).args(arguments);
    command.env("FAKE_OST_DIR", fresh.path()).env("NBU_HARNESS_PASSWORD", "secret");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    (output, std::fs::read_dir(fresh.path().join("lsu0")).unwrap().count())
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_same_plugin_gives_the_same_answers_and_the_data_that_was_written() {
    let rig = recorded();
    for timing in ["asap", "x50"] {
        let output = replay(&rig, &c_plugin(), &["--json", "--timing", timing], &[]);
        let result = json(&output);
        assert_eq!(output.status.code(), Some(0), "{result:#}");
        let processes = result["processes"].as_array().unwrap();
        let names: Vec<_> =
            processes.iter().map(|p| p["process"].as_str().unwrap().split(' ').next().unwrap()).collect();
        assert_eq!(names, ["bptm", "bptm", "bpdm"]);
        assert!(processes.iter().all(|process| process["different"] == 0), "{result:#}");
        let checked = processes[1]["checked_bytes"].as_u64().unwrap();
        assert!(checked >= 8 << 20, "{checked} bytes of the restore were checked");
        let writes = &processes[0]["times"]["stspi_write_image"];
        assert_eq!(writes["calls"], 34, "32 buffers of data, the stream's end, the header");
        assert!(writes["recorded_ns"].as_u64().unwrap() > 0 && writes["replayed_ns"].as_u64().unwrap() > 0);
    }
    let output = replay(&rig, &c_plugin(), &[], &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("stspi_write_image") && text.contains("0 ended otherwise"), "{text}");
}

#[test]
fn one_changed_answer_is_named_with_both_codes() {
    let rig = recorded();
    let output = replay(&rig, &c_plugin(), &["--json"], &[("FAKE_OST_FAIL", "delete_image:2060005")]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result:#}");
    let bpdm = &result["processes"][2];
    assert_eq!(bpdm["different"], 4, "{result:#}");
    let difference = &bpdm["differences"][0];
    assert_eq!(difference["entry"], "stspi_delete_image");
    assert_eq!((&difference["recorded"], &difference["replayed"]), (&0.into(), &2_060_005.into()));
    assert!(difference["about"].as_str().unwrap().contains("client1_"), "{difference:#}");
    assert_eq!(result["processes"][0]["different"], 0);
}

#[test]
fn a_wrong_byte_in_a_read_is_found() {
    let rig = recorded();
    let shim = shim::library(Path::new(env!("CARGO_BIN_EXE_nbu-harness"))).unwrap();
    let plugin = c_plugin().display().to_string();
    let fault = r#"[{"call": "read_image", "effect": {"corrupt": 80000}, "skip": 3}]"#;
    let environment = [(orders::PLUGIN, plugin.as_str()), (orders::FAULTS, fault)];
    let output = replay(&rig, &shim, &["--json"], &environment);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result:#}");
    let wrong = result["processes"][1]["wrong_reads"].as_array().unwrap();
    assert_eq!(wrong.len(), 1, "{result:#}");
    assert!(wrong[0].as_str().unwrap().contains("_C1_F1: the byte at "), "{wrong:?}");
}

/// The images of an accelerated backup consist of ranges of its base, so that no byte lies where it was written first.
#[test]
fn what_the_storage_made_of_other_images_is_not_taken_for_wrong() {
    let mut rig = Rig::new();
    record(&mut rig);
    rig.plugin_env("FAKE_OST_CAPABILITIES", INCLUDE);
    let root = rig.path("tree");
    TreeSpec { seed: 6, files: 60, bytes: 3 << 20, changing: false }.generate(&root).unwrap();
    for job_id in 1..=2 {
        let mut request = rig.request(job_id, Source::Directory(root.clone()));
        request.accelerator = Some(Accelerator::default());
        let result = rig.backup(&request);
        assert_status(&result, 0);
        let out = rig.path(&format!("out-{job_id}"));
        assert_status(&rig.restore(&result.backup_id, &out, Selection::All), 0);
        std::fs::write(root.join("aa-new"), vec![7; 300_000]).unwrap();
    }
    let capabilities = INCLUDE.to_string();
    let environment = [("FAKE_OST_CAPABILITIES", capabilities.as_str())];
    let result = json(&replay_fresh(&rig, &c_plugin(), &["--json"], &environment).0);
    let processes = result["processes"].as_array().unwrap();
    for process in processes {
        assert_eq!((&process["different"], &process["not_made"]), (&0.into(), &0.into()), "{process:#}");
        assert_eq!(process["wrong_reads"], Value::Array(Vec::new()), "{process:#}");
    }
    let sum = |key: &str| processes.iter().filter_map(|process| process[key].as_u64()).sum::<u64>();
    assert!(sum("checked_bytes") >= 3 << 20, "the first backup's restore is checked: {result:#}");
    let includes = processes.iter().filter(|p| p["times"].get("stspi_include_in_image").is_some());
    assert_eq!(includes.count(), 1, "{result:#}");
}

#[test]
fn calls_whose_handle_was_never_given_are_not_made_and_counted() {
    let rig = recorded();
    let output = replay(&rig, &c_plugin(), &["--json"], &[("NBU_HARNESS_PASSWORD", "guessed")]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1));
    let bptm = &result["processes"][0];
    assert_eq!(
        (&bptm["different"], &bptm["differences"][0]["entry"]),
        (&1.into(), &"stspi_open_server".into())
    );
    assert!(bptm["not_made"].as_u64().unwrap() > 40, "{bptm:#}");
}

/// A trace that is made call by call, each of them this long.
fn made(rig: &Rig, duration_ns: u64) -> impl FnMut(u64, &str, Vec<Recorded>, Vec<Recorded>) + use<> {
    std::fs::create_dir_all(rig.path("trace")).unwrap();
    let header = Header {
        pid: 1,
        process: "bptm".into(),
        started_unix_ns: 1,
        plugin: "recorded".into(),
        entry_points: ENTRY_POINTS.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut writer = Writer::create(&rig.path("trace/a.nbutrace"), &header).unwrap();
    let mut at = 0;
    move |thread, name, arguments, results| {
        let entry = ENTRY_POINTS.iter().position(|known| *known == name).unwrap();
        at += duration_ns;
        writer.begin(&Begun { thread, entry, start_ns: at, arguments }).unwrap();
        writer.end(&Ended { thread, duration_ns, code: 0, results }).unwrap();
    }
}

#[test]
fn a_call_for_more_bytes_than_there_is_room_for_is_not_made_and_named() {
    let rig = Rig::new();
    let mut add = made(&rig, 10);
    add(1, "stspi_init", vec![Recorded::Number(ost_abi::STSPI_INTERFACE_VERSION.into())], vec![]);
    let length = Recorded::Number((1 << 30) + 1);
    add(1, "stspi_read_image", vec![Recorded::Nothing, Recorded::Nothing, length], vec![]);
    let output = replay(&rig, &c_plugin(), &["--json"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("stspi_read_image that cannot be made: 1073741825 bytes"), "{said}");
}

#[test]
fn a_recording_of_one_moment_waits_for_nothing() {
    let rig = Rig::new();
    let mut add = made(&rig, 0);
    add(1, "stspi_init", vec![Recorded::Number(ost_abi::STSPI_INTERFACE_VERSION.into())], vec![]);
    add(2, "stspi_claim", vec![Recorded::text("Fake:server")], vec![]);
    let output = replay(&rig, &c_plugin(), &["--json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{:#}", json(&output));
}

/// Two threads that take turns: the order between them is in the times only.
fn two_threads() -> Rig {
    let rig = Rig::new();
    let mut add = made(&rig, 10);
    let lsu = || Recorded::Fields(vec![Recorded::Handle(1), Recorded::text("lsu0")]);
    let image = Recorded::Fields(vec![Recorded::Number(7), Recorded::text("a_1_C1_F1"), Recorded::text("p")]);
    let nothing = || Recorded::Nothing;
    add(1, "stspi_init", vec![Recorded::Number(ost_abi::STSPI_INTERFACE_VERSION.into())], vec![]);
    let session = Recorded::Fields(vec![Recorded::text("bptm"), Recorded::text("1")]);
    let user = Recorded::Fields(vec![Recorded::text("user")]);
    let opened = vec![nothing(), nothing(), nothing(), nothing(), Recorded::Handle(1)];
    add(
        1,
        "stspi_open_server",
        vec![session, Recorded::text("Fake:server"), user, Recorded::text("")],
        opened,
    );
    let created = vec![nothing(), nothing(), nothing(), Recorded::Handle(2)];
    add(2, "stspi_create_image", vec![lsu(), image, Recorded::Signed(0)], created);
    for n in 0..50 {
        add(1, "stspi_get_lsu_prop_byname", vec![lsu()], vec![]);
        let (length, offset) = (Recorded::Number(512), Recorded::Number(n * 512));
        add(2, "stspi_write_image", vec![Recorded::Handle(2), nothing(), nothing(), length, offset], vec![]);
    }
    rig
}

#[test]
fn the_order_between_threads_is_kept() {
    let rig = two_threads();
    let calls = rig.path("calls").display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_nbu-harness"))
        .args(["replay", "--json", "--plugin"])
        .arg(c_plugin())
        .arg(rig.path("trace"))
        .env("FAKE_OST_DIR", rig.path("storage"))
        .env("FAKE_OST_TRACE", &calls)
        .env("NBU_HARNESS_PASSWORD", "secret")
        .output()
        .unwrap();
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result:#}");
    assert_eq!(result["processes"][0]["calls"], 103);
    let made = std::fs::read_to_string(calls).unwrap();
    let made: Vec<&str> = made.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let mut expected = vec!["init", "open_server", "create_image"];
    expected.extend(["get_lsu_prop_byname", "write_image"].repeat(50));
    assert_eq!(made, expected);
}
