//! The `vast-sim` program: its one line, its end, its refusals.

use std::io::{BufRead as _, BufReader, Read as _};
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
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(
            &[&["serve", "--vms-listen", "127.0.0.1:0", "--s3-port", "0", "--s3-tls-port", "0"], arguments]
                .concat(),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
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
        assert_eq!(fields, ["ca", "ready", "s3", "s3_tls", "vms"]);
        assert_eq!(served.ready["ready"], true);
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

#[test]
fn bad_flags_are_refused_with_a_reason() {
    for (arguments, reason) in [
        (vec!["--vips", "127.0.0.300"], "127.0.0.300"),
        (vec!["--vips", "127.0.0.11,127.0.0.11"], "listed twice"),
        (vec!["--vips", "0.0.0.0"], "0.0.0.0"),
        (vec!["--vms-listen", "nowhere"], "nowhere"),
        (vec!["--capacity", "lots"], "lots"),
        (vec!["--capacity", "0"], "out of range"),
        (vec!["--etag", "sha"], "sha"),
        (vec!["--s3-port", "7000", "--s3-tls-port", "7000"], "must differ"),
        (vec!["--access-token-lifetime", "0"], "longer than zero"),
        (vec!["--tls-name", "no name"], "no name"),
        (vec!["--quota-answer", "200:Fine"], "200:Fine"),
        (vec!["--user", "a:b"], "colon"),
        (vec!["--data-dir", "/proc/nothing"], "/proc/nothing"),
        (vec!["--vms-listen", "192.0.2.1:0"], "192.0.2.1"),
        (vec!["--bogus"], "--bogus"),
    ] {
        let (output, text) = run(&[vec!["serve", "--vms-listen", "127.0.0.1:0"], arguments.clone()].concat());
        let (output, text) = if text.contains("cannot be used multiple times") {
            run(&[vec!["serve"], arguments.clone()].concat())
        } else {
            (output, text)
        };
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text.contains(reason), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let (output, text) = run(&["serve", "--vms-listen", &address]);
    assert!(!output.status.success() && text.contains(&address) && text.contains("in use"), "{text}");
}

#[test]
fn help_teaches() {
    let output = command(&["serve", "--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["--vms-listen", "--vips", "--data-dir", "\"ready\":true", "access_keys", "/sim/v1/faults"] {
        assert!(text.contains(word), "{word} is missing from the help");
    }
}
