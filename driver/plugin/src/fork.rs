//! Noticing a fork: a counter that the child's side of `fork` raises.
//!
//! Process ids are reused, so a process that compares them can mistake itself for its parent. The counter cannot.

#![allow(unsafe_code, reason = "pthread_atfork has no safe form")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);
static REGISTERED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Registers the handler, once per process. Called by `stspi_init`.
///
/// Not a `Once`: a thread of the parent may be inside it when another one forks, and the child would wait for ever.
/// A race registers the handler twice, which only makes the counter rise by two.
pub(crate) fn watch() {
    if REGISTERED.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: the handler is async-signal-safe (one atomic add), and the library is linked with `-z nodelete`, so it is
    // never unmapped while registered.
    let result = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    if result == 0 {
        REGISTERED.store(true, Ordering::Release);
    }
}

/// How many forks lie between this process and the one that registered first.
pub(crate) fn generation() -> u32 {
    FORKS.load(Ordering::Relaxed)
}
