//! `libnbu_clock.so`: preloaded into a process (`LD_PRELOAD`), it shows it a wall clock that is off by as many milliseconds
//! as `NBU_CLOCK_OFFSET_MS` says. So a media server of a scenario has a clock of its own: whatever its processes load asks
//! the C library for the time, and gets it from here. Clocks that only measure how much time passes are left alone.
//!
//! It is a C boundary: no panic leaves it, null pointers are survived, any thread may call.

#![allow(unsafe_code, reason = "stands in for functions of the C library")]

use std::ffi::{CStr, c_int, c_long};
use std::sync::atomic::{AtomicI64, Ordering};

/// The variable, for the C library.
const OFFSET: &CStr = c"NBU_CLOCK_OFFSET_MS";
/// The environment has not been read yet.
const UNREAD: i64 = i64::MIN;
const NANOS: i64 = 1_000_000_000;

static OFFSET_MS: AtomicI64 = AtomicI64::new(UNREAD);

/// How far the clock is off. Read once; takes no lock and no memory.
fn offset_ms() -> i64 {
    let known = OFFSET_MS.load(Ordering::Relaxed);
    if known != UNREAD {
        return known;
    }
    // SAFETY: a C string; whoever changes the environment while other threads run has that to answer for.
    let found = unsafe { libc::getenv(OFFSET.as_ptr()) };
    let offset = if found.is_null() {
        0
    } else {
        // SAFETY: what `getenv` gives is a C string.
        let text = unsafe { CStr::from_ptr(found) };
        text.to_str().ok().and_then(|text| text.parse().ok()).filter(|ms| *ms != UNREAD).unwrap_or(0)
    };
    OFFSET_MS.store(offset, Ordering::Relaxed);
    offset
}

/// A time that is off, in seconds and nanoseconds since the epoch.
fn shifted(seconds: i64, nanos: i64, offset_ms: i64) -> (i64, i64) {
    let moved = nanos + (offset_ms % 1000) * 1_000_000;
    (seconds + offset_ms / 1000 + moved.div_euclid(NANOS), moved.rem_euclid(NANOS))
}

/// The kernel's own answer, which nothing stands in for.
///
/// # Safety
/// `time` is null or a place for a time.
unsafe fn kernel(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: the caller's promise; the kernel itself refuses a bad address.
    let code: c_long = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if code == 0 { 0 } else { -1 }
}

/// The wall clock now.
fn now() -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for a time.
    unsafe { kernel(libc::CLOCK_REALTIME, &raw mut time) };
    shifted(time.tv_sec, time.tv_nsec, offset_ms())
}

/// `clock_gettime` of the C library.
///
/// # Safety
/// `time` is null or a place for a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: the caller's promise.
    let code = unsafe { kernel(clock, time) };
    if code == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: null, or what the kernel has just filled.
        if let Some(time) = unsafe { time.as_mut() } {
            (time.tv_sec, time.tv_nsec) = shifted(time.tv_sec, time.tv_nsec, offset_ms());
        }
    }
    code
}

/// `gettimeofday` of the C library; the time zone was never of use and is left alone.
///
/// # Safety
/// `time` is null or a place for a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut libc::c_void) -> c_int {
    // SAFETY: the caller's promise.
    if let Some(time) = unsafe { time.as_mut() } {
        let (seconds, nanos) = now();
        *time = libc::timeval { tv_sec: seconds, tv_usec: nanos / 1000 };
    }
    0
}

/// `time` of the C library.
///
/// # Safety
/// `time` is null or a place for a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut libc::time_t) -> libc::time_t {
    let (seconds, _) = now();
    // SAFETY: the caller's promise.
    if let Some(time) = unsafe { time.as_mut() } {
        *time = seconds;
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_whole_and_part_seconds_either_way() {
        assert_eq!(shifted(100, 5, 0), (100, 5));
        assert_eq!(shifted(100, 900_000_000, 1_200_250), (1301, 150_000_000));
        assert_eq!(shifted(100, 100_000_000, -1_500), (98, 600_000_000));
    }
}
