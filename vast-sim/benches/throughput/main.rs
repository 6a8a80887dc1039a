//! What the data path costs, against a bare hyper server that keeps the same bytes: same client, same run, in pairs.
//!
//! `cargo bench -p vast-sim` prints GB/s and the server's CPU seconds per GB. Both servers are processes of their own, so
//! that the client's cost dilutes nothing. `-- --memory` measures the memory that 2 GiB of objects take instead.
//! With `--gate` the run fails when a ratio is above its limit: for CI.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that fails should stop")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod client;
mod control;
mod server;

use std::process::ExitCode;

use bytes::Bytes;
use client::Target;
use server::Server;

/// CPU seconds per GB over those of the bare server: at most this much.
const CPU_LIMIT: f64 = 1.2;
/// Memory over the bytes held, for objects of 1 MiB and more.
const MEMORY_LIMIT: f64 = 1.05;

const MIB: usize = 1 << 20;
/// Paired rounds; the median counts.
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 4;
const PER_CONNECTION: usize = 24;
const BODY: usize = 16 * MIB;
/// Objects each connection writes over and over, to bound the memory held.
const KEYS: usize = 8;

fn main() -> ExitCode {
    if let Ok(kind) = std::env::var(server::KIND) {
        server::serve(&kind);
        return ExitCode::SUCCESS;
    }
    let asked = |flag: &str| std::env::args().any(|a| a == flag);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let worst = if asked("--memory") {
        runtime.block_on(memory()) / MEMORY_LIMIT
    } else {
        runtime.block_on(throughput()) / CPU_LIMIT
    };
    if asked("--gate") && worst > 1.0 {
        println!("FAILED: above the limit by a factor of {worst:.2}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The higher of the median CPU ratios of PUT and GET.
async fn throughput() -> f64 {
    let data = client::data(BODY);
    let (control, sim) = (Server::start("control"), Server::start("sim"));
    println!(
        "{CONNECTIONS} connections, {PER_CONNECTION} x 16 MiB each, CRC32C, opaque ETags; server CPU only"
    );
    let mut worst = 0f64;
    for method in ["PUT", "GET"] {
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        // The first round warms both up.
        for round in 0..=ROUNDS {
            let (bare_rate, bare) = measure(&control, method, &data).await;
            let (rate, cost) = measure(&sim, method, &data).await;
            if round == 0 {
                continue;
            }
            println!(
                "{method} round {round}: bare hyper {bare_rate:.2} GB/s {bare:.3} CPU-s/GB | vast-sim {rate:.2} GB/s {cost:.3} CPU-s/GB | CPU {:.2}x",
                cost / bare
            );
            ratios.push(cost / bare);
            rates.push(rate / bare_rate);
        }
        let (ratio, rate) = (median(ratios), median(rates));
        println!("{method}: CPU {ratio:.2}x (limit {CPU_LIMIT}x), rate {rate:.2}x of bare hyper, medians");
        worst = worst.max(ratio);
    }
    worst
}

/// GB/s, and the server's CPU seconds per GB.
async fn measure(server: &Server, method: &'static str, data: &Bytes) -> (f64, f64) {
    let (start, cpu) = (std::time::Instant::now(), server.cpu_seconds());
    let mut tasks = Vec::new();
    for n in 0..CONNECTIONS {
        let (target, data) = (server.target(n), data.clone());
        tasks.push(tokio::spawn(async move {
            let paths = (0..PER_CONNECTION).map(|i| format!("/bench/{n}-{}", i % KEYS));
            exchange(&target, method, paths, &data).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let gigabytes = (CONNECTIONS * PER_CONNECTION * data.len()) as f64 / 1e9;
    (gigabytes / start.elapsed().as_secs_f64(), (server.cpu_seconds() - cpu) / gigabytes)
}

async fn exchange(target: &Target, method: &str, paths: impl Iterator<Item = String>, data: &Bytes) {
    let mut connection = target.connect().await;
    for path in paths {
        let got = connection.send(method, &path, data).await;
        assert!(method == "PUT" || got == data.len(), "{got} bytes");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The highest ratio of memory grown to bytes held, small objects left out: those cost what their names cost.
async fn memory() -> f64 {
    const HELD: usize = 2048 * MIB;
    let mut worst = 0f64;
    for (size, count) in [(4 << 10, 65_536), (64 << 10, 8_192), (MIB, 0), (5 * MIB, 0), (64 * MIB, 0)] {
        let count = if count == 0 { HELD / size } else { count };
        let server = Server::start("sim");
        let data = client::data(size);
        // Buffers and threads of the server itself are not counted.
        exchange(&server.target(0), "PUT", std::iter::once("/bench/warm".to_owned()), &data).await;
        let before = server.resident();
        let mut tasks = Vec::new();
        for n in 0..CONNECTIONS {
            let (target, data) = (server.target(n), data.clone());
            tasks.push(tokio::spawn(async move {
                let mine = (0..count).skip(n).step_by(CONNECTIONS).map(|i| format!("/bench/object-{i:08}"));
                exchange(&target, "PUT", mine, &data).await;
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let (grown, held) = ((server.resident() - before) as f64, (count * size) as f64);
        println!(
            "{count} objects of {} KiB: {:.0} MiB held, memory grew by {:.0} MiB, {:.3}x, {:.0} bytes more per object",
            size >> 10,
            held / MIB as f64,
            grown / MIB as f64,
            grown / held,
            (grown - held) / count as f64
        );
        if size >= MIB {
            worst = worst.max(grown / held);
        }
    }
    println!("worst from 1 MiB on: {worst:.3}x (limit {MEMORY_LIMIT}x)");
    worst
}
