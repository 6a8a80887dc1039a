//! The plug-in as bptm and bpdm use it: a safe face on the C interface.
//!
//! [`Plugin`] is the loaded library, [`Server`] an open storage server, [`ImageWriter`] and [`ImageReader`] open
//! images. Handles close when they are dropped, images incomplete. Everything stays on the thread that made it, as
//! the interface demands. Lines that the plug-in logs are kept until [`Plugin::take_log`].

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

mod compose;
mod image;
mod library;
mod list;
mod server;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ost_abi::{Api, STS_EOK, STSPI_INTERFACE_VERSION, stspi_plugin_info_t};

pub(crate) use image::{ImageReader, ImageWriter};
pub(crate) use library::Library;
pub(crate) use server::{ImageId, Server, ServerProperties, Session};

use super::result::StsFailure;
use super::status::Place;

/// Log lines kept between two calls of [`Plugin::take_log`] at most.
const MAX_LOG: usize = 10_000;

/// Lines of the plug-in: severity and text.
pub(crate) type LogLines = Vec<(i32, String)>;

/// Why a library could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// `dlopen` failed.
    #[error("cannot load the plug-in {path}: {reason}")]
    Open {
        /// The library.
        path: String,
        /// What the loader said.
        reason: String,
    },
    /// The library is no plug-in.
    #[error("{path}: {missing}")]
    NotAPlugin {
        /// The library.
        path: String,
        /// The symbol that is not there.
        missing: ost_abi::MissingSymbol,
    },
    /// The plug-in speaks another version.
    #[error("{path}: the plug-in speaks interface version {theirs}, this host {STSPI_INTERFACE_VERSION}")]
    Version {
        /// The library.
        path: String,
        /// The version it answered with.
        theirs: u32,
    },
    /// `stspi_init` failed.
    #[error("{path}: stspi_init: error {code}: {text}")]
    Init {
        /// The library.
        path: String,
        /// The code.
        code: i32,
        /// Its text.
        text: &'static str,
    },
}

/// The full path of a plug-in library: the loader would search a bare name in other places. What cannot be a library
/// at all, such as a directory or a text file, is refused here, before any job.
pub(crate) fn library_file(path: &Path) -> io::Result<PathBuf> {
    let full = path.canonicalize()?;
    let mut magic = Vec::new();
    File::open(&full)?.take(4).read_to_end(&mut magic)?;
    if magic == *b"\x7fELF" {
        return Ok(full);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is no ELF shared library"))
}

/// A loaded and initialised plug-in.
#[derive(Debug)]
pub(crate) struct Plugin {
    api: Api,
    /// Boxed: the plug-in gets its address.
    log: Box<RefCell<LogLines>>,
    /// `<name> <version> (<label>)` as the plug-in says it.
    description: String,
    /// Last: the table above points into it.
    _library: Library,
}

impl Plugin {
    /// Loads a library and calls `stspi_init`.
    pub(crate) fn load(path: &Path) -> Result<Self, LoadError> {
        let name = || path.display().to_string();
        let library = Library::open(path)?;
        let api = *library.api();
        let dir = path.parent().unwrap_or(Path::new("/"));
        let dir = CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: stspi_plugin_info_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<stspi_plugin_info_t>();
        // SAFETY: `dir` is NUL-terminated and `info` has the size it says; both outlive the call.
        let code = unsafe { (api.stspi_init)(STSPI_INTERFACE_VERSION, dir.as_ptr(), &raw mut info) };
        if code != STS_EOK {
            return Err(LoadError::Init { path: name(), code, text: ost_abi::sts_error_text(code) });
        }
        if info.interface_version != STSPI_INTERFACE_VERSION {
            return Err(LoadError::Version { path: name(), theirs: info.interface_version });
        }
        let description =
            format!("{} {} ({})", text(&info.name), text(&info.build_version), text(&info.label));
        Ok(Self { api, log: Box::default(), description, _library: library })
    }

    /// What the plug-in says it is.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// The lines the plug-in has logged since the last call.
    pub(crate) fn take_log(&self) -> LogLines {
        self.log.try_borrow_mut().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default()
    }

    fn log_context(&self) -> *mut c_void {
        std::ptr::from_ref::<RefCell<LogLines>>(&self.log).cast_mut().cast()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // SAFETY: every handle borrows `self`, so none is left.
        unsafe { (self.api.stspi_terminate)() };
    }
}

/// The log function that the plug-in gets. Runs inside a plug-in call on the same thread, and never panics.
unsafe extern "C" fn log_line(context: *mut c_void, severity: i32, line: *const c_char) {
    if context.is_null() || line.is_null() {
        return;
    }
    // SAFETY: the context is `Plugin::log`, which outlives every call of the plug-in.
    let lines = unsafe { &*context.cast::<RefCell<LogLines>>() };
    // SAFETY: the plug-in passes a NUL-terminated string that lives during the call.
    let line = unsafe { CStr::from_ptr(line) }.to_string_lossy().into_owned();
    if let Ok(mut lines) = lines.try_borrow_mut()
        && lines.len() < MAX_LOG
    {
        lines.push((severity, line));
    }
}

/// The structure's size as its `size` field has it.
fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// The text in a character array, up to its NUL or its end.
fn text(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts a text into a character array with its NUL; false if it does not fit or holds a NUL itself.
fn put_text(array: &mut [c_char], value: &str) -> bool {
    if value.len() >= array.len() || value.contains('\0') {
        return false;
    }
    array.fill(0);
    for (to, from) in array.iter_mut().zip(value.bytes()) {
        *to = from.cast_signed();
    }
    true
}

/// The failure for a code that a call returned.
fn failure(place: Place, call: &str, image: &str, code: c_int) -> StsFailure {
    let text = ost_abi::sts_error_text(code).to_owned();
    StsFailure { place, call: call.to_owned(), image: image.to_owned(), code, text }
}

/// `Ok` for `STS_EOK`.
fn check(place: Place, call: &str, image: &str, code: c_int) -> Result<(), StsFailure> {
    if code == STS_EOK { Ok(()) } else { Err(failure(place, call, image, code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits_with_its_nul_or_not_at_all() {
        let mut array = [1 as c_char; 4];
        assert!(put_text(&mut array, "abc"));
        assert_eq!(text(&array), "abc");
        assert!(!put_text(&mut array, "abcd"));
        assert!(!put_text(&mut array, "a\0b"));
        assert_eq!(text(&array), "abc", "a refused text changes nothing");
    }

    #[test]
    fn a_library_that_is_no_plugin_is_named_with_what_it_lacks() {
        let error = Plugin::load(Path::new("/nonexistent/libstspiX.so")).unwrap_err().to_string();
        assert!(error.contains("cannot load the plug-in /nonexistent/libstspiX.so"), "{error}");
        let libc = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc =
            libc.lines().find_map(|l| l.split_whitespace().last().filter(|p| p.contains("libc.so"))).unwrap();
        let error = Plugin::load(Path::new(libc)).unwrap_err().to_string();
        assert!(error.contains("does not export stspi_init"), "{error}");
    }
}
