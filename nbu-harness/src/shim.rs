//! The harness's own libraries: where they are, and how an installation gets the wrapping plug-in `libnbu_shim.so` in place
//! of its plug-in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nbu_trace::orders;

/// File name of the wrapping plug-in.
const LIBRARY: &str = "libnbu_shim.so";
/// File name of the plug-in that keeps nothing.
const DISCARD: &str = "libstspiDiscard.so";
/// File name of the library with a wrong clock.
const CLOCK: &str = "libnbu_clock.so";
/// The variable that says by how many milliseconds that clock is off, as `libnbu_clock.so` reads it.
const CLOCK_OFFSET: &str = "NBU_CLOCK_OFFSET_MS";
/// The dynamic linker's variable with libraries that come before all others.
const PRELOAD: &str = "LD_PRELOAD";
/// Where cargo leaves the libraries of a build that nobody asked for by name.
const CARGO_DEPS: &str = "deps";

/// A library of the harness is not beside the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {library} in {}: build it with `cargo build -p {package}`", dir.display())]
pub struct Missing {
    /// The library.
    pub library: &'static str,
    /// The package that it is built from.
    pub package: &'static str,
    /// The program's directory.
    pub dir: PathBuf,
}

/// The wrapping plug-in.
///
/// # Errors
/// When it is not there.
pub fn library(exe: &Path) -> Result<PathBuf, Missing> {
    beside(exe, LIBRARY, "nbu-shim")
}

/// The plug-in that takes everything and keeps nothing.
///
/// # Errors
/// When it is not there.
pub fn discard(exe: &Path) -> Result<PathBuf, Missing> {
    beside(exe, DISCARD, "nbu-discard")
}

/// Gives processes with this environment a wall clock that is off by so many milliseconds.
///
/// # Errors
/// When the library with the wrong clock is not there.
pub fn set_clock(
    exe: &Path,
    offset_ms: i64,
    environment: &mut BTreeMap<String, String>,
) -> Result<(), Missing> {
    let library = beside(exe, CLOCK, "nbu-clock")?;
    environment.insert(PRELOAD.to_owned(), library.display().to_string());
    environment.insert(CLOCK_OFFSET.to_owned(), offset_ms.to_string());
    Ok(())
}

/// A library beside the program or in the directory `deps` there: the newer one, since a build may renew only one of them.
fn beside(exe: &Path, library: &'static str, package: &'static str) -> Result<PathBuf, Missing> {
    let dir = exe.parent().unwrap_or(Path::new("."));
    let places = [dir.join(library), dir.join(CARGO_DEPS).join(library)];
    let made = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let found = places.into_iter().filter(|path| path.is_file()).max_by_key(made);
    found.ok_or_else(|| Missing { library, package, dir: dir.to_owned() })
}

/// Puts the wrapping plug-in in front of `plugin`: returns the library to load, and adds what it has to know to the
/// environment of the processes that load it. One that is wrapped already stays so.
///
/// # Errors
/// When there is no wrapping plug-in.
pub fn wrap(
    exe: &Path,
    plugin: &Path,
    environment: &mut BTreeMap<String, String>,
) -> Result<PathBuf, Missing> {
    let library = library(exe)?;
    environment.entry(orders::PLUGIN.to_owned()).or_insert_with(|| plugin.display().to_string());
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_one_is_found_and_a_missing_one_named_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("nbu-harness");
        let error = library(&exe).unwrap_err().to_string();
        assert!(
            error.contains(&dir.path().display().to_string()) && error.contains("cargo build"),
            "{error}"
        );
        std::fs::create_dir(dir.path().join(CARGO_DEPS)).unwrap();
        std::fs::write(dir.path().join(CARGO_DEPS).join(LIBRARY), "").unwrap();
        assert_eq!(library(&exe).unwrap(), dir.path().join("deps/libnbu_shim.so"));
        let beside = std::fs::File::create(dir.path().join(LIBRARY)).unwrap();
        let now = std::time::SystemTime::now();
        for (age, found) in [(60, "deps/libnbu_shim.so"), (0, "libnbu_shim.so")] {
            let made = now + std::time::Duration::from_mins(1) - std::time::Duration::from_secs(2 * age);
            beside.set_modified(made).unwrap();
            assert_eq!(library(&exe).unwrap(), dir.path().join(found));
        }
    }

    #[test]
    fn what_is_wrapped_is_not_wrapped_again() {
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("nbu-harness");
        std::fs::write(dir.path().join(LIBRARY), "").unwrap();
        let mut environment = BTreeMap::new();
        let first = wrap(&exe, Path::new("/lib/a.so"), &mut environment).unwrap();
        assert_eq!(wrap(&exe, &first, &mut environment).unwrap(), first);
        assert_eq!(environment[orders::PLUGIN], "/lib/a.so");
    }
}
