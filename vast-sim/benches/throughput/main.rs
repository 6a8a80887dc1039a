//! What the data path costs, against a bare hyper server that keeps the same bytes: same client, same run, by turns. Of a PUT
//! the limit is against one that takes the CRC32C besides, which costs much on one processor and nothing on another.
//!
//! `cargo bench -p vast-sim` prints, for large and small objects, rates and the CPU time of each server. All of them are
//! processes of their own, so that the client's cost dilutes nothing. `-- --only NAME` measures the parts whose name
//! contains that (`put`, `get`, `small`, `counts`, `memory`, `discard`). With `--gate` the run fails when a figure is above
//! its limit three times in a row: for CI. Rates and CPU times are printed as medians of the rounds; the gate compares the
//! least CPU time of each server. Allocations are counted, which other load on the machine hardly changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that fails should stop")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod client;
mod control;
mod counts;
mod memory;
mod pairs;
mod server;

use std::process::ExitCode;

use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: counts::Counting = counts::Counting;

const MIB: usize = 1 << 20;
const CONNECTIONS: usize = 4;
/// How often a figure may be measured until it holds its limit.
const MEASUREMENTS: usize = 3;

/// A figure that must not be above its limit.
struct Gate {
    what: String,
    figure: f64,
    limit: f64,
}

impl Gate {
    fn new(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self { what: what.into(), figure, limit }
    }

    fn holds(&self) -> bool {
        self.figure <= self.limit
    }
}

type Part = (&'static str, fn(&Runtime) -> Vec<Gate>);

const PARTS: [Part; 6] = [
    ("put", |runtime| runtime.block_on(pairs::large("PUT"))),
    ("get", |runtime| runtime.block_on(pairs::large("GET"))),
    ("small", |runtime| runtime.block_on(pairs::small())),
    ("counts", |runtime| runtime.block_on(counts::measure())),
    ("memory", |runtime| runtime.block_on(memory::held())),
    ("discard", |runtime| runtime.block_on(memory::discarded())),
];

fn main() -> ExitCode {
    if let Ok(kind) = std::env::var(server::KIND) {
        server::serve(&kind);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().collect();
    let only = arguments.iter().position(|a| a == "--only").map(|at| arguments[at + 1].clone());
    let gate = arguments.iter().any(|a| a == "--gate");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = 0;
    for (name, measure) in PARTS.iter().filter(|(name, _)| only.as_ref().is_none_or(|o| name.contains(o))) {
        println!("== {name}");
        let mut gates = measure(&runtime);
        for _ in 1..if gate { MEASUREMENTS } else { 1 } {
            for above in gates.iter().filter(|g| !g.holds()) {
                println!(
                    "{}: {:.3} is above {:.3}; measuring once more, in case the machine was busy",
                    above.what, above.figure, above.limit
                );
            }
            if gates.iter().all(Gate::holds) {
                break;
            }
            gates = measure(&runtime);
        }
        for g in &gates {
            let verdict = if g.holds() { "holds" } else { "IS ABOVE" };
            println!("{}: {:.3} {verdict} the limit {:.3}", g.what, g.figure, g.limit);
            failed += usize::from(!g.holds());
        }
    }
    if gate && failed > 0 {
        println!("FAILED: {failed} figures above their limits");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
