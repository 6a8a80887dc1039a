//! The cut of the system, held: which crate of the workspace may depend on which.

use std::collections::BTreeSet;
use std::path::Path;

use crate::step::{self, FEATURES, Failure};

/// Each crate and the crates of the workspace that its code (not its tests) may use.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("ost-abi", &[]),
    ("vast-client", &[]),
    ("image-store", &["vast-client"]),
    ("ost-plugin", &["ost-abi", "image-store", "vast-client"]),
    ("stspi-vast-st", &["ost-plugin"]),
    ("stspi-vast-mt", &["ost-plugin"]),
    ("vast-sim", &[]),
    ("nbu-trace", &["ost-abi"]),
    ("nbu-clock", &[]),
    ("nbu-discard", &["ost-abi", "nbu-trace"]),
    ("nbu-shim", &["ost-abi", "nbu-trace"]),
    ("nbu-harness", &["ost-abi", "nbu-trace", "vast-sim"]),
    ("ci", &[]),
];

/// Crates that must not be linked into the plug-ins: a second way to do something, or C symbols of their own.
const NOT_IN_PLUGINS: [&str; 6] = ["aws-lc-rs", "openssl-sys", "reqwest", "rand", "native-tls", "s3s"];

/// Checks the workspace's dependencies.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let text = step::output(&mut step::cargo(root, &["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| Failure::Other(format!("cargo metadata: {e}")))?;
    let mut broken = check(&metadata);
    for plugin in ["stspi-vast-st", "stspi-vast-mt"] {
        let arguments = ["tree", "-p", plugin, "-e", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = step::output(&mut step::cargo(root, &arguments))?;
        let linked: BTreeSet<String> = String::from_utf8_lossy(&tree)
            .lines()
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect();
        for unwanted in NOT_IN_PLUGINS.iter().filter(|name| linked.contains(**name)) {
            broken.push(format!(
                "{plugin} links {unwanted}; `cargo tree -p {plugin} -i {unwanted}` says through what"
            ));
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Failure::Rules(broken)) }
}

fn check(metadata: &serde_json::Value) -> Vec<String> {
    let mut broken = Vec::new();
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(n, _)| *n == name) else {
            broken.push(format!(
                "{name}: a crate that ci/src/layers.rs does not know; give it its place there"
            ));
            continue;
        };
        let features = package["features"].as_object();
        for feature in features.into_iter().flat_map(|f| f.keys()).filter(|f| *f != "default" && *f != "sdk")
        {
            if !FEATURES.split(',').any(|known| known == format!("{name}/{feature}")) {
                broken.push(format!("{name}: feature {feature} is not in FEATURES of ci/src/step.rs"));
            }
        }
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        for dependency in dependencies.iter().filter(|d| d["kind"].is_null()) {
            let on = dependency["name"].as_str().unwrap_or_default();
            if names.contains(on) && !allowed.contains(&on) {
                broken.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_against_the_cut_is_found() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "vast-client", "dependencies": [{ "name": "vast-sim", "kind": null }] },
            { "name": "vast-sim", "dependencies": [{ "name": "vast-client", "kind": "dev" }] },
            { "name": "stray", "dependencies": [] },
            { "name": "ost-abi", "features": { "sdk": [], "default": [], "new": [] }, "dependencies": [] },
        ]});
        let broken = check(&metadata);
        assert_eq!(broken.len(), 3, "{broken:?}");
        assert_eq!(broken[0], "vast-client must not depend on vast-sim");
        assert!(broken[1].starts_with("stray:"), "{broken:?}");
        assert!(broken[2].starts_with("ost-abi: feature new"), "{broken:?}");
    }
}
