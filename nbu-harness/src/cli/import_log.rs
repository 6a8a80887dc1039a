//! `import-log`: a scenario from a log of bptm.

use super::Exit;
use super::commands::{bad_input, print};
use crate::import_log;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `import-log`.
#[derive(Debug, Args)]
pub struct ImportLogArgs {
    /// A log of bptm, or what `run --details` printed.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub(super) fn run(args: &ImportLogArgs) -> Exit {
    match import_log::import(&args.file) {
        Ok(yaml) => {
            print(yaml.trim_end());
            Exit::Pass
        }
        Err(error) => bad_input(&error),
    }
}
