//! `open_server`, `open_target_server`, `close_server` and server properties.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_char, c_int};
use std::rc::Rc;

use ost_abi::{
    STS_EBUSY, STS_ECLAIM, STS_EPLUGIN, STS_MAX_IF, STS_MAX_STSNAME, STS_SRV_CRED, STS_SRV_DISK,
    STS_SRV_IMAGELIST, bstsp_server_handle_s, sts_cred_v7_t, sts_server_info_t, sts_session_def_v7_t,
};
use vast_client::{Secret, Severity};

use super::{pointer, raw, utf8};
use crate::args;
use crate::boundary::{Call, guard};
use crate::capability::Capabilities;
use crate::cluster::Cluster;
use crate::config::{ConfigFile, PREFIX, server_name};
use crate::fault::Fault;
use crate::handles::Kind;
use crate::log::Session;
use crate::object::{self, Object, Server, with_table};
use crate::plugin::{Engine, Plugin};
use crate::status::client_fault;

/// The server's name without the type, or `STS_ECLAIM`.
fn own_name(full: &[u8]) -> Result<&str, Fault> {
    let name = server_name(full).filter(|n| !n.is_empty()).ok_or_else(|| {
        let shown = String::from_utf8_lossy(full);
        Fault::new(STS_ECLAIM, format_args!("{shown}: not a storage server of type {PREFIX}"))
    })?;
    utf8(name, "server_name")
}

#[doc(hidden)]
pub unsafe fn stspi_open_server(
    plugin: &Plugin,
    session: *const sts_session_def_v7_t,
    name: *const c_char,
    credentials: *const sts_cred_v7_t,
    interface: *const c_char,
    server: *mut *mut bstsp_server_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_server", |call| {
        // SAFETY: the host's promise, for all five.
        let session = Session::new(unsafe { args::input(session)? });
        call.session(&session);
        // SAFETY: as above.
        let (name, credentials, _interface, out) = unsafe {
            (
                args::string(name, STS_MAX_STSNAME, "server_name")?,
                args::input(credentials)?,
                args::optional_string(interface, STS_MAX_IF, "interface")?,
                args::output_plain(server, "server")?,
            )
        };
        let opened = open(plugin, call, session, name, credentials)?;
        let handle = with_table(|table| table.insert(Kind::Server, Object::Server(Rc::new(opened))))?;
        out.set(pointer(handle)?);
        Ok(())
    })
}

fn open(
    plugin: &Plugin,
    call: &Call,
    session: Session,
    name: &[u8],
    credentials: &sts_cred_v7_t,
) -> Result<Server, Fault> {
    let engine = plugin.engine()?;
    let name = own_name(name)?;
    let credentials = given(credentials)?;
    let file = ConfigFile::load(&engine.config_path)?;
    connect(&engine, call, session, &file, name, Some(credentials), None)
}

/// User and password of a session.
fn given(credentials: &sts_cred_v7_t) -> Result<(String, Secret), Fault> {
    let user = utf8(args::field(&credentials.user, "user")?, "user")?;
    let password = utf8(args::field(&credentials.password, "password")?, "password")?;
    Ok((user.to_owned(), Secret::new(password)))
}

/// Opens the server of a section; without credentials none is logged in to, and only its data path can be used.
fn connect(
    engine: &Engine,
    call: &Call,
    session: Session,
    file: &ConfigFile,
    name: &str,
    credentials: Option<(String, Secret)>,
    source: Option<Rc<Server>>,
) -> Result<Server, Fault> {
    let section = file.server(&engine.config_path, name)?;
    let logs_in = credentials.is_some();
    let (user, password) = credentials.unwrap_or_else(|| (String::new(), Secret::new("")));
    let config = section.client_config(&engine.config_path, &user, password.expose())?;
    let driver = engine.driver()?;
    let cluster =
        engine.clusters.get(name, section, file.memory, &user, password.expose(), &config, driver)?;
    call.heard_by(&session, &cluster.log);
    let description =
        if logs_in { describe(&cluster)? } else { "VAST cluster reached by its data path only".to_owned() };
    session.log(Severity::Info, &format!("opened storage server {PREFIX}:{name}: {description}"));
    let capabilities = section.capabilities();
    Ok(Server { cluster, session, description, section: section.clone(), capabilities, _source: source })
}

#[doc(hidden)]
pub unsafe fn stspi_open_target_server(
    plugin: &Plugin,
    server: *mut bstsp_server_handle_s,
    target_name: *const c_char,
    credentials: *const sts_cred_v7_t,
    interface: *const c_char,
    target: *mut *mut bstsp_server_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_target_server", |call| {
        let source = object::server(call, raw(server))?;
        // SAFETY: the host's promise, for all four.
        let (name, credentials, _interface, out) = unsafe {
            (
                args::string(target_name, STS_MAX_STSNAME, "target_name")?,
                args::optional(credentials)?,
                args::optional_string(interface, STS_MAX_IF, "interface")?,
                args::output_plain(target, "target")?,
            )
        };
        let engine = plugin.engine()?;
        let name = own_name(name)?;
        let file = ConfigFile::load(&engine.config_path)?;
        let section = file.server(&engine.config_path, name)?;
        let credentials = match credentials {
            Some(credentials) => Some(given(credentials)?),
            None => section.own_credentials(&engine.config_path)?,
        };
        let session = source.session.clone();
        let opened = connect(&engine, call, session, &file, name, credentials, Some(source))?;
        let handle = with_table(|table| table.insert(Kind::Server, Object::Server(Rc::new(opened))))?;
        out.set(pointer(handle)?);
        Ok(())
    })
}

/// Logs in, looks at the data path, and says in a line what was found.
fn describe(cluster: &Cluster) -> Result<String, Fault> {
    let asked = async {
        cluster.client.check().await?;
        cluster.client.cluster().await
    };
    let info = cluster.run(asked)?.map_err(|e| client_fault(&e))?;
    let vips = cluster.client.vips().len();
    Ok(format!("VAST cluster {} {} {}, {vips} VIPs", info.name, info.version, info.state))
}

#[doc(hidden)]
pub unsafe fn stspi_close_server(plugin: &Plugin, server: *mut bstsp_server_handle_s) -> c_int {
    guard(plugin, "stspi_close_server", |call| {
        let opened = object::server(call, raw(server))?;
        // One reference is in the table, one is ours; everything opened through it holds another.
        let children = Rc::strong_count(&opened) - 2;
        if children > 0 {
            let message = format!(
                "{children} images, lists, channels or targets opened through this server are still open"
            );
            return Err(Fault::new(STS_EBUSY, message));
        }
        with_table(|table| table.remove(raw(server), Kind::Server)).map(drop)
    })
}

/// What the plug-in offers, with the server's name and a line about it.
fn server_info(
    name: &str,
    description: &str,
    connections: u32,
    capabilities: Capabilities,
) -> sts_server_info_t {
    sts_server_info_t {
        size: u32::try_from(size_of::<sts_server_info_t>()).unwrap_or(0),
        connections,
        flags: STS_SRV_IMAGELIST | STS_SRV_CRED | STS_SRV_DISK | capabilities.server_flags(),
        srv_cap: capabilities.words(),
        name: args::text(format!("{PREFIX}:{name}").as_bytes()),
        description: args::text(description.as_bytes()),
    }
}

#[doc(hidden)]
pub unsafe fn stspi_get_server_prop(
    plugin: &Plugin,
    server: *mut bstsp_server_handle_s,
    info: *mut sts_server_info_t,
) -> c_int {
    guard(plugin, "stspi_get_server_prop", |call| {
        let opened = object::server(call, raw(server))?;
        // SAFETY: the host's promise.
        let out = unsafe { args::output(info)? };
        let children = u32::try_from(Rc::strong_count(&opened) - 2)
            .map_err(|_| Fault::new(STS_EPLUGIN, "too many open handles to count"))?;
        out.set(server_info(&opened.cluster.name, &opened.description, children, opened.capabilities));
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_get_server_prop_byname(
    plugin: &Plugin,
    session: *const sts_session_def_v7_t,
    name: *const c_char,
    info: *mut sts_server_info_t,
) -> c_int {
    guard(plugin, "stspi_get_server_prop_byname", |call| {
        // SAFETY: the host's promise, for all three.
        call.session(&Session::new(unsafe { args::input(session)? }));
        // SAFETY: as above.
        let (name, out) =
            unsafe { (args::string(name, STS_MAX_STSNAME, "server_name")?, args::output(info)?) };
        let engine = plugin.engine()?;
        let name = own_name(name)?;
        let file = ConfigFile::load(&engine.config_path)?;
        let capabilities = file.server(&engine.config_path, name)?.capabilities();
        out.set(server_info(name, "not connected", 0, capabilities));
        Ok(())
    })
}
