//! What the documentation shows works: its descriptions can be read, its commands exist, its tables are complete.

use std::path::{Path, PathBuf};
use std::process::Command;

use vast_sim::describe::{Described, Outcome};
use vast_sim::{Cluster, Config};

use crate::command::Served;

fn documents() -> Vec<(PathBuf, String)> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        crate_dir.join("README.md"),
        crate_dir.join("../README.md"),
        crate_dir.join("../docs/architecture.md"),
    ];
    files.into_iter().map(|f| (f.clone(), std::fs::read_to_string(&f).unwrap())).collect()
}

/// Blocks between fences of a language, with the line they begin at.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut at = 0;
    let fence = format!("```{language}\n");
    while let Some(start) = text[at..].find(&fence).map(|n| at + n + fence.len()) {
        let end = start + text[start..].find("```").expect("a fence that ends");
        found.push((text[..start].matches('\n').count() + 1, &text[start..end]));
        at = end + 3;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_can_be_brought_about() {
    let mut read = 0;
    for (file, text) in documents() {
        for (line, block) in blocks(&text, "toml") {
            let name = format!("{} from line {line}", file.display());
            let described = Described::read(&name, block.to_owned());
            let described = described.unwrap_or_else(|mistake| panic!("{}", mistake.render(false)));
            described.stands_alone().unwrap_or_else(|mistake| panic!("{}", mistake.render(false)));
            let cluster = Cluster::start(Config::default()).await.unwrap();
            if let Err(error) = described.apply(&cluster) {
                panic!("{name}: {error:?}");
            }
            let again = described.apply(&cluster).unwrap();
            assert!(again.iter().all(|d| d.outcome == Outcome::Unchanged), "{name}: {again:?}");
            read += 1;
        }
    }
    assert!(read >= 3, "only {read} descriptions found");
}

#[test]
fn commands_exist_with_their_arguments() {
    let mut tried = 0;
    for (file, text) in documents() {
        for command in text.split('`').filter_map(|t| t.strip_prefix("vast-sim ")) {
            // Placeholders are in capitals, alternatives behind commas.
            let words: Vec<&str> = command.split_whitespace().take_while(|w| !w.starts_with('#')).collect();
            if words.iter().any(|w| w.starts_with('[') || w.contains('"') || w.starts_with("&&")) {
                continue;
            }
            let output =
                Command::new(env!("CARGO_BIN_EXE_vast-sim")).args(&words).arg("--help").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: vast-sim {command}: {said}", file.display());
            tried += 1;
        }
    }
    assert!(tried >= 10, "only {tried} commands found");
}

/// What can be run as it is: nothing stands for a file or a number, and it ends by itself.
fn is_complete(words: &[&str]) -> bool {
    let placeholder = |w: &&str| w.chars().all(|c| c.is_ascii_uppercase()) || w.starts_with('[');
    !words.is_empty()
        && !words.iter().any(placeholder)
        && words != ["fault", "add"]
        && !["serve", "check", "seed"].contains(&words[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_something() {
    let mut served = Served::start(&[]);
    let readme = &documents()[0].1;
    let mut tried = std::collections::BTreeSet::new();
    for command in readme.split('`').filter_map(|t| t.strip_prefix("vast-sim ")) {
        let words: Vec<&str> = command.split_whitespace().collect();
        if !is_complete(&words) || !tried.insert(command) {
            continue;
        }
        let mut program = Command::new(env!("CARGO_BIN_EXE_vast-sim"));
        let output = program.args(&words).env("VAST_SIM_VMS", served.url("vms")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "vast-sim {command}: {said}");
        if command.starts_with("fault add") {
            // What is armed must not be in the next one's way; how long VMS is away is the fault's own business.
            drop(std::mem::replace(&mut served, Served::start(&[])));
        }
    }
    assert!(tried.len() >= 17, "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_the_simulators_own_answer() {
    let (cluster, readme) = (Cluster::start(Config::default()).await.unwrap(), &documents()[0].1);
    let vms = crate::client::Vms::new(&cluster);
    let table = readme.split("## Other paths of the simulator's own").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut tried = 0;
    for line in table.lines().filter(|l| l.starts_with("| `")) {
        let cell = line.split('|').nth(1).unwrap();
        let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let path = words.iter().find_map(|w| w.split_whitespace().find(|w| w.starts_with('/'))).unwrap();
        let reads = words.iter().any(|w| w.starts_with("GET"));
        let status = vms.get(path).await.status.as_u16();
        assert_eq!(status, if reads { 200 } else { 405 }, "GET {path}");
        tried += 1;
    }
    assert!(tried >= 12, "{tried} paths");
}

#[test]
fn the_example_in_the_documentation_is_the_one_that_is_compiled() {
    let compiled = include_str!("../../src/lib.rs");
    let readme = &documents()[0].1;
    let (_, example) = blocks(readme, "rust")[0];
    for line in example.lines().filter(|l| !l.is_empty()) {
        assert!(compiled.contains(&format!("//! {line}")), "{line}");
    }
}

#[test]
fn every_setting_is_in_the_table() {
    let help = Command::new(env!("CARGO_BIN_EXE_vast-sim")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let readme = &documents()[0].1;
    let flags =
        help.lines().filter_map(|l| l.trim().strip_prefix("--")).filter_map(|l| l.split([' ', '=']).next());
    let ours: Vec<&str> =
        flags.filter(|f| !["help", "version", "check", "print-ca", "config"].contains(f)).collect();
    assert!(ours.len() >= 15, "{ours:?}");
    for flag in ours {
        let key = if flag == "tls-name" { "tls_names".to_owned() } else { flag.replace('-', "_") };
        assert!(readme.contains(&format!("| `{key}` |")), "{key} is missing from the table of settings");
    }
}

/// Names in backticks in the table row that begins so.
fn row<'a>(text: &'a str, begins: &str) -> Vec<&'a str> {
    let line = text.lines().find(|l| l.starts_with(begins)).unwrap_or_else(|| panic!("no row {begins}"));
    line.split('`').skip(1).step_by(2).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_resources_is_true() {
    let readme = &documents()[0].1;
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let vms = crate::client::Vms::new(&cluster);
    let (with, without) = (row(readme, "| with effect"), row(readme, "| kept and shown"));
    let (none, refused) = (row(readme, "| none there"), row(readme, "| refused with 501"));
    for name in &none {
        let list = vms.get(&format!("/api/{name}/")).await;
        // Two have something below them only.
        let below = ["mcvms", "vastdb"].contains(name) && list.status == 404;
        assert!(below || list.json() == serde_json::json!([]), "{name}: {}", list.text());
    }
    for name in with.iter().chain(&without) {
        // Some have no list, some want to know which; none may be unknown. Of folders there are only calls.
        let path = if *name == "folders" { "folders/read_only" } else { name };
        let status = vms.get(&format!("/api/{path}/")).await.status.as_u16();
        assert!([200, 400, 405].contains(&status), "{name}: {status}");
    }
    for name in &refused {
        assert_eq!(vms.get(&format!("/api/{name}/")).await.status.as_u16(), 501, "{name}");
    }
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vms/tables");
    let mut found = 0;
    for file in std::fs::read_dir(tables).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let listed = [&with, &without, &refused].iter().any(|names| names.contains(&name.as_str()));
        assert!(listed, "{name} is missing from the table of resources");
        found += 1;
    }
    assert!(found > 50, "{found} tables of fields");
}

#[test]
fn the_table_of_operations_is_complete() {
    let readme = &documents()[0].1;
    let source = include_str!("../../src/s3/mod.rs");
    let lines = source.lines().filter(|l| l.contains("Input) -> "));
    let names = lines.filter_map(|l| l.split_once('(')?.1.split_once("Input)")).map(|(name, _)| name);
    let words: std::collections::BTreeSet<&str> =
        readme.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let missing: Vec<&str> = names.clone().filter(|name| !words.contains(name)).collect();
    assert!(names.count() > 40 && missing.is_empty(), "missing: {missing:?}");
}
