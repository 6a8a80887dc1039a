//! The list of LSUs and the properties of one.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::c_int;
use std::rc::Rc;

use ost_abi::{
    STS_BLOCK_SIZE, STS_ENOENT, STS_EPLUGIN, STS_LSU_AT_STATIC, STS_LSU_ST_NONE, STS_LSUF_ACTIVE,
    STS_LSUF_DISK, STS_MAX_IO, STS_MAX_LSUNAME, STS_SA_IMAGE, STS_UNKNOWN, bstsp_lsu_list_handle_s,
    bstsp_server_handle_s, sts_lsu_def_t, sts_lsu_info_t, sts_lsu_name_t, sts_lsu_t,
};

use vast_client::CapacitySource;

use super::{pointer, raw, utf8};
use crate::args;
use crate::boundary::{Call, guard};
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{self, LsuList, Object, Server, with_table};
use crate::plugin::Plugin;
use crate::status::client_fault;

/// Flags that every LSU of this plug-in has.
const LSU_FLAGS: u64 = STS_LSUF_DISK | STS_LSUF_ACTIVE;

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
        let names = if wanted & !LSU_FLAGS == 0 {
            let cluster = &server.cluster;
            let lsus = cluster.run(cluster.client.lsus())?.map_err(|e| client_fault(&e))?;
            // A name that the host's field cannot hold could never be opened.
            lsus.into_iter().map(|l| l.name).filter(|n| n.len() < STS_MAX_LSUNAME).collect()
        } else {
            std::collections::VecDeque::new()
        };
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
                    call.heard_by(&list.server.session, &list.server.cluster.log);
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
        out.set(sts_lsu_info_t {
            size: u32::try_from(size_of::<sts_lsu_info_t>()).unwrap_or(0),
            allocation: STS_LSU_AT_STATIC,
            storage: STS_LSU_ST_NONE,
            reserved: 0,
            media: LSU_FLAGS,
            save_as: STS_SA_IMAGE,
            max_transfer: STS_MAX_IO,
            block_size: STS_BLOCK_SIZE,
            lsu_capacity: capacity,
            lsu_capacity_phys: capacity,
            lsu_used: used,
            lsu_used_phys: found.physical_used_bytes,
            images: STS_UNKNOWN,
            name: args::text(found.name.as_bytes()),
            description: args::text(format!("VAST view {}", found.path).as_bytes()),
        });
        Ok(())
    })
}
