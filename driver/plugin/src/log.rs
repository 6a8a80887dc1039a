//! Log lines: collected while a call runs, handed to the host's log function on the host's own thread.
//!
//! Lower layers may log from threads of the plug-in. The host's function is only ever called inside a `stspi_*` call
//! and on the thread that made it, so lines wait in a bounded queue until the next call of a session returns.

#![allow(unsafe_code, reason = "calls the host's log function")]

use std::collections::VecDeque;
use std::ffi::CString;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ost_abi::{
    STS_LOG_CRITICAL, STS_LOG_DEBUG, STS_LOG_ERROR, STS_LOG_INFO, STS_LOG_WARNING, sts_call_log, sts_log_fn,
    sts_session_def_v7_t,
};
use vast_client::{Log, Severity};

/// Lines that may wait; older ones are dropped and counted.
const LINES_MAX: usize = 1024;

const fn number(severity: Severity) -> i32 {
    match severity {
        Severity::Debug => STS_LOG_DEBUG,
        Severity::Info => STS_LOG_INFO,
        Severity::Warning => STS_LOG_WARNING,
        Severity::Error => STS_LOG_ERROR,
        Severity::Critical => STS_LOG_CRITICAL,
    }
}

/// Lines of the layers below, waiting for a host thread to fetch them.
#[derive(Debug, Default)]
pub(crate) struct LogQueue {
    waiting: AtomicUsize,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    queue: VecDeque<(Severity, String)>,
    dropped: u64,
}

impl Log for LogQueue {
    fn log(&self, severity: Severity, message: fmt::Arguments<'_>) {
        let Ok(mut lines) = self.lines.lock() else { return };
        if lines.queue.len() == LINES_MAX {
            lines.queue.pop_front();
            lines.dropped += 1;
        }
        lines.queue.push_back((severity, message.to_string()));
        self.waiting.store(lines.queue.len(), Ordering::Release);
    }
}

impl LogQueue {
    /// Hands every waiting line to the session. Costs one atomic load when there is none.
    pub(crate) fn drain(&self, session: &Session) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let (queue, dropped) = match self.lines.lock() {
            Ok(mut lines) => {
                self.waiting.store(0, Ordering::Release);
                (std::mem::take(&mut lines.queue), std::mem::take(&mut lines.dropped))
            }
            Err(_) => return,
        };
        if dropped > 0 {
            session.log(Severity::Warning, &format!("{dropped} earlier log lines were dropped"));
        }
        for (severity, line) in queue {
            session.log(severity, &line);
        }
    }
}

/// The host's side of a session: where its log lines go. Stays on the thread that opened it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    log: sts_log_fn,
    context: *mut std::ffi::c_void,
    level: i32,
}

impl Session {
    /// A session without a log function.
    pub(crate) const fn silent() -> Self {
        Self { log: None, context: std::ptr::null_mut(), level: i32::MAX }
    }

    /// There is a log function to call.
    pub(crate) const fn is_listening(&self) -> bool {
        self.log.is_some()
    }

    /// Takes the host's session definition over.
    pub(crate) fn new(definition: &sts_session_def_v7_t) -> Self {
        Self { log: definition.log, context: definition.log_context, level: definition.log_level }
    }

    /// Writes one line to the host's log.
    pub(crate) fn log(&self, severity: Severity, line: &str) {
        let severity = number(severity);
        if self.log.is_none() || severity < self.level {
            return;
        }
        let clean: Vec<u8> = line.bytes().map(|b| if b < 0x20 { b' ' } else { b }).collect();
        if let Ok(text) = CString::new(clean) {
            // SAFETY: the host gave function and context together for this session; the text outlives the call.
            unsafe { sts_call_log(self.log, self.context, severity, &text) }
        }
    }
}

#[cfg(all(test, not(feature = "sdk")))]
mod tests {
    use super::*;
    use std::ffi::{CStr, c_char, c_void};

    unsafe extern "C" fn collect(context: *mut c_void, severity: i32, text: *const c_char) {
        // SAFETY: the tests pass a vector as context and the plug-in a NUL-terminated text.
        unsafe {
            let lines = &mut *context.cast::<Vec<String>>();
            lines.push(format!("<{severity}> {}", CStr::from_ptr(text).to_string_lossy()));
        }
    }

    fn session(lines: &mut Vec<String>, level: i32) -> Session {
        Session { log: Some(collect), context: std::ptr::from_mut(lines).cast(), level }
    }

    #[test]
    fn lines_come_with_netbackups_severities_and_without_control_characters() {
        let mut lines = Vec::new();
        let queue = LogQueue::default();
        queue.log(Severity::Debug, format_args!("hidden"));
        queue.log(Severity::Warning, format_args!("VIP {} is silent\nleft it", "10.0.0.1"));
        queue.drain(&session(&mut lines, STS_LOG_INFO));
        assert_eq!(lines, ["<8> VIP 10.0.0.1 is silent left it"]);
    }

    #[test]
    fn the_queue_is_bounded_and_says_what_it_dropped() {
        let mut lines = Vec::new();
        let queue = LogQueue::default();
        for i in 0..LINES_MAX + 3 {
            queue.log(Severity::Error, format_args!("{i}"));
        }
        queue.drain(&session(&mut lines, 0));
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[0], "<8> 3 earlier log lines were dropped");
        assert_eq!(lines[1], "<16> 3");
    }
}
