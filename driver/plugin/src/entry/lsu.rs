//! The list of LSUs and the properties of one.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_char, c_int};
use std::rc::Rc;

use ost_abi::{
    STS_BLOCK_SIZE, STS_ENOENT, STS_EPLUGIN, STS_LSU_AT_STATIC, STS_LSU_ST_NONE, STS_LSUF_ACTIVE,
    STS_LSUF_DISK, STS_LSUF_REP_ENABLED, STS_LSUF_REP_SOURCE, STS_LSUF_REP_TARGET, STS_LSUF_WORM, STS_MAX_IO,
    STS_MAX_LSUNAME, STS_MAX_REP, STS_MAX_TEXT, STS_SA_IMAGE, STS_SRVC_ASYNC_COPY, STS_SRVC_EVENTS,
    STS_SRVC_LABEL_LSU, STS_SRVC_WORM, STS_UNKNOWN, bstsp_lsu_list_handle_s, bstsp_server_handle_s,
    sts_lsu_def_t, sts_lsu_info_t, sts_lsu_name_t, sts_lsu_ref_t, sts_lsu_replication_t, sts_lsu_t,
};

use image_store::object_store::RetentionMode;
use image_store::{ImageError, LockRules};
use vast_client::{CapacitySource, Log as _, Lsu, Severity};

use super::{pointer, raw, utf8};
use crate::args;
use crate::boundary::{Call, guard};
use crate::config::{LockMode, LsuRef, PREFIX, WormSection};
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{self, LsuList, Object, Server, with_table};
use crate::plugin::Plugin;
use crate::status::{client_fault, image_fault};

/// Flags that every LSU of this plug-in has.
const LSU_FLAGS: u64 = STS_LSUF_DISK | STS_LSUF_ACTIVE;

/// The replication flags of an LSU: it has partners, and the calls that serve them are there.
fn replication_flags(server: &Server, lsu: &str) -> u64 {
    let mut flags = 0;
    let section = &server.section;
    if server.capabilities.has(STS_SRVC_ASYNC_COPY) && !section.replication.of(lsu).is_empty() {
        flags |= STS_LSUF_REP_ENABLED | STS_LSUF_REP_SOURCE;
    }
    if server.capabilities.has(STS_SRVC_EVENTS) && !section.replication_sources.of(lsu).is_empty() {
        flags |= STS_LSUF_REP_ENABLED | STS_LSUF_REP_TARGET;
    }
    flags
}

/// All flags of an LSU.
fn media(server: &Server, lsu: &Lsu) -> u64 {
    let worm = if server.capabilities.has(STS_SRVC_WORM) && lsu.locking { STS_LSUF_WORM } else { 0 };
    LSU_FLAGS | worm | replication_flags(server, &lsu.name)
}

/// Which locks an LSU allows: as the cluster says, unless the configuration file says something else.
pub(super) fn lock_rules(server: &Server, lsu: &Lsu) -> LockRules {
    let WormSection { minimum, maximum, mode } = server.section.worm;
    let mode = match (mode, lsu.retention.default_mode) {
        (Some(LockMode::Compliance), _) | (None, Some(vast_client::RetentionMode::Compliance)) => {
            RetentionMode::Compliance
        }
        // Where nobody says, the one that can be undone.
        _ => RetentionMode::Governance,
    };
    LockRules {
        minimum: minimum.or(lsu.retention.min_seconds).unwrap_or(0),
        maximum: maximum.or(lsu.retention.max_seconds),
        mode,
    }
}

/// The server and the name in an LSU argument; the call's log lines go to the server's session from here on.
///
/// # Safety
/// As [`args::plain`].
pub(super) unsafe fn locate<'a>(call: &Call, lsu: *const sts_lsu_t) -> Result<(Rc<Server>, &'a str), Fault> {
    // SAFETY: the caller's promise.
    let lsu = unsafe { args::plain(lsu, "lsu")? };
    let server = object::server(call, raw(lsu.sl_server))?;
    let name = utf8(args::field(&lsu.sl_name, "sl_name")?, "sl_name")?;
    if name.is_empty() {
        return Err(Fault::invalid("sl_name is empty"));
    }
    Ok((server, name))
}

#[doc(hidden)]
pub unsafe fn stspi_open_lsu_list(
    plugin: &Plugin,
    server: *mut bstsp_server_handle_s,
    filter: *const sts_lsu_def_t,
    list: *mut *mut bstsp_lsu_list_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_lsu_list", |call| {
        let server = object::server(call, raw(server))?;
        // SAFETY: the host's promise.
        let (filter, out) = unsafe { (args::optional(filter)?, args::output_plain(list, "list")?) };
        let wanted = filter.map_or(0, |f| f.sld_flags);
        let cluster = &server.cluster;
        let lsus = cluster.run(cluster.client.lsus())?.map_err(|e| client_fault(&e))?;
        let fits = |lsu: &Lsu| {
            // A name that the host's field cannot hold could never be opened.
            lsu.name.len() < STS_MAX_LSUNAME && wanted & !media(&server, lsu) == 0
        };
        let names = lsus.into_iter().filter(fits).map(|lsu| lsu.name).collect();
        let opened = Object::LsuList(Box::new(LsuList { server, names }));
        out.set(pointer(with_table(|table| table.insert(Kind::LsuList, opened))?)?);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_list_lsu(
    plugin: &Plugin,
    list: *mut bstsp_lsu_list_handle_s,
    lsu: *mut sts_lsu_name_t,
) -> c_int {
    guard(plugin, "stspi_list_lsu", |call| {
        // SAFETY: the host's promise.
        let out = unsafe { args::output(lsu)? };
        let next = with_table(|table| {
            table.with(raw(list), Kind::LsuList, |object| match object {
                Object::LsuList(list) => {
                    list.server.admit(call)?;
                    Ok(list.names.pop_front())
                }
                _ => Err(Fault::new(STS_EPLUGIN, "a handle's kind and object disagree")),
            })
        })?;
        let name = next.ok_or_else(|| Fault::quiet(STS_ENOENT, "no more LSUs"))?;
        out.set(sts_lsu_name_t {
            size: u32::try_from(size_of::<sts_lsu_name_t>()).unwrap_or(0),
            reserved: 0,
            name: args::text(name.as_bytes()),
        });
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_close_lsu_list(plugin: &Plugin, list: *mut bstsp_lsu_list_handle_s) -> c_int {
    guard(plugin, "stspi_close_lsu_list", |_| {
        with_table(|table| table.remove(raw(list), Kind::LsuList)).map(drop)
    })
}

#[doc(hidden)]
pub unsafe fn stspi_get_lsu_prop_byname(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    info: *mut sts_lsu_info_t,
) -> c_int {
    guard(plugin, "stspi_get_lsu_prop_byname", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let out = unsafe { args::output(info)? };
        let cluster = &server.cluster;
        let found = cluster.run(cluster.client.lsu(name))?.map_err(|e| client_fault(&e))?;
        // NetBackup takes the difference for free space, and both the quota and the cluster limit that.
        let (capacity, used) = match found.capacity_source {
            CapacitySource::Unknown => (STS_UNKNOWN, found.used_bytes),
            CapacitySource::Quota(_) | CapacitySource::Cluster => {
                (found.capacity_bytes, found.capacity_bytes.saturating_sub(found.free_bytes))
            }
        };
        let rules = lock_rules(&server, &found);
        let label = label(&server, name)?;
        out.set(sts_lsu_info_t {
            size: u32::try_from(size_of::<sts_lsu_info_t>()).unwrap_or(0),
            allocation: STS_LSU_AT_STATIC,
            storage: STS_LSU_ST_NONE,
            reserved: 0,
            media: media(&server, &found),
            save_as: STS_SA_IMAGE,
            max_transfer: STS_MAX_IO,
            block_size: STS_BLOCK_SIZE,
            lsu_capacity: capacity,
            lsu_capacity_phys: capacity,
            lsu_used: used,
            lsu_used_phys: found.physical_used_bytes,
            images: STS_UNKNOWN,
            worm_min: rules.minimum,
            worm_max: rules.maximum.unwrap_or(STS_UNKNOWN),
            name: args::text(found.name.as_bytes()),
            description: args::text(format!("VAST view {}", found.path).as_bytes()),
            label: args::text(&label),
        });
        Ok(())
    })
}

/// Partners in the host's shape, and how many there are.
fn partners(partners: &[LsuRef]) -> ([sts_lsu_ref_t; STS_MAX_REP], u32) {
    let mut array = [sts_lsu_ref_t { server: args::text(b""), lsu: args::text(b"") }; STS_MAX_REP];
    let mut count = 0;
    for (slot, partner) in array.iter_mut().zip(partners) {
        slot.server = args::text(format!("{PREFIX}:{}", partner.server).as_bytes());
        slot.lsu = args::text(partner.lsu.as_bytes());
        count += 1;
    }
    (array, count)
}

#[doc(hidden)]
pub unsafe fn stspi_get_lsu_replication_prop(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    info: *mut sts_lsu_replication_t,
) -> c_int {
    guard(plugin, "stspi_get_lsu_replication_prop", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let out = unsafe { args::output(info)? };
        server.cluster.run(server.cluster.client.lsu(name))?.map_err(|e| client_fault(&e))?;
        let (targets, target_count) = partners(server.section.replication.of(name));
        let (sources, source_count) = partners(server.section.replication_sources.of(name));
        out.set(sts_lsu_replication_t {
            size: u32::try_from(size_of::<sts_lsu_replication_t>()).unwrap_or(0),
            reserved: 0,
            sld_flags: replication_flags(&server, name),
            sld_rep_target_count: target_count,
            sld_rep_source_count: source_count,
            sld_rep_targets: targets,
            sld_rep_sources: sources,
        });
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_label_lsu(plugin: &Plugin, lsu: *const sts_lsu_t, label: *const c_char) -> c_int {
    guard(plugin, "stspi_label_lsu", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let label = unsafe { args::string(label, STS_MAX_TEXT, "label")? };
        let images = server.cluster.images(name)?;
        server.cluster.run(images.set_label(label))?.map_err(|e| image_fault(&e))
    })
}

/// The label of an LSU. A damaged one is worth a line in the log, and no failure.
fn label(server: &Server, lsu: &str) -> Result<Vec<u8>, Fault> {
    if !server.capabilities.has(STS_SRVC_LABEL_LSU) {
        return Ok(Vec::new());
    }
    match server.cluster.run(server.cluster.images(lsu)?.label())? {
        Err(damaged @ ImageError::Corrupt { .. }) => {
            server.cluster.log.log(Severity::Warning, format_args!("{damaged}; label the LSU again"));
            Ok(Vec::new())
        }
        label => label.map_err(|e| image_fault(&e)),
    }
}
