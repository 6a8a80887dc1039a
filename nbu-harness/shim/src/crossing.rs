//! One call on its way through: what happens before the wrapped plug-in gets it and after it has answered.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Instant;

use nbu_trace::{Begun, Ended, Value};
use ost_abi::{Api, ENTRY_POINTS, STS_EOK, STS_EPLUGIN, c_int};

use crate::argument::{Argument, Arguments};
use crate::faults::Struck;
use crate::process::Process;

thread_local! {
    /// This thread's process and number in it. The child of a fork has its parent's thread, but not its process.
    static THREAD: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
}

/// The arguments of a call with their names.
type Named<'a, 'v> = &'a mut [(&'static str, &'v mut dyn Argument)];

/// A call on its way.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// None when even that panicked.
    process: Option<&'static Process>,
    entry: usize,
    started: Instant,
    struck: Struck,
    /// The length that the host gave, before anything changed it.
    asked: Option<u64>,
}

impl Crossing {
    /// A call has come.
    pub(crate) fn begin(entry: usize) -> Self {
        let process = catch_unwind(Process::current).ok();
        Self { process, entry, started: Instant::now(), struck: Struck::default(), asked: None }
    }

    /// The wrapped plug-in's entry points; none if there is no plug-in.
    pub(crate) fn api(&self) -> Option<&'static Api> {
        self.process.and_then(|process| process.target.as_ref()).map(|target| &target.api)
    }

    /// Before the wrapped plug-in gets the call. An answer means that it never does.
    ///
    /// # Safety
    /// Pointers among the arguments are null or point at what the prototype says.
    pub(crate) unsafe fn before(&mut self, arguments: Named<'_, '_>) -> Option<c_int> {
        let guarded = catch_unwind(AssertUnwindSafe(|| {
            let process = self.process?;
            if let Some(recorder) = &process.recorder {
                let mut handles = process.handles.lock().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: the caller's promise.
                let values = arguments.iter().map(|(_, argument)| unsafe { argument.before(&mut handles) });
                let arguments = values.collect();
                drop(handles);
                recorder.begin(&Begun {
                    thread: thread_number(process),
                    entry: self.entry,
                    start_ns: recorder.since_began(self.started),
                    arguments,
                });
            }
            self.asked = Arguments(arguments).number("length").map(|length| *length);
            // SAFETY: the caller's promise.
            self.struck = unsafe { process.faults.strike(self.entry, &mut Arguments(arguments)) };
            let mut answer = self.struck.answer.filter(|_| !self.struck.made);
            if let (None, Some(defect)) = (answer, &process.defect) {
                // SAFETY: the caller's promise.
                answer = unsafe { defect.before(self.name(), &mut Arguments(arguments)) };
            }
            if let (None, Some(older)) = (answer, &process.older) {
                answer = older.before(self.name(), &mut Arguments(arguments));
            }
            let answer = answer.or_else(|| process.target.is_none().then_some(STS_EPLUGIN));
            if let Some(code) = answer {
                self.record(process, code, Vec::new());
            }
            answer
        }));
        guarded.unwrap_or(Some(STS_EPLUGIN))
    }

    /// After the wrapped plug-in has answered; returns what the host gets.
    ///
    /// # Safety
    /// As for `before`, and with `STS_EOK` the plug-in has filled what it fills.
    pub(crate) unsafe fn after(&mut self, code: c_int, arguments: Named<'_, '_>) -> c_int {
        let guarded = catch_unwind(AssertUnwindSafe(|| {
            let Some(process) = self.process else { return STS_EPLUGIN };
            if code == STS_EOK {
                // SAFETY: the caller's promise.
                unsafe { self.struck.flip(&mut Arguments(arguments)) };
            }
            let code = match &process.defect {
                // SAFETY: the caller's promise.
                Some(defect) => unsafe {
                    defect.after(self.name(), code, self.asked, &mut Arguments(arguments))
                },
                None => code,
            };
            if let Some(older) = &process.older {
                // SAFETY: the caller's promise.
                unsafe { older.after(self.name(), code, &mut Arguments(arguments)) };
            }
            let code = self.struck.answer.unwrap_or(code);
            if process.recorder.is_some() {
                let mut results = Vec::new();
                if code == STS_EOK {
                    let mut handles = process.handles.lock().unwrap_or_else(PoisonError::into_inner);
                    // SAFETY: the caller's promise.
                    let values =
                        arguments.iter().map(|(_, argument)| unsafe { argument.after(&mut handles) });
                    results = values.collect();
                }
                self.record(process, code, results);
            }
            code
        }));
        guarded.unwrap_or(STS_EPLUGIN)
    }

    fn name(&self) -> &'static str {
        ENTRY_POINTS.get(self.entry).copied().unwrap_or_default()
    }

    fn record(&self, process: &Process, code: c_int, results: Vec<Value>) {
        let Some(recorder) = &process.recorder else { return };
        let duration_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        recorder.end(&Ended { thread: thread_number(process), duration_ns, code, results });
    }
}

fn thread_number(process: &Process) -> u64 {
    let pid = std::process::id();
    THREAD.with(|cell| {
        let (of, number) = cell.get();
        if of == pid {
            return number;
        }
        let number = process.number_thread();
        cell.set((pid, number));
        number
    })
}
