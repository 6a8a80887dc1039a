//! A server in a process of its own: this program started again, told by the environment what to be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use vast_sim::{Cluster, Config, EtagMode, KeyPair};

use crate::client::Target;
use crate::control;

/// Names the variable that says which server to be.
pub(crate) const KIND: &str = "VAST_SIM_BENCH_SERVER";

/// Serves until standard input ends. Prints one line first: addresses and, for the simulator, keys.
pub(crate) fn serve(kind: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let cluster = if kind == "control" {
        println!("{}", runtime.block_on(control::start()));
        None
    } else {
        let config = Config { etag: EtagMode::Opaque, ..Config::default() };
        let cluster = runtime.block_on(Cluster::start(config)).unwrap();
        let keys = cluster.provision("bench", None).unwrap().keys;
        let urls: Vec<String> = cluster.s3_urls().iter().map(|u| u.replace("http://", "")).collect();
        println!("{} {} {}", urls.join(","), keys.access_key, keys.secret_key);
        Some(cluster)
    };
    std::io::stdout().flush().unwrap();
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    drop(cluster);
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
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
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace();
        let authorities = words.next().unwrap().split(',').map(str::to_owned).collect();
        let keys = words
            .next()
            .zip(words.next())
            .map(|(a, s)| KeyPair { access_key: a.to_owned(), secret_key: s.to_owned() });
        Self { child, authorities, keys }
    }

    /// The server as connection `n` sees it.
    pub(crate) fn target(&self, n: usize) -> Target {
        Target { authority: self.authorities[n % self.authorities.len()].clone(), keys: self.keys.clone() }
    }

    /// CPU time of the server so far, all threads.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        ticks as f64 / 100.0
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
