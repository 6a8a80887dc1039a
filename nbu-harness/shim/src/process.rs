//! What the library knows in one process, made at its first call; a forked child makes its own.

use std::env;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nbu_trace::orders;

use crate::argument::Handles;
use crate::deeds::Defective;
use crate::faults::Faults;
use crate::older::Older;
use crate::recorder::Recorder;
use crate::target::Target;

/// The state of the process that runs, or of the one it was forked from. Never freed: a thread may be using it.
static PROCESS: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    /// Why nothing is wrapped has been said already, on standard error.
    pub(crate) target: Option<Target>,
    pub(crate) faults: Faults,
    pub(crate) defect: Option<Defective>,
    pub(crate) older: Option<Older>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) handles: Mutex<Handles>,
    threads: AtomicU64,
}

impl Process {
    /// The state of this process.
    pub(crate) fn current() -> &'static Self {
        let pid = std::process::id();
        let seen = PROCESS.load(Ordering::Acquire);
        if let Some(process) = Self::of(seen).filter(|process| process.pid == pid) {
            return process;
        }
        let made = Box::into_raw(Box::new(Self::start(pid)));
        match PROCESS.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just made, and never freed from now on.
            Ok(_) => unsafe { &*made },
            Err(other) => {
                // SAFETY: nobody else has seen this one.
                drop(unsafe { Box::from_raw(made) });
                Self::of(other).unwrap_or_else(|| Self::current())
            }
        }
    }

    fn of(pointer: *mut Self) -> Option<&'static Self> {
        // SAFETY: null, or published by `current` and never freed.
        unsafe { pointer.as_ref() }
    }

    fn start(pid: u32) -> Self {
        let name = process_name();
        let defect = complain(Defective::from_environment());
        let target = complain(Target::load(env::var_os(orders::PLUGIN).as_deref()));
        let plugin = target.as_ref().map(|target| target.path.as_path());
        let recorder = env::var_os(orders::TRACE).map(|dir| Recorder::new(dir.into(), &name, plugin));
        let faults = complain(Faults::from_environment(&name));
        // Orders that cannot be read must not pass for faults that never struck: nothing is wrapped then.
        let older = complain(Older::from_environment());
        let target = target.filter(|_| faults.is_some() && defect.is_some() && older.is_some());
        let (mut faults, defect, older) = (faults.unwrap_or_default(), defect.flatten(), older.flatten());
        if let Some(defect) = &defect {
            faults.add_deed(defect.deed(), &name);
        }
        let (handles, threads) = (Mutex::default(), AtomicU64::new(1));
        Self { pid, target, faults, defect, older, recorder, handles, threads }
    }

    /// A number for a thread that calls for the first time.
    pub(crate) fn number_thread(&self) -> u64 {
        self.threads.fetch_add(1, Ordering::Relaxed)
    }
}

fn complain<T>(result: Result<T, String>) -> Option<T> {
    result.map_err(|error| eprintln!("nbu-shim: {error}")).ok()
}

/// The name that the process goes by, such as `bptm`.
fn process_name() -> String {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let name: String =
        name.trim().chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if name.is_empty() { "unknown".into() } else { name }
}
