//! One process of a replay: the program runs itself with [`NAME`], the order comes as JSON on standard input and what was
//! played goes as JSON to standard output.

use super::report::Played;
use super::{Options, ReplayError, Timing, player};
use crate::nbu::die_with_starter;
use nbu_trace::Trace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// First argument of the process.
const NAME: &str = "replay-process";
/// Second argument, so that nobody starts it by accident.
const MARK: &str = "--order-on-stdin";
/// Longest order, in bytes.
const MAX_ORDER: u64 = 64 << 20;

/// What the process shall do. Not printable: it has the password.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) trace: PathBuf,
    pub(super) plugin: PathBuf,
    pub(super) user: Option<String>,
    pub(super) password: String,
    pub(super) timing: Timing,
    /// Images whose content can be checked when it is read.
    pub(super) written: BTreeSet<String>,
}

/// Runs this program as a process of a replay if its arguments say so, and returns the exit code.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != NAME || args.next()? != MARK {
        return None;
    }
    match obey() {
        Ok(()) => Some(0),
        Err(error) => {
            eprintln!("{NAME}: {error}");
            Some(20)
        }
    }
}

fn obey() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_ORDER).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let order: Order = serde_json::from_str(&text).map_err(|error| format!("no order: {error}"))?;
    // What the plug-in prints must not get into the answer.
    let (_, answer) = crate::nbu::take_stdio().map_err(|error| error.to_string())?;
    let trace = Trace::read(&order.trace).map_err(|error| error.to_string())?;
    let played = player::play(&order, &trace)?;
    let bytes = serde_json::to_vec(&played).map_err(|error| error.to_string())?;
    std::fs::File::from(answer).write_all(&bytes).map_err(|error| error.to_string())
}

/// Plays one trace in a process of its own.
pub(super) fn play(
    options: &Options,
    trace: &Path,
    written: &BTreeSet<String>,
) -> Result<Played, ReplayError> {
    let failed = |what: String| ReplayError::Process { trace: trace.display().to_string(), what };
    let order = Order {
        trace: trace.to_owned(),
        plugin: options.plugin.clone(),
        user: options.user.clone(),
        password: options.password.clone(),
        timing: options.timing,
        written: written.clone(),
    };
    let order = serde_json::to_vec(&order).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(&options.exe);
    command.args([NAME, MARK]).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(config) = &options.config {
        command.env("VAST_OST_CONFIG", config);
    }
    die_with_starter(&mut command);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    // The whole order is read before anything is answered; a process that is gone says so by its end.
    let sent = child.stdin.take().map(|mut stdin| stdin.write_all(&order));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let unsent = sent.and_then(Result::err).map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(failed(format!("its process ended with {}{unsent}", output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("its process answered nonsense: {error}")))
}
