//! The calls through the C interface.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

mod events;

use super::{Answer, EventFacts, LsuFacts, OpenQuery, PluginFacts, Query, ServerFacts};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use ost_abi::{
    Api, STS_EOK, STS_LOG_INFO, STS_LSUF_WORM, STS_UNKNOWN, STSPI_INTERFACE_VERSION, bstsp_lsu_list_handle_s,
    bstsp_server_handle_s, sts_cred_v7_t, sts_lsu_info_t, sts_lsu_name_t, sts_lsu_t, sts_server_info_t,
    sts_session_def_v7_t, stspi_plugin_info_t,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Instant;

/// LSUs and log lines that one answer holds at most.
const LIMIT: usize = 1000;

/// What was standard output; from now on, whoever prints prints to standard error.
pub(super) fn take_stdout() -> io::Result<File> {
    let out = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    // SAFETY: replaces descriptor 1, which nobody owns; 2 is open in every process that this program starts.
    if unsafe { libc::dup2(2, 1) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(out))
}

pub(super) fn ask(query: &Query) -> Answer {
    let mut answer = Answer::default();
    match load(&query.plugin) {
        Ok((library, api, facts)) => {
            answer.plugin = Some(facts);
            answer.optional_calls = optional_calls(&library);
            let log = RefCell::new(Vec::new());
            for name in &query.claim {
                if let Ok(c_name) = CString::new(name.as_str()) {
                    // SAFETY: the name is NUL-terminated and outlives the call.
                    let code = unsafe { (api.stspi_claim)(c_name.as_ptr()) };
                    answer.claims.push((name.clone(), code));
                }
            }
            if let Some(open) = &query.open {
                open_server(&api, open, &log, &mut answer);
            }
            // SAFETY: every handle is closed.
            unsafe { (api.stspi_terminate)() };
            answer.log = log.into_inner();
            drop(library);
        }
        Err(error) => answer.load_error = Some(error),
    }
    answer
}

fn load(path: &Path) -> Result<(Library, Api, PluginFacts), String> {
    // SAFETY: runs the library's constructors; that is what loading a plug-in means.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|error| format!("cannot load {}: {error}", path.display()))?;
    let find = |symbol: &'static str| {
        // SAFETY: only the address is taken; the table gives it its type.
        let found = unsafe { library.get::<*mut c_void>(symbol) }.ok()?;
        NonNull::new(found.as_raw_ptr())
    };
    // SAFETY: a library that exports every name of the interface has functions of the interface's prototypes.
    let api = unsafe { Api::load(find) }.map_err(|missing| format!("{}: {missing}", path.display()))?;
    let dir =
        CString::new(path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes()).unwrap_or_default();
    let mut info = zeroed::<stspi_plugin_info_t>();
    info.size = size::<stspi_plugin_info_t>();
    // SAFETY: the directory is NUL-terminated, `info` has the size it says, both outlive the call.
    let init_version_0_code = unsafe { (api.stspi_init)(0, dir.as_ptr(), &raw mut info) };
    // SAFETY: as above.
    let code = unsafe { (api.stspi_init)(STSPI_INTERFACE_VERSION, dir.as_ptr(), &raw mut info) };
    if code != STS_EOK {
        return Err(format!(
            "{}: stspi_init: error {code}: {}",
            path.display(),
            ost_abi::sts_error_text(code)
        ));
    }
    let facts = PluginFacts {
        name: text(&info.name),
        prefix: text(&info.prefix),
        label: text(&info.label),
        build_version: text(&info.build_version),
        interface_version: info.interface_version,
        thread_model: info.thread_model,
        init_version_0_code,
    };
    Ok((library, api, facts))
}

/// Names of the optional calls that a library exports.
fn optional_calls(library: &Library) -> Vec<String> {
    let all: BTreeSet<&str> = ost_abi::STS_CAPABILITIES.iter().flat_map(|row| row.calls).copied().collect();
    // SAFETY: only whether there is an address is asked; nothing is called.
    let exported = |call: &&str| unsafe { library.get::<*mut c_void>(*call) }.is_ok();
    all.into_iter().filter(exported).map(str::to_owned).collect()
}

fn open_server(api: &Api, query: &OpenQuery, log: &RefCell<Vec<String>>, answer: &mut Answer) {
    let Ok(name) = CString::new(query.server.as_str()) else { return };
    let mut session = zeroed::<sts_session_def_v7_t>();
    session.size = size::<sts_session_def_v7_t>();
    session.log_level = STS_LOG_INFO;
    session.log = Some(log_line);
    session.log_context = std::ptr::from_ref(log).cast_mut().cast();
    put(&mut session.application, super::NAME);
    let mut credentials = zeroed::<sts_cred_v7_t>();
    credentials.size = size::<sts_cred_v7_t>();
    put(&mut credentials.user, &query.user);
    put(&mut credentials.password, &query.password);

    let mut info = zeroed::<sts_server_info_t>();
    info.size = size::<sts_server_info_t>();
    // SAFETY: session, name and `info` are valid for the call; the log context outlives it.
    let code =
        unsafe { (api.stspi_get_server_prop_byname)(&raw const session, name.as_ptr(), &raw mut info) };
    answer.by_name = (code == STS_EOK).then(|| server_facts(&info));
    if query.user.is_empty() {
        return;
    }

    let mut server: *mut bstsp_server_handle_s = std::ptr::null_mut();
    let started = Instant::now();
    // SAFETY: every pointer is to a local that outlives the call; the log context outlives the server.
    let code = unsafe {
        let (session, credentials) = (&raw const session, &raw const credentials);
        (api.stspi_open_server)(session, name.as_ptr(), credentials, c"".as_ptr(), &raw mut server)
    };
    answer.open_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    answer.open_code = Some(code);
    if code != STS_EOK || server.is_null() {
        return;
    }
    // SAFETY: the server is open; `info` has the size it says.
    if unsafe { (api.stspi_get_server_prop)(server, &raw mut info) } == STS_EOK {
        answer.server = Some(server_facts(&info));
    }
    for lsu in lsu_names(api, server, answer) {
        let facts = lsu_facts(api, server, &lsu);
        answer.lsus.push(facts);
    }
    if !query.events_of.is_empty() {
        answer.events = events::events_of(api, server, &query.events_of);
    }
    if !query.unknown_lsu.is_empty() {
        answer.unknown_lsu_code = Some(lsu_facts(api, server, &query.unknown_lsu).code);
    }
    // SAFETY: the server is open and no handle below it is.
    answer.close_code = Some(unsafe { (api.stspi_close_server)(server) });
}

fn lsu_names(api: &Api, server: *mut bstsp_server_handle_s, answer: &mut Answer) -> Vec<String> {
    let mut list: *mut bstsp_lsu_list_handle_s = std::ptr::null_mut();
    // SAFETY: the server is open; a null filter means all.
    let code = unsafe { (api.stspi_open_lsu_list)(server, std::ptr::null(), &raw mut list) };
    let mut names = Vec::new();
    if code != STS_EOK || list.is_null() {
        answer.list_end_code = Some(code);
        return names;
    }
    while names.len() < LIMIT {
        let mut name = zeroed::<sts_lsu_name_t>();
        name.size = size::<sts_lsu_name_t>();
        // SAFETY: the list is open; `name` has the size it says.
        let code = unsafe { (api.stspi_list_lsu)(list, &raw mut name) };
        if code != STS_EOK {
            answer.list_end_code = Some(code);
            break;
        }
        names.push(text(&name.name));
    }
    // SAFETY: the list is open and not used again.
    unsafe { (api.stspi_close_lsu_list)(list) };
    names
}

fn lsu_facts(api: &Api, server: *mut bstsp_server_handle_s, name: &str) -> LsuFacts {
    let mut lsu = zeroed::<sts_lsu_t>();
    lsu.sl_server = server;
    put(&mut lsu.sl_name, name);
    let mut info = zeroed::<sts_lsu_info_t>();
    info.size = size::<sts_lsu_info_t>();
    // SAFETY: `lsu` holds an open server and a terminated name; `info` has the size it says.
    let code = unsafe { (api.stspi_get_lsu_prop_byname)(&raw const lsu, &raw mut info) };
    let known = |figure: u64| (code == STS_EOK && figure != STS_UNKNOWN).then_some(figure);
    // The two mean nothing for an LSU without locks.
    let lock = |seconds| known(seconds).filter(|_| info.media & STS_LSUF_WORM != 0);
    LsuFacts {
        name: name.into(),
        code,
        capacity: known(info.lsu_capacity),
        used: known(info.lsu_used),
        media: info.media,
        save_as: info.save_as,
        block_size: info.block_size,
        max_transfer: info.max_transfer,
        worm_min: lock(info.worm_min).filter(|seconds| *seconds > 0),
        worm_max: lock(info.worm_max),
    }
}

fn server_facts(info: &sts_server_info_t) -> ServerFacts {
    let bits = info.srv_cap.iter().zip((0u32..).step_by(32)).flat_map(|(word, base)| {
        (0..32u32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| base + bit)
    });
    ServerFacts {
        name: text(&info.name),
        description: text(&info.description),
        flags: info.flags,
        capabilities: bits.collect(),
    }
}

/// The log function that the plug-in gets. Runs inside a plug-in call on the same thread, and never panics.
unsafe extern "C" fn log_line(context: *mut c_void, severity: i32, line: *const c_char) {
    if context.is_null() || line.is_null() {
        return;
    }
    // SAFETY: the context is `ask`'s list, which outlives every call of the plug-in.
    let lines = unsafe { &*context.cast::<RefCell<Vec<String>>>() };
    // SAFETY: the plug-in passes a NUL-terminated string that lives during the call.
    let line = unsafe { CStr::from_ptr(line) }.to_string_lossy();
    if let Ok(mut lines) = lines.try_borrow_mut()
        && lines.len() < LIMIT
    {
        lines.push(format!("<{severity}> {line}"));
    }
}

/// Structures of the interface, for which all zeros is a valid value.
trait Zeroable {}
impl Zeroable for stspi_plugin_info_t {}
impl Zeroable for sts_session_def_v7_t {}
impl Zeroable for sts_cred_v7_t {}
impl Zeroable for sts_server_info_t {}
impl Zeroable for sts_lsu_t {}
impl Zeroable for sts_lsu_name_t {}
impl Zeroable for sts_lsu_info_t {}

fn zeroed<T: Zeroable>() -> T {
    // SAFETY: integers, nullable pointers and character arrays only, as the trait promises.
    unsafe { std::mem::zeroed() }
}

/// A structure's size as its `size` field has it.
fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn text(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts a text into a zeroed array, cut so that its NUL fits.
fn put(array: &mut [c_char], value: &str) {
    let room = array.len().saturating_sub(1);
    for (to, from) in array.iter_mut().zip(value.bytes().take(room)) {
        *to = from.cast_signed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_error(plugin: &str) -> String {
        ask(&Query { plugin: plugin.into(), claim: vec!["x".into()], open: None }).load_error.unwrap()
    }

    #[test]
    fn what_is_not_a_plugin_is_refused_with_the_reason() {
        assert!(load_error("/no/such/libstspiX.so").contains("/no/such/libstspiX.so"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not a library").unwrap();
        assert!(load_error(file.path().to_str().unwrap()).contains("cannot load"));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc =
            maps.lines().find_map(|l| l.split_whitespace().last().filter(|p| p.contains("libc.so"))).unwrap();
        assert!(load_error(libc).contains("stspi_init"));
    }

    #[test]
    fn text_is_cut_where_its_nul_must_be() {
        let mut array = [0 as c_char; 4];
        put(&mut array, "abcdef");
        assert_eq!(text(&array), "abc");
    }
}
