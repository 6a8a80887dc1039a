//! Including ranges of complete images in the one being written.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]
#![allow(clippy::too_many_arguments, reason = "the interface has that many")]

use std::ffi::c_int;

use ost_abi::{bstsp_image_handle_s, sts_image_def_t, sts_lsu_t};

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_include_in_image(
    plugin: &Plugin,
    _handle: *mut bstsp_image_handle_s,
    _source_lsu: *const sts_lsu_t,
    _source_image: *const sts_image_def_t,
    _source_offset: u64,
    _length: u64,
    _offset: u64,
    _included: *mut u64,
) -> c_int {
    guard(plugin, "stspi_include_in_image", |_| Err(nothing_behind()))
}
