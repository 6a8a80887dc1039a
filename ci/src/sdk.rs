//! The interface of another header: the plug-ins with the feature `sdk`, checked with the made-up header of their tests.

use std::path::Path;
use std::process::Command;

use crate::step::{self, Failure, cargo};
use crate::{clients, packages};

/// What has the library that bindgen reads C with, and its headers, on Debian.
const PACKAGE: &str = "libclang-dev";
/// What bindgen says without it.
const MISSING: &str = "Unable to find libclang";
/// The crates that have the feature, and the feature.
const CRATES: [&str; 10] = [
    "-p",
    "ost-abi",
    "-p",
    "ost-plugin",
    "-p",
    "stspi-vast-st",
    "-p",
    "stspi-vast-mt",
    "--features",
    "ost-abi/sdk,ost-plugin/sdk,stspi-vast-st/sdk,stspi-vast-mt/sdk",
];

/// Sees that bindgen has what it needs, then checks the adaptation. What a host of that header sees is among the tests.
///
/// Without libclang, and without the right to install it, nothing can be checked: that fails where `CI` is set, and is
/// said and skipped elsewhere.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let target = clients::target(root)?.join("sdk");
    let cargo = |arguments: &[&str]| -> Command {
        let mut cargo = cargo(root, arguments);
        cargo.env("STSPI_SDK_HEADER", root.join("driver/ost-abi/tests/sdk/ost_fixture.h"));
        cargo.env("CARGO_TARGET_DIR", &target);
        cargo
    };
    let builds = || step::output(&mut cargo(&["check", "-p", "ost-abi", "--features", "sdk", "--locked"]));
    let missing =
        |result: &Result<Vec<u8>, Failure>| matches!(result, Err(e) if e.to_string().contains(MISSING));
    let mut built = builds();
    if missing(&built) && packages::install(&[PACKAGE]).is_some() {
        built = builds();
    }
    if missing(&built) {
        let what = format!("no libclang for bindgen: install {PACKAGE}, or set LIBCLANG_PATH");
        return clients::not_checked("sdk", what);
    }
    built?;
    step::run(&mut cargo(&[&["clippy"], &CRATES[..], &["--locked", "--", "-D", "warnings"]].concat()))?;
    step::run(&mut cargo(&["test", "-p", "ost-abi", "--features", "sdk", "--locked"]))
}
