//! The host's log function: its shape, and how to call it.

#![allow(unsafe_code, reason = "calls a function of the host")]

use core::ffi::{CStr, c_char, c_void};

/// The host's log function: context as given, severity (`STS_LOG_*`), NUL-terminated text without a line end.
///
/// It is called only on the thread that is inside a `stspi_*` call, never after that call has returned.
///
/// Provenance: log (that plug-in text appears in the host's log), provisional (the shape).
pub type sts_log_fn = Option<unsafe extern "C" fn(context: *mut c_void, severity: i32, text: *const c_char)>;

/// Hands a line to the host's log function; none, nothing done.
///
/// # Safety
/// `log` and `context` are what the host passed together in one session definition, and the call is inside one of its.
///
/// Provenance: provisional (ours).
pub unsafe fn sts_call_log(log: sts_log_fn, context: *mut c_void, severity: i32, text: &CStr) {
    if let Some(log) = log {
        // SAFETY: the caller's promise; the text outlives the call.
        unsafe { log(context, severity, text.as_ptr()) }
    }
}
