//! The libraries built for another header, driven by a host that knows no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::host::{LIBRARIES, Route, World, build, compile, exported, profile_dir, target_dir};

/// Features that switch the other header on.
const FEATURES: &str = "stspi-vast-st/sdk,stspi-vast-mt/sdk";

fn header() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ost-abi/tests/sdk/ost_fixture.h").canonicalize().unwrap()
}

/// The folder of the other libraries: nothing of the ordinary build is touched. `None` on a machine without libclang,
/// the reason printed; where everything has to be checked that is a failure.
fn built() -> Option<&'static (PathBuf, BTreeMap<String, String>)> {
    static BUILT: OnceLock<Option<(PathBuf, BTreeMap<String, String>)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let folder = target_dir().join("sdk");
        let output = build(&folder, |cargo| {
            cargo.args(["--features", FEATURES]).env("STSPI_SDK_HEADER", header());
        });
        if output.status.success() {
            return Some((folder.join(profile_dir().file_name().unwrap()), artifacts(&output)));
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let strict = std::env::var("CI").is_ok_and(|ci| !ci.is_empty() && ci != "false");
        assert!(text.contains("Unable to find libclang") && !strict, "the libraries do not build: {text}");
        None
    });
    if built.is_none() {
        println!(
            "skipped: bindgen finds no libclang on this machine; install libclang-dev, or set LIBCLANG_PATH"
        );
    }
    built.as_ref()
}

/// File names of what was compiled, by crate. They hold a hash of everything that went into it.
fn artifacts(output: &Output) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |line: &str, name: &str, end: char| {
        let (_, rest) = line.split_once(name)?;
        Some(rest.split(end).next()?.to_owned())
    };
    let compiled = text.lines().filter(|line| line.contains(r#""reason":"compiler-artifact""#));
    let named = compiled.filter_map(|line| {
        let file = field(line, r#""filenames":[""#, '"')?;
        let (_, target) = line.split_once(r#""target":"#)?;
        Some((field(target, r#""name":""#, '"')?, file.rsplit('/').next()?.to_owned()))
    });
    named.filter(|(_, file)| Path::new(file).extension().is_some_and(|kind| kind == "rlib")).collect()
}

#[test]
fn the_libraries_export_what_another_header_declares() {
    let Some((folder, _)) = built() else { return };
    let text = std::fs::read_to_string(header()).unwrap();
    let declared = text.lines().filter_map(|line| line.strip_prefix("int stspi_")?.split('(').next());
    let declared: BTreeSet<_> = declared.map(|name| format!("stspi_{name}")).collect();
    assert!(declared.len() > 30 && declared.contains("stspi_open_image_v9"), "{declared:?}");
    for name in LIBRARIES {
        assert_eq!(exported(&folder.join(name)), declared, "{name}");
    }
}

#[test]
fn a_host_of_another_header_backs_up_restores_lists_includes_copies_replicates_and_deletes() {
    let Some((folder, _)) = built() else { return };
    let program = compile(&["sdk_host.c"], header().parent().unwrap());
    for name in LIBRARIES {
        let world = World::new(Route::Pool, None);
        let library = folder.join(name);
        let arguments =
            [library.to_str().unwrap(), "VastData:vast1", "admin", &world.password, crate::host::LSU];
        let said = world.run(&mut Command::new(&program.1), &arguments);
        assert_eq!(format!("{}.so", said.all("name")[0]), name);
        assert!(said.log.contains("ended by a NUL"), "{}", said.log);
        assert_eq!(world.left_of_images(), Vec::<String>::new(), "{name}");
    }
}

/// The same compilations, by their hashes, stand behind both interfaces.
#[test]
fn image_store_and_client_know_nothing_of_the_other_header() {
    let Some((_, other)) = built() else { return };
    let own = artifacts(&build(&target_dir(), |_| {}));
    for same in ["image_store", "vast_client"] {
        assert_eq!(own[same], other[same], "{same}");
    }
    for differs in ["ost_abi", "ost_plugin"] {
        assert_ne!(own[differs], other[differs], "{differs}");
    }
}
