//! Rates and CPU time, of the servers by turns.

use bytes::Bytes;

use crate::client::{self, Target};
use crate::server::Server;
use crate::{CONNECTIONS, Gate, MIB, median};

/// CPU seconds per GB over those of the bare server, which takes the same checksums, at most.
const CPU_LIMIT: f64 = 1.2;
/// Rounds of each server.
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

/// A server, and what people call it.
type Kind = (&'static str, &'static str);

const BARE: Kind = ("control", "bare hyper");
const CHECKED: Kind = ("checked", "with CRC32C");
const SIM: Kind = ("sim", "vast-sim");

/// Objects of 16 MiB: what the bytes cost.
pub(crate) async fn large(method: &'static str) -> Vec<Gate> {
    let load = Load { method, size: 16 * MIB, requests: 12 };
    println!("{CONNECTIONS} connections, {} x 16 MiB each, CRC32C, opaque ETags", load.requests);
    // A GET is answered with the sum that the PUT left.
    let kinds: &[Kind] = if method == "PUT" { &[BARE, CHECKED, SIM] } else { &[BARE, SIM] };
    let rounds = by_turns(load, kinds).await;
    let gb = load.gigabytes();
    let each = kinds.iter().zip(&rounds).map(|((_, name), rounds)| {
        let of = |pick: fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
        format!("{name} {:.2} GB/s {:.4} CPU-s/GB", gb / of(|r| r.wall), of(|r| r.cpu) / gb)
    });
    println!("{method}: {}", each.collect::<Vec<_>>().join(" | "));
    // Whatever else the machine does can only add CPU time (caches, migrations): the least disturbed rounds compare
    // the servers and not the disturbances.
    let least: Vec<f64> =
        rounds.iter().map(|rounds| rounds.iter().map(|r| r.cpu).fold(f64::INFINITY, f64::min)).collect();
    let [others @ .., sim] = least.as_slice() else { return Vec::new() };
    let gate = |((_, name), other): (&Kind, &f64)| {
        let what = if *name == BARE.1 { String::new() } else { format!(" {name}") };
        Gate::new(format!("{method} CPU over bare hyper{what}"), sim / other, CPU_LIMIT)
    };
    let mut ratios: Vec<Gate> = kinds.iter().zip(others).map(gate).collect();
    let gated = ratios.pop();
    for ratio in ratios {
        println!(
            "{}: {:.3}, which depends on what the processor has for checksums",
            ratio.what, ratio.figure
        );
    }
    gated.into_iter().collect()
}

/// Objects of 64 KiB: what a request costs.
pub(crate) async fn small() -> Vec<Gate> {
    for method in ["PUT", "GET"] {
        let load = Load { method, size: 64 << 10, requests: 500 };
        let kinds = [BARE, SIM];
        let rounds = by_turns(load, &kinds).await;
        let each = kinds.iter().zip(&rounds).map(|((_, name), rounds)| {
            let of = |pick: fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
            let (rate, cost) = (load.requests() / of(|r| r.wall), of(|r| r.cpu) / load.requests() * 1e6);
            format!("{name} {rate:.0} requests/s {cost:.1} CPU-us each")
        });
        println!("{method} 64 KiB: {}", each.collect::<Vec<_>>().join(" | "));
    }
    Vec::new()
}

/// The rounds of each server, in the order of the kinds. Each begins as often as every other.
async fn by_turns(load: Load, kinds: &[Kind]) -> Vec<Vec<Round>> {
    let data = client::data(load.size);
    let servers: Vec<Server> = kinds.iter().map(|(kind, _)| Server::start(kind)).collect();
    for server in &servers {
        // What is read must be there, and all are warm.
        round(server, Load { method: "PUT", ..load }, &data).await;
        round(server, load, &data).await;
    }
    let mut rounds: Vec<Vec<Round>> = kinds.iter().map(|_| Vec::new()).collect();
    for first in 0..ROUNDS {
        for turn in 0..servers.len() {
            let at = (first + turn) % servers.len();
            rounds[at].push(round(&servers[at], load, &data).await);
        }
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
