//! `verify-bundle`: reads a certification bundle back.

use super::commands::print;
use super::{Exit, complain};
use crate::report::verify_bundle;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `verify-bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The bundle's directory.
    pub dir: PathBuf,
    /// A library that must be one of those that were certified; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub plugin: Vec<PathBuf>,
}

/// Runs the command: 0 for a bundle in order, 1 for one that is not.
pub(super) fn run(args: &BundleArgs) -> Exit {
    match verify_bundle(&args.dir, &args.plugin) {
        Ok(facts) => {
            let word = if facts.certified { "certified" } else { "not certified" };
            let libraries = facts.libraries.join(", ");
            print(&format!("{} files in order; {libraries}: {word}", facts.files));
            Exit::Pass
        }
        Err(wrong) => {
            for line in wrong {
                complain(&format!("{}: {line}", args.dir.display()));
            }
            Exit::Failed
        }
    }
}
