//! `run --trace` and `replay`: recording the calls of a run, and making them again.

use super::Exit;
use super::commands::{bad_input, look, print, set_up};
use crate::engine::Stand;
use crate::nbu::library_file;
use crate::replay::{self, Options, ReplayError, Timing};
use crate::scenario;
use crate::shim;
use clap::Args;
use nbu_trace::orders;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A trace, or the directory that `run --trace` filled.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// Plug-in library that gets the calls.
    #[arg(long, value_name = "PATH")]
    pub plugin: PathBuf,
    /// The plug-in's configuration file.
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    pub config: Option<PathBuf>,
    /// Provide the cluster, LSUs and credentials of this scenario for the calls.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// User of the storage server [default: the recorded one].
    #[arg(long, value_name = "NAME", conflicts_with = "scenario")]
    pub user: Option<String>,
    /// Environment variable with the password of the storage server, which traces do not have.
    #[arg(long, value_name = "VARIABLE", default_value = "NBU_HARNESS_PASSWORD")]
    pub password_env: String,
    /// When calls are made: `original`, `asap`, or `x2` for twice as fast as recorded.
    #[arg(long, value_name = "TIMING", default_value = "asap")]
    pub timing: Timing,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Gets every process of a run recorded: returns the library to load in the plug-in's place.
pub(super) fn record(
    dir: &Path,
    exe: &Path,
    plugin: &Path,
    environment: &mut BTreeMap<String, String>,
) -> Result<PathBuf, String> {
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
    environment.insert(orders::TRACE.to_owned(), dir.display().to_string());
    shim::wrap(exe, plugin, environment).map_err(|error| error.to_string())
}

pub(super) fn run(args: &ReplayArgs) -> Exit {
    let plugin = match library_file(&args.plugin) {
        Ok(plugin) => plugin,
        Err(error) => {
            let path = args.plugin.display();
            return bad_input(&format_args!("the plug-in {path} cannot be loaded: {error}"));
        }
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let mut options = Options {
        exe,
        trace: args.trace.clone(),
        plugin,
        config: args.config.clone(),
        user: args.user.clone(),
        password: std::env::var(&args.password_env).unwrap_or_default(),
        timing: args.timing,
    };
    let dir = match tempfile::Builder::new().prefix("nbu-replay-").tempdir() {
        Ok(dir) => dir,
        Err(error) => return set_up(&error),
    };
    // Held until the calls have been made.
    let _stand = match &args.scenario {
        None => None,
        Some(file) => match provide(file, dir.path(), &mut options) {
            Ok(stand) => Some(stand),
            Err(exit) => return exit,
        },
    };
    match replay::run(&options) {
        Ok(replayed) => {
            if args.json {
                match serde_json::to_string_pretty(&replayed) {
                    Ok(text) => print(&text),
                    Err(error) => return set_up(&error),
                }
            } else {
                print(&replay::table(&replayed, look().1));
            }
            if replayed.same() { Exit::Pass } else { Exit::Failed }
        }
        Err(error @ (ReplayError::Trace(_) | ReplayError::NoTrace(_) | ReplayError::List { .. })) => {
            bad_input(&error)
        }
        Err(error @ ReplayError::Process { .. }) => set_up(&error),
    }
}

/// Starts a scenario's cluster and points the replay to it.
fn provide(file: &Path, dir: &Path, options: &mut Options) -> Result<Stand, Exit> {
    let scenario = scenario::load(file).map_err(|diagnostic| bad_input(&diagnostic.render(false)))?;
    let stand = Stand::start(&scenario, dir).map_err(|error| set_up(&error))?;
    let unit = stand.storage_unit(scenario.unit());
    options.config = Some(stand.plugin_config().to_owned());
    (options.user, options.password) = (Some(unit.user), unit.password);
    Ok(stand)
}
