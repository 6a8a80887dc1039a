//! Rates and CPU time, of both servers by turns.

use bytes::Bytes;

use crate::client::{self, Target};
use crate::server::Server;
use crate::{CONNECTIONS, Gate, MIB, median};

/// CPU seconds per GB over those of the bare server, at most.
const CPU_LIMIT: f64 = 1.2;
/// Paired rounds.
const ROUNDS: usize = 15;
/// Objects each connection writes over and over, to bound the memory held.
const KEYS: usize = 8;

/// What is sent in one round.
#[derive(Clone, Copy)]
struct Load {
    method: &'static str,
    /// Bytes of an object.
    size: usize,
    /// Requests of each connection.
    requests: usize,
}

impl Load {
    fn requests(self) -> f64 {
        (CONNECTIONS * self.requests) as f64
    }

    fn gigabytes(self) -> f64 {
        self.requests() * self.size as f64 / 1e9
    }
}

/// One round with one server.
#[derive(Clone, Copy)]
struct Round {
    wall: f64,
    cpu: f64,
}

/// Objects of 16 MiB: what the bytes cost.
pub(crate) async fn large(method: &'static str) -> Vec<Gate> {
    let load = Load { method, size: 16 * MIB, requests: 12 };
    println!("{CONNECTIONS} connections, {} x 16 MiB each, CRC32C, opaque ETags", load.requests);
    let rounds = pairs(load).await;
    let gb = load.gigabytes();
    let of = |pick: fn(&(Round, Round)) -> f64| median(rounds.iter().map(pick).collect());
    println!(
        "{method}: bare hyper {:.2} GB/s {:.4} CPU-s/GB | vast-sim {:.2} GB/s {:.4} CPU-s/GB",
        gb / of(|r| r.0.wall),
        of(|r| r.0.cpu) / gb,
        gb / of(|r| r.1.wall),
        of(|r| r.1.cpu) / gb
    );
    // Whatever else the machine does can only add CPU time (caches, migrations): the least disturbed rounds compare
    // the servers and not the disturbances.
    let least = |pick: fn(&(Round, Round)) -> f64| rounds.iter().map(pick).fold(f64::INFINITY, f64::min);
    let ratio = least(|r| r.1.cpu) / least(|r| r.0.cpu);
    vec![Gate::new(format!("{method} CPU over bare hyper"), ratio, CPU_LIMIT)]
}

/// Objects of 64 KiB: what a request costs.
pub(crate) async fn small() -> Vec<Gate> {
    for method in ["PUT", "GET"] {
        let load = Load { method, size: 64 << 10, requests: 500 };
        let rounds = pairs(load).await;
        let of = |pick: fn(&(Round, Round)) -> f64| median(rounds.iter().map(pick).collect());
        println!(
            "{method} 64 KiB: bare hyper {:.0} requests/s {:.1} CPU-us each | vast-sim {:.0} requests/s {:.1} CPU-us each",
            load.requests() / of(|r| r.0.wall),
            of(|r| r.0.cpu) / load.requests() * 1e6,
            load.requests() / of(|r| r.1.wall),
            of(|r| r.1.cpu) / load.requests() * 1e6
        );
    }
    Vec::new()
}

/// Rounds of both servers, bare first and second by turns.
async fn pairs(load: Load) -> Vec<(Round, Round)> {
    let data = client::data(load.size);
    let (control, sim) = (Server::start("control"), Server::start("sim"));
    for server in [&control, &sim] {
        // What is read must be there, and both are warm.
        round(server, Load { method: "PUT", ..load }, &data).await;
        round(server, load, &data).await;
    }
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        rounds.push(if n % 2 == 0 {
            let bare = round(&control, load, &data).await;
            (bare, round(&sim, load, &data).await)
        } else {
            let sim = round(&sim, load, &data).await;
            (round(&control, load, &data).await, sim)
        });
    }
    rounds
}

async fn round(server: &Server, load: Load, data: &Bytes) -> Round {
    let (start, cpu) = (std::time::Instant::now(), server.cpu_seconds());
    let mut tasks = Vec::new();
    for n in 0..CONNECTIONS {
        let (target, data) = (server.target(n), data.clone());
        tasks.push(tokio::spawn(async move {
            let paths = (0..load.requests).map(|i| format!("/bench/{n}-{}", i % KEYS));
            exchange(&target, load.method, paths, &data).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    Round { wall: start.elapsed().as_secs_f64(), cpu: server.cpu_seconds() - cpu }
}

/// Sends one request per path over one connection.
pub(crate) async fn exchange(
    target: &Target,
    method: &str,
    paths: impl Iterator<Item = String>,
    data: &Bytes,
) {
    let mut connection = target.connect().await;
    for path in paths {
        let got = connection.send(method, &path, data).await;
        assert!(method == "PUT" || got == data.len(), "{got} bytes");
    }
}
