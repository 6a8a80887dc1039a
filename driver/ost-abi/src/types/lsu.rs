//! LSUs: their names, properties and replication partners.

use core::ffi::c_char;

use super::handles::bstsp_server_handle_s;
use crate::constants::{STS_MAX_LSUNAME, STS_MAX_REP, STS_MAX_STSNAME, STS_MAX_TEXT};

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

/// Which LSUs an enumeration shall name. Who replicates to whom is in `sts_lsu_replication_t`.
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
/// Provenance: training (`lsu_used`, `lsu_used_phys`, `lsu_capacity`), documented (the figures `bpstsinfo -li` prints, and
/// that NetBackup learns of minimum and maximum lock times here), provisional (layout).
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
    /// Shortest time that an image can be locked for, in seconds; 0 = any. Means nothing without `STS_LSUF_WORM`.
    pub worm_min: u64,
    /// Longest time that an image can be locked for, in seconds; `STS_UNKNOWN` = any.
    pub worm_max: u64,
    /// LSU name.
    pub name: [c_char; STS_MAX_LSUNAME],
    /// One line for an administrator.
    pub description: [c_char; STS_MAX_TEXT],
    /// What `stspi_label_lsu` set last; empty if nothing.
    pub label: [c_char; STS_MAX_TEXT],
}

/// An LSU by the names of server and LSU, printed as `VastData:server:lsu`.
///
/// Provenance: documented (the form in which replication partners are printed), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_ref_t {
    /// Storage-server name with its type, as `stspi_open_server` takes it.
    pub server: [c_char; STS_MAX_STSNAME],
    /// LSU name.
    pub lsu: [c_char; STS_MAX_LSUNAME],
}

/// Where images of an LSU are replicated to, and from where images come.
///
/// Provenance: training (`sld_flags`, `sld_rep_targets` and that sources and targets are asked for), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_lsu_replication_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// `STS_LSUF_REP_*`.
    pub sld_flags: u64,
    /// How many of `sld_rep_targets` are filled.
    pub sld_rep_target_count: u32,
    /// How many of `sld_rep_sources` are filled.
    pub sld_rep_source_count: u32,
    /// LSUs that images of this one are replicated to.
    pub sld_rep_targets: [sts_lsu_ref_t; STS_MAX_REP],
    /// LSUs whose images are replicated to this one.
    pub sld_rep_sources: [sts_lsu_ref_t; STS_MAX_REP],
}
