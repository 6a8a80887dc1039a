//! Locks: images that nobody can delete before a time.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::c_int;

use ost_abi::{sts_image_def_t, sts_image_lock_t, sts_lsu_t};

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_set_image_lock(
    plugin: &Plugin,
    _lsu: *const sts_lsu_t,
    _image: *const sts_image_def_t,
    _until: u64,
) -> c_int {
    guard(plugin, "stspi_set_image_lock", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_extend_image_lock(
    plugin: &Plugin,
    _lsu: *const sts_lsu_t,
    _image: *const sts_image_def_t,
    _until: u64,
) -> c_int {
    guard(plugin, "stspi_extend_image_lock", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_get_image_lock(
    plugin: &Plugin,
    _lsu: *const sts_lsu_t,
    _image: *const sts_image_def_t,
    _lock: *mut sts_image_lock_t,
) -> c_int {
    guard(plugin, "stspi_get_image_lock", |_| Err(nothing_behind()))
}
