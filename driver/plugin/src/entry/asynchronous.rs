//! Copies that outlive their caller: begun, waited for and cancelled by number.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]
#![allow(clippy::too_many_arguments, reason = "the interface has that many")]

use std::ffi::{c_char, c_int};

use ost_abi::{bstsp_server_handle_s, sts_backup_info_t, sts_image_def_t, sts_lsu_t};

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_async_copy_image(
    plugin: &Plugin,
    _from_lsu: *const sts_lsu_t,
    _from_image: *const sts_image_def_t,
    _to_lsu: *const sts_lsu_t,
    _to_image: *const sts_image_def_t,
    _backup: *const sts_backup_info_t,
    _event_flags: u32,
    _operation: *mut u64,
) -> c_int {
    guard(plugin, "stspi_async_copy_image", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_named_async_copy_image(
    plugin: &Plugin,
    _name: *const c_char,
    _from_lsu: *const sts_lsu_t,
    _from_image: *const sts_image_def_t,
    _to_lsu: *const sts_lsu_t,
    _to_image: *const sts_image_def_t,
    _backup: *const sts_backup_info_t,
    _event_flags: u32,
    _operation: *mut u64,
) -> c_int {
    guard(plugin, "stspi_named_async_copy_image", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_async_wait(
    plugin: &Plugin,
    _server: *mut bstsp_server_handle_s,
    _operation: u64,
) -> c_int {
    guard(plugin, "stspi_async_wait", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_async_cancel(
    plugin: &Plugin,
    _server: *mut bstsp_server_handle_s,
    _operation: u64,
) -> c_int {
    guard(plugin, "stspi_async_cancel", |_| Err(nothing_behind()))
}
