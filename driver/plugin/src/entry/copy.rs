//! Copies that their caller waits for: whole images and extents, within a server and to a target.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::c_int;

use ost_abi::{bstsp_copy_handle_s, bstsp_image_handle_s, sts_image_def_t, sts_lsu_t};

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_copy_image(
    plugin: &Plugin,
    _from_lsu: *const sts_lsu_t,
    _from_image: *const sts_image_def_t,
    _to_lsu: *const sts_lsu_t,
    _to_image: *const sts_image_def_t,
) -> c_int {
    guard(plugin, "stspi_copy_image", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_begin_copy_image(
    plugin: &Plugin,
    _from_lsu: *const sts_lsu_t,
    _from_image: *const sts_image_def_t,
    _to_lsu: *const sts_lsu_t,
    _to_image: *const sts_image_def_t,
    _copy: *mut *mut bstsp_copy_handle_s,
) -> c_int {
    guard(plugin, "stspi_begin_copy_image", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_end_copy_image(plugin: &Plugin, _copy: *mut bstsp_copy_handle_s, _flags: u32) -> c_int {
    guard(plugin, "stspi_end_copy_image", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_copy_extent(
    plugin: &Plugin,
    _from: *mut bstsp_image_handle_s,
    _from_offset: u64,
    _length: u64,
    _to: *mut bstsp_image_handle_s,
    _to_offset: u64,
    _copied: *mut u64,
) -> c_int {
    guard(plugin, "stspi_copy_extent", |_| Err(nothing_behind()))
}
