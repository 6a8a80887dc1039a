//! Running a command and saying what became of it.

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The features that the workspace is checked with, separated by commas: all but `sdk`, which puts another header in place
/// of ours. `cargo ci tidy` sees to it that none is missing.
pub(crate) const FEATURES: &str = "image-store/conformance";

/// Why a command of `cargo ci` failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program ran and said no; its own output says why.
    Status { command: String, code: Option<i32> },
    /// A program could not be started.
    Start { command: String, error: std::io::Error },
    /// A rule of the repository is broken.
    Rules(Vec<String>),
    /// Something else that the text explains.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { command, code: Some(code) } => write!(f, "{command}: exit code {code}"),
            Self::Status { command, code: None } => write!(f, "{command}: killed by a signal"),
            Self::Start { command, error } => write!(f, "{command}: cannot be started: {error}"),
            Self::Rules(broken) => {
                writeln!(f, "{} rules broken:", broken.len())?;
                broken.iter().try_for_each(|line| writeln!(f, "  {line}"))
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Failure {
    /// A program's own exit code is passed on; anything else is 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Status { code: Some(code), .. } => ExitCode::from(u8::try_from(*code).unwrap_or(1)),
            _ => ExitCode::FAILURE,
        }
    }
}

/// A cargo command in the workspace, with the surroundings of one that was typed.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo describes this crate to us in these. Build scripts that look at them, and all that stands on them, would be
    // built anew by each caller.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(root).args(arguments);
    command
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let text = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Status { command: text, code: status.code() }),
        Err(error) => Err(Failure::Start { command: text, error }),
    }
}

/// Runs a command and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let text = shown(command);
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Failure::Other(format!("{text}: {}", said.trim())))
        }
        Err(error) => Err(Failure::Start { command: text, error }),
    }
}
