//! What runs the harness: certification and the bench, of the release build, and the certification among the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients;
use crate::step::{self, Failure};

/// The two plug-ins, as they lie in a target folder.
const PLUGINS: [&str; 2] = ["libstspiVastData.so", "libstspiVastDataMT.so"];

/// Builds the plug-ins and the harness; returns the folder they are in.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    println!("building the plug-ins and the harness (release)");
    let packages = ["stspi-vast-st", "stspi-vast-mt", "nbu-harness", "nbu-shim", "nbu-discard", "nbu-clock"];
    let mut arguments = vec!["build", "--release", "--locked"];
    for package in packages {
        arguments.extend(["-p", package]);
    }
    step::run(&mut step::cargo(root, &arguments))?;
    Ok(clients::target(root)?.join("release"))
}

/// As the tests build them: among those, nothing is built a second time.
fn build_tested(root: &Path) -> Result<PathBuf, Failure> {
    step::build_as_tested(root, "nbu-harness")?;
    let plugins: &[&str] = &["-p", "stspi-vast-st", "-p", "stspi-vast-mt"];
    let wrapping: &[&str] = &["-p", "nbu-shim", "-p", "nbu-discard", "-p", "nbu-clock"];
    for what in [plugins, wrapping] {
        step::run(step::cargo(root, &["build", "--locked"]).args(what))?;
    }
    Ok(clients::target(root)?.join("debug"))
}

fn harness(root: &Path, folder: &Path, subcommand: &str, arguments: &[String]) -> Result<(), Failure> {
    let mut command = Command::new(folder.join("nbu-harness"));
    command.current_dir(root).arg(subcommand);
    for plugin in PLUGINS {
        command.arg("--plugin").arg(folder.join(plugin));
    }
    step::run(command.args(arguments))
}

/// `cargo ci certify`, and with `prove` whether its checks can fail.
///
/// Without arguments of the caller's own, what a certification leaves is read back: the bundle is in order and of these
/// libraries.
pub(crate) fn certify(root: &Path, prove: bool, arguments: &[String]) -> Result<(), Failure> {
    let folder = build(root)?;
    if prove || !arguments.is_empty() {
        return harness(root, &folder, if prove { "prove" } else { "certify" }, arguments);
    }
    certify_and_verify(root, &folder)
}

/// The certification as one of the tests: of the unoptimized libraries, whose arithmetic is checked and whose build is there
/// already. Optimizing everything would take longer than the certification.
pub(crate) fn certify_tested(root: &Path) -> Result<(), Failure> {
    certify_and_verify(root, &build_tested(root)?)
}

fn certify_and_verify(root: &Path, folder: &Path) -> Result<(), Failure> {
    harness(root, folder, "certify", &[])?;
    harness(root, folder, "verify-bundle", &["reports/bundle".to_owned()])
}

/// `cargo ci bench`.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    harness(root, &build(root)?, "bench", arguments)
}
