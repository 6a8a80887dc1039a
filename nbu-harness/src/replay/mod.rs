//! Replays traces: the recorded calls of every process, made again on any plug-in, in the recorded order.
//!
//! Each recorded process becomes a process of its own (`process`). One that began after another had ended begins after
//! it here too; others run side by side. Within a process every recorded thread is a thread, and a call waits for all
//! calls of other threads that had ended before it began (`player`). Names, sizes, offsets and flags are the recorded
//! ones; data follows from its offset ([`nbu_trace::pattern`]) and is checked when it is read back.

mod argument;
mod call;
mod player;
mod process;
mod report;

pub use process::dispatch;
pub use report::{Difference, EntryTimes, Played, Replayed, table};

use nbu_trace::{EXTENSION, Trace, TraceError, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When calls are made.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// As soon as their order allows.
    Asap,
    /// When they were made in the recording, so many times faster; 1 is the original.
    Speed(f64),
}

impl Timing {
    /// How long after its beginning something is due that was recorded so long after.
    pub(crate) fn due(self, recorded: Duration) -> Duration {
        match self {
            Self::Asap => Duration::ZERO,
            Self::Speed(times) => recorded.div_f64(times),
        }
    }
}

impl FromStr for Timing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let faster = text.strip_prefix('x').and_then(|number| number.parse::<f64>().ok());
        match (text, faster) {
            ("asap", _) => Ok(Self::Asap),
            ("original", _) => Ok(Self::Speed(1.0)),
            (_, Some(times)) if (0.001..=1_000_000.0).contains(&times) => Ok(Self::Speed(times)),
            _ => Err(format!("`{text}` is no timing; expected original, asap, or x2 for twice as fast")),
        }
    }
}

/// What to replay, and on what.
#[derive(Clone)]
pub struct Options {
    /// The program that every process is: normally this one.
    pub exe: PathBuf,
    /// A trace, or a directory of traces.
    pub trace: PathBuf,
    /// The plug-in.
    pub plugin: PathBuf,
    /// The plug-in's configuration file, handed over as `VAST_OST_CONFIG`.
    pub config: Option<PathBuf>,
    /// User of the storage server; none: the recorded one.
    pub user: Option<String>,
    /// Password of the storage server: traces have none.
    pub password: String,
    /// When calls are made.
    pub timing: Timing,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("trace", &self.trace)
            .field("plugin", &self.plugin)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Nothing could be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A trace cannot be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The directory has no trace.
    #[error("{} has no file *.{EXTENSION}: record one with `run --trace DIR`", .0.display())]
    NoTrace(PathBuf),
    /// The directory cannot be listed.
    #[error("{}: {source}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A process of the replay did not do its work.
    #[error("the replay of {trace}: {what}")]
    Process {
        /// Its trace.
        trace: String,
        /// What happened.
        what: String,
    },
}

/// The trace files that a path names, oldest first.
fn read_all(path: &Path) -> Result<Vec<(PathBuf, Trace)>, ReplayError> {
    let files = if path.is_dir() {
        let list = |source| ReplayError::List { path: path.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(list)? {
            files.push(entry.map_err(list)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == EXTENSION));
        files
    } else {
        vec![path.to_owned()]
    };
    if files.is_empty() {
        return Err(ReplayError::NoTrace(path.to_owned()));
    }
    let mut traces = Vec::new();
    for file in files {
        let trace = Trace::read(&file)?;
        traces.push((file, trace));
    }
    traces.sort_by_key(|(_, trace)| trace.header.started_unix_ns);
    Ok(traces)
}

/// When a process made its first call and when its last call ended, in nanoseconds since the epoch.
fn lifetime(trace: &Trace) -> (u64, u64) {
    let began = trace.header.started_unix_ns;
    let first = trace.calls.iter().map(|call| call.start_ns).min().unwrap_or(0);
    let last = trace.calls.iter().map(nbu_trace::Call::end_ns).max().unwrap_or(0);
    (began.saturating_add(first), began.saturating_add(last))
}

/// Names of the images whose whole content the traces write, each byte at its own offset: what can be checked when it is
/// read. Others are made by the storage of ranges of other images.
fn written_here(traces: &[(PathBuf, Trace)]) -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    let mut composed = BTreeSet::new();
    // To, and from which at the same offset.
    let mut copied: Vec<(String, Option<String>)> = Vec::new();
    for (_, trace) in traces {
        let mut images: BTreeMap<u64, String> = BTreeMap::new();
        for call in &trace.calls {
            let name = |index| call.arguments.get(index).and_then(|image: &Value| image.field(1).as_text());
            let number = |index| call.arguments.get(index).and_then(Value::as_number);
            let entry = trace.entry(call);
            if matches!(entry, "stspi_create_image" | "stspi_open_image")
                && let (Some(Value::Handle(handle)), Some(name)) = (call.results.get(3), name(1))
            {
                images.insert(*handle, name);
            }
            let of_handle = |index| match call.arguments.get(index) {
                Some(Value::Handle(handle)) => images.get(handle).cloned(),
                _ => None,
            };
            match entry {
                "stspi_create_image" if call.code == ost_abi::STS_EOK => written.extend(name(1)),
                "stspi_include_in_image" => composed.extend(of_handle(0)),
                "stspi_copy_extent" => {
                    let from = of_handle(0).filter(|_| number(1) == number(4));
                    copied.extend(of_handle(3).map(|to| (to, from)));
                }
                _ => {}
            }
        }
    }
    written.retain(|name| !composed.contains(name));
    // What was copied is checked if what it was copied from is.
    loop {
        let taken = |(to, from): &(String, Option<String>)| {
            let lost = from.as_ref().is_none_or(|from| !written.contains(from));
            (lost && written.contains(to)).then(|| to.clone())
        };
        let Some(name) = copied.iter().find_map(taken) else { return written };
        written.remove(&name);
    }
}

/// Whether process `index` waits for the end of `other`: it began later. No two wait for each other.
fn waits_for(lifetimes: &[(u64, u64)], index: usize, other: usize) -> bool {
    other != index && lifetimes[other].1 < lifetimes[index].0
}

/// A process counts as ended when its thread has ended, however that was.
struct Ends<'a> {
    ended: &'a (Mutex<Vec<bool>>, Condvar),
    index: usize,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        lock(&self.ended.0)[self.index] = true;
        self.ended.1.notify_all();
    }
}

/// Replays everything.
///
/// # Errors
/// When a trace cannot be read or a process did not do its work. Calls that differ are no error: they are in the result.
pub fn run(options: &Options) -> Result<Replayed, ReplayError> {
    let traces = read_all(&options.trace)?;
    let written = written_here(&traces);
    let lifetimes: Vec<(u64, u64)> = traces.iter().map(|(_, trace)| lifetime(trace)).collect();
    let begin = lifetimes.iter().map(|(first, _)| *first).min().unwrap_or(0);
    let ended = (Mutex::new(vec![false; traces.len()]), Condvar::new());
    let started = Instant::now();
    let played = std::thread::scope(|scope| {
        let running: Vec<_> = (0..traces.len())
            .map(|index| {
                let (lifetimes, ended, written) = (&lifetimes, &ended, &written);
                let (file, _) = &traces[index];
                scope.spawn(move || {
                    let _end = Ends { ended, index };
                    let (first, _) = lifetimes[index];
                    wait_for(ended, |ended| {
                        (0..ended.len()).all(|other| ended[other] || !waits_for(lifetimes, index, other))
                    });
                    pace(started, options.timing.due(Duration::from_nanos(first - begin)));
                    process::play(options, file, written)
                })
            })
            .collect();
        running.into_iter().map(join).collect::<Result<Vec<Played>, ReplayError>>()
    })?;
    Ok(Replayed { processes: played, elapsed_ms: crate::engine::elapsed_ms(started) })
}

fn join(
    handle: std::thread::ScopedJoinHandle<'_, Result<Played, ReplayError>>,
) -> Result<Played, ReplayError> {
    let panicked = |_| ReplayError::Process { trace: "a trace".into(), what: "its thread panicked".into() };
    handle.join().map_err(panicked)?
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the state is as wanted; whoever changes it notifies.
fn wait_for<T>(state: &(Mutex<T>, Condvar), wanted: impl Fn(&T) -> bool) {
    let held = state.1.wait_while(lock(&state.0), |state| !wanted(state));
    drop(held.unwrap_or_else(PoisonError::into_inner));
}

/// Lets time pass until something is due.
fn pace(began: Instant, due: Duration) {
    if let Some(left) = due.checked_sub(began.elapsed()) {
        std::thread::sleep(left); // tidy: the recorded pace is what was asked for, nothing waits for anything
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbu_trace::{Call, Header};

    #[test]
    fn a_process_waits_for_those_that_had_ended_before_it_began_and_never_for_itself() {
        let lifetimes = [(5, 5), (5, 5), (5, 9), (6, 8)];
        let waits = |index| {
            (0..lifetimes.len()).filter(|other| waits_for(&lifetimes, index, *other)).collect::<Vec<_>>()
        };
        assert_eq!(waits(0), [0; 0], "one that made a call of no length, and another at the same moment");
        assert_eq!(waits(1), [0; 0]);
        assert_eq!(waits(2), [0; 0]);
        assert_eq!(waits(3), [0, 1]);
    }

    fn trace(calls: Vec<(&str, Vec<Value>, Option<u64>)>) -> (PathBuf, Trace) {
        let names: Vec<String> = calls.iter().map(|(name, ..)| format!("stspi_{name}")).collect();
        let calls = calls.into_iter().enumerate().map(|(entry, (_, arguments, handle))| {
            let mut results = vec![Value::Nothing; 3];
            results.extend(handle.map(Value::Handle));
            Call { thread: 1, entry, start_ns: 0, duration_ns: 0, code: 0, arguments, results }
        });
        let calls = calls.collect();
        let header = Header {
            pid: 1,
            process: "bptm".into(),
            started_unix_ns: 1,
            plugin: "p".into(),
            entry_points: names,
        };
        (PathBuf::new(), Trace { header, calls, unfinished: Vec::new(), cut_bytes: 0 })
    }

    #[test]
    fn images_that_the_storage_makes_of_others_are_not_checked() {
        let image =
            |name: &str| vec![Value::Nothing, Value::Fields(vec![Value::Number(7), Value::text(name)])];
        let (number, handle) = (Value::Number, Value::Handle);
        let copy = |from, from_offset, to, offset| {
            vec![handle(from), number(from_offset), number(512), handle(to), number(offset)]
        };
        let first = trace(vec![
            ("create_image", image("base"), Some(1)),
            ("create_image", image("included"), Some(2)),
            ("include_in_image", vec![handle(2)], None),
            ("create_image", image("moved"), Some(3)),
            ("copy_extent", copy(1, 0, 3, 0), None),
            ("copy_extent", copy(1, 1024, 3, 512), None),
            ("open_image", image("nobody's"), Some(4)),
            ("create_image", image("of nobody's"), Some(5)),
            ("copy_extent", copy(4, 0, 5, 0), None),
        ]);
        // The same numbers are other handles in another process.
        let second = trace(vec![
            ("open_image", image("base"), Some(1)),
            ("create_image", image("copy"), Some(2)),
            ("copy_extent", copy(1, 512, 2, 512), None),
            ("open_image", image("included"), Some(3)),
            ("create_image", image("copy of included"), Some(4)),
            ("copy_extent", copy(3, 0, 4, 0), None),
            ("create_image", image("copy of that"), Some(5)),
            ("copy_extent", copy(4, 0, 5, 0), None),
        ]);
        let written = written_here(&[second, first]);
        assert_eq!(written.iter().map(String::as_str).collect::<Vec<_>>(), ["base", "copy"]);
    }

    #[test]
    fn timings_are_read() {
        assert_eq!("asap".parse(), Ok(Timing::Asap));
        assert_eq!("original".parse(), Ok(Timing::Speed(1.0)));
        assert_eq!("x2.5".parse(), Ok(Timing::Speed(2.5)));
        for wrong in ["", "x", "x0", "2", "x-1", "fast"] {
            assert!(wrong.parse::<Timing>().is_err(), "{wrong}");
        }
        assert_eq!(Timing::Speed(2.0).due(Duration::from_secs(3)), Duration::from_millis(1500));
        assert_eq!(Timing::Asap.due(Duration::from_secs(3)), Duration::ZERO);
    }

    #[test]
    fn a_directory_without_traces_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_all(dir.path()).unwrap_err().to_string();
        assert!(error.contains("run --trace"), "{error}");
    }
}
