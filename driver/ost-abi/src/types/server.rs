//! The plug-in, the session and the storage server.

use core::ffi::{c_char, c_void};

use super::sts_log_fn;
use crate::constants::{STS_MAX_CRED, STS_MAX_STSNAME, STS_MAX_TEXT, STS_SRV_CAP_WORDS};

/// What the plug-in says of itself.
///
/// Provenance: provisional (the fields are those that `bpstsinfo -pi` is known to print).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct stspi_plugin_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STSPI_INTERFACE_VERSION` that the plug-in was built with.
    pub interface_version: u32,
    /// `STSPI_THREADS_SINGLE` or `STSPI_THREADS_MULTI`.
    pub thread_model: u32,
    /// Zero.
    pub reserved: u32,
    /// Name of the plug-in.
    pub name: [c_char; STS_MAX_TEXT],
    /// Storage-server type it claims; names look like `<prefix>:<server>`.
    pub prefix: [c_char; STS_MAX_TEXT],
    /// One line for an administrator.
    pub label: [c_char; STS_MAX_TEXT],
    /// Version of the plug-in.
    pub build_version: [c_char; STS_MAX_TEXT],
}

/// Session definition: who calls, and where log lines go.
///
/// Provenance: log (the type name), provisional (the fields).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_session_def_v7_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Lowest severity that the host wants to see (`STS_LOG_*`).
    pub log_level: i32,
    /// Log function; may be null.
    pub log: sts_log_fn,
    /// Handed to the log function as it is.
    pub log_context: *mut c_void,
    /// Name of the calling program, such as `bptm`.
    pub application: [c_char; STS_MAX_TEXT],
    /// NetBackup job id as text, or empty.
    pub job_id: [c_char; STS_MAX_TEXT],
}

/// Credentials of a storage server.
///
/// Provenance: log (the type name), documented (user and password per server and media server), provisional (layout).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sts_cred_v7_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// User name.
    pub user: [c_char; STS_MAX_CRED],
    /// Password.
    pub password: [c_char; STS_MAX_CRED],
}

impl core::fmt::Debug for sts_cred_v7_t {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("sts_cred_v7_t").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What a storage server is and can do.
///
/// Provenance: training (type name, flags word, capability array), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_server_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Open handles on this server in this process.
    pub connections: u32,
    /// `STS_SRV_*`.
    pub flags: u64,
    /// Bit `i` of word `i / 32` is capability `STS_SRVC_*` number `i`.
    pub srv_cap: [u32; STS_SRV_CAP_WORDS],
    /// Storage-server name as the plug-in knows it.
    pub name: [c_char; STS_MAX_STSNAME],
    /// One line about the cluster: name and software version.
    pub description: [c_char; STS_MAX_TEXT],
}
