//! `vast-sim check`: descriptions without a cluster, refused for what `serve` would refuse.

use std::path::PathBuf;

use clap::Args;
use vast_sim::Config;
use vast_sim::describe::{ApplyError, Described, Settings, Unrehearsed, Unsettled, settle};

use super::{Exit, Failure, Result, print, print_json, read_description, seed};

pub(crate) const HELP: &str = "A description is read and brought about on a cluster that listens nowhere and is forgotten at once: what is fine here
starts, unless an address is in use. The first mistake is told with its file, line and column; the exit code is 2.

Examples:
  vast-sim check cluster.toml
  vast-sim check --seed users.toml views.toml     the second may name what the first or the cluster has";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Descriptions; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Names that a file does not describe may be in the cluster already: for files that are meant for `seed`
    #[arg(long)]
    seed: bool,
    /// Print JSON: the files that are fine
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<Exit> {
        let runtime = tokio::runtime::Runtime::new();
        let runtime = runtime.map_err(|e| Failure::new(Exit::SetUp, format_args!("cannot start: {e}")))?;
        let mut fine = Vec::new();
        for file in &self.files {
            let read = read_description(file)?;
            let config = settle(Settings::default(), Some(&read)).map_err(|e| unsettled(&e))?;
            let alone = read.stands_alone();
            if alone.is_ok() {
                runtime.block_on(rehearse(&read, &config))?;
            } else if !self.seed {
                alone.map_err(|m| Failure::mistake(Exit::BadInput, &m))?;
            }
            if !self.json {
                print(&format!("{}: fine", file.display()));
            }
            fine.push(file);
        }
        if self.json {
            print_json(&serde_json::json!({ "fine": fine }))?;
        }
        Ok(Exit::Done)
    }
}

/// A bad setting, in its place if it has one.
pub(crate) fn unsettled(bad: &Unsettled) -> Failure {
    match bad {
        Unsettled::Described(mistake) => Failure::mistake(Exit::BadInput, mistake),
        Unsettled::Flags(bad) => Failure::new(Exit::BadInput, format_args!("bad configuration: {bad}")),
    }
}

/// Tries a description out.
pub(crate) async fn rehearse(described: &Described, config: &Config) -> Result<()> {
    described.rehearse(config).await.map_err(|failed| match failed {
        Unrehearsed::Start(error) => Failure::new(Exit::SetUp, error),
        Unrehearsed::Apply(error) => refused(&error),
    })
}

/// What a cluster of one's own refuses is a mistake in the description.
pub(crate) fn refused(error: &ApplyError) -> Failure {
    Failure { exit: Exit::BadInput, ..seed::failure(error) }
}
