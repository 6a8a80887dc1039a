//! The plug-in of one library in one process: started by `init`, ended by `terminate`, begun anew in a forked child.

#![allow(unsafe_code, reason = "publishes the process's state through an atomic pointer")]

use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ost_abi::{STS_ENOINIT, STS_EPLUGIN};
use vast_client::{Log as _, Severity};

use crate::cluster::Clusters;
use crate::config;
use crate::fault::Fault;
use crate::fork;
use crate::handles;
use crate::log::LogQueue;
use crate::panics;
use crate::replication::Replication;
use crate::runtime::{Driver, ThreadModel};

/// How long `terminate` waits for the plug-in's threads.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// What a started plug-in has.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Drives I/O. Made at first use, so that `init` starts no thread and a host may fork after it.
    driver: Mutex<Option<Arc<Driver>>>,
    model: ThreadModel,
    /// The configuration file.
    pub(crate) config_path: PathBuf,
    /// Clusters with a session open.
    pub(crate) clusters: Clusters,
    /// Copies that outlive the calls that began them.
    pub(crate) replication: Replication,
}

impl Engine {
    /// What drives I/O.
    pub(crate) fn driver(&self) -> Result<Arc<Driver>, Fault> {
        let mut slot = self.driver.lock().map_err(|_| poisoned())?;
        if let Some(driver) = &*slot {
            return Ok(Arc::clone(driver));
        }
        let driver = Arc::new(Driver::new(self.model)?);
        *slot = Some(Arc::clone(&driver));
        Ok(driver)
    }
}

pub(crate) fn poisoned() -> Fault {
    Fault::new(STS_EPLUGIN, "an earlier internal error left the plug-in unusable in this process; restart it")
}

/// The state of one process between two forks. Never freed: a thread may be reading it while another one forks.
#[derive(Debug)]
struct Process {
    fork: u32,
    engine: Mutex<Option<Arc<Engine>>>,
    /// Lines of calls that belong to no session.
    strays: LogQueue,
    stray: AtomicBool,
}

/// One library. A `static` in each of the two shared objects.
#[derive(Debug)]
pub struct Plugin {
    model: ThreadModel,
    process: AtomicPtr<Process>,
}

impl Plugin {
    /// A plug-in that has not been started.
    pub const fn new(model: ThreadModel) -> Self {
        Self { model, process: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Which library this is.
    pub(crate) fn model(&self) -> ThreadModel {
        self.model
    }

    fn current(&self) -> Option<&Process> {
        // SAFETY: what is published was leaked on purpose and is never freed nor changed but through its mutex.
        unsafe { self.process.load(Ordering::Acquire).as_ref() }
    }

    /// Keeps a log line until a session can take it.
    pub(crate) fn stray(&self, severity: Severity, line: &str) {
        if let Some(process) = self.current().filter(|p| p.fork == fork::generation()) {
            process.strays.log(severity, format_args!("{line}"));
            process.stray.store(true, Ordering::Release);
        }
    }

    /// Hands the lines that wait to `take`. One atomic load when there are none.
    pub(crate) fn strays(&self, take: impl FnOnce(&LogQueue)) {
        if let Some(process) = self.current().filter(|p| p.fork == fork::generation())
            && process.stray.swap(false, Ordering::AcqRel)
        {
            take(&process.strays);
        }
    }

    fn publish(&self, engine: Option<Arc<Engine>>) {
        let process = Process {
            fork: fork::generation(),
            engine: Mutex::new(engine),
            strays: LogQueue::default(),
            stray: AtomicBool::new(false),
        };
        self.process.store(Box::into_raw(Box::new(process)), Ordering::Release);
    }

    fn fresh(&self, config_path: PathBuf) -> Arc<Engine> {
        Arc::new(Engine {
            driver: Mutex::new(None),
            model: self.model,
            config_path,
            clusters: Clusters::default(),
            replication: Replication::default(),
        })
    }

    /// Starts the plug-in; starting it again changes nothing.
    pub(crate) fn start(&self) -> Result<(), Fault> {
        fork::watch();
        panics::install_hook();
        match self.current() {
            Some(process) if process.fork == fork::generation() => {
                let mut engine = process.engine.lock().map_err(|_| poisoned())?;
                if engine.is_none() {
                    *engine = Some(self.fresh(config::path()));
                }
            }
            // Before the first start, and in a child: a mutex of the parent may be held by a thread that is not here.
            _ => self.publish(Some(self.fresh(config::path()))),
        }
        Ok(())
    }

    /// The started plug-in of this process. A child of a process that had started it is started too.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>, Fault> {
        let missing = || Fault::new(STS_ENOINIT, "call stspi_init first");
        let process = self.current().ok_or_else(missing)?;
        if process.fork != fork::generation() {
            let engine = self.fresh(config::path());
            self.publish(Some(Arc::clone(&engine)));
            return Ok(engine);
        }
        process.engine.lock().map_err(|_| poisoned())?.clone().ok_or_else(missing)
    }

    /// Ends the plug-in: handles of all threads become invalid, the plug-in's threads end.
    pub(crate) fn stop(&self) -> Result<(), Fault> {
        let missing = || Fault::new(STS_ENOINIT, "the plug-in is not started");
        let process = self.current().ok_or_else(missing)?;
        if process.fork != fork::generation() {
            self.publish(None);
            return Ok(());
        }
        let engine = process.engine.lock().map_err(|_| poisoned())?.take().ok_or_else(missing)?;
        handles::invalidate_all();
        let driver = engine.driver.lock().map_err(|_| poisoned())?.take();
        if let Some(driver) = driver {
            engine.replication.stop(&driver, SHUTDOWN_PATIENCE);
            driver.shutdown(SHUTDOWN_PATIENCE);
        }
        Ok(())
    }
}
