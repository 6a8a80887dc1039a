//! The library at its boundary: every entry point with nothing in its arguments, from threads and from a forked child.
//! One test, in a process of its own: the library obeys the environment and keeps state for the process.

#![allow(unsafe_code, reason = "calls C symbols")]
#![allow(clippy::unwrap_used, reason = "what fails on the way to a test fails the test")]

use std::path::Path;
use std::ptr;

use nbu_trace::{Trace, Value, orders};
#[allow(clippy::wildcard_imports, reason = "the entry points name their types without a path")]
use ost_abi::*;

/// An argument that says nothing.
trait Nothing {
    fn nothing() -> Self;
}

impl<T> Nothing for *const T {
    fn nothing() -> Self {
        ptr::null()
    }
}

impl<T> Nothing for *mut T {
    fn nothing() -> Self {
        ptr::null_mut()
    }
}

impl Nothing for sts_event_fn {
    fn nothing() -> Self {
        None
    }
}

macro_rules! zero {
    ($($ty:ty),+) => { $(impl Nothing for $ty { fn nothing() -> Self { 0 } })+ };
}

zero!(u32, u64, c_int);

macro_rules! call_all {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        fn call_all() -> Vec<c_int> {
            vec![$(
                // SAFETY: null pointers and zeros, which every entry point must survive.
                unsafe { nbu_shim::$name($(<$ty as Nothing>::nothing()),*) }
            ),+]
        }
    };
}

for_each_entry_point!(call_all);

fn traces(dir: &Path) -> Vec<Trace> {
    let files = std::fs::read_dir(dir).unwrap();
    files.map(|file| Trace::read(&file.unwrap().path()).unwrap()).collect()
}

#[test]
fn nulls_threads_and_forks_are_survived_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (recorded, hits) = (dir.path().join("traces"), dir.path().join("hits"));
    std::fs::create_dir(&recorded).unwrap();
    // SAFETY: the only test of this process, before it starts a thread of its own.
    unsafe {
        std::env::set_var(orders::TRACE, &recorded);
        std::env::set_var(orders::FAULTS, r#"[{"call": "claim", "effect": {"error": 7}, "skip": 1}]"#);
        std::env::set_var(orders::HITS, &hits);
    }
    let codes = call_all();
    assert_eq!(codes, vec![STS_EPLUGIN; ENTRY_POINTS.len()], "nothing is wrapped");
    let other = std::thread::spawn(|| {
        // SAFETY: a null name must be survived.
        unsafe { nbu_shim::stspi_claim(ptr::null()) }
    });
    assert_eq!(other.join().unwrap(), 7, "the second claim of the process");
    // SAFETY: the child only calls the library and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above; `_exit` runs nothing of the parent's.
        unsafe {
            nbu_shim::stspi_claim(c"Fake:server".as_ptr());
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);

    let traces = traces(&recorded);
    assert_eq!(traces.len(), 2, "one of each process");
    let (own, forked): (Vec<_>, Vec<_>) =
        traces.iter().partition(|trace| trace.header.pid == std::process::id());
    assert_eq!(own[0].calls.len(), ENTRY_POINTS.len() + 1);
    let names: Vec<&str> = own[0].calls.iter().map(|call| own[0].entry(call)).collect();
    assert_eq!(names[..ENTRY_POINTS.len()], *ENTRY_POINTS);
    let threads: Vec<u64> = own[0].calls.iter().map(|call| call.thread).collect();
    assert_eq!((threads[0], threads[ENTRY_POINTS.len()]), (1, 2));
    assert_eq!(forked[0].calls.len(), 1, "the child does not write into the parent's trace");
    assert_eq!(forked[0].calls[0].arguments, [Value::text("Fake:server")]);
    assert_eq!(forked[0].header.pid, child.cast_unsigned());
    assert_eq!(std::fs::read_to_string(&hits).unwrap(), "0\n");
}
