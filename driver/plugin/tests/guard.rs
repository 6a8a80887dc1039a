//! Nothing unwinds into the host: every exported function is one call of the guard, under its own name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_entry_point_runs_inside_the_guard() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/entry");
    let mut guarded = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for function in text.split("pub unsafe fn ").skip(1) {
            let name = function.split('(').next().unwrap();
            // The first statement of the body, which begins after the signature's `-> c_int {`, comments left out.
            let body = function.split_once("-> c_int {").unwrap().1;
            let first = body.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("//"));
            let guarded_first =
                first.is_some_and(|line| line.starts_with(&format!("guard(plugin, \"{name}\", ")));
            assert!(guarded_first, "{name} is not guarded");
            guarded.insert(name.to_owned());
        }
    }
    let wanted: BTreeSet<_> = ost_abi::ENTRY_POINTS.iter().map(|n| (*n).to_owned()).collect();
    assert_eq!(guarded, wanted);
}
