//! Reads a bundle back: sums, completeness, and whether its files agree with each other.

use super::{BLAKE3, Product, REQUIRED, SHA256, files_below};
use crate::certify::{self, sha256_of};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a bundle that is in order says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFacts {
    /// Files whose sums were checked.
    pub files: usize,
    /// Whether it is of a certification.
    pub certified: bool,
    /// File names of the libraries.
    pub libraries: Vec<String>,
}

/// The parts of `results.json` that a bundle is checked by.
#[derive(Debug, Deserialize)]
struct PastVerdict {
    schema: u32,
    seed: u64,
    started: String,
    suites: Vec<PastSuite>,
}

#[derive(Debug, Deserialize)]
struct PastSuite {
    name: String,
    sha256: String,
    blake3: String,
    bytes: u64,
    checks: Vec<PastCheck>,
}

#[derive(Debug, Deserialize)]
struct PastCheck {
    id: String,
    mandatory: bool,
    outcome: certify::Outcome,
}

/// Reads a bundle back: every file has its sums, nothing is missing or there that is not listed, the product sheet and the
/// results agree, and each of `plugins` is one of the libraries.
///
/// # Errors
/// Everything that is wrong, one sentence each.
pub fn verify_bundle(dir: &Path, plugins: &[PathBuf]) -> Result<BundleFacts, Vec<String>> {
    let there = files_below(dir).map_err(|error| vec![format!("{}: {error}", dir.display())])?;
    let mut wrong = Vec::new();
    for required in REQUIRED.iter().filter(|name| !there.contains(**name)) {
        wrong.push(format!("{required} is missing"));
    }
    check_sums(dir, SHA256, &there, sha256_of, &mut wrong);
    check_sums(dir, BLAKE3, &there, |content| blake3::hash(content).to_string(), &mut wrong);
    let product = read(dir, "PRODUCT.yaml", |text| {
        serde_saphyr::from_str::<Product>(text).map_err(|error| error.to_string())
    });
    let results = read(dir, "results.json", |text| {
        serde_json::from_str::<PastVerdict>(text).map_err(|error| error.to_string())
    });
    match (product, results) {
        (Ok(product), Ok(results)) => {
            agree(&product, &results, &mut wrong);
            for plugin in plugins {
                check_plugin(plugin, &product, &mut wrong);
            }
            if wrong.is_empty() {
                let libraries = product.libraries.into_iter().map(|library| library.file).collect();
                return Ok(BundleFacts { files: there.len(), certified: product.certified, libraries });
            }
        }
        (product, results) => wrong.extend([product.err(), results.err()].into_iter().flatten()),
    }
    Err(wrong)
}

fn read<T>(dir: &Path, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    let text = fs::read_to_string(dir.join(name)).map_err(|error| format!("{name}: {error}"))?;
    parse(&text).map_err(|error| format!("{name} cannot be read: {error}"))
}

fn check_sums(
    dir: &Path,
    list: &str,
    there: &BTreeSet<String>,
    sum: impl Fn(&[u8]) -> String,
    wrong: &mut Vec<String>,
) {
    let text = match fs::read_to_string(dir.join(list)) {
        Ok(text) => text,
        Err(error) => return wrong.push(format!("{list}: {error}")),
    };
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        match line.split_once("  ") {
            Some((sum, name)) => drop(listed.insert(name, sum)),
            None => wrong.push(format!("{list}: this is no sum and name: {line}")),
        }
    }
    for name in listed.keys().filter(|name| !there.contains(**name)) {
        wrong.push(format!("{list}: {name} is listed and not there"));
    }
    for name in there {
        match (listed.get(name.as_str()), fs::read(dir.join(name))) {
            (Some(expected), Ok(content)) if sum(&content) == **expected => {}
            (Some(_), Ok(_)) => wrong.push(format!("{list}: {name} has been changed")),
            (Some(_), Err(error)) => wrong.push(format!("{name}: {error}")),
            (None, _) => wrong.push(format!("{list}: {name} is there and not listed")),
        }
    }
}

/// Whether the product sheet says what the results say.
fn agree(product: &Product, results: &PastVerdict, wrong: &mut Vec<String>) {
    let of_run = (product.schema, product.seed, product.date.as_str());
    if of_run != (results.schema, results.seed, results.started.as_str()) {
        wrong.push("PRODUCT.yaml and results.json are not of the same run".into());
    }
    let sheet = product.libraries.iter().map(|lib| (&lib.file, &lib.sha256, &lib.blake3, lib.bytes));
    let run = results.suites.iter().map(|suite| (&suite.name, &suite.sha256, &suite.blake3, suite.bytes));
    if !sheet.eq(run) {
        wrong.push("PRODUCT.yaml and results.json name different libraries".into());
    }
    if product.certified {
        let checks = results.suites.iter().flat_map(|suite| &suite.checks);
        let allowed = |check: &&PastCheck| match check.outcome {
            certify::Outcome::Pass => true,
            certify::Outcome::Skip => !check.mandatory,
            _ => false,
        };
        for check in checks.filter(|check| !allowed(check)) {
            let (id, outcome) = (&check.id, check.outcome);
            wrong.push(format!("PRODUCT.yaml says certified, results.json says {id}: {outcome}"));
        }
    }
}

fn check_plugin(plugin: &Path, product: &Product, wrong: &mut Vec<String>) {
    let content = match fs::read(plugin) {
        Ok(content) => content,
        Err(error) => return wrong.push(format!("{}: {error}", plugin.display())),
    };
    let (sha256, blake3) = (sha256_of(&content), blake3::hash(&content).to_string());
    if !product.libraries.iter().any(|library| library.sha256 == sha256 && library.blake3 == blake3) {
        wrong.push(format!("{} is none of the libraries that were certified", plugin.display()));
    }
}
