//! Why a call fails: the code that crosses the boundary and the line that goes to the host's log.

use std::ffi::c_int;
use std::fmt;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `STS_*` code.
    pub(crate) code: c_int,
    /// What went wrong, where, and what to do.
    pub(crate) message: String,
    /// Part of normal operation (end of a list): not worth an error line.
    pub(crate) quiet: bool,
}

impl Fault {
    /// A failure that is logged as an error.
    pub(crate) fn new(code: c_int, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), quiet: false }
    }

    /// An expected outcome, logged at debug level only.
    pub(crate) fn quiet(code: c_int, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), quiet: true }
    }

    /// A bad argument.
    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(ost_abi::STS_EINVAL, message)
    }
}
