//! `cargo ci test`: every step that must hold before a change lands, with its time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::step::{self, Beside, FEATURES, Failure, cargo};
use crate::{clients, layers, memory, page, release, sdk, tidy};

type Step = (&'static str, fn(&Path) -> Result<(), Failure>);

const STEPS: [Step; 12] = [
    ("components", components),
    ("tidy", |root| tidy::run(root).and_then(|()| layers::run(root))),
    ("format", |root| step::run(&mut cargo(root, &["fmt", "--all", "--", "--check"]))),
    ("clippy", |root| {
        let arguments = ["--all-targets", "--features", FEATURES, "--locked", "--", "-D", "warnings"];
        step::run(cargo(root, &["clippy", "--workspace"]).args(arguments))
    }),
    // Before the tests, some of which need what it installs.
    ("sdk", sdk::run),
    ("tests", tests),
    ("memory", memory::run),
    ("clients", |root| clients::run(root, None, None)),
    ("page", page::run),
    ("docs", |root| {
        let arguments = ["doc", "--workspace", "--no-deps", "--locked"];
        step::run(cargo(root, &arguments).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    (CERTIFICATION, release::certify_tested),
    (THROUGHPUT, |root| step::run(throughput(root).args(["--", "--gate"]))),
];

/// A step that leaves a processor idle time and again, and the one behind it, which is mostly a build: as much of that as
/// there is room for is done meanwhile.
const CERTIFICATION: &str = "certification";
const THROUGHPUT: &str = "throughput";

fn throughput(root: &Path) -> Command {
    cargo(root, &["bench", "-p", "vast-sim", "--bench", "throughput", "--locked"])
}

/// A test that takes minutes of one processor and is alone in its program at the end: it runs beside all others.
const LONG: &str = "a_million_objects_start_in_bounded_time_and_memory";

fn tests(root: &Path) -> Result<(), Failure> {
    let tests = |more: &[&str]| {
        let mut tests = cargo(root, &["test", "--workspace", "--features", FEATURES, "--locked"]);
        tests.env("RUST_TEST_THREADS", step::test_threads()).args(more);
        tests
    };
    step::run(&mut tests(&["--no-run"]))?;
    // What the one runs and what the other skips is the same, whatever has that name.
    let long = Beside::start(tests(&["--quiet", LONG]))?;
    step::run(&mut tests(&["--", "--skip", LONG]))?;
    long.finish()
}

/// The toolchain's own parts that a minimal installation lacks.
fn components(root: &Path) -> Result<(), Failure> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if step::output(&mut cargo(root, &[tool, "--version"])).is_ok() {
            continue;
        }
        println!("installing {component}");
        let mut rustup = Command::new("rustup");
        step::run(rustup.args(["component", "add", component])).map_err(|e| {
            Failure::Other(format!(
                "cargo {tool} is missing and cannot be installed ({e}); install {component}"
            ))
        })?;
    }
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<(), Failure> {
    let chosen: Vec<_> =
        STEPS.iter().filter(|(name, _)| only.is_none_or(|text| name.contains(text))).collect();
    if chosen.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::Other(format!("no step matches; the steps are: {}", names.join(", "))));
    }
    let begun = Instant::now();
    let mut ahead = None;
    for (number, (name, step)) in chosen.iter().enumerate() {
        println!("\n== {}/{} {name}", number + 1, chosen.len());
        let start = Instant::now();
        if *name == CERTIFICATION && chosen.iter().any(|(name, _)| *name == THROUGHPUT) {
            ahead = Some(Beside::start(step::politely(throughput(root).args(["--no-run", "--quiet"])))?);
        }
        if *name == THROUGHPUT {
            ahead.take().map_or(Ok(()), Beside::finish)?;
        }
        step(root).inspect_err(|_| println!("== {name}: FAILED after {}", seconds(start.elapsed())))?;
        println!("== {name}: ok in {}", seconds(start.elapsed()));
    }
    println!("\nall {} steps passed in {}", chosen.len(), seconds(begun.elapsed()));
    Ok(())
}
