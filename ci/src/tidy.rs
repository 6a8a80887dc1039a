//! Rules of this repository that no compiler checks: how long a file may be, what it must say first, what no file says.

use std::fs;
use std::path::Path;

use crate::step::{self, Failure};

/// Lines that a Rust file may have, tests included.
const LINES_MAX: usize = 600;

/// Folders and files whose code may be `unsafe`: the C boundary, the harness's processes and its wrapping plug-in, and one socket option.
const UNSAFE_ALLOWED: [&str; 11] = [
    "driver/ost-abi/",
    "driver/plugin/",
    "driver/st/",
    "driver/mt/",
    "nbu-harness/src/bpstsinfo/",
    "nbu-harness/discard/",
    "nbu-harness/clock/",
    "nbu-harness/shim/",
    "nbu-harness/src/nbu/",
    "nbu-harness/src/replay/",
    "vast-sim/src/net/low_water.rs",
];

/// Text that stays out of the repository, with the reason. Written in two halves so that this file passes.
const BANNED: [(&str, &str, &str); 5] = [
    ("TO", "DO", "finish it or open an issue"),
    ("FIX", "ME", "finish it or open an issue"),
    ("#[ig", "nore", "a skipped test needs a printed reason instead"),
    ("thread::sl", "eep", "waiting for time is not synchronisation"),
    ("un", "implemented!", "no stubs"),
];

/// As [`BANNED`], in tests only: a product may pace itself by a timer, a test may not.
const BANNED_IN_TESTS: [(&str, &str, &str); 1] =
    [("time::sl", "eep", "waiting for time is not synchronisation")];

/// A line that contains this may break one of the [`BANNED`] rules, with the reason that follows it.
const EXCUSE: &str = "tidy: ";

/// Checks every tracked and every new, not ignored file.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = step::output(&mut git)?;
    let mut broken = Vec::new();
    let mut files = 0;
    for name in listed.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let name = String::from_utf8_lossy(name);
        if let Ok(text) = fs::read_to_string(root.join(&*name)) {
            files += 1;
            check(&name, &text, &mut broken);
        }
    }
    println!("tidy: {files} files looked at");
    if broken.is_empty() { Ok(()) } else { Err(Failure::Rules(broken)) }
}

fn check(name: &str, text: &str, broken: &mut Vec<String>) {
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    if extension == "rs" {
        check_rust(name, text, broken);
    }
    if ["rs", "c", "h", "toml", "yaml", "md", "sh"].contains(&extension) {
        for (number, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t']) && extension != "md" {
                broken.push(format!("{name}:{}: white space at the end of the line", number + 1));
            }
        }
    }
}

fn check_rust(name: &str, text: &str, broken: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        broken.push(format!("{name}: {lines} lines, more than {LINES_MAX}: too long to hold in the head"));
    }
    if !text.starts_with("//!") {
        broken.push(format!("{name}:1: does not begin with `//!` saying what lives there"));
    }
    let may_be_unsafe =
        UNSAFE_ALLOWED.iter().any(|folder| name.starts_with(folder)) || name.contains("/tests/");
    let mut previous = "";
    let mut test = name.contains("/tests/") || name.ends_with("tests.rs");
    for (number, line) in text.lines().enumerate() {
        test |= line.contains("#[cfg(test)]");
        let banned = BANNED.iter().chain(BANNED_IN_TESTS.iter().filter(|_| test));
        for (first, second, reason) in banned {
            let word = format!("{first}{second}");
            if line.contains(&word) && !line.contains(EXCUSE) && !previous.contains(EXCUSE) {
                broken.push(format!("{name}:{}: {word}: {reason}", number + 1));
            }
        }
        if line.trim_start().starts_with("#![allow(unsafe_code") && !may_be_unsafe {
            broken.push(format!("{name}:{}: unsafe code outside the C boundary", number + 1));
        }
        previous = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(name: &str, text: &str) -> Vec<String> {
        let mut broken = Vec::new();
        check(name, text, &mut broken);
        broken
    }

    #[test]
    fn a_good_file_passes() {
        assert!(broken("a/src/x.rs", "//! What lives here.\n\nfn x() {}\n").is_empty());
    }

    #[test]
    fn each_rule_is_seen_to_fail() {
        for (name, text, rule) in [
            ("a/x.rs", "fn x() {}\n".to_owned(), "does not begin"),
            ("a/x.rs", format!("//! X.\n{}", "\n".repeat(LINES_MAX)), "lines, more than"),
            ("a/x.rs", format!("//! X.\n// {}{}: later\n", "TO", "DO"), "finish it"),
            ("a/x.rs", format!("//! X.\n#[ig{}]\n", "nore"), "printed reason"),
            ("a/x.rs", format!("//! X.\nstd::thread::sl{}(d);\n", "eep"), "synchronisation"),
            ("a/x.rs", format!("//! X.\n#[cfg(test)]\ntokio::time::sl{}(d);\n", "eep"), "synchronisation"),
            ("vast-sim/src/x.rs", "//! X.\n#![allow(unsafe_code, reason = \"\")]\n".to_owned(), "C boundary"),
            ("a/x.toml", "a = 1 \n".to_owned(), "end of the line"),
        ] {
            let found = broken(name, &text);
            assert_eq!(found.len(), 1, "{rule}: {found:?}");
            assert!(found[0].contains(rule), "{found:?}");
        }
    }

    #[test]
    fn a_reason_excuses_a_banned_word() {
        let text = format!("//! X.\n// tidy: a fault is a delay\nstd::thread::sl{}(d);\n", "eep");
        assert!(broken("a/x.rs", &text).is_empty());
        let product = format!("//! X.\ntokio::time::sl{}(pace).await;\n", "eep");
        assert!(broken("a/x.rs", &product).is_empty());
    }
}
