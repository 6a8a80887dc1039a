//! Locks: images that nobody can delete before a time.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::c_int;

use ost_abi::{sts_image_def_t, sts_image_lock_t, sts_lsu_t};

use super::identity;
use super::image::lock_of;
use super::lsu::{locate, lock_rules};
use crate::args;
use crate::boundary::{Call, guard};
use crate::fault::Fault;
use crate::plugin::Plugin;
use crate::status::{client_fault, image_fault};

/// Locks an image, or extends its lock.
///
/// # Safety
/// As [`args::plain`].
unsafe fn lock(
    call: &Call,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    until: u64,
    extend: bool,
) -> Result<(), Fault> {
    // SAFETY: the caller's promise.
    let (server, name) = unsafe { locate(call, lsu)? };
    // SAFETY: as above.
    let identity = identity(unsafe { args::input(image)? })?;
    let cluster = &server.cluster;
    let images = cluster.images(name)?;
    // Asked for each time: the administrator may have changed the limits.
    let found = cluster.run(cluster.client.lsu(name))?.map_err(|e| client_fault(&e))?;
    let rules = lock_rules(&server, &found);
    let locked = if extend {
        cluster.run(images.extend_lock(&identity, until, rules))?
    } else {
        cluster.run(images.lock(&identity, until, rules))?
    };
    locked.map_err(|e| image_fault(&e))
}

#[doc(hidden)]
pub unsafe fn stspi_set_image_lock(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    until: u64,
) -> c_int {
    // SAFETY: the host's promise.
    guard(plugin, "stspi_set_image_lock", |call| unsafe { lock(call, lsu, image, until, false) })
}

#[doc(hidden)]
pub unsafe fn stspi_extend_image_lock(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    until: u64,
) -> c_int {
    // SAFETY: the host's promise.
    guard(plugin, "stspi_extend_image_lock", |call| unsafe { lock(call, lsu, image, until, true) })
}

#[doc(hidden)]
pub unsafe fn stspi_get_image_lock(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    lock: *mut sts_image_lock_t,
) -> c_int {
    guard(plugin, "stspi_get_image_lock", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let (definition, out) = unsafe { (args::input(image)?, args::output(lock)?) };
        let identity = identity(definition)?;
        let images = server.cluster.images(name)?;
        let found = server.cluster.run(images.properties(&identity))?.map_err(|e| image_fault(&e))?;
        out.set(lock_of(&found));
        Ok(())
    })
}
