//! A server in a process of its own: this program started again, told by the environment what to be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use vast_sim::{Cluster, Config, EtagMode, KeyPair, Retention};

use crate::client::Target;
use crate::{control, counts};

/// Names the variable that says which server to be.
pub(crate) const KIND: &str = "VAST_SIM_BENCH_SERVER";

/// Serves until standard input ends. Prints one line first: addresses and, for the simulator, keys. Answers each line of
/// standard input with the allocations since the last.
pub(crate) fn serve(kind: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let cluster = if kind == "control" || kind == "checked" {
        println!("{}", runtime.block_on(control::start(kind == "checked")));
        None
    } else {
        let retention = if kind == "discard" { Retention::Discard } else { Retention::Keep };
        let config = Config { etag: EtagMode::Opaque, retention, ..Config::default() };
        let cluster = runtime.block_on(Cluster::start(config)).unwrap();
        let keys = cluster.provision("bench", None).unwrap().keys;
        let urls: Vec<String> = cluster.s3_urls().iter().map(|u| u.replace("http://", "")).collect();
        println!("{} {} {}", urls.join(","), keys.access_key, keys.secret_key);
        Some(cluster)
    };
    std::io::stdout().flush().unwrap();
    for _ in std::io::stdin().lines() {
        let (calls, bytes) = counts::since_last();
        println!("{calls} {bytes}");
    }
    drop(cluster);
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    authorities: Vec<String>,
    keys: Option<KeyPair>,
}

impl Server {
    pub(crate) fn start(kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(KIND, kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let mut words = line.split_whitespace();
        let authorities = words.next().unwrap().split(',').map(str::to_owned).collect();
        let keys = words
            .next()
            .zip(words.next())
            .map(|(a, s)| KeyPair { access_key: a.to_owned(), secret_key: s.to_owned() });
        Self { child, said, authorities, keys }
    }

    /// The server as connection `n` sees it.
    pub(crate) fn target(&self, n: usize) -> Target {
        Target { authority: self.authorities[n % self.authorities.len()].clone(), keys: self.keys.clone() }
    }

    /// CPU time of the server so far, all threads, to the nanosecond as far as they have come to rest.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        tasks.map(of).sum::<u64>() as f64 / 1e9
    }

    /// Allocations of the server since the last call, and their bytes.
    pub(crate) fn allocations(&mut self) -> (u64, u64) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let (calls, bytes) = line.trim().split_once(' ').unwrap();
        (calls.parse().unwrap(), bytes.parse().unwrap())
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
