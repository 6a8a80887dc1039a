//! The command as people and CI use it: what it prints and how it exits, with good input, bad input and plug-ins that
//! do not do what they should.

#![allow(clippy::unwrap_used, reason = "what fails on the way to a test fails the test")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

mod c_plugin;
mod place;

use c_plugin::c_plugin;
use place::{Place, SCENARIO, stderr, stdout};

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
    let plugin = c_plugin();
    let two = ["run", "a.yaml", "a.yaml", "--trace", "traces", "--plugin", plugin.to_str().unwrap()];
    let output = place.run(&two, None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--trace takes one scenario"), "{}", stderr(&output));
    assert!(!place.0.path().join("traces").exists());
    let output = place.run(&["certify", "--plugin", "missing.so"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing.so"));
    let output = place.run(&["certify", "--plugin", "a.yaml", "--filter", "NOPE-999"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("NOPE-999") && stderr(&output).contains("--list"));
}

#[test]
fn what_cannot_be_a_plug_in_is_refused_before_any_job() {
    let place = Place::new();
    for (plugin, why) in
        [("nowhere/libstspiX.so", "No such file"), ("a.yaml", "no ELF"), ("storage", "directory")]
    {
        for command in ["run", "certify"] {
            let mut args = vec![command, "--plugin", plugin];
            args.extend((command == "run").then_some("a.yaml"));
            let output = place.run(&args, None);
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command}: {text}");
            assert!(text.contains(plugin) && text.contains(why), "{command}: {text}");
            assert!(!text.contains("job 1"), "{command}: {text}");
        }
    }
}

#[test]
fn a_broken_library_fails_the_job_with_the_loader_s_own_words() {
    let place = Place::new();
    std::fs::write(place.0.path().join("broken.so"), b"\x7fELF and nothing more").unwrap();
    let output = place.run(&["run", "--plugin", "broken.so", "a.yaml"], None);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("dlopen failed: ") && text.contains("file too short"), "{text}");
}

#[test]
fn without_a_plug_in_the_one_beside_the_program_is_run() {
    let place = Place::new();
    let exe = place.0.path().join("nbu-harness");
    std::fs::copy(env!("CARGO_BIN_EXE_nbu-harness"), &exe).unwrap();
    let run = || {
        let mut command = Command::new(&exe);
        command.args(["run", "a.yaml"]).current_dir(place.0.path());
        command.env("FAKE_OST_DIR", place.0.path().join("storage")).env_remove("NBU_HARNESS_PLUGIN");
        command.output().unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("--plugin") && text.contains("libstspiVastData.so"), "{text}");
    std::fs::copy(c_plugin(), place.0.path().join("libstspiVastData.so")).unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_report_directory_that_cannot_be_made_is_told_before_any_check() {
    let place = Place::new();
    let plugin = c_plugin();
    let args = ["certify", "--plugin", plugin.to_str().unwrap(), "--report-dir", "a.yaml/reports"];
    let output = place.run(&args, None);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("a.yaml/reports") && !text.contains("certifying"), "{text}");
    std::fs::create_dir_all(place.0.path().join("out/bundle/mine")).unwrap();
    let args =
        ["certify", "--plugin", plugin.to_str().unwrap(), "--report-dir", "out", "--filter", "LOD-001"];
    let output = place.run(&args, None);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("it is no bundle") && !text.contains("certifying"), "{text}");
    assert!(!place.0.path().join("out/results.json").exists());
}

#[test]
fn an_empty_scenario_is_told_what_it_needs() {
    let place = Place::new();
    for text in ["", "# nothing yet\n\n---\n"] {
        std::fs::write(place.0.path().join("empty.yaml"), text).unwrap();
        let output = place.run(&["check", "empty.yaml"], None);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains("there is no scenario in it") && said.contains("selections:"), "{said}");
    }
}

#[test]
fn a_scenario_that_needs_what_is_not_claimed_is_skipped_and_one_that_needs_what_is_runs() {
    let (place, plugin) = (Place::new(), c_plugin());
    let needy = SCENARIO.replace("title:", "needs: [CopyImage]\ntitle:");
    std::fs::write(place.0.path().join("b.yaml"), needy).unwrap();
    let run = |claimed: &str, format: &[&str]| {
        let args = [&["run", "--plugin", plugin.to_str().unwrap(), "b.yaml"], format].concat();
        let env = [("FAKE_OST_ALSO", "VastData"), ("FAKE_OST_CAPABILITIES", claimed)];
        let output = place.run_with(&args, &env);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    assert_eq!(run("8", &[]), "NBU-BKP-900 skip (not claimed): CopyImage\n");
    assert!(run("8", &["--json"]).contains("\"not_claimed\": [\n    \"CopyImage\"\n  ]"));
    assert!(run("16", &[]).contains("NBU-BKP-900 passed"), "copy_image is bit 4");
}

#[test]
fn readers_that_went_away_are_no_failure() {
    let place = Place::new();
    let plugin = c_plugin();
    let plugin = plugin.to_str().unwrap();
    for args in [&["completions", "bash"][..], &["run", "--plugin", plugin, "a.yaml"]] {
        let (out_reader, out) = std::io::pipe().unwrap();
        let (err_reader, err) = std::io::pipe().unwrap();
        drop((out_reader, err_reader));
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbu-harness"));
        command.args(args).current_dir(place.0.path()).env("FAKE_OST_DIR", place.0.path().join("storage"));
        let status = command.stdout(out).stderr(err).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

fn make_fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// A backup that is under way: the plug-in has been asked to write.
struct UnderWay {
    child: Child,
    place: Place,
}

impl UnderWay {
    /// With `hung` the plug-in does not return from its first write.
    fn start(hung: bool) -> Self {
        let place = Place::new();
        let text = SCENARIO.replace("GEN_KBSIZE=64, GEN_MAXFILES=4", "GEN_KBSIZE=1048576, GEN_MAXFILES=64");
        std::fs::write(place.0.path().join("long.yaml"), text).unwrap();
        std::fs::create_dir(place.0.path().join("work")).unwrap();
        let path = place.0.path().join("trace");
        make_fifo(&path);
        let gate = place.0.path().join("gate");
        if hung {
            make_fifo(&gate);
        }
        // Open in both directions, so that opening does not wait for the plug-in.
        let mut trace = File::options().read(true).write(true).open(&path).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_nbu-harness"))
            .args(["run", "--work-dir", "work", "--plugin"])
            .args([c_plugin(), "long.yaml".into()])
            .current_dir(place.0.path())
            .env("FAKE_OST_DIR", place.0.path().join("storage"))
            .env("FAKE_OST_TRACE", &path)
            .env("FAKE_OST_GATE", &gate)
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut heard = String::new();
        while !heard.contains("write_image") {
            assert!(ready(&trace), "the plug-in was never asked to write: {heard}");
            let mut chunk = [0; 4096];
            let count = trace.read(&mut chunk).unwrap();
            heard.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
        // Read on: once the pipe is full the plug-in would wait for whoever reads it, and not end. Ends with this process,
        // since the pipe is open for writing here, too.
        std::thread::spawn(move || while trace.read(&mut [0; 4096]).is_ok() {});
        Self { child, place }
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Handles of all processes of the group.
    fn processes(&self) -> Vec<OwnedFd> {
        let group = self.child.id().to_string();
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let pid = name.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
            // State, parent and group follow the name in brackets.
            (stat.rsplit_once(") ")?.1.split(' ').nth(2)? == group).then_some(pid)
        });
        pids.map(|pid| {
            let pid = Pid::from_raw(pid).unwrap();
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
        })
        .collect()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Only after a failed assertion does anything run any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is something to read, or a process has ended; false after half a minute.
fn ready(fd: impl AsFd) -> bool {
    let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)).unwrap() > 0
}

#[test]
fn a_signal_cancels_the_jobs_and_leaves_nothing() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut run = UnderWay::start(false);
        let processes = run.processes();
        assert!(processes.len() >= 5, "harness, bpbrm, bpbkar, bptm and its child: {}", processes.len());
        run.signal(signal);
        for process in &processes {
            assert!(ready(process), "a process outlives the signal");
        }
        assert_eq!(run.child.wait().unwrap().code(), Some(code));
        let gone = rustix::process::test_kill_process_group(Pid::from_child(&run.child));
        assert_eq!(gone, Err(rustix::io::Errno::SRCH), "no process of the group is left");
        for dir in ["work", "storage/lsu0"] {
            let left: Vec<_> = std::fs::read_dir(run.place.0.path().join(dir)).unwrap().collect();
            assert!(left.is_empty(), "{dir}: {left:?}");
        }
    }
}

#[test]
fn no_process_outlives_a_killed_harness() {
    // In a hung plug-in no process of the job can notice by itself that the harness has gone.
    let mut run = UnderWay::start(true);
    let processes = run.processes();
    assert!(processes.len() >= 5, "harness, bpbrm, bpbkar, bptm and its child: {}", processes.len());
    run.signal(Signal::KILL);
    for process in &processes {
        assert!(ready(process), "a process outlives the harness");
    }
    assert_eq!(run.child.wait().unwrap().signal(), Some(9));
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
    assert_eq!(json["record"]["scenario"]["server"]["password"], "***");
    assert!(!stdout(&output).contains("secret"), "{}", stdout(&output));
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
