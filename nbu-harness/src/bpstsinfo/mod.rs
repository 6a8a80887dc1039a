//! `bpstsinfo`: asks a plug-in what it is, which servers it claims, and what a server and its LSUs are.
//!
//! A process of its own, as in NetBackup: the program runs itself with [`NAME`] as its first argument, the
//! [`Query`] comes as JSON on standard input and the [`Answer`] goes to standard output.

mod calls;

use crate::nbu::die_with_starter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// First argument of the process.
pub const NAME: &str = "bpstsinfo";
/// Second argument, so that nobody starts it by accident.
const MARK: &str = "--query-on-stdin";
/// Longest query or answer, in bytes.
const MAX_MESSAGE: u64 = 1 << 20;

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The plug-in library.
    pub plugin: PathBuf,
    /// Names to ask `stspi_claim` about.
    pub claim: Vec<String>,
    /// A server to open.
    pub open: Option<OpenQuery>,
}

/// A server to open.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenQuery {
    /// Its name, with the type.
    pub server: String,
    /// User. Without one, the server is asked for by its name and not opened.
    pub user: String,
    /// Password.
    pub password: String,
    /// An LSU that does not exist: what the plug-in says about it. Empty asks nothing.
    pub unknown_lsu: String,
    /// An LSU whose events are read and left where they are. Empty asks nothing.
    #[serde(default)]
    pub events_of: String,
}

impl std::fmt::Debug for OpenQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenQuery")
            .field("server", &self.server)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What the plug-in answered. Codes are OST error codes, 0 for success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Why the library could not be used; everything else is empty then.
    pub load_error: Option<String>,
    /// What the plug-in says of itself.
    pub plugin: Option<PluginFacts>,
    /// Names of the optional calls that the library exports.
    #[serde(default)]
    pub optional_calls: Vec<String>,
    /// Name and code of every `stspi_claim`.
    pub claims: Vec<(String, i32)>,
    /// Result of `stspi_get_server_prop_byname` for the server to open.
    pub by_name: Option<ServerFacts>,
    /// Code of `stspi_open_server`.
    pub open_code: Option<i32>,
    /// How long that took, in milliseconds.
    pub open_ms: u64,
    /// Result of `stspi_get_server_prop`.
    pub server: Option<ServerFacts>,
    /// LSUs as the list names them, with their properties.
    pub lsus: Vec<LsuFacts>,
    /// Code that ended the LSU list.
    pub list_end_code: Option<i32>,
    /// Code for the properties of an LSU that does not exist.
    pub unknown_lsu_code: Option<i32>,
    /// Events of the LSU that was asked for them; none when they could not be read.
    #[serde(default)]
    pub events: Option<Vec<EventFacts>>,
    /// Code of `stspi_close_server`.
    pub close_code: Option<i32>,
    /// What the plug-in logged, `severity text`.
    pub log: Vec<String>,
}

/// What a plug-in says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginFacts {
    /// Name.
    pub name: String,
    /// Storage server type.
    pub prefix: String,
    /// Line for an administrator.
    pub label: String,
    /// Version.
    pub build_version: String,
    /// Interface version.
    pub interface_version: u32,
    /// `STSPI_THREADS_*`.
    pub thread_model: u32,
    /// Code for `stspi_init` with interface version 0, which no host has.
    pub init_version_0_code: i32,
}

/// Properties of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Name.
    pub name: String,
    /// Line for an administrator.
    pub description: String,
    /// `STS_SRV_*`.
    pub flags: u64,
    /// Numbers of the `STS_SRVC_*` capabilities it has.
    pub capabilities: Vec<u32>,
}

/// Properties of an LSU; figures that the plug-in does not know are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LsuFacts {
    /// Name.
    pub name: String,
    /// Code of `stspi_get_lsu_prop_byname`.
    pub code: i32,
    /// Capacity in bytes.
    pub capacity: Option<u64>,
    /// Bytes used.
    pub used: Option<u64>,
    /// `STS_LSUF_*`.
    pub media: u64,
    /// `STS_SA_*`.
    pub save_as: u64,
    /// Unit of write lengths.
    pub block_size: u64,
    /// Largest transfer.
    pub max_transfer: u64,
    /// Shortest lock of an image in seconds; `None` for any, and without locks.
    pub worm_min: Option<u64>,
    /// Longest lock of an image in seconds; `None` for any, and without locks.
    pub worm_max: Option<u64>,
}

/// An event of an LSU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFacts {
    /// Its number.
    pub number: u64,
    /// The storage lifecycle policy that its images were replicated by.
    pub slp: String,
}

/// Runs this program as `bpstsinfo` if its arguments say so, and returns the exit code.
pub fn dispatch(args: impl IntoIterator<Item = std::ffi::OsString>) -> Option<i32> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != NAME || args.next()? != MARK {
        return None;
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_MESSAGE).read_to_string(&mut text);
    let query: Query = match read
        .map_err(|e| e.to_string())
        .and_then(|_| serde_json::from_str(&text).map_err(|e| e.to_string()))
    {
        Ok(query) => query,
        Err(error) => {
            eprintln!("{NAME}: the query cannot be read: {error}");
            return Some(20);
        }
    };
    // A plug-in may print: the answer has standard output to itself, so that it stays one.
    let mut out = match calls::take_stdout() {
        Ok(out) => out,
        Err(error) => {
            eprintln!("{NAME}: cannot take over standard output: {error}");
            return Some(24);
        }
    };
    let answer = calls::ask(&query);
    let written = serde_json::to_vec(&answer).map_err(std::io::Error::from);
    match written.and_then(|bytes| out.write_all(&bytes)) {
        Ok(()) => Some(0),
        Err(_) => Some(24),
    }
}

/// Asks a plug-in in a process of its own, with more environment variables, which is killed after `patience`.
///
/// # Errors
/// A sentence: the process did not start, crashed, hung or answered nonsense.
pub fn ask(
    exe: &Path,
    config: &Path,
    environment: &BTreeMap<String, String>,
    query: &Query,
    patience: Duration,
) -> Result<Answer, String> {
    let mut command = Command::new(exe);
    command.args([NAME, MARK]).envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped());
    if !config.as_os_str().is_empty() {
        command.env("VAST_OST_CONFIG", config);
    }
    die_with_starter(&mut command);
    let mut child = command.spawn().map_err(|error| format!("{NAME} does not start: {error}"))?;
    let sent = serde_json::to_vec(query).map_err(|error| error.to_string());
    let sent = sent.and_then(|bytes| match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(&bytes).map_err(|error| error.to_string()),
        None => Err("no standard input".into()),
    });
    let stdout = child.stdout.take();
    // A thread reads, so that an answer of any length cannot block the process against its own patience.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.map(|stdout| stdout.take(MAX_MESSAGE).read_to_end(&mut bytes)).transpose().map(|_| bytes)
    });
    let (done, ended) = std::sync::mpsc::channel();
    let pid = rustix::process::Pid::from_child(&child);
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // The receiver is gone only when the answer no longer matters.
        let _ = done.send(());
        status
    });
    let started = Instant::now();
    let hung = ended.recv_timeout(patience).is_err();
    if hung {
        // It may have ended this very moment: then there is nothing to kill.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let status = waiter.join().map_err(|_| "the waiting thread panicked".to_owned())?;
    let bytes = reader.join().map_err(|_| "the reading thread panicked".to_owned())?;
    if hung {
        return Err(format!("{NAME} hung: killed after {} ms", started.elapsed().as_millis()));
    }
    let status = status.map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!(
            "{NAME} ended with {status}{}",
            sent.err().map(|e| format!(" ({e})")).unwrap_or_default()
        ));
    }
    let bytes = bytes.map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{NAME} answered nonsense: {error}"))
}
