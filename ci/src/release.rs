//! What runs the release build: certification and the bench.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure};

/// The two plug-ins, as they lie in a target folder.
const PLUGINS: [&str; 2] = ["libstspiVastData.so", "libstspiVastDataMT.so"];

/// Builds the plug-ins and the harness; returns the folder they are in.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    println!("building the plug-ins and the harness (release)");
    let packages = ["stspi-vast-st", "stspi-vast-mt", "nbu-harness", "nbu-shim", "nbu-discard"];
    let mut arguments = vec!["build", "--release", "--locked"];
    for package in packages {
        arguments.extend(["-p", package]);
    }
    step::run(&mut step::cargo(root, &arguments))?;
    Ok(target_dir(root)?.join("release"))
}

/// The target folder, wherever the user's settings put it.
fn target_dir(root: &Path) -> Result<PathBuf, Failure> {
    let text = step::output(&mut step::cargo(root, &["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| Failure::Other(format!("cargo metadata: {e}")))?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| Failure::Other("cargo metadata names no target directory".to_owned()))
}

fn harness(root: &Path, subcommand: &str, arguments: &[String]) -> Result<(), Failure> {
    let folder = build(root)?;
    let mut command = Command::new(folder.join("nbu-harness"));
    command.current_dir(root).arg(subcommand);
    for plugin in PLUGINS {
        command.arg("--plugin").arg(folder.join(plugin));
    }
    step::run(command.args(arguments))
}

/// `cargo ci certify`, and with `prove` whether its checks can fail.
pub(crate) fn certify(root: &Path, prove: bool, arguments: &[String]) -> Result<(), Failure> {
    harness(root, if prove { "prove" } else { "certify" }, arguments)
}

/// `cargo ci bench`.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    harness(root, "bench", arguments)
}
