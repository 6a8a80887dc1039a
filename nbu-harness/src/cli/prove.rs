//! `prove`: whether the checks can fail.

use super::commands::{bad_input, interrupted, look, print, set_up};
use super::{Exit, Interrupt, Progress};
use crate::certify::CertifyError;
use crate::nbu::library_file;
use crate::prove::{self, Options, ProveError};
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// Plug-in library without defects, of which those with one are made; may be given several times.
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub plugin: Vec<PathBuf>,
    /// Only checks whose id or group begins so; may be given several times.
    #[arg(long, value_name = "ID")]
    pub filter: Vec<String>,
    /// Where working files go [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: &ProveArgs) -> Exit {
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return set_up(&error),
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt.clone());
    let mut worst = Exit::Pass;
    for path in &args.plugin {
        let plugin = match library_file(path) {
            Ok(plugin) => plugin,
            Err(error) => {
                return bad_input(&format_args!("the plug-in {} cannot be loaded: {error}", path.display()));
            }
        };
        let options = Options {
            exe: exe.clone(),
            plugin,
            filter: args.filter.clone(),
            work_dir: args.work_dir.clone(),
        };
        let proofs = match prove::run(&options, &progress) {
            Ok(proofs) => proofs,
            Err(_) if interrupt.signal().is_some() => return interrupted(&interrupt),
            Err(ProveError::Certify(CertifyError::Interrupted)) => return interrupted(&interrupt),
            Err(error @ ProveError::NoSuchCheck(_)) => return bad_input(&error),
            Err(error) => return set_up(&error),
        };
        if args.json {
            match serde_json::to_string_pretty(&proofs) {
                Ok(text) => print(&text),
                Err(error) => return set_up(&error),
            }
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            print(&prove::table(&name, &proofs, look().1));
        }
        if !proofs.iter().all(prove::Proof::holds) {
            worst = Exit::Failed;
        }
    }
    worst
}
