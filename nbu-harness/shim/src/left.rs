//! What a plug-in with such a defect leaves on the machine when its process has ended.

use std::{env, fs, io};

use nbu_trace::orders;

/// Bytes of the shared memory that is left.
const SEGMENT_BYTES: usize = 4096;
/// Seconds after which a process ends by itself that nobody has found.
const FORGOTTEN: libc::c_uint = 600;

/// Leaves a process that has nothing open and belongs to no session but its own.
pub(crate) fn process() {
    // SAFETY: the child makes system calls only, all of them safe after a fork of a process with threads, and never
    // returns.
    let forked = unsafe {
        let forked = libc::fork();
        if forked == 0 {
            // What is open would keep peers of this process waiting for its end.
            libc::close_range(0, libc::c_uint::MAX, 0);
            libc::setsid();
            libc::alarm(FORGOTTEN);
            loop {
                libc::pause();
            }
        }
        forked
    };
    if forked < 0 {
        eprintln!("nbu-shim: no process is left: {}", io::Error::last_os_error());
    }
}

/// Leaves the shared memory that was ordered.
pub(crate) fn shared_memory() {
    let Some(path) = env::var_os(orders::SEGMENT) else {
        eprintln!("nbu-shim: {} is not set: no shared memory is left", orders::SEGMENT);
        return;
    };
    if let Err(error) = fs::write(&path, [0; SEGMENT_BYTES]) {
        eprintln!("nbu-shim: {}: {error}", path.display());
    }
}
