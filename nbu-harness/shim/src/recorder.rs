//! Writes the trace of this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nbu_trace::{Call, EXTENSION, Header, Writer};
use ost_abi::ENTRY_POINTS;

/// Where the trace is in its life.
#[derive(Debug)]
enum Output {
    /// No call has ended yet.
    Unopened,
    /// Being written.
    Open(Writer),
    /// A write failed, which was said on standard error: the trace is whole up to there.
    GivenUp,
}

/// The trace of one process.
#[derive(Debug)]
pub(crate) struct Recorder {
    dir: PathBuf,
    header: Header,
    began: Instant,
    output: Mutex<Output>,
}

impl Recorder {
    pub(crate) fn new(dir: PathBuf, process: &str, plugin: Option<&Path>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            pid: std::process::id(),
            process: process.to_owned(),
            started_unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            plugin: plugin.map(|path| path.display().to_string()).unwrap_or_default(),
            entry_points: ENTRY_POINTS.iter().map(|name| (*name).to_owned()).collect(),
        };
        Self { dir, header, began: Instant::now(), output: Mutex::new(Output::Unopened) }
    }

    /// Nanoseconds since the trace began.
    pub(crate) fn since_began(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Writes a call. A trace that cannot be written must not fail a backup: that is said once, on standard error.
    pub(crate) fn write(&self, call: &Call) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Output::Unopened = *output {
            let name = format!("{}-{}-{}", self.header.process, self.header.pid, self.header.started_unix_ns);
            let path = self.dir.join(name).with_extension(EXTENSION);
            let made = fs::create_dir_all(&self.dir).and_then(|()| Writer::create(&path, &self.header));
            *output = match made {
                Ok(writer) => Output::Open(writer),
                Err(error) => {
                    eprintln!("nbu-shim: the trace {} cannot be made: {error}", path.display());
                    Output::GivenUp
                }
            };
        }
        if let Output::Open(writer) = &mut *output
            && let Err(error) = writer.write(call)
        {
            eprintln!("nbu-shim: the trace ends here: {error}");
            *output = Output::GivenUp;
        }
    }
}
