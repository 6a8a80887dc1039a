//! Running a command and saying what became of it.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread::JoinHandle;

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

/// Tests at a time: twice the processors, since many wait for a lease or a time limit that is as long as it is.
pub(crate) fn test_threads() -> String {
    (2 * std::thread::available_parallelism().map_or(1, usize::from)).to_string()
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

/// Builds a workspace program with the features that the tests build it with: by way of a test of its package, since what
/// tests depend on beside it has a say in the features. Behind the tests nothing is built a second time.
pub(crate) fn build_as_tested(root: &Path, program: &str) -> Result<(), Failure> {
    let test = match program {
        "vast-sim" => "world",
        "nbu-harness" => "cli",
        _ => return Err(Failure::Other(format!("no test is known that has {program} built"))),
    };
    let arguments = ["test", "--workspace", "--features", FEATURES, "--locked", "--no-run", "--test", test];
    run(&mut cargo(root, &arguments))
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

/// The same command with the lowest priority: what runs beside it hardly notices.
pub(crate) fn politely(command: &Command) -> Command {
    let mut polite = Command::new("nice");
    polite.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    polite.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        polite.env_remove(name);
    }
    if let Some(directory) = command.get_current_dir() {
        polite.current_dir(directory);
    }
    polite
}

/// A command that runs while others do. What it writes to standard output is kept and shown when it ends; it is ended when
/// nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Beside {
    text: String,
    child: Child,
    said: Option<JoinHandle<String>>,
}

impl Beside {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let text = shown(&command);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| Failure::Start { command: text.clone(), error })?;
        println!("beside what follows: {text}");
        let said = child.stdout.take().map(|output| std::thread::spawn(move || all(output)));
        Ok(Self { text, child, said })
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let status = self.child.wait();
        let said = self.said.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        println!("{}\nbeside what went before, done by now: {}", said.trim(), self.text);
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Status { command: self.text.clone(), code: status.code() }),
            Err(error) => Err(Failure::Start { command: self.text.clone(), error }),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // One that was waited for has ended.
        let _ = self.child.kill();
    }
}

fn all(mut output: ChildStdout) -> String {
    let mut bytes = Vec::new();
    // What was read until an error is what there is to show.
    let _ = output.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_beside_has_its_own_verdict_surroundings_and_place() {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).env("BESIDE", "7").env_remove("HOME").current_dir("/");
            politely(&shell)
        };
        let right = "[ $BESIDE$HOME = 7 ] && [ $(pwd) = / ] && [ $(nice) = 19 ]";
        assert!(Beside::start(shell(right)).and_then(Beside::finish).is_ok());
        let failed = Beside::start(shell("exit 3")).and_then(Beside::finish);
        assert!(matches!(failed, Err(Failure::Status { code: Some(3), .. })), "{failed:?}");
        let missing = Beside::start(Command::new("/nonexistent/program"));
        assert!(matches!(missing, Err(Failure::Start { .. })), "{missing:?}");
    }
}
