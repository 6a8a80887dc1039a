//! The wrapped plug-in: loaded when the first call comes.

use std::ffi::{OsStr, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use nbu_trace::orders;
use ost_abi::Api;

/// The wrapped library.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) api: Api,
    pub(crate) path: PathBuf,
    /// Keeps the table's addresses valid.
    _library: Library,
}

impl Target {
    /// Loads the library that the environment names. The error is a sentence.
    pub(crate) fn load(named: Option<&OsStr>) -> Result<Self, String> {
        let path = named.ok_or_else(|| format!("{} names no plug-in to wrap", orders::PLUGIN))?;
        let path = Path::new(path);
        // SAFETY: runs the library's constructors; that is what loading a plug-in means.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|e| format!("the wrapped plug-in {}: {}", path.display(), reason(&e)))?;
        let find = |symbol: &'static str| {
            // SAFETY: only the address is taken; the table gives it its type.
            let found = unsafe { library.get::<*mut c_void>(symbol) }.ok()?;
            NonNull::new(found.as_raw_ptr())
        };
        // SAFETY: a library that exports every name of the interface has functions of the interface's prototypes.
        let api = unsafe { Api::load(find) }.map_err(|missing| format!("{}: {missing}", path.display()))?;
        Ok(Self { api, path: path.to_owned(), _library: library })
    }
}

/// What the loader says: its own words are the source of the library's error.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
