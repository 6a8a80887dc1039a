//! The command line: what it takes, what it prints, and its exit codes.

mod args;
mod bundle;
mod certify;
mod commands;
mod import_log;
mod interrupt;
mod monitor;
mod progress;
mod prove;
mod replay;
mod schema;
mod skip;

pub use args::Cli;
pub use interrupt::Interrupt;
pub use progress::Progress;

use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Exit codes. They are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for holds.
    Pass = 0,
    /// A check or an expectation failed.
    Failed = 1,
    /// Bad arguments or a bad scenario file.
    BadInput = 2,
    /// The surroundings could not be set up: nothing is said about the plug-in.
    SetUp = 3,
    /// SIGINT ended it before there was a verdict.
    Interrupted = 130,
    /// SIGTERM ended it before there was a verdict.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints a line to standard error; a reader that went away is no error of ours.
fn complain(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
}

/// Runs the command line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    match Cli::try_parse_from(args) {
        Ok(cli) => commands::run(&cli),
        Err(error) => {
            // Help and version are no errors; nothing can be done when standard output is gone.
            let _ = error.print();
            if error.use_stderr() { Exit::BadInput } else { Exit::Pass }
        }
    }
}
