//! `include/stspi.h` is what the crate says, and every item says where it comes from.
//!
//! `STSPI_HEADER=write cargo test -p ost-abi --test header` regenerates it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn generate() -> String {
    let dir = tempfile::tempdir().unwrap();
    let prototypes = dir.path().join("entry.rs");
    fs::write(&prototypes, ost_abi::ENTRY_POINT_SOURCE).unwrap();
    let errors = dir.path().join("errors.rs");
    fs::write(&errors, error_constants()).unwrap();
    let config = cbindgen::Config::from_file(crate_dir().join("cbindgen.toml")).unwrap();
    let mut out = Vec::new();
    let types = ["log", "handles", "server", "lsu", "image", "event"];
    types
        .iter()
        .fold(
            cbindgen::Builder::new()
                .with_config(config)
                .with_src(crate_dir().join("src/constants.rs"))
                .with_src(errors),
            |builder, file| builder.with_src(crate_dir().join(format!("src/types/{file}.rs"))),
        )
        .with_src(prototypes)
        .generate()
        .unwrap()
        .write(&mut out);
    String::from_utf8(out).unwrap()
}

/// The error table as constants: the macro that makes them is opaque to the header generator.
fn error_constants() -> String {
    let mut source = String::new();
    for e in ost_abi::STS_ERRORS {
        let provenance = format!("{:?}", e.provenance).to_lowercase();
        writeln!(source, "/// {}.\n///\n/// Provenance: {provenance}.", e.text).unwrap();
        writeln!(source, "pub const {}: i32 = {};", e.symbol, e.code).unwrap();
    }
    source
}

#[test]
fn the_committed_header_is_current() {
    let path = crate_dir().join("include/stspi.h");
    let fresh = generate();
    if std::env::var_os("STSPI_HEADER").is_some_and(|v| v == "write") {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(fresh == committed, "{} is stale: run `cargo ci header` and commit it", path.display());
}

#[test]
fn the_header_declares_every_entry_point_and_error() {
    let header = generate();
    for name in ost_abi::ENTRY_POINTS {
        assert!(header.contains(&format!("{name}(")), "{name} is missing");
    }
    for error in ost_abi::STS_ERRORS {
        assert!(
            header.contains(&format!("#define {} {}", error.symbol, error.code)),
            "{} is missing",
            error.symbol
        );
    }
}

#[test]
fn every_public_item_says_where_it_comes_from() {
    let files = [
        "constants.rs",
        "errors.rs",
        "capabilities.rs",
        "entry/mod.rs",
        "entry/optional.rs",
        "types/log.rs",
        "types/handles.rs",
        "types/server.rs",
        "types/lsu.rs",
        "types/image.rs",
        "types/event.rs",
    ];
    for file in files {
        check_provenance(&crate_dir().join("src").join(file));
    }
}

fn check_provenance(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let mut documented = false;
    let mut items = 0;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("/// Provenance:") {
            documented = true;
        }
        let item = [
            "pub const STS",
            "pub struct ",
            "pub type ",
            "pub fn ",
            "pub unsafe fn ",
            "pub enum ",
            "fn stspi_",
            "STS_E",
        ]
        .iter()
        .any(|p| line.starts_with(p));
        if item && !line.contains("$symbol") && !line.starts_with("STS_ERRORS") {
            items += 1;
            assert!(documented, "{}:{}: no Provenance line: {line}", path.display(), number + 1);
            documented = false;
        }
    }
    assert!(items > 1, "{}: no items found, the check looks at nothing", path.display());
}
