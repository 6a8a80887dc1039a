//! The project's own automation. Run it as `cargo ci <command>`; `cargo ci --help` lists the commands.
//!
//! It depends on almost nothing, so that it starts within seconds on a fresh clone, and calls cargo for the rest.

mod clients;
mod layers;
mod memory;
mod packages;
mod page;
mod release;
mod sdk;
mod step;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and certifies the project.
#[derive(Debug, Parser)]
#[command(name = "cargo ci", bin_name = "cargo ci", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Certifies both plug-ins against an embedded cluster and writes reports.
    ///
    /// Builds the plug-ins and the harness in release mode, then runs `nbu-harness certify`. Anything after `--` goes
    /// to it as it is; `cargo ci certify -- --help` says what there is.
    Certify {
        /// Do not certify: show that every check fails on a plug-in with the defect that it is there to find.
        #[arg(long)]
        prove: bool,
        /// Arguments for `nbu-harness certify`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Checks the simulator with unmodified clients: vastpy, boto3, the AWS CLI and others.
    ///
    /// And the plug-in's layout page with the AWS CLI: it fetches what the plug-in wrote, and the page's script restores it.
    /// Makes a virtual environment for the run, installs the versions of ci/clients/requirements.txt into it and removes
    /// it afterwards. Needs python3 with venv, and a package index.
    Clients {
        /// Run only the checks whose name contains this.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// A Python that has the clients installed already, in place of an environment made for the run.
        #[arg(long, value_name = "PROGRAM")]
        python: Option<PathBuf>,
    },
    /// Checks the simulator's live page and the certification's report in a headless browser.
    ///
    /// Uses Chromium and its driver, which it installs on Debian when they are missing, and needs python3 with venv, and a
    /// package index. Leaves pictures of the pages in the target directory.
    Page,
    /// Everything that must hold before a change lands.
    Test {
        /// Run only the steps whose name contains this.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Measures backup and restore rates as ratios to plain HTTP in the same run.
    Bench {
        /// Arguments for `nbu-harness bench`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Regenerates the C header from the ost-abi crate.
    Header,
    /// Checks the rules of this repository that no compiler checks.
    Tidy,
}

/// The workspace's folder: the parent of this crate's.
fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

fn main() -> ExitCode {
    let root = workspace();
    let result = match Cli::parse().command {
        Command::Certify { prove, arguments } => release::certify(&root, prove, &arguments),
        Command::Clients { only, python } => clients::run(&root, only.as_deref(), python.as_deref()),
        Command::Page => page::run(&root),
        Command::Test { only } => test::run(&root, only.as_deref()),
        Command::Bench { arguments } => release::bench(&root, &arguments),
        Command::Header => step::run(
            step::cargo(&root, &["test", "-p", "ost-abi", "--test", "header"]).env("STSPI_HEADER", "write"),
        ),
        Command::Tidy => tidy::run(&root).and_then(|()| layers::run(&root)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo ci: {failure}");
            failure.exit_code()
        }
    }
}
