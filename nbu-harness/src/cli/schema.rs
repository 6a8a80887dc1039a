//! `schema`: the JSON schemas of what people write and of what programs read.

use super::Exit;
use super::commands::{print, set_up};
use crate::{report, scenario};
use clap::{Args, ValueEnum};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what.
    #[arg(default_value = "scenario")]
    pub of: SchemaOf,
}

/// What there are schemas of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// results.json of a certification.
    Result,
}

/// Runs the command.
pub(super) fn run(args: &SchemaArgs) -> Exit {
    let schema = match args.of {
        SchemaOf::Scenario => scenario::schema(),
        SchemaOf::Result => report::result_schema(),
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => {
            print(&text);
            Exit::Pass
        }
        Err(error) => set_up(&error),
    }
}
