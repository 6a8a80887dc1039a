//! `vast-sim seed`: a description applied to a running cluster.

use std::path::PathBuf;

use clap::Args;
use vast_sim::describe::{ApplyError, Done, Outcome};

use super::remote::Remote;
use super::{Exit, Failure, Result, print, print_json, read_description};

pub(crate) const HELP: &str = r#"A description is a TOML file; the tables of `serve --config` are the same, except that [cluster] is left alone here.
Objects are found by name or path: what is there is changed where it differs, what is not described is left alone, and
doing it twice changes nothing.

  [[users]]
  name = "backup"
  keys = [{ access_key = "AKBACKUP", secret_key = "only-for-tests" }]

  [[views]]
  path = "/images"
  bucket = "images"
  owner = "backup"

  [[quotas]]
  path = "/images"
  hard_limit = "500G"

Example:
  vast-sim seed cluster.toml --vms https://127.0.0.1:8443"#;

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The description; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Seed {
    pub(crate) fn run(self) -> Result<Exit> {
        let read = read_description(&self.file)?;
        let cluster = self.remote.connect()?;
        let mut tell = |step: &Done| {
            if !self.json {
                print(&line(step));
            }
        };
        let done = read.apply_telling(&cluster, &mut tell).map_err(|e| failure(&e))?;
        if self.json {
            print_json(&done)?;
        }
        Ok(Exit::Done)
    }
}

/// What stopped a description, for people.
pub(crate) fn failure(error: &ApplyError) -> Failure {
    match error {
        ApplyError::Refused(mistake) => Failure::mistake(Exit::No, mistake),
        ApplyError::Unreachable(what) => Failure::new(Exit::SetUp, what),
    }
}

pub(crate) fn line(step: &Done) -> String {
    let outcome = match step.outcome {
        Outcome::Created => "created  ",
        Outcome::Changed => "changed  ",
        Outcome::Unchanged => "unchanged",
    };
    format!("{outcome} {} {}", step.resource, step.name)
}
