//! What is allocated: the same whatever else the machine does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::server::Server;
use crate::{Gate, MIB, client, pairs};

/// The system's allocator, counted when asked for.
pub(crate) struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn count(bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as this function's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as this function's own.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as this function's own.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as this function's own.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Allocations since the last call, and their bytes. The first call starts counting.
pub(crate) fn since_last() -> (u64, u64) {
    ON.store(true, Ordering::Relaxed);
    (CALLS.swap(0, Ordering::Relaxed), BYTES.swap(0, Ordering::Relaxed))
}

/// Bytes that may be allocated for a byte that is written: itself once, in buffers that are nearly full. Without the mark
/// that lets them fill (`net/low_water.rs`) it is up to twice that.
const PUT_BYTES: f64 = 1.3;
/// The same for a byte that is read: none of it is copied.
const GET_BYTES: f64 = 0.05;
/// Allocations of one small request.
const PER_REQUEST: f64 = 400.0;

/// Bytes allocated per byte of large objects, and allocations per request of small ones.
pub(crate) async fn measure() -> Vec<Gate> {
    let mut gates = Vec::new();
    for (method, limit) in [("PUT", PUT_BYTES), ("GET", GET_BYTES)] {
        for (size, requests) in [(16 * MIB, 16), (1 << 10, 256)] {
            let [bare, sim] =
                [one("control", method, size, requests).await, one("sim", method, size, requests).await];
            println!(
                "{method} of {} KiB: {:.0} allocations and {:.0} bytes per request (bare hyper {:.0} and {:.0})",
                size >> 10,
                sim.0,
                sim.1,
                bare.0,
                bare.1
            );
            gates.push(if size >= MIB {
                Gate::new(format!("{method} bytes allocated per byte"), sim.1 / size as f64, limit)
            } else {
                Gate::new(format!("{method} allocations of a small request"), sim.0, PER_REQUEST)
            });
        }
    }
    gates
}

/// Allocations and bytes of one request.
async fn one(kind: &str, method: &str, size: usize, requests: usize) -> (f64, f64) {
    let mut server = Server::start(kind);
    let (target, data) = (server.target(0), client::data(size));
    let paths = |n: usize| (0..n).map(|i| format!("/bench/{}", i % 4));
    pairs::exchange(&target, "PUT", paths(4), &data).await;
    pairs::exchange(&target, method, paths(16), &data).await;
    server.allocations();
    pairs::exchange(&target, method, paths(requests), &data).await;
    let (calls, bytes) = server.allocations();
    (calls as f64 / requests as f64, bytes as f64 / requests as f64)
}
