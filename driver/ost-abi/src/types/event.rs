//! Events: how the target of a replication learns that images have come.

use core::ffi::{c_char, c_void};

use super::image::sts_image_def_t;
use crate::constants::STS_MAX_LSUNAME;

/// Something that happened on an LSU. What it is about is fetched with `stspi_get_event_payload`.
///
/// Provenance: training (the type, and that the payload is detached), documented (`ev_seqno`, the member of a public
/// GPL program), provisional (layout).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sts_event_t {
    /// `sizeof` this structure, set by the caller.
    pub size: u32,
    /// `STS_EVT_*`.
    pub ev_type: u32,
    /// Number in the log of the LSU, from 1, rising in the order of delivery; numbers may be missing.
    pub ev_seqno: u64,
    /// When it happened, in seconds since the epoch by the cluster's clock.
    pub ev_time: u64,
    /// How many `sts_image_info_t` the payload holds, at least 1.
    pub ev_images: u32,
    /// Zero.
    pub reserved: u32,
    /// The LSU that the images are on.
    pub ev_lsu: [c_char; STS_MAX_LSUNAME],
    /// The image whose arrival was the event: the one copied with `STS_EVF_TRIGGER`.
    pub ev_image: sts_image_def_t,
}

/// The host's event handler, for channels that push. This plug-in's channels are asked instead: pass null.
///
/// Provenance: training (that a handler can be passed, and that NetBackup passes none), provisional (the shape).
pub type sts_event_fn = Option<unsafe extern "C" fn(context: *mut c_void, event: *const sts_event_t)>;
