//! A plug-in library as it was loaded: its entry points, and nothing called yet.

#![allow(unsafe_code, reason = "loads a foreign library")]

use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;

use libloading::os::unix;
use ost_abi::Api;

use super::LoadError;

/// A loaded library with every entry point of the interface.
#[derive(Debug)]
pub(crate) struct Library {
    api: Api,
    /// Last: the table above points into it.
    _library: unix::Library,
}

impl Library {
    /// Loads a library.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let name = || path.display().to_string();
        let flags = unix::RTLD_NOW | unix::RTLD_LOCAL;
        // SAFETY: runs the library's constructors; that is what loading a plug-in means.
        let library = unsafe { unix::Library::open(Some(path), flags) }
            .map_err(|e| LoadError::Open { path: name(), reason: reason(&e) })?;
        let find = |symbol: &'static str| {
            // SAFETY: only the address is taken; the table gives it its type.
            let found = unsafe { library.get::<*mut c_void>(symbol) }.ok()?;
            NonNull::new(found.as_raw_ptr())
        };
        // SAFETY: a library that exports every name of the interface has functions of the interface's prototypes.
        let api =
            unsafe { Api::load(find) }.map_err(|missing| LoadError::NotAPlugin { path: name(), missing })?;
        Ok(Self { api, _library: library })
    }

    /// Its entry points; they may be called as long as this lives.
    pub(crate) const fn api(&self) -> &Api {
        &self.api
    }
}

/// What the loader says: its own words are the source of the library's error.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |own| format!("{error}: {own}"))
}
