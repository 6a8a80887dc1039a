//! The plug-in in C: it keeps images in a directory and knows nothing of VAST.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Its library, compiled once per run against the generated header.
pub(crate) fn c_plugin() -> PathBuf {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cc = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O2"])
            .arg("-I")
            .arg(root.join("../driver/ost-abi/include"))
            .arg(root.join("tests/fixtures/fake_plugin.c"))
            .arg("-o")
            .arg(dir.path().join("libstspiFake.so"))
            .status()
            .unwrap();
        assert!(cc.success(), "the C plug-in does not compile");
        dir
    });
    dir.path().join("libstspiFake.so")
}
