//! `init`, `claim`, `terminate`.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_char, c_int};

use ost_abi::{
    STS_ECLAIM, STS_ENOTSUP, STS_MAX_STSNAME, STS_MAX_TEXT, STSPI_INTERFACE_VERSION, STSPI_THREADS_MULTI,
    STSPI_THREADS_SINGLE, stspi_plugin_info_t,
};

use crate::args;
use crate::boundary::guard;
use crate::config::{PREFIX, server_name};
use crate::fault::Fault;
use crate::object::with_table;
use crate::plugin::Plugin;
use crate::runtime::ThreadModel;

/// Oldest interface version of a host that this plug-in works with.
const OLDEST_INTERFACE: u32 = 9;

#[doc(hidden)]
pub unsafe fn stspi_init(
    plugin: &Plugin,
    app_version: u32,
    path: *const c_char,
    info: *mut stspi_plugin_info_t,
) -> c_int {
    guard(plugin, "stspi_init", |_| {
        // SAFETY: the host's promise.
        let (out, _path) =
            unsafe { (args::output(info)?, args::optional_string(path, libc::PATH_MAX as usize, "path")?) };
        if app_version < OLDEST_INTERFACE {
            let message =
                format!("the host's interface version {app_version} is older than {OLDEST_INTERFACE}");
            return Err(Fault::new(STS_ENOTSUP, message));
        }
        plugin.start()?;
        let single = plugin.model() == ThreadModel::Single;
        out.set(stspi_plugin_info_t {
            size: u32::try_from(size_of::<stspi_plugin_info_t>()).unwrap_or(0),
            interface_version: STSPI_INTERFACE_VERSION,
            thread_model: if single { STSPI_THREADS_SINGLE } else { STSPI_THREADS_MULTI },
            reserved: 0,
            name: args::text::<STS_MAX_TEXT>(if single {
                b"libstspiVastData"
            } else {
                b"libstspiVastDataMT"
            }),
            prefix: args::text::<STS_MAX_TEXT>(PREFIX.as_bytes()),
            label: args::text::<STS_MAX_TEXT>(b"OpenStorage plug-in for VAST Data clusters"),
            build_version: args::text::<STS_MAX_TEXT>(env!("CARGO_PKG_VERSION").as_bytes()),
        });
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_claim(plugin: &Plugin, name: *const c_char) -> c_int {
    guard(plugin, "stspi_claim", |_| {
        // SAFETY: the host's promise.
        let name = unsafe { args::string(name, STS_MAX_STSNAME, "server_name")? };
        match server_name(name) {
            Some(server) if server.len() < name.len() && !server.is_empty() => Ok(()),
            _ => Err(Fault::quiet(STS_ECLAIM, format_args!("not a {PREFIX}:<server> name"))),
        }
    })
}

#[doc(hidden)]
pub unsafe fn stspi_terminate(plugin: &Plugin) -> c_int {
    guard(plugin, "stspi_terminate", |_| {
        plugin.engine()?;
        // Before the runtime goes: dropping an open image cancels its transfers.
        with_table(|table| {
            table.clear();
            Ok(())
        })?;
        plugin.stop()
    })
}
