//! The command line: what it takes, what it prints, and its exit codes. One file per command.

mod check;
mod control;
mod diff;
mod effects;
mod fault;
mod remote;
mod seed;
mod serve;
mod state;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use vast_sim::describe::{Described, Mistake};

const ABOUT: &str =
    "A VAST cluster in one process: the VMS REST API over HTTPS and S3 on several virtual addresses (VIPs).";

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the cluster refused, or there are differences
  2  bad arguments or a bad description
  3  the cluster could not be started or reached";

#[derive(Debug, Parser)]
#[command(name = "vast-sim", version, about = ABOUT, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a cluster until it is told to stop
    #[command(after_help = serve::HELP)]
    Serve(Box<serve::Serve>),
    /// Bring about in a running cluster what a description says
    #[command(after_help = seed::HELP)]
    Seed(seed::Seed),
    /// Inject faults into a running cluster
    #[command(subcommand, after_help = fault::HELP)]
    Fault(fault::Fault),
    /// Dump everything that a cluster holds, or compare two dumps
    #[command(subcommand, after_help = state::HELP)]
    State(state::State),
    /// Make a running cluster one that was just started
    #[command(after_help = control::RESET_HELP)]
    Reset(control::Reset),
    /// Tell a running cluster's time, or let time pass
    #[command(after_help = control::CLOCK_HELP)]
    Clock(control::Clock),
    /// Tell or change which S3 features a running cluster lacks
    #[command(after_help = control::FEATURES_HELP)]
    Features(control::Features),
    /// Tell which CNode serves which VIP, and how it stands
    #[command(after_help = control::VIPS_HELP)]
    Vips(control::Vips),
    /// Check descriptions without a cluster
    #[command(after_help = check::HELP)]
    Check(check::Check),
    /// Print the certificate of a running cluster's authority
    Ca(remote::Remote),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Exit codes. They are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The cluster refused, or there are differences.
    No = 1,
    /// Bad arguments or a bad description.
    BadInput = 2,
    /// The cluster could not be started or reached.
    SetUp = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl std::fmt::Display) -> Self {
        Self { exit, text: format!("vast-sim: {text}") }
    }

    /// A mistake in a description, shown in place.
    pub(crate) fn mistake(exit: Exit, mistake: &Mistake) -> Self {
        let report = mistake.render(colours(&std::io::stderr()));
        Self { exit, text: format!("{mistake}\n{}", report.trim_end()) }
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// Whether colours may go there.
fn colours(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints a line to standard output; a reader that went away is no error of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Says something on standard error that changes nothing.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "vast-sim: warning: {text}");
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value).map_err(|e| Failure::new(Exit::SetUp, e))?);
    Ok(())
}

/// An empty table that fits the terminal.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    table.set_width(width.unwrap_or(140)).set_header(header);
    table
}

/// Reads a description, `-` being standard input.
fn read_description(path: &Path) -> Result<Described> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|e| Failure::new(Exit::BadInput, format_args!("{name}: {e}")))?;
    Described::read(&name, text).map_err(|m| Failure::mistake(Exit::BadInput, &m))
}

/// Runs the command line.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; nothing can be done when the stream is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::BadInput } else { Exit::Done };
        }
    };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Seed(seed) => seed.run(),
        Command::Fault(fault) => fault.run(),
        Command::State(state) => state.run(),
        Command::Reset(reset) => reset.run(),
        Command::Clock(clock) => clock.run(),
        Command::Features(features) => features.run(),
        Command::Vips(vips) => vips.run(),
        Command::Check(check) => check.run(),
        Command::Ca(remote) => remote.connect().and_then(|cluster| {
            print(cluster.text("/sim/v1/ca")?.trim_end());
            Ok(Exit::Done)
        }),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vast-sim", &mut script);
            print(String::from_utf8_lossy(&script).trim_end());
            Ok(Exit::Done)
        }
    };
    done.unwrap_or_else(|failure| {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{}", failure.text);
        failure.exit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
