//! Programs that steps need and Debian has: installed where we may, so that a fresh machine needs no preparation.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::step;

/// The first of these programs that is in the path.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// Installs Debian's packages; none where that does not work, having said why.
pub(crate) fn install(packages: &[&str]) -> Option<()> {
    find(&["apt-get"])?;
    println!("installing {}", packages.join(" and "));
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        step::output(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments)).map(drop)
    };
    let installed = apt(&["update"])
        .and_then(|()| apt(&[&["install", "-y", "--no-install-recommends"], packages].concat()));
    installed.map_err(|error| println!("apt-get cannot install them: {error}")).ok()
}
