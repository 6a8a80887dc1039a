//! Memory: what holding objects takes, and what discarding them takes.

use crate::pairs::exchange;
use crate::server::Server;
use crate::{CONNECTIONS, Gate, MIB, client};

/// Memory over the bytes held, for objects of 1 MiB and more.
const HELD_LIMIT: f64 = 1.05;
/// Memory over the bytes discarded.
const DISCARD_LIMIT: f64 = 0.01;
/// What is written for one figure.
const WRITTEN: usize = 1024 * MIB;

/// The highest ratio of memory grown to bytes held, small objects left out: those cost what their names cost.
pub(crate) async fn held() -> Vec<Gate> {
    let mut worst = 0f64;
    for (size, count) in [
        (4 << 10, 65_536),
        (64 << 10, 8_192),
        (MIB, WRITTEN / MIB),
        (5 * MIB, WRITTEN / (5 * MIB)),
        (64 * MIB, 16),
    ] {
        let grown = grown("sim", size, count).await;
        let held = (count * size) as f64;
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
    vec![Gate::new("memory over bytes held, from 1 MiB on", worst, HELD_LIMIT)]
}

/// Memory grown over bytes that are discarded as they arrive.
pub(crate) async fn discarded() -> Vec<Gate> {
    let grown = grown("discard", 64 * MIB, WRITTEN / (64 * MIB)).await;
    println!("{} MiB discarded, memory grew by {:.1} MiB", WRITTEN / MIB, grown / MIB as f64);
    vec![Gate::new("memory over bytes discarded", grown / WRITTEN as f64, DISCARD_LIMIT)]
}

async fn grown(kind: &str, size: usize, count: usize) -> f64 {
    let server = Server::start(kind);
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
    server.resident() as f64 - before as f64
}
