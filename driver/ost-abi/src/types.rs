//! The structures that cross the boundary. All are `repr(C)`, fixed in size, without pointers where possible.
//!
//! Every structure that a caller passes begins with `size`: the caller sets it to `sizeof` of the structure it was
//! compiled with, and a plug-in refuses (`STS_EINVAL`) a size it does not know. Character arrays hold bytes in no
//! particular encoding, ended by a NUL within the array; an array without one is refused.

use core::ffi::{c_char, c_void};

use crate::constants::{
    STS_MAX_CRED, STS_MAX_IMAGENAME, STS_MAX_LSUNAME, STS_MAX_POLICYNAME, STS_MAX_STSNAME, STS_MAX_TEXT,
    STS_SRV_CAP_WORDS,
};

/// A storage server opened by `stspi_open_server`. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: log (the name and that it is a pointer to it that comes back).
#[derive(Debug)]
pub struct bstsp_server_handle_s {
    _opaque: u8,
}

/// An enumeration of LSUs. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_lsu_list_handle_s {
    _opaque: u8,
}

/// An open image. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_image_handle_s {
    _opaque: u8,
}

/// An enumeration of images. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_image_list_handle_s {
    _opaque: u8,
}

/// The host's log function: context as given, severity (`STS_LOG_*`), NUL-terminated text without a line end.
///
/// It is called only on the thread that is inside a `stspi_*` call, never after that call has returned.
///
/// Provenance: log (that plug-in text appears in the host's log), provisional (the shape).
pub type sts_log_fn = Option<unsafe extern "C" fn(context: *mut c_void, severity: i32, text: *const c_char)>;

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

/// An LSU: a server handle and the LSU's name.
///
/// Provenance: training (both members), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_t {
    /// Open server.
    pub sl_server: *mut bstsp_server_handle_s,
    /// LSU name.
    pub sl_name: [c_char; STS_MAX_LSUNAME],
}

/// Which LSUs an enumeration shall name.
///
/// Provenance: training (type name and `sld_flags`), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_def_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Only LSUs that have all of these `STS_LSUF_*` flags; 0 = all.
    pub sld_flags: u64,
}

/// An LSU name as an enumeration returns it.
///
/// Provenance: provisional.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_name_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// LSU name.
    pub name: [c_char; STS_MAX_LSUNAME],
}

/// Properties of an LSU. Byte figures may be `STS_UNKNOWN`.
///
/// Provenance: training (`lsu_used`, `lsu_used_phys`, `lsu_capacity`), documented (the figures `bpstsinfo -li` prints),
/// provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STS_LSU_AT_*`.
    pub allocation: u32,
    /// `STS_LSU_ST_*`.
    pub storage: u32,
    /// Zero.
    pub reserved: u32,
    /// `STS_LSUF_*`.
    pub media: u64,
    /// `STS_SA_*`.
    pub save_as: u64,
    /// Largest length of one read or write, in bytes.
    pub max_transfer: u64,
    /// Unit of write lengths, in bytes.
    pub block_size: u64,
    /// Capacity in bytes: the quota of the view, or the cluster's.
    pub lsu_capacity: u64,
    /// Physical capacity in bytes.
    pub lsu_capacity_phys: u64,
    /// Bytes used, before data reduction.
    pub lsu_used: u64,
    /// Bytes used on the media.
    pub lsu_used_phys: u64,
    /// Number of images.
    pub images: u64,
    /// LSU name.
    pub name: [c_char; STS_MAX_LSUNAME],
    /// One line for an administrator.
    pub description: [c_char; STS_MAX_TEXT],
}

/// Identity of an image.
///
/// Provenance: log (base name, date in epoch seconds, policy are part of a shipping plug-in's image name),
/// provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_image_def_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Backup time in seconds since the epoch.
    pub img_date: u64,
    /// Base name, such as `client_1588173008_C1_F2`.
    pub img_basename: [c_char; STS_MAX_IMAGENAME],
    /// Policy name; may be empty.
    pub img_policy: [c_char; STS_MAX_POLICYNAME],
}

/// Properties of an image.
///
/// Provenance: training (`imo_size`, the status bits), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_image_info_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STS_II_*`.
    pub status: u32,
    /// Size in bytes, what has been written so far for a pending image.
    pub imo_size: u64,
    /// When the image was created, in seconds since the epoch.
    pub create_time: u64,
    /// Unit of write lengths, in bytes.
    pub block_size: u64,
    /// Identity.
    pub def: sts_image_def_t,
}

/// Description of the content of a write.
///
/// Provenance: training (that such an argument exists), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_stat_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero: nothing is known of the content.
    pub content: u32,
}
