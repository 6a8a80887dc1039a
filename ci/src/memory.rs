//! Memory errors at the C boundary: the plug-ins and the C host of their tests, instrumented with AddressSanitizer.
//!
//! A byte read or written outside what the host passed in, on its heap or its stack, ends the host with a report, and so
//! does what a process that ends has lost track of. The runtime comes with the Rust toolchain; the C compiler instruments
//! the host for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients;
use crate::step::{self, FEATURES, Failure, cargo};

/// Also found: what is used after its function has returned.
const OPTIONS: &str = "detect_stack_use_after_return=1:detect_leaks=1:strict_string_checks=1";
/// They build the libraries themselves, for another header.
const NOT_THESE: &str = "sdk::";

/// Builds the plug-ins with the sanitizer and runs the tests of the C host with them and with a host like them.
///
/// Where the toolchain has no runtime for this machine nothing can be checked: that fails where `CI` is set, and is said
/// and skipped elsewhere.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let Some((machine, runtime)) = runtime(root)? else {
        let what = "the Rust toolchain has no AddressSanitizer runtime for this machine; rustup's for \
                    x86_64-unknown-linux-gnu has"
            .to_owned();
        return clients::not_checked("memory", what);
    };
    let target = clients::target(root)?.join("asan");
    let arguments = ["build", "-p", "stspi-vast-st", "-p", "stspi-vast-mt", "--locked", "--target", &machine];
    let mut build = cargo(root, &arguments);
    // The flag is unstable, although the stable toolchain has the runtime: the first variable lets its compiler take it.
    // With a target named, the flags do not reach build scripts and macros, which run beside and in the compiler.
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    step::run(build.env("CARGO_TARGET_DIR", &target))?;
    // The features of the whole workspace, as the tests have them: their build is used again.
    let arguments = ["test", "--workspace", "--features", FEATURES, "--locked", "--test", "c_host"];
    let mut tests = cargo(root, &arguments);
    tests.env("OST_ASAN_PLUGINS", target.join(&machine).join("debug")).env("OST_ASAN_RUNTIME", runtime);
    tests.env("RUST_TEST_THREADS", step::test_threads());
    step::run(tests.env("ASAN_OPTIONS", OPTIONS).args(["--", "--skip", NOT_THESE]))
}

/// What the compiler calls this machine, and the archive with the runtime for it.
fn runtime(root: &Path) -> Result<Option<(String, PathBuf)>, Failure> {
    let rustc = |arguments: &[&str]| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        step::output(rustc.current_dir(root).args(arguments))
            .map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let version = rustc(&["-vV"])?;
    let Some(machine) = version.lines().find_map(|line| line.strip_prefix("host: ")) else {
        return Err(Failure::Other(format!("rustc does not say what this machine is: {version}")));
    };
    let folder = PathBuf::from(rustc(&["--print", "target-libdir"])?.trim());
    let files =
        std::fs::read_dir(&folder).map_err(|e| Failure::Other(format!("{}: {e}", folder.display())))?;
    let found = files.filter_map(Result::ok).map(|file| file.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("librustc") && name.ends_with("_rt.asan.a")
    });
    Ok(found.map(|path| (machine.to_owned(), path)))
}
