//! `vast-sim check`: descriptions without a cluster.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Result, print, read_description};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Descriptions; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Names that a file does not describe may be in the cluster already: for files that are meant for `seed`
    #[arg(long)]
    seed: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<Exit> {
        for file in &self.files {
            let read = read_description(file)?;
            if !self.seed {
                read.stands_alone().map_err(|m| Failure::mistake(Exit::BadInput, &m))?;
            }
            let settings = read.description.cluster.clone().into_config().check();
            settings.map_err(|e| Failure::new(Exit::BadInput, format_args!("{}: {e}", file.display())))?;
            print(&format!("{}: fine", file.display()));
        }
        Ok(Exit::Done)
    }
}
