//! Metadata of images: bytes that the host keeps beside the data.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_int, c_void};

use ost_abi::bstsp_image_handle_s;

use super::nothing_behind;
use crate::boundary::guard;
use crate::plugin::Plugin;

#[doc(hidden)]
pub unsafe fn stspi_write_image_meta(
    plugin: &Plugin,
    _handle: *mut bstsp_image_handle_s,
    _buffer: *const c_void,
    _length: u64,
    _offset: u64,
    _written: *mut u64,
) -> c_int {
    guard(plugin, "stspi_write_image_meta", |_| Err(nothing_behind()))
}

#[doc(hidden)]
pub unsafe fn stspi_read_image_meta(
    plugin: &Plugin,
    _handle: *mut bstsp_image_handle_s,
    _buffer: *mut c_void,
    _length: u64,
    _offset: u64,
    _read: *mut u64,
) -> c_int {
    guard(plugin, "stspi_read_image_meta", |_| Err(nothing_behind()))
}
