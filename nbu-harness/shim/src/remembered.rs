//! Deeds that go by what happened before, in this process or, by way of empty files beside the plug-in's configuration, in
//! another one.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io};

use nbu_trace::defects::Own;
use nbu_trace::orders;
#[allow(clippy::wildcard_imports, reason = "codes and structures of the interface, nearly all of them")]
use ost_abi::*;

use crate::argument::Arguments;
use crate::deeds::lose_a_block;

/// The name of the plug-in's configuration file, beside which marks are.
const CONFIG: &str = "VAST_OST_CONFIG";

/// What such a deed knows in one process.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// The image that was created last.
    written: Mutex<Option<String>>,
    /// That image loses a block.
    loses: AtomicBool,
    /// An LSU had no room.
    full: AtomicBool,
}

impl Remembered {
    /// Before the wrapped plug-in gets the call. An answer means that it does not.
    ///
    /// # Safety
    /// Pointers among the arguments are null or point at what the prototype says.
    pub(crate) unsafe fn before(
        &self,
        own: Own,
        call: &str,
        arguments: &mut Arguments<'_, '_>,
    ) -> Option<c_int> {
        let image = match call {
            // SAFETY: the caller's promise.
            "stspi_create_image" | "stspi_open_image" | "stspi_delete_image" => unsafe {
                image_name(arguments)
            },
            _ => None,
        };
        match (own, call) {
            (Own::RefusesOlder, "stspi_create_image") if is_older() => mark("older", &image?),
            (Own::RefusesOlder, "stspi_open_image") if !is_older() => {
                return is_marked("older", &image?).then_some(STS_ENOTSUP);
            }
            (Own::FirstClusterOnly, "stspi_open_server" | "stspi_get_server_prop_byname") => {
                // SAFETY: the caller's promise.
                unsafe { name_the_first(arguments) };
            }
            (Own::LosesABlockBesideCopyOne, "stspi_create_image") => {
                let name = image?;
                let copy_one = beside_copy_one(&name);
                let loses = copy_one.is_some_and(|copy_one| !is_marked("complete", &copy_one));
                self.loses.store(loses, Ordering::Relaxed);
                self.creates(name);
            }
            (Own::LosesABlockBesideCopyOne, "stspi_write_image") if self.loses.load(Ordering::Relaxed) => {
                // SAFETY: the caller's promise.
                unsafe { lose_a_block(arguments) };
            }
            (Own::KeepsWhenFull, "stspi_delete_image") => {
                return self.full.load(Ordering::Relaxed).then_some(STS_EOK);
            }
            (Own::KeepsOfTheKilled, "stspi_create_image") => {
                let name = image?;
                mark("open", &name);
                self.creates(name);
            }
            (Own::KeepsOfTheKilled, "stspi_delete_image") => {
                return is_marked("open", &image?).then_some(STS_EOK);
            }
            _ => {}
        }
        None
    }

    /// After the wrapped plug-in has answered with a code.
    pub(crate) fn after(&self, own: Own, call: &str, code: c_int, arguments: &mut Arguments<'_, '_>) {
        match (own, call) {
            (Own::KeepsWhenFull, _) if code == STS_ENOSPC => self.full.store(true, Ordering::Relaxed),
            (Own::KeepsOfTheKilled, "stspi_close_image") => {
                if let Some(name) = self.closes() {
                    unmark("open", &name);
                }
            }
            (Own::LosesABlockBesideCopyOne, "stspi_close_image") if code == STS_EOK => {
                let complete =
                    arguments.flags("flags").is_some_and(|flags| *flags & STS_CLOSEF_IH_COMPLETE != 0);
                if let Some(name) = self.closes().filter(|_| complete) {
                    mark("complete", &name);
                }
            }
            _ => {}
        }
    }

    fn creates(&self, name: String) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    }

    /// The image that was created last, if it is not closed yet. A process writes one image at a time.
    fn closes(&self) -> Option<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether this process passes for an older version of the plug-in.
fn is_older() -> bool {
    env::var_os(orders::OLDER).is_some()
}

/// For an image of another copy the header of copy 1 of the same backup, which is complete when that copy is.
fn beside_copy_one(name: &str) -> Option<String> {
    let (backup, copy) = name.rsplit_once("_C").filter(|(_, copy)| !copy.starts_with("1_"))?;
    copy.contains('_').then(|| format!("{backup}_C1_HDR"))
}

/// # Safety
/// The argument `image` is null or points at an image's definition.
unsafe fn image_name(arguments: &mut Arguments<'_, '_>) -> Option<String> {
    // SAFETY: the caller's promise.
    let image = unsafe { arguments.at::<sts_image_def_t>("image") }?;
    let name = image.img_basename.iter().map(|c| c.cast_unsigned()).take_while(|byte| *byte != 0);
    Some(String::from_utf8_lossy(&name.collect::<Vec<u8>>()).into_owned())
}

/// Puts the configuration's first storage server in the place of the one that is named.
///
/// # Safety
/// The argument `server_name` is null or points at a C string.
unsafe fn name_the_first(arguments: &mut Arguments<'_, '_>) {
    let Some(named) = arguments.address("server_name") else { return };
    // SAFETY: the caller's promise.
    let named = unsafe { std::ffi::CStr::from_ptr(named.as_ptr().cast()) }.to_string_lossy();
    let config = env::var_os(CONFIG).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    if let (Some((kind, _)), Some(first)) = (named.split_once(':'), first_server(&config))
        && let Ok(name) = CString::new(format!("{kind}:{first}"))
    {
        // Few servers are opened in a process: the names may stay.
        arguments.redirect("server_name", name.into_raw().cast());
    }
}

/// The first storage server that a configuration has.
fn first_server(config: &str) -> Option<&str> {
    config.lines().find_map(|line| line.trim().strip_prefix("[server.")?.strip_suffix(']'))
}

fn file(what: &str, image: &str) -> Option<PathBuf> {
    let config = PathBuf::from(env::var_os(CONFIG)?);
    let name = image.replace('/', "_");
    Some(config.with_file_name(format!("{name}.{what}.defect")))
}

fn mark(what: &str, image: &str) {
    if let Some(path) = file(what, image) {
        complain(&path, fs::write(&path, ""));
    }
}

fn unmark(what: &str, image: &str) {
    if let Some(path) = file(what, image) {
        complain(&path, fs::remove_file(&path));
    }
}

fn is_marked(what: &str, image: &str) -> bool {
    file(what, image).is_some_and(|path| path.exists())
}

/// A deed that could not be done is a check that passes: the log says why.
fn complain(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        eprintln!("nbu-shim: {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_copy_is_beside_copy_one() {
        let header = Some("client_C1_1588173001_C1_HDR".to_owned());
        assert_eq!(beside_copy_one("client1_1588173001_C2_F3"), Some("client1_1588173001_C1_HDR".into()));
        assert_eq!(beside_copy_one("client1_1588173001_C1_F1"), None);
        assert_eq!(beside_copy_one("client_C1_1588173001_C10_HDR"), header);
        assert_eq!(beside_copy_one("something"), None);
    }

    #[test]
    fn the_first_server_is_that_of_the_first_section() {
        let config = "# two\n[server.vast1]\nvms = \"a\"\n\n[server.vast2]\nvms = \"b\"\n";
        assert_eq!(first_server(config), Some("vast1"));
        assert_eq!(first_server("vms = \"a\""), None);
    }
}
