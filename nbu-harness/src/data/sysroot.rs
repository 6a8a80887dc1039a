//! Real input: the Rust toolchain's own directory, about 1.4 GB in 50,000 files on any machine that built this.

use super::DataError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory that `rustc --print sysroot` names, or `given` when there is one.
///
/// # Errors
/// When there is no `rustc`, it fails, or the directory does not exist.
pub fn find(given: Option<&Path>) -> Result<PathBuf, DataError> {
    let path = match given {
        Some(path) => path.to_path_buf(),
        None => ask_rustc()?,
    };
    if path.is_dir() {
        path.canonicalize().map_err(DataError::io("resolve", &path))
    } else {
        Err(DataError::NoSysroot(format!("{} is not a directory", path.display())))
    }
}

fn ask_rustc() -> Result<PathBuf, DataError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).args(["--print", "sysroot"]).output().map_err(|error| {
        DataError::NoSysroot(format!("cannot run {}: {error}", Path::new(&rustc).display()))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && !text.trim().is_empty() {
        Ok(PathBuf::from(text.trim()))
    } else {
        Err(DataError::NoSysroot(format!("rustc --print sysroot: {}", output.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_directory_wins_and_a_missing_one_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(Some(dir.path())).unwrap(), dir.path().canonicalize().unwrap());
        let missing = dir.path().join("nothing");
        let error = find(Some(&missing)).unwrap_err().to_string();
        assert!(error.contains(&missing.display().to_string()) && error.contains("--sysroot"), "{error}");
    }

    #[test]
    fn rustc_is_asked_when_nothing_is_given() {
        assert!(find(None).unwrap().join("lib").is_dir());
    }
}
