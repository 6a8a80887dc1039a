//! Event channels: what was replicated to an LSU, in order, until it is deleted.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_int, c_void};

use ost_abi::{bstsp_evchannel_handle_s, sts_event_fn, sts_event_t, sts_image_info_t, sts_lsu_t};

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_open_evchannel(
    plugin: &Plugin,
    _lsu: *const sts_lsu_t,
    _handler: sts_event_fn,
    _context: *mut c_void,
    _seqno: u64,
    _channel: *mut *mut bstsp_evchannel_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_evchannel", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_get_event(
    plugin: &Plugin,
    _channel: *mut bstsp_evchannel_handle_s,
    _event: *mut sts_event_t,
) -> c_int {
    guard(plugin, "stspi_get_event", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_get_event_payload(
    plugin: &Plugin,
    _channel: *mut bstsp_evchannel_handle_s,
    _seqno: u64,
    _images: *mut sts_image_info_t,
    _capacity: u32,
    _count: *mut u32,
) -> c_int {
    guard(plugin, "stspi_get_event_payload", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_delete_event(
    plugin: &Plugin,
    _channel: *mut bstsp_evchannel_handle_s,
    _seqno: u64,
) -> c_int {
    guard(plugin, "stspi_delete_event", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_close_evchannel(plugin: &Plugin, _channel: *mut bstsp_evchannel_handle_s) -> c_int {
    guard(plugin, "stspi_close_evchannel", |_| Err(nothing_behind()))
}
