//! The entry points: arguments checked, handles found, work handed to the layers below, results written.
//!
//! The handle comes first, so that whatever else is wrong is logged in its session.
//!
//! One function for each `stspi_*` symbol, with the plug-in as an extra first argument. The two libraries export them
//! through [`crate::export`](crate::export!). All of them are `unsafe` for one reason: the host promises that its pointers point at
//! what the prototype says (`args.rs` says what is checked all the same).

#![allow(unsafe_code, reason = "what several entry points do with the host's pointers")]

mod asynchronous;
mod copy;
mod event;
mod image;
mod include;
mod life;
mod list;
mod lock;
mod lsu;
mod meta;
mod server;

pub use asynchronous::*;
pub use copy::*;
pub use event::*;
pub use image::*;
pub use include::*;
pub use life::*;
pub use list::*;
pub use lock::*;
pub use lsu::*;
pub use meta::*;
pub use server::*;

use std::ffi::c_void;

use image_store::ImageIdentity;
use ost_abi::{bstsp_image_handle_s, sts_image_def_t};

use crate::args;
use crate::boundary::Call;
use crate::fault::Fault;
use crate::object::{self, Image};

/// The number behind a handle that the host passes as a pointer.
fn raw<T>(handle: *mut T) -> u64 {
    handle.addr() as u64
}

/// A handle in the shape of the pointer that the host expects.
fn pointer<T>(raw: u64) -> Result<*mut T, Fault> {
    usize::try_from(raw).map(std::ptr::without_provenance_mut).map_err(Fault::invalid)
}

/// A call that hands bytes of the host to an open image: all of them are taken, or it fails.
///
/// # Safety
/// As [`args::buffer`] and [`args::output_plain`].
unsafe fn take_bytes(
    call: &Call,
    handle: *mut bstsp_image_handle_s,
    (buffer, length): (*const c_void, u64),
    taken: *mut u64,
    take: impl FnOnce(&mut Image, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    object::image(call, raw(handle), |_| Ok(()))?;
    // SAFETY: the caller's promise, for both.
    let (data, out) = unsafe { (args::buffer(buffer, length)?, args::output_plain(taken, "count")?) };
    object::image(call, raw(handle), |image| take(image, data))?;
    out.set(length);
    Ok(())
}

/// A call that gives bytes of an open image to the host, perhaps fewer than it has room for.
///
/// # Safety
/// As [`args::buffer_mut`] and [`args::output_plain`].
unsafe fn give_bytes(
    call: &Call,
    handle: *mut bstsp_image_handle_s,
    (buffer, length): (*mut c_void, u64),
    given: *mut u64,
    give: impl FnOnce(&mut Image, &mut [u8]) -> Result<usize, Fault>,
) -> Result<(), Fault> {
    object::image(call, raw(handle), |_| Ok(()))?;
    // SAFETY: the caller's promise, for both.
    let (into, out) = unsafe { (args::buffer_mut(buffer, length)?, args::output_plain(given, "count")?) };
    let count = object::image(call, raw(handle), |image| give(image, into))?;
    out.set(count as u64);
    Ok(())
}

/// The identity in an image definition.
fn identity(definition: &sts_image_def_t) -> Result<ImageIdentity, Fault> {
    let base_name = args::field(&definition.img_basename, "img_basename")?;
    let policy = args::field(&definition.img_policy, "img_policy")?;
    ImageIdentity::new(base_name, definition.img_date, policy).map_err(|e| crate::status::image_fault(&e))
}

/// A name that must be text: LSU and server names are in VAST.
fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::invalid(format_args!("{what} is not UTF-8")))
}
