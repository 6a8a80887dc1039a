//! Faults: which call is hit by which, and what becomes of it.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nbu_trace::defects::Deed;
use nbu_trace::orders::{self, FaultEffect, FaultOrder};
use ost_abi::{ENTRY_POINTS, STS_BLOCK_SIZE, STS_CLOSEF_IH_COMPLETE, STS_EBUSY, STS_EINVAL, c_int};

use crate::argument::Arguments;

/// A fault and how many calls of its entry point it has seen.
#[derive(Debug)]
struct Armed {
    order: FaultOrder,
    entry: usize,
    seen: AtomicU64,
    /// A defect, which nobody counts.
    defect: bool,
}

/// All faults of this process.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    hits: Option<PathBuf>,
}

/// Calls that end a handle whatever they answer.
const CLOSING: [&str; 6] = [
    "stspi_close_server",
    "stspi_close_lsu_list",
    "stspi_close_image",
    "stspi_close_image_list",
    "stspi_end_copy_image",
    "stspi_close_evchannel",
];

/// What the faults make of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Struck {
    /// The host gets this.
    pub(crate) answer: Option<c_int>,
    /// The wrapped plug-in gets the call nevertheless, and its answer is dropped.
    pub(crate) made: bool,
    /// A bit of what was read that is to be flipped.
    flip: Option<u64>,
}

impl Faults {
    /// The faults of the environment that concern a process of this name. The error is a sentence.
    pub(crate) fn from_environment(process: &str) -> Result<Self, String> {
        let hits = env::var_os(orders::HITS).map(PathBuf::from);
        match env::var(orders::FAULTS) {
            Ok(text) => Self::read(&text, process, hits),
            Err(env::VarError::NotPresent) => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", orders::FAULTS)),
        }
    }

    fn read(text: &str, process: &str, hits: Option<PathBuf>) -> Result<Self, String> {
        let all: Vec<FaultOrder> =
            serde_json::from_str(text).map_err(|error| format!("{}: {error}", orders::FAULTS))?;
        let mut armed = Vec::new();
        for order in all {
            order.check().map_err(|error| format!("{}: {error}", orders::FAULTS))?;
            let name = order.entry_point();
            let entry = ENTRY_POINTS.iter().position(|known| *known == name);
            if let Some(entry) = entry.filter(|_| order.process.as_deref().is_none_or(|only| only == process))
            {
                armed.push(Armed { order, entry, seen: AtomicU64::new(0), defect: false });
            }
        }
        Ok(Self { armed, hits })
    }

    /// Adds what a defective plug-in does, where that is a fault that concerns a process of this name.
    pub(crate) fn add_deed(&mut self, deed: Deed, process: &str) {
        if let Deed::Fault { call, effect, skip, times, process: only } = deed
            && only.is_none_or(|only| only == process)
            && let Some(entry) = ENTRY_POINTS.iter().position(|known| *known == call)
        {
            let order = FaultOrder { id: 0, call: call.to_owned(), effect, skip, times, process: None };
            self.armed.push(Armed { order, entry, seen: AtomicU64::new(0), defect: true });
        }
    }

    /// Lets the faults of a call strike.
    ///
    /// # Safety
    /// Pointers among the arguments are null or point at what the prototype says.
    pub(crate) unsafe fn strike(&self, entry: usize, arguments: &mut Arguments<'_, '_>) -> Struck {
        let mut struck = Struck::default();
        for armed in self.armed.iter().filter(|armed| armed.entry == entry) {
            let number = armed.seen.fetch_add(1, Ordering::Relaxed);
            if number < armed.order.skip || number - armed.order.skip >= armed.order.times {
                continue;
            }
            if !armed.defect {
                self.note(armed.order.id);
            }
            match armed.order.effect {
                FaultEffect::Error(code) => return struck.answered(armed, code, arguments),
                FaultEffect::Busy => return struck.answered(armed, STS_EBUSY, arguments),
                FaultEffect::StaleHandle => return struck.answered(armed, STS_EINVAL, arguments),
                FaultEffect::Short(bytes) => shorten(arguments, bytes),
                FaultEffect::Delay(ms) => delay(ms),
                FaultEffect::Hang => hang(),
                FaultEffect::Crash(signal) => crash(signal),
                FaultEffect::Corrupt(bit) => struck.flip = Some(bit),
            }
        }
        struck
    }

    /// Tells whoever gave the order. Before the effect: some leave no later.
    fn note(&self, id: u64) {
        let Some(path) = &self.hits else { return };
        let opened = OpenOptions::new().append(true).create(true).open(path);
        if let Err(error) = opened.and_then(|mut file| file.write_all(format!("{id}\n").as_bytes())) {
            eprintln!("nbu-shim: {}: {error}", path.display());
        }
    }
}

impl Struck {
    fn answered(mut self, armed: &Armed, code: c_int, arguments: &mut Arguments<'_, '_>) -> Self {
        self.answer = Some(code);
        self.made = CLOSING.contains(&armed.order.entry_point().as_str());
        if self.made
            && let Some(flags) = arguments.flags("flags")
        {
            *flags &= !STS_CLOSEF_IH_COMPLETE;
        }
        self
    }

    /// Flips the bit that was ordered, if one was, in what was read.
    ///
    /// # Safety
    /// The plug-in has answered with success, so `buffer` holds as many bytes as `read` says.
    pub(crate) unsafe fn flip(self, arguments: &mut Arguments<'_, '_>) {
        let Some(bit) = self.flip else { return };
        // SAFETY: the caller's promise.
        let Some(bytes) = (unsafe { arguments.bytes_read() }).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        let bit = bit % (bytes.len() as u64 * 8);
        if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Fewer bytes, in whole blocks where there are several: a write of anything else would be refused.
fn shorten(arguments: &mut Arguments<'_, '_>, bytes: u64) {
    if let Some(length) = arguments.number("length") {
        let wanted = bytes.min(*length);
        *length = if wanted >= STS_BLOCK_SIZE { wanted - wanted % STS_BLOCK_SIZE } else { wanted };
    }
}

/// The call comes later.
fn delay(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms)); // tidy: it is what was ordered, nothing waits for anything
}

/// Until somebody kills the process.
fn hang() -> ! {
    loop {
        // SAFETY: waits for a signal, touches nothing.
        unsafe { libc::pause() };
    }
}

/// Ends the process by a signal, whatever the host had arranged for it.
fn crash(signal: c_int) -> ! {
    // SAFETY: the set is initialised by sigemptyset; all pointers are to locals; no handler of the host runs any more.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        let mut set = set.assume_init();
        libc::sigaddset(&raw mut set, signal);
        libc::signal(signal, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    // One that does not end a process was asked for.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_cannot_be_carried_out_are_refused_and_others_pick_their_process() {
        let read = |text: &str| Faults::read(text, "bptm", None);
        let order = r#"[{"call": "write_image", "effect": "busy", "process": "bptm"},
            {"call": "write_image", "effect": "busy", "process": "bpdm"}, {"call": "claim", "effect": "hang"}]"#;
        assert_eq!(read(order).unwrap().armed.len(), 2);
        assert!(read("{}").unwrap_err().contains("NBU_SHIM_FAULTS"));
        assert!(read(r#"[{"call": "no_such", "effect": "busy"}]"#).unwrap_err().contains("stspi_no_such"));
    }
}
