//! The certification bundle: everything that somebody needs who was not there, with a sum of every file, and the check
//! that reads it back.
//!
//! `SHA256SUMS` and `B3SUMS` are lists as `sha256sum -c` and `b3sum -c` take them.

mod verify;

pub use verify::{BundleFacts, verify_bundle};

use super::{ReportError, failed};
use crate::certify::{self, ScenarioRun, Suite, Verdict, sha256_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The two lists of sums.
const SHA256: &str = "SHA256SUMS";
const BLAKE3: &str = "B3SUMS";
/// Files that every bundle has.
const REQUIRED: [&str; 6] =
    ["README.md", "PRODUCT.yaml", "results.json", "junit.xml", "results.tap", "report.html"];

/// `PRODUCT.yaml`: what was certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    /// Whether every check was run and none failed.
    certified: bool,
    /// Begin of the run, RFC 3339.
    date: String,
    harness_version: String,
    /// Version of the layout of `results.json`.
    schema: u32,
    seed: u64,
    libraries: Vec<LibraryFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LibraryFile {
    file: String,
    name: String,
    version: String,
    storage_server_type: String,
    capabilities: Vec<String>,
    bytes: u64,
    sha256: String,
    blake3: String,
}

impl Product {
    fn of(verdict: &Verdict) -> Self {
        let library = |suite: &Suite| {
            let facts = suite.plugin.as_ref();
            let said = |get: fn(&crate::bpstsinfo::PluginFacts) -> &String| {
                facts.map(get).cloned().unwrap_or_default()
            };
            LibraryFile {
                file: suite.name.clone(),
                name: said(|facts| &facts.name),
                version: said(|facts| &facts.build_version),
                storage_server_type: said(|facts| &facts.prefix),
                capabilities: suite.capabilities.clone(),
                bytes: suite.bytes,
                sha256: suite.sha256.clone(),
                blake3: suite.blake3.clone(),
            }
        };
        Self {
            certified: verdict.certified(),
            date: verdict.started.clone(),
            harness_version: verdict.harness_version.clone(),
            schema: verdict.schema,
            seed: verdict.seed,
            libraries: verdict.suites.iter().map(library).collect(),
        }
    }
}

/// Whether a bundle can be put there: nothing is in the way, or an empty directory or an earlier bundle.
///
/// # Errors
/// When something else is.
pub fn bundle_place(dir: &Path) -> Result<(), ReportError> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed(dir))?,
    };
    let empty = fs::read_dir(dir).map_err(failed(dir))?.next().is_none();
    if empty || dir.join(SHA256).is_file() {
        return Ok(());
    }
    let source = std::io::Error::other(format!("it is no bundle (no {SHA256}) and stays as it is"));
    Err(failed(dir)(source))
}

/// Writes the bundle into `dir`, in place of one that is there: an earlier bundle stays until the new one is whole.
///
/// # Errors
/// When something that is no bundle is in the way, or a file cannot be written.
pub fn write_bundle(verdict: &Verdict, dir: &Path) -> Result<(), ReportError> {
    bundle_place(dir)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let beside = || {
        // As any directory that is made, less what the process's mask takes.
        let everybody = fs::Permissions::from_mode(0o777);
        let made = tempfile::Builder::new().prefix(".bundle-").permissions(everybody).tempdir_in(parent);
        made.map_err(failed(parent))
    };
    let new = beside()?;
    fill(verdict, new.path())?;
    let old = beside()?;
    let earlier = old.path().join("earlier");
    let there = dir.exists();
    if there {
        fs::rename(dir, &earlier).map_err(failed(dir))?;
    }
    if let Err(error) = fs::rename(new.path(), dir) {
        if there {
            fs::rename(&earlier, dir).map_err(failed(dir))?;
        }
        return Err(failed(dir)(error));
    }
    old.close().map_err(failed(parent))
}

fn fill(verdict: &Verdict, dir: &Path) -> Result<(), ReportError> {
    super::write_certification(verdict, dir)?;
    let product = serde_saphyr::to_string(&Product::of(verdict)).map_err(std::io::Error::other);
    put(dir, "PRODUCT.yaml", product.map_err(failed(&dir.join("PRODUCT.yaml")))?.as_bytes())?;
    put(dir, "README.md", readme(verdict).as_bytes())?;
    for suite in &verdict.suites {
        for run in &suite.runs {
            put_run(dir, suite, run)?;
        }
    }
    let (mut sha256, mut blake3) = (String::new(), String::new());
    for name in files_below(dir).map_err(failed(dir))? {
        let content = fs::read(dir.join(&name)).map_err(failed(&dir.join(&name)))?;
        let _ = writeln!(sha256, "{}  {name}", sha256_of(&content));
        let _ = writeln!(blake3, "{}  {name}", blake3::hash(&content));
    }
    put(dir, SHA256, sha256.as_bytes())?;
    put(dir, BLAKE3, blake3.as_bytes())
}

/// The scenario as its file has it but for the seed, the scenario as it was run with every default, and the details of its
/// jobs.
fn put_run(dir: &Path, suite: &Suite, run: &ScenarioRun) -> Result<(), ReportError> {
    let scenario = &run.record.scenario;
    let pass = if run.pass > 1 { format!("-pass{}", run.pass) } else { String::new() };
    let name = format!("{}{pass}", scenario.id);
    let embedded = certify::embedded_scenarios().iter().find(|(id, _)| *id == scenario.id);
    if let Some((_, text)) = embedded {
        put(dir, &format!("scenarios/{name}.yaml"), with_seed(text, scenario.seed).as_bytes())?;
    }
    let every_default = serde_json::to_string_pretty(scenario).map_err(std::io::Error::from);
    let path = format!("scenarios/{name}.json");
    put(dir, &path, every_default.map_err(failed(&dir.join(&path)))?.as_bytes())?;
    for job in &run.record.jobs {
        let path = format!("logs/{}/{name}/job-{}.log", suite.name, job.result.job_id);
        put(dir, &path, (job.result.log.join("\n") + "\n").as_bytes())?;
    }
    Ok(())
}

/// The text of a scenario with another seed.
fn with_seed(text: &str, seed: u64) -> String {
    let is_seed = |line: &&str| line.starts_with("seed:");
    let line = format!("seed: {seed}");
    if text.lines().any(|line| is_seed(&line)) {
        let lines = text.lines().map(|old| if is_seed(&old) { line.as_str() } else { old });
        return lines.collect::<Vec<_>>().join("\n") + "\n";
    }
    format!("{}\n{line}\n", text.trim_end())
}

fn put(dir: &Path, name: &str, content: &[u8]) -> Result<(), ReportError> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    fs::write(&path, content).map_err(failed(&path))
}

fn readme(verdict: &Verdict) -> String {
    let word = match (verdict.certified(), verdict.passed()) {
        (true, _) => "certified",
        (false, true) => "passed, but not every check was run in full: this is no certification",
        (false, false) => "not certified",
    };
    let mut text = format!(
        "# Certification\n\nVerdict: **{word}**. Run begun {}, seed {}.\n\nWhat was certified is behaviour. It does not \
         prove binary compatibility with NetBackup.\n\n",
        verdict.started, verdict.seed
    );
    for suite in &verdict.suites {
        let counts: Vec<String> = certify::Outcome::ALL
            .iter()
            .map(|outcome| format!("{} {}", suite.count(*outcome), outcome.counted()))
            .collect();
        let _ = writeln!(text, "* `{}`: {}", suite.name, counts.join(", "));
    }
    text += "\n| file | what it is |\n|---|---|\n\
             | `PRODUCT.yaml` | what was certified: each library with its version, claims and sums |\n\
             | `report.html` | everything for people; opens without a network |\n\
             | `results.json` | everything for programs; `nbu-harness schema result` prints its JSON schema |\n\
             | `junit.xml`, `results.tap` | the checks for CI |\n\
             | `scenarios/` | the scenarios with the seeds they were run with; the `.json` is as it was run, with sizes and every default |\n\
             | `logs/` | the details of every job |\n\
             | `SHA256SUMS`, `B3SUMS` | sums of all other files |\n\n\
             `nbu-harness verify-bundle DIR` checks all sums and that the files agree with each other;\n\
             `--plugin PATH` also that a library is the one that was certified.\n\
             `sha256sum -c SHA256SUMS` checks the sums alone.\n";
    text
}

/// Files below a directory by their relative path, without the lists of sums, in order. A link counts as a file, whatever it leads to.
fn files_below(dir: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for entry in fs::read_dir(dir.join(&relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if let Some(name) = path.to_str().filter(|name| !matches!(*name, SHA256 | BLAKE3)) {
                found.insert(name.to_owned());
            } else if path.to_str().is_none() {
                return Err(std::io::Error::other(format!(
                    "{} has a name that no list can hold",
                    path.display()
                )));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
