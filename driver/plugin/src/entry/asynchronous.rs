//! Copies that outlive their caller: begun, waited for and cancelled by number.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]
#![allow(clippy::too_many_arguments, reason = "the interface has that many")]

use std::ffi::{c_char, c_int};

use image_store::{ImageError, Origin, Place, Request};
use ost_abi::{
    STS_EVF_INCLUDE, STS_EVF_TRIGGER, STS_MAX_OPNAME, STS_SRVC_IMAGE_SET, bstsp_server_handle_s,
    sts_backup_info_t, sts_image_def_t, sts_lsu_t,
};

use super::lsu::locate;
use super::{identity, raw};
use crate::args;
use crate::boundary::{Call, guard};
use crate::fault::Fault;
use crate::object::{self, Server};
use crate::plugin::Plugin;
use crate::status::image_fault;

/// Begins an operation as the host asks for it, and gives its number.
///
/// # Safety
/// As [`args::plain`], for every pointer that is not null.
unsafe fn begin(
    plugin: &Plugin,
    call: &Call,
    name: Option<&[u8]>,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
    backup: *const sts_backup_info_t,
    event_flags: u32,
) -> Result<u64, Fault> {
    // SAFETY: the caller's promise.
    let named = if to_lsu.is_null() { None } else { Some(unsafe { locate(call, to_lsu)? }) };
    // SAFETY: as above.
    let (server, lsu) = unsafe { locate(call, from_lsu)? };
    // SAFETY: as above.
    let (image, target, backup) =
        unsafe { (args::input(from_image)?, args::input(to_image)?, args::optional(backup)?) };
    if event_flags & !(STS_EVF_INCLUDE | STS_EVF_TRIGGER) != 0 {
        return Err(Fault::invalid(format_args!("unknown event flags {event_flags:#x}")));
    }
    if event_flags != 0 {
        server.capabilities.require(STS_SRVC_IMAGE_SET)?;
        if backup.is_none() {
            return Err(Fault::invalid(
                "event flags need a sts_backup_info_t: an event is one of an image set",
            ));
        }
    }
    let places = match named {
        Some((to, lsu)) => vec![Place { server: to.cluster.name.clone(), lsu: lsu.to_owned() }],
        None => partners(&server, lsu)?,
    };
    let request = Request {
        source: identity(image)?,
        target: identity(target)?,
        places,
        origin: backup.map(origin).transpose()?,
        in_event: event_flags & STS_EVF_INCLUDE != 0,
        triggers: event_flags & STS_EVF_TRIGGER != 0,
        name: name.map(<[u8]>::to_vec),
    };
    let operations = server.cluster.images(lsu)?.operations();
    let begun: Result<u64, ImageError> = server.cluster.run(operations.begin(&request))?;
    let number = begun.map_err(|e| image_fault(&e))?;
    let engine = plugin.engine()?;
    engine.replication.start(&engine, &server.cluster, operations, number)?;
    Ok(number)
}

/// The replication targets of an LSU.
fn partners(server: &Server, lsu: &str) -> Result<Vec<Place>, Fault> {
    let partners = server.section.replication.of(lsu);
    if partners.is_empty() {
        let message = format!(
            "LSU {lsu} has no replication target: name one in [server.{}.replication], or pass a target LSU",
            server.cluster.name
        );
        return Err(Fault::invalid(message));
    }
    let places = partners.iter().map(|to| Place { server: to.server.clone(), lsu: to.lsu.clone() });
    Ok(places.collect())
}

/// The backup that the host says an image belongs to.
fn origin(backup: &sts_backup_info_t) -> Result<Origin, Fault> {
    Ok(Origin {
        copy: backup.bi_copy,
        image_set: backup.isi_id,
        server: args::field(&backup.bi_master_server, "bi_master_server")?.to_vec(),
        lifecycle_policy: args::field(&backup.isi_slpname, "isi_slpname")?.to_vec(),
    })
}

#[doc(hidden)]
pub unsafe fn stspi_async_copy_image(
    plugin: &Plugin,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
    backup: *const sts_backup_info_t,
    event_flags: u32,
    operation: *mut u64,
) -> c_int {
    guard(plugin, "stspi_async_copy_image", |call| {
        // SAFETY: the host's promise.
        let out = unsafe { args::output_plain(operation, "operation")? };
        // SAFETY: as above, for all five.
        let number = unsafe {
            begin(plugin, call, None, from_lsu, from_image, to_lsu, to_image, backup, event_flags)?
        };
        out.set(number);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_named_async_copy_image(
    plugin: &Plugin,
    name: *const c_char,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
    backup: *const sts_backup_info_t,
    event_flags: u32,
    operation: *mut u64,
) -> c_int {
    guard(plugin, "stspi_named_async_copy_image", |call| {
        // SAFETY: the host's promise, for both.
        let (name, out) = unsafe {
            (args::string(name, STS_MAX_OPNAME, "name")?, args::output_plain(operation, "operation")?)
        };
        if name.is_empty() {
            return Err(Fault::invalid("name is empty"));
        }
        // SAFETY: as above, for all five.
        let number = unsafe {
            begin(plugin, call, Some(name), from_lsu, from_image, to_lsu, to_image, backup, event_flags)?
        };
        out.set(number);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_async_wait(plugin: &Plugin, server: *mut bstsp_server_handle_s, operation: u64) -> c_int {
    guard(plugin, "stspi_async_wait", |call| {
        let server = object::server(call, raw(server))?;
        let engine = plugin.engine()?;
        engine.replication.wait(&engine, &server.cluster, operation)
    })
}

#[doc(hidden)]
pub unsafe fn stspi_async_cancel(
    plugin: &Plugin,
    server: *mut bstsp_server_handle_s,
    operation: u64,
) -> c_int {
    guard(plugin, "stspi_async_cancel", |call| {
        let server = object::server(call, raw(server))?;
        let engine = plugin.engine()?;
        engine.replication.cancel(&engine, &server.cluster, operation)
    })
}
