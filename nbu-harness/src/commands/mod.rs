//! NetBackup's commands for administrators: what they take and what they print.
//!
//! A command is a sub-command of the program, and also what the program is when it is called by the command's name
//! (through a link). Its state is a NetBackup home: the directory of `--home` or `NBU_HARNESS_HOME`. Everything it
//! prints goes to standard output, errors to standard error, and its exit code is a NetBackup status; 252 stands for
//! one above 255, as in NetBackup, and the text has the number.
//!
//! The shapes are those of public output of NetBackup 8 to 10. Where an order or a field is not known for sure, the
//! doc comment of its format says so.

mod ask;
mod bpdbjobs;
mod bpflist;
mod bpimagelist;
mod bpstsinfo;
mod image_facts;
mod job_lines;
mod nbdevconfig;
mod nbdevquery;
mod nbemmcmd;
mod nbstl;
mod nbstlutil;
mod options;
mod tpconfig;
mod units;
mod volume_lines;

use crate::emm::{Emm, EmmError};
use crate::nbu::status_text;
use options::Verb;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Environment variable with the NetBackup home.
const HOME: &str = "NBU_HARNESS_HOME";
/// Exit code for a status that does not fit into one.
const EXTENDED: i32 = 252;
/// File write failed.
const WRITE_FAILED: i32 = 14;

/// A command.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
    verbs: &'static [Verb],
}

/// All commands.
pub const COMMANDS: &[Command] = &[
    Command { name: "bpdbjobs", about: "lists and counts jobs", verbs: bpdbjobs::VERBS },
    Command { name: "bpflist", about: "lists the files of a backup", verbs: bpflist::VERBS },
    Command { name: "bpimagelist", about: "lists backups in the image catalogue", verbs: bpimagelist::VERBS },
    Command {
        name: "bpstsinfo",
        about: "what a plug-in, a storage server and its LSUs say of themselves",
        verbs: bpstsinfo::VERBS,
    },
    Command { name: "bpstuadd", about: "adds a storage unit or group", verbs: units::ADD },
    Command { name: "bpstudel", about: "deletes a storage unit or group", verbs: units::DELETE },
    Command { name: "bpstulist", about: "lists storage units and groups", verbs: units::LIST },
    Command { name: "bpsturep", about: "changes a storage unit", verbs: units::REPLACE },
    Command {
        name: "nbdevconfig",
        about: "sets up storage servers and disk pools",
        verbs: nbdevconfig::VERBS,
    },
    Command {
        name: "nbdevquery",
        about: "lists storage servers, disk pools and volumes",
        verbs: nbdevquery::VERBS,
    },
    Command { name: "nbemmcmd", about: "sets up media servers", verbs: nbemmcmd::VERBS },
    Command { name: "nbstl", about: "sets up and lists storage lifecycle policies", verbs: nbstl::VERBS },
    Command {
        name: "nbstlutil",
        about: "lists the images of storage lifecycle policies and how far each is",
        verbs: nbstlutil::VERBS,
    },
    Command { name: "tpconfig", about: "sets up credentials for storage servers", verbs: tpconfig::VERBS },
];

/// Where a command works.
#[derive(Debug)]
struct Context {
    home: PathBuf,
    /// This program, which every NetBackup process is.
    exe: PathBuf,
}

impl Context {
    fn emm(&self) -> Result<Emm, CommandError> {
        Ok(Emm::open(&self.home)?)
    }

    /// The home must be there: a command that only looks makes none.
    fn existing(&self) -> Result<&Path, CommandError> {
        if self.home.is_dir() {
            return Ok(&self.home);
        }
        let text = format!("{} is no NetBackup home: nothing has been set up there", self.home.display());
        Err(CommandError { status: 227, text })
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
struct CommandError {
    /// NetBackup status.
    status: i32,
    /// What went wrong, where, and what to do.
    text: String,
}

impl CommandError {
    fn usage(text: String) -> Self {
        Self { status: 20, text }
    }

    fn exit_code(&self) -> i32 {
        if (1..=255).contains(&self.status) { self.status } else { EXTENDED }
    }
}

impl From<EmmError> for CommandError {
    fn from(error: EmmError) -> Self {
        Self { status: error.status(), text: error.to_string() }
    }
}

/// Runs this program as one of the commands if its own name or its first argument says so, and returns the exit code.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut args = args.into_iter();
    let called = args.next()?;
    let called = Path::new(&called).file_name()?.to_str()?.to_owned();
    let named = |name: &str| COMMANDS.iter().find(|command| command.name == name);
    let command = match named(&called) {
        Some(command) => command,
        None => named(args.next()?.to_str()?)?,
    };
    let done = args
        .map(|arg| {
            arg.into_string().map_err(|arg| CommandError::usage(format!("{} is no UTF-8", arg.display())))
        })
        .collect::<Result<Vec<_>, _>>()
        .and_then(|args| command.run(args))
        .and_then(|text| print(&text));
    Some(match done {
        Ok(()) => 0,
        Err(error) => {
            let text = status_text(error.status);
            let line = format!("{}: {}\nEXIT STATUS {}: {text}\n", command.name, error.text, error.status);
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            error.exit_code()
        }
    })
}

fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads may have gone: nothing is wrong then.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let text = format!("it is done, but standard output cannot be written: {error}");
            Err(CommandError { status: WRITE_FAILED, text })
        }
        _ => Ok(()),
    }
}

impl Command {
    fn run(&self, mut args: Vec<String>) -> Result<String, CommandError> {
        if args.iter().any(|arg| arg == "-help" || arg == "--help") {
            let lines = self.verbs.iter().map(|verb| format!("{}\n", options::usage(verb)));
            return Ok(format!("{}: {}\n{}", self.name, self.about, lines.collect::<String>()));
        }
        let home = take_home(&mut args)?;
        let (verb, given) = options::parse(self.verbs, &args)?;
        let exe = std::env::current_exe().map_err(|error| CommandError {
            status: 11,
            text: format!("cannot find this program: {error}"),
        })?;
        (verb.run)(&Context { home, exe }, &given)
    }
}

/// Takes `--home DIR` out of the arguments; the environment stands in for it.
fn take_home(args: &mut Vec<String>) -> Result<PathBuf, CommandError> {
    if let Some(at) = args.iter().position(|arg| arg == "--home") {
        if at + 1 >= args.len() {
            return Err(CommandError::usage("--home needs a directory".into()));
        }
        let dir = args.remove(at + 1);
        args.remove(at);
        return Ok(dir.into());
    }
    std::env::var_os(HOME)
        .map(PathBuf::from)
        .filter(|home| !home.as_os_str().is_empty())
        .ok_or_else(|| CommandError::usage(format!("which NetBackup home? Give --home DIR, or set {HOME}")))
}
