//! The `vast-sim` program: its one line, its end, its refusals.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::client::Vms;

/// A running `vast-sim serve`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) ready: Value,
}

impl Served {
    /// The process alone, ready or not.
    pub(crate) fn spawn(arguments: &[&str]) -> Child {
        let ports = ["serve", "--vms-listen", "127.0.0.1:0", "--s3-port", "0", "--s3-tls-port", "0"];
        let mut command = command(&[&ports, arguments].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Self::spawn(arguments);
        // Byte by byte, so that what follows is left to the test.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while byte != *b"\n" {
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        Self { child, ready: serde_json::from_slice(&line).unwrap() }
    }

    pub(crate) fn url(&self, field: &str) -> String {
        self.ready[field].as_str().or_else(|| self.ready[field][0].as_str()).unwrap().to_owned()
    }

    pub(crate) fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.url("ca")).unwrap()
    }

    pub(crate) fn vms(&self) -> Vms {
        Vms::at(&self.url("vms"), &self.ca_pem())
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vast-sim"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("VAST_SIM_PASSWORD");
    command
}

fn run(arguments: &[&str]) -> (Output, String) {
    let output = command(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn announces_itself_in_one_line_and_ends_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut served = Served::start(&["--tls-name", "vms.example,s3.example"]);
        let fields: Vec<&String> = served.ready.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["ca", "objects", "ready", "ready_ms", "s3", "s3_tls", "vms"]);
        assert_eq!((&served.ready["ready"], &served.ready["objects"]), (&true.into(), &0.into()));
        let milliseconds = served.ready["ready_ms"].as_u64().unwrap();
        assert!((1..60_000).contains(&milliseconds), "{milliseconds}");
        for list in ["s3", "s3_tls"] {
            let urls: Vec<&str> =
                served.ready[list].as_array().unwrap().iter().map(|u| u.as_str().unwrap()).collect();
            assert_eq!(urls.len(), 4);
            let ports: std::collections::BTreeSet<_> =
                urls.iter().map(|u| u.rsplit_once(':').unwrap().1).collect();
            assert_eq!(ports.len(), 1, "one port on all VIPs");
        }
        served.vms().get("/api/clusters/").await.ok();
        served.signal(signal);
        assert_eq!(served.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        served.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "nothing but the one line");
        assert!(!Path::new(&served.url("ca")).exists(), "the scratch directory is gone");
    }
}

/// Reasons that are not in the arguments themselves.
const SURROUNDINGS: [&str; 2] = ["/proc/nothing", "192.0.2.1"];

#[test]
fn bad_flags_are_refused_with_a_reason() {
    for (arguments, reason) in [
        (vec!["--vips", "127.0.0.300"], "127.0.0.300"),
        (vec!["--vips", "127.0.0.11,127.0.0.11"], "listed twice"),
        (vec!["--vips", "0.0.0.0"], "0.0.0.0"),
        (vec!["--vms-listen", "nowhere"], "nowhere"),
        (vec!["--capacity", "lots"], "lots"),
        (vec!["--capacity", "0"], "out of range"),
        (vec!["--cnodes", "0"], "1 to 64"),
        (vec!["--retention", "zeros", "--data-dir", "/nowhere"], "retention"),
        (vec!["--seed", "1", "--data-dir", "/nowhere"], "seed"),
        (vec!["--vips", "127.0.0.1", "--vms-listen", "127.0.0.1:7000", "--s3-port", "7000"], "vms_listen"),
        (vec!["--etag", "sha"], "sha"),
        (vec!["--s3-port", "7000", "--s3-tls-port", "7000"], "must differ"),
        (vec!["--access-token-lifetime", "0"], "longer than zero"),
        (vec!["--tls-name", "no name"], "no name"),
        (vec!["--quota-answer", "200:Fine"], "200:Fine"),
        (vec!["--user", "a:b"], "colon"),
        (vec!["--data-dir", "/proc/nothing"], "/proc/nothing"),
        (vec!["--vms-listen", "192.0.2.1:0"], "192.0.2.1"),
        (vec!["--bogus"], "--bogus"),
        (vec!["--config", "/no/such/file"], "/no/such/file"),
    ] {
        let listen: &[&str] =
            if arguments.contains(&"--vms-listen") { &[] } else { &["--vms-listen", "127.0.0.1:0"] };
        let (output, text) = run(&[&["serve"], listen, &arguments].concat());
        let code = if SURROUNDINGS.contains(&reason) { 3 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(reason), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let (output, text) = run(&["serve", "--vms-listen", &address]);
    assert!(output.status.code() == Some(3) && text.contains(&address) && text.contains("in use"), "{text}");
}

#[test]
fn help_teaches() {
    let output = command(&["serve", "--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in [
        "--config",
        "--print-ca",
        "vast-sim seed",
        "--vms-listen",
        "--vips",
        "--data-dir",
        "\"ready\":true",
        "access_keys",
        "/sim/v1/faults",
    ] {
        assert!(text.contains(word), "{word} is missing from the help");
    }
}

const DESCRIPTION: &str = r#"
[cluster]
password = "from-the-file"
capacity = "1G"

[[users]]
name = "backup"
keys = [{ access_key = "AKBACKUP", secret_key = "only-for-tests" }]

[[views]]
path = "/images"
bucket = "images"
owner = "backup"
"#;

/// Runs a command and gives its exit code, standard output and standard error.
fn ends(arguments: &[&str]) -> (i32, String, String) {
    let (output, text) = run(arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_served_as_described_and_flags_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.toml");
    std::fs::write(&file, DESCRIPTION).unwrap();
    let mut served = Served::start(&["--config", file.to_str().unwrap(), "--capacity", "2G", "--print-ca"]);
    let pem = served.ca_pem();
    let mut printed = vec![0; pem.trim_end().len()];
    served.child.stdout.as_mut().unwrap().read_exact(&mut printed).unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), pem.trim_end());
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "admin:from-the-file");
    let vms = served.vms().with(format!("Basic {basic}"));
    let cluster = vms.get("/api/clusters/").await.ok().json();
    assert_eq!(cluster[0]["physical_space"], 2_u64 << 30);
    let keys =
        vast_sim::KeyPair { access_key: "AKBACKUP".to_owned(), secret_key: "only-for-tests".to_owned() };
    let s3 = crate::client::S3 { url: served.url("s3"), keys, ca_pem: None, sign_payload: false };
    s3.put("/images/k", "x").await.ok();
}

#[test]
fn bad_descriptions_are_refused_in_place() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (text, told)) in [
        ("[cluster]\ns3_prt = 1\n", ":2:1: unknown key `s3_prt`"),
        ("[cluster]\ns3_port = 5\ns3_tls_port = 5\n", ":3:15: s3_port and s3_tls_port are both 5"),
        ("[cluster]\nsw_version = \"5.4-beta\"\n", ":2:14: sw_version"),
        ("[cluster]\ntls_names = [\"a\", \"no name\"]\n", ":2:13: tls_names: \"no name\""),
        (
            "[cluster]\nvips = [\n  \"127.0.0.11\",\n  \"127.0.0.11\"]\n",
            ":2:8: vips: 127.0.0.11 is listed twice",
        ),
        ("[cluster]\npassword = \"\"\n", ":2:12: password must not be empty"),
        ("[cluster]\naccess_token_lifetime = 0\n", ":2:25: access_token_lifetime must be longer than zero"),
        ("[cluster]\nclock_start = \"yesterday\"\n", ":2:15: \"yesterday\" is not a time"),
        ("[cluster]\nclock_start = 2026-01-31\n", ":2:15: \"2026-01-31\" is not a time"),
        ("[cluster]\nseed = 1\ndata_dir = \"/nowhere\"\n", ":2:8: seed"),
        // What only a cluster can say.
        (
            "[[views]]\npath = \"/a\"\nbucket = \"Bad_Name\"\n",
            ":3:10: the cluster refuses this: VMS answered 400",
        ),
        ("[[quotas]]\npath = \"/a\"\nhard_limit = 1\nsoft_limit = 2\n", ":4:14: the cluster refuses this"),
        ("[[users]]\nname = \"x\"\nfields = { uid = \"many\" }\n", ":3:18: the cluster refuses this"),
        ("[[views]]\npath = \"/a\"\nowner = \"nobody\"\n", ":3:9: there is no user `nobody`"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = dir.path().join(format!("{number}.toml"));
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        for arguments in
            [vec!["serve", "--config", file], vec!["serve", "--check", "-c", file], vec!["check", file]]
        {
            let (code, out, err) = ends(&arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
            assert!(err.contains(told), "{arguments:?}: {err}");
        }
    }
    let file = dir.path().join("good.toml");
    std::fs::write(&file, DESCRIPTION).unwrap();
    assert_eq!(ends(&["check", file.to_str().unwrap()]).0, 0);
    assert_eq!(
        ends(&["serve", "--check", "--config", file.to_str().unwrap()]),
        (0, "fine\n".to_owned(), String::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_says_what_it_did_and_does_it_once() {
    let served = Served::start(&[]);
    let (vms, ca) = (served.url("vms"), served.url("ca"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.toml");
    std::fs::write(&file, DESCRIPTION).unwrap();
    let file = file.to_str().unwrap();
    let (code, out, err) = ends(&["seed", file, "--vms", &vms, "--ca", &ca]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "created   users backup\ncreated   keys AKBACKUP\ncreated   views /images\n");
    let (code, out, _) = ends(&["seed", file, "--vms", &vms, "--json"]);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &done[2]["outcome"]),
        (0, &Value::from("unchanged")),
        "a loopback address needs no --ca"
    );
    let keys =
        vast_sim::KeyPair { access_key: "AKBACKUP".to_owned(), secret_key: "only-for-tests".to_owned() };
    let s3 = crate::client::S3 { url: served.url("s3"), keys, ca_pem: None, sign_payload: false };
    s3.put("/images/k", "x").await.ok();

    let (code, _, err) = ends(&["seed", file, "--vms", &vms, "--password", "wrong"]);
    assert!(code == 1 && err.contains("401"), "{code}: {err}");
    let (code, _, err) = ends(&["seed", file, "--vms", "https://127.0.0.1:1"]);
    assert!(code == 3 && err.contains("https://127.0.0.1:1"), "{code}: {err}");
    let (code, _, err) = ends(&["seed", file, "--vms", "https://192.0.2.1"]);
    assert!(code == 2 && err.contains("--ca"), "{code}: {err}");
    assert_eq!(ends(&["ca", "--vms", &vms]).1, served.ca_pem());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_armed_listed_logged_and_removed_by_command() {
    let served = Served::start(&[]);
    let vms = served.url("vms");
    let fault = |words: &[&str]| ends(&[&["fault"], words, &["--vms", &vms]].concat());
    let words = ["add", "error", "status=503", "code=SlowDown", "--operation", "ListBuckets", "--times", "1"];
    assert_eq!(fault(&words).1, "fault 1 is armed\n");
    assert_eq!(
        fault(&["add", "delay", "millis=1", "--plane", "vms", "--json"]).1,
        "{\n  \"id\": 2,\n  \"warnings\": []\n}\n"
    );
    let keys = vast_sim::KeyPair { access_key: "A".to_owned(), secret_key: "B".to_owned() };
    let s3 = crate::client::S3 { url: served.url("s3"), keys, ca_pem: None, sign_payload: false };
    s3.get("/").await.is(503, "SlowDown");
    let list = fault(&["list"]).1;
    assert!(list.contains("SlowDown") && list.contains("operations=ListBuckets"), "{list}");
    let log: Value = serde_json::from_str(&fault(&["log", "--json"]).1).unwrap();
    assert_eq!((&log[0]["fault_id"], &log[0]["operation"]), (&1.into(), &"ListBuckets".into()));
    assert_eq!(fault(&["remove", "2"]).0, 0);
    let (code, _, err) = fault(&["remove", "2"]);
    assert!(code == 1 && err.contains("404"), "{err}");
    assert_eq!(fault(&["clear"]).0, 0);
    assert_eq!(fault(&["list", "--json"]).1, "[]\n");
    assert!(fault(&["log"]).1.contains("ListBuckets"), "clearing faults keeps what they did");
    assert_eq!(fault(&["clear-log"]).0, 0);
    assert_eq!(fault(&["log", "--json"]).1, "[]\n");
    let (code, out, err) = fault(&["add", "answer_lost", "--bucket", "later"]);
    assert!(code == 0 && out == "fault 3 is armed\n" && err.contains("no bucket later yet"), "{out}{err}");
    let (code, _, err) = fault(&["add", "answer_lost", "--operation", "PutObjct"]);
    assert!(code == 1 && err.contains("did you mean PutObject?"), "{err}");
    let (code, _, err) = fault(&["add", "dela"]);
    assert!(code == 2 && err.contains("did you mean `delay`?"), "{err}");
    assert!(ends(&["fault", "--help"]).1.contains("answer_lost"));
    assert!(ends(&["fault", "effects"]).1.contains("corrupt_body"));
    let effects: Value = serde_json::from_str(&ends(&["fault", "effects", "--json"]).1).unwrap();
    assert!(effects.as_array().unwrap().iter().any(|e| e["name"] == "answer_lost"), "{effects}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reset_and_its_clock_features_and_vips_are_told_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.toml");
    std::fs::write(&file, "[cluster]\nclock = \"frozen\"\n[[users]]\nname = \"described\"\n").unwrap();
    let served = Served::start(&["--config", file.to_str().unwrap()]);
    let vms = served.url("vms");
    let run = |words: &[&str]| ends(&[words, &["--vms", &vms]].concat());
    let users = async || served.vms().get("/api/users/").await.ok().json().as_array().unwrap().len();
    let before = (run(&["clock"]).1, users().await);
    served.vms().post("/api/users/", serde_json::json!({ "name": "later" })).await.ok();
    let (code, out, err) = run(&["clock", "advance", "36h"]);
    assert!(code == 0 && out > before.0, "{out}{err}");
    assert_eq!(run(&["features", "off", "part_copy=refused", "trailers=ignored"]).0, 0);
    let off = run(&["features"]).1;
    assert!(off.contains("part_copy") && off.contains("ignored"), "{off}");
    assert_eq!(run(&["features", "on", "trailers"]).0, 0);
    assert_eq!(run(&["features", "--json"]).1, "{\n  \"part_copy\": \"refused\"\n}\n");
    let (code, _, err) = run(&["features", "off", "part_copi=refused"]);
    assert!(code == 1 && err.contains("unknown variant"), "{err}");
    let vips = run(&["vips"]).1;
    assert!(vips.contains("cnode-1") && vips.contains("serving"), "{vips}");
    let (code, _, err) = run(&["fault", "add", "latency", "millis=1", "--plane", "s3"]);
    assert_eq!(code, 0, "no jitter when none is asked for: {err}");
    let (code, told, _) = run(&["reset"]);
    assert!(code == 0 && told.contains(before.0.trim()), "{told}");
    let told: Value = serde_json::from_str(&run(&["reset", "--json"]).1).unwrap();
    assert!(told["reset"] == true && told["now_ms"].is_u64(), "{told}");
    let vips: Value = serde_json::from_str(&run(&["vips", "--json"]).1).unwrap();
    assert_eq!(vips[0]["state"], "serving");
    for command in ["reset", "vips"] {
        assert!(ends(&[command, "--help"]).1.contains("Examples:"), "{command}");
    }
    assert_eq!((run(&["clock"]).1, users().await), before, "the described user is there, the other is not");
    assert_eq!(run(&["features", "--json"]).1, "{}\n");
    let (code, _, err) = run(&["clock", "advance", "soon"]);
    assert!(code == 2 && err.contains("36h"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_dumped_and_compared() {
    let served = Served::start(&[]);
    let vms = served.url("vms");
    let dir = tempfile::tempdir().unwrap();
    let [before, after, junk] =
        ["before", "after", "junk"].map(|n| dir.path().join(n).to_str().unwrap().to_owned());
    let (code, dump, _) = ends(&["state", "dump", "--vms", &vms]);
    assert_eq!(code, 0);
    std::fs::write(&before, &dump).unwrap();
    assert_eq!(ends(&["state", "diff", &before, "--vms", &vms]), (0, String::new(), String::new()));
    served.vms().post("/api/users/", serde_json::json!({ "name": "later" })).await.ok();
    let (code, out, _) = ends(&["state", "diff", &before, "--vms", &vms]);
    assert!(code == 1 && out.lines().any(|l| l.starts_with("+ vms / users") && l.contains("later")), "{out}");
    std::fs::write(&after, ends(&["state", "dump", "--vms", &vms]).1).unwrap();
    drop(served);
    assert_eq!(ends(&["state", "diff", &after, &before]).0, 1);
    assert_eq!(
        ends(&["state", "diff", &after, &before, "--ignore", "users"]),
        (0, String::new(), String::new())
    );
    let differences: Value =
        serde_json::from_str(&ends(&["state", "diff", &before, &after, "--json"]).1).unwrap();
    assert!(differences.as_array().is_some_and(|d| !d.is_empty()));
    std::fs::write(&junk, "{}").unwrap();
    let (code, _, err) = ends(&["state", "diff", &junk, &before]);
    assert!(code == 2 && err.contains("this is no dump"), "{err}");
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = ends(&["completions", shell]);
        assert!(code == 0 && out.contains("vast-sim") && out.contains("seed"), "{shell}");
    }
}
