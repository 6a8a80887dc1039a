//! `vast-sim state`: what a cluster holds, as a file, and what differs between two of them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::diff::{self, Difference};
use super::remote::{Connected, Remote};
use super::{Exit, Failure, Result, print, print_json};

pub(crate) const HELP: &str = "Examples:
  vast-sim state dump > before.json
  ...
  vast-sim state diff before.json              compares with the running cluster
  vast-sim state diff before.json after.json   compares two dumps

A difference is a line: + is only in the second, - only in the first, ~ differs. Exit code 1 says that there are some.";

/// Commands of `state`.
#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// Print everything that a running cluster holds, as JSON
    Dump(Dump),
    /// Say what differs between a dump and another dump or the running cluster
    Diff(Diff),
}

/// Arguments of `state dump`.
#[derive(Debug, Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `state diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first dump; `-` is standard input
    #[arg(value_name = "DUMP")]
    first: PathBuf,
    /// The second dump [default: the running cluster]
    #[arg(value_name = "DUMP")]
    second: Option<PathBuf>,
    /// Fields that may differ; may be given several times
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<String>,
    #[command(flatten)]
    remote: Remote,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
}

impl State {
    pub(crate) fn run(self) -> Result<Exit> {
        match self {
            Self::Dump(dump) => {
                print_json(&of_cluster(&dump.remote.connect()?)?)?;
                Ok(Exit::Done)
            }
            Self::Diff(diff) => diff.run(),
        }
    }
}

fn of_cluster(cluster: &Connected) -> Result<Value> {
    cluster.call("GET", "/sim/v1/dump", None)
}

fn of_file(path: &Path) -> Result<Value> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let bad =
        |e: &dyn std::fmt::Display| Failure::new(Exit::BadInput, format_args!("{}: {e}", path.display()));
    let value: Value = serde_json::from_str(&text.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    if value.get("buckets").is_some() && value.get("vms").is_some() {
        Ok(value)
    } else {
        Err(bad(&"this is no dump; `vast-sim state dump` makes one"))
    }
}

impl Diff {
    fn run(self) -> Result<Exit> {
        let first = of_file(&self.first)?;
        let second = match &self.second {
            Some(path) => of_file(path)?,
            None => of_cluster(&self.remote.connect()?)?,
        };
        let differences = diff::compare(&first, &second, &self.ignore);
        if self.json {
            print_json(&differences)?;
        } else {
            differences.iter().map(Difference::to_string).for_each(|line| print(&line));
        }
        Ok(if differences.is_empty() { Exit::Done } else { Exit::No })
    }
}
