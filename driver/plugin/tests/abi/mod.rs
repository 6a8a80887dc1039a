//! A host in Rust: the interface's table of a loaded library, with arguments made from Rust's types.

#![allow(unsafe_code, reason = "calls the plug-in through its C interface")]

mod endurance;
mod limits;
mod model;
mod sequences;
mod step;

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::{size_of, zeroed};
use std::path::Path;
use std::process::Command;
use std::ptr::{self, NonNull};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use ost_abi::{
    Api, STS_ENOENT, STS_EOK, STSPI_INTERFACE_VERSION, bstsp_image_handle_s, bstsp_server_handle_s,
    sts_cred_v7_t, sts_image_def_t, sts_image_info_t, sts_lsu_t, sts_session_def_v7_t, stspi_plugin_info_t,
};

use crate::host::{LIBRARIES, LSU, Route, SERVER, USER, World, library};

/// Names the library to load; only set for the child.
const LIBRARY: &str = "ABI_HOST_LIBRARY";
/// Password of the cluster's user, for the child.
const PASSWORD: &str = "ABI_HOST_PASSWORD";

/// Runs `body` in a process of its own with each library, against one cluster that must be empty afterwards. `test` is the
/// path of the test that calls this.
pub(crate) fn with_each_library(test: &str, body: impl FnOnce(&Host)) {
    if let Some(path) = std::env::var_os(LIBRARY) {
        return body(&Host::load(Path::new(&path)));
    }
    let world = World::new(Route::Pool, None);
    for name in LIBRARIES {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
        child.env(LIBRARY, library(name)).env(PASSWORD, &world.password);
        let output = child.env("VAST_OST_CONFIG", world.config_path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{name}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(world.left(), Vec::<String>::new(), "{name}");
    }
}

/// What a call came to: its code, or what it wrote.
pub(crate) type Outcome<T> = Result<T, c_int>;

fn outcome<T>(code: c_int, value: T) -> Outcome<T> {
    if code == STS_EOK { Ok(value) } else { Err(code) }
}

/// An image handle as a number, so that it can be kept, forged and taken to other threads.
pub(crate) type Handle = usize;

fn pointer(handle: Handle) -> *mut bstsp_image_handle_s {
    ptr::without_provenance_mut(handle)
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap()
}

fn set(field: &mut [c_char], bytes: &[u8]) {
    assert!(bytes.len() < field.len());
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
}

fn get(field: &[c_char]) -> Vec<u8> {
    field.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect()
}

/// An image's definition.
pub(crate) fn definition(base_name: &[u8], policy: &[u8]) -> sts_image_def_t {
    // SAFETY: integers and character arrays, for which all zeros is a value.
    let mut definition: sts_image_def_t = unsafe { zeroed() };
    definition.size = size::<sts_image_def_t>();
    definition.img_date = 1_588_173_008;
    set(&mut definition.img_basename, base_name);
    set(&mut definition.img_policy, policy);
    definition
}

/// A loaded and started library.
pub(crate) struct Host {
    pub(crate) api: Api,
    _library: Library,
}

impl Host {
    fn load(path: &Path) -> Self {
        // SAFETY: loading it is what the test is about.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.unwrap();
        let find = |name: &'static str| {
            // SAFETY: only the address is taken; the table gives it its type.
            let found = unsafe { library.get::<*mut c_void>(name) }.ok()?;
            NonNull::new(found.as_raw_ptr())
        };
        // SAFETY: the library is ours, its functions have the interface's prototypes, and it stays loaded.
        let api = unsafe { Api::load(find) }.unwrap();
        // SAFETY: as in `definition`.
        let mut info: stspi_plugin_info_t = unsafe { zeroed() };
        info.size = size::<stspi_plugin_info_t>();
        // SAFETY: a null path is allowed, and `info` has the size it says.
        let code = unsafe { (api.stspi_init)(STSPI_INTERFACE_VERSION, ptr::null(), &raw mut info) };
        assert_eq!(code, STS_EOK);
        Self { api, _library: library }
    }

    /// Opens the server of the configuration.
    pub(crate) fn server(&self) -> Server<'_> {
        // SAFETY: as in `definition`; no log function is one of the values that it may have.
        let (mut session, mut credentials): (sts_session_def_v7_t, sts_cred_v7_t) =
            unsafe { (zeroed(), zeroed()) };
        session.size = size::<sts_session_def_v7_t>();
        credentials.size = size::<sts_cred_v7_t>();
        set(&mut credentials.user, USER.as_bytes());
        set(&mut credentials.password, std::env::var(PASSWORD).unwrap().as_bytes());
        let name = CString::new(SERVER).unwrap();
        let mut server = ptr::null_mut();
        // SAFETY: every argument lives until the call returns and is what the prototype says.
        let code = unsafe {
            (self.api.stspi_open_server)(
                &raw const session,
                name.as_ptr(),
                &raw const credentials,
                ptr::null(),
                &raw mut server,
            )
        };
        assert_eq!(code, STS_EOK);
        Server { api: &self.api, handle: server }
    }
}

/// An open server, with the calls that the tests make.
pub(crate) struct Server<'a> {
    pub(crate) api: &'a Api,
    handle: *mut bstsp_server_handle_s,
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.close(), Ok(()), "something is still open");
        }
    }
}

// The pointers in all these calls come from references and slices that live until the call returns.
impl Server<'_> {
    /// Tries to close it.
    pub(crate) fn close(&self) -> Outcome<()> {
        // SAFETY: takes no pointer but the handle.
        outcome(unsafe { (self.api.stspi_close_server)(self.handle) }, ())
    }

    /// Its handle in the place of an image's.
    pub(crate) fn as_image(&self) -> Handle {
        self.handle.addr()
    }

    fn lsu(&self, name: &str) -> sts_lsu_t {
        // SAFETY: as in `definition`; the handle is set below.
        let mut lsu: sts_lsu_t = unsafe { zeroed() };
        lsu.sl_server = self.handle;
        set(&mut lsu.sl_name, name.as_bytes());
        lsu
    }

    pub(crate) fn create(&self, image: &sts_image_def_t) -> Outcome<Handle> {
        let (lsu, mut handle) = (self.lsu(LSU), ptr::null_mut());
        // SAFETY: see above.
        let code = unsafe { (self.api.stspi_create_image)(&raw const lsu, image, 0, &raw mut handle) };
        outcome(code, handle.addr())
    }

    pub(crate) fn open(&self, image: &sts_image_def_t, mode: u32) -> Outcome<Handle> {
        let (lsu, mut handle) = (self.lsu(LSU), ptr::null_mut());
        // SAFETY: see above.
        let code = unsafe { (self.api.stspi_open_image)(&raw const lsu, image, mode, &raw mut handle) };
        outcome(code, handle.addr())
    }

    pub(crate) fn write(&self, image: Handle, data: &[u8], offset: u64) -> Outcome<u64> {
        let (mut count, length) = (0, data.len() as u64);
        // SAFETY: see above.
        let code = unsafe {
            (self.api.stspi_write_image)(
                pointer(image),
                ptr::null(),
                data.as_ptr().cast(),
                length,
                offset,
                &raw mut count,
            )
        };
        outcome(code, count)
    }

    pub(crate) fn read(&self, image: Handle, length: usize, offset: u64) -> Outcome<Vec<u8>> {
        let (mut buffer, mut count) = (vec![0xee; length.max(1)], 0);
        let into = buffer.as_mut_ptr().cast();
        // SAFETY: see above.
        let code = unsafe {
            (self.api.stspi_read_image)(pointer(image), into, length as u64, offset, &raw mut count)
        };
        buffer.truncate(usize::try_from(count).unwrap());
        outcome(code, buffer)
    }

    pub(crate) fn include(
        &self,
        image: Handle,
        source: &sts_image_def_t,
        (from, length): (u64, u64),
        offset: u64,
    ) -> Outcome<u64> {
        let (lsu, mut count) = (self.lsu(LSU), 0);
        // SAFETY: see above.
        let code = unsafe {
            (self.api.stspi_include_in_image)(
                pointer(image),
                &raw const lsu,
                source,
                from,
                length,
                offset,
                &raw mut count,
            )
        };
        outcome(code, count)
    }

    pub(crate) fn copy(&self, source: &sts_image_def_t, target: &sts_image_def_t) -> Outcome<()> {
        let lsu = self.lsu(LSU);
        // SAFETY: see above.
        let code = unsafe { (self.api.stspi_copy_image)(&raw const lsu, source, &raw const lsu, target) };
        outcome(code, ())
    }

    pub(crate) fn copy_extent(
        &self,
        source: Handle,
        (from, length): (u64, u64),
        target: Handle,
        offset: u64,
    ) -> Outcome<u64> {
        let mut count = 0;
        // SAFETY: see above.
        let code = unsafe {
            let (source, target) = (pointer(source), pointer(target));
            (self.api.stspi_copy_extent)(source, from, length, target, offset, &raw mut count)
        };
        outcome(code, count)
    }

    pub(crate) fn write_meta(&self, image: Handle, data: &[u8], offset: u64) -> Outcome<u64> {
        let (mut count, length) = (0, data.len() as u64);
        // SAFETY: see above.
        let code = unsafe {
            let data = data.as_ptr().cast();
            (self.api.stspi_write_image_meta)(pointer(image), data, length, offset, &raw mut count)
        };
        outcome(code, count)
    }

    pub(crate) fn read_meta(&self, image: Handle, length: usize, offset: u64) -> Outcome<Vec<u8>> {
        let (mut buffer, mut count) = (vec![0xee; length.max(1)], 0);
        let into = buffer.as_mut_ptr().cast();
        // SAFETY: see above.
        let code = unsafe {
            (self.api.stspi_read_image_meta)(pointer(image), into, length as u64, offset, &raw mut count)
        };
        buffer.truncate(usize::try_from(count).unwrap());
        outcome(code, buffer)
    }

    pub(crate) fn flush(&self, image: Handle) -> Outcome<()> {
        // SAFETY: takes no pointer but the handle.
        outcome(unsafe { (self.api.stspi_flush_image)(pointer(image)) }, ())
    }

    pub(crate) fn close_image(&self, image: Handle, flags: u32) -> Outcome<()> {
        // SAFETY: takes no pointer but the handle.
        outcome(unsafe { (self.api.stspi_close_image)(pointer(image), flags) }, ())
    }

    pub(crate) fn properties(&self, image: Handle) -> Outcome<sts_image_info_t> {
        // SAFETY: as in `definition`, and see above.
        unsafe {
            let mut info: sts_image_info_t = zeroed();
            info.size = size::<sts_image_info_t>();
            let code = (self.api.stspi_get_image_prop)(pointer(image), &raw mut info);
            outcome(code, info)
        }
    }

    pub(crate) fn properties_by_name(&self, image: &sts_image_def_t) -> Outcome<sts_image_info_t> {
        let lsu = self.lsu(LSU);
        // SAFETY: as in `definition`, and see above.
        unsafe {
            let mut info: sts_image_info_t = zeroed();
            info.size = size::<sts_image_info_t>();
            let code = (self.api.stspi_get_image_prop_byname)(&raw const lsu, image, &raw mut info);
            outcome(code, info)
        }
    }

    pub(crate) fn delete(&self, image: &sts_image_def_t) -> Outcome<()> {
        let lsu = self.lsu(LSU);
        // SAFETY: see above.
        outcome(unsafe { (self.api.stspi_delete_image)(&raw const lsu, image, 0) }, ())
    }

    /// Base names and policies of all images, in the order of the list.
    pub(crate) fn list(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (lsu, mut list, mut found) = (self.lsu(LSU), ptr::null_mut(), Vec::new());
        // SAFETY: see above.
        assert_eq!(unsafe { (self.api.stspi_open_image_list)(&raw const lsu, &raw mut list) }, STS_EOK);
        loop {
            let mut image = definition(b"", b"");
            // SAFETY: see above.
            match unsafe { (self.api.stspi_list_image)(list, &raw mut image) } {
                STS_EOK => found.push((get(&image.img_basename), get(&image.img_policy))),
                code => {
                    assert_eq!(code, STS_ENOENT);
                    break;
                }
            }
        }
        // SAFETY: takes no pointer but the handle.
        assert_eq!(unsafe { (self.api.stspi_close_image_list)(list) }, STS_EOK);
        found
    }
}
