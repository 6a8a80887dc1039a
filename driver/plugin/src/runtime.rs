//! The two runtimes: one that lives inside the host's calls, one with two threads of its own.
//!
//! Either way a call of the host drives its own future, with SIGPIPE blocked, and ends by its deadline.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use ost_abi::{STS_ESYSCALL, STS_ETIMEDOUT};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::signals::{self, AllBlocked, SigpipeBlocked};

/// Threads of the multi-threaded plug-in, per process: one of them keeps a core busy with socket copies, two keep
/// several streams from waiting for each other; more only take processor time from the host.
const WORKERS: usize = 2;

/// Which library this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadModel {
    /// `libstspiVastData.so`: starts no thread, name resolution included.
    Single,
    /// `libstspiVastDataMT.so`: one small runtime per process, shared by all handles.
    Multi,
}

/// What drives the plug-in's I/O.
#[derive(Debug)]
pub(crate) enum Driver {
    /// I/O advances only inside [`Driver::run`] and [`Driver::turn`].
    Single(Box<Runtime>),
    /// I/O advances on the plug-in's own threads.
    Multi(Handle, Mutex<Option<Runtime>>),
}

impl Driver {
    pub(crate) fn new(model: ThreadModel) -> Result<Self, Fault> {
        let failed = |e| Fault::new(STS_ESYSCALL, format_args!("cannot start the plug-in's runtime: {e}"));
        match model {
            ThreadModel::Single => {
                let runtime =
                    Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
                Ok(Self::Single(Box::new(runtime)))
            }
            ThreadModel::Multi => {
                // The new threads inherit the mask, so not even their first instruction runs a handler of the host.
                let _masked = AllBlocked::new();
                let runtime = Builder::new_multi_thread()
                    .worker_threads(WORKERS)
                    .thread_name("vastost")
                    .on_thread_start(signals::block_all)
                    .enable_io()
                    .enable_time()
                    .build()
                    .map_err(failed)?;
                Ok(Self::Multi(runtime.handle().clone(), Mutex::new(Some(runtime))))
            }
        }
    }

    /// Runs a future to its end on the calling thread, or gives up at the deadline.
    pub(crate) fn run<F: Future>(&self, deadline: Duration, future: F) -> Result<F::Output, Fault> {
        let _quiet = SigpipeBlocked::new();
        let bounded = async { tokio::time::timeout(deadline, future).await };
        let result = match self {
            Self::Single(runtime) => runtime.block_on(bounded),
            Self::Multi(handle, _) => handle.block_on(bounded),
        };
        result.map_err(|_| {
            let message = format!("gave up after {} s; is the storage reachable?", deadline.as_secs());
            Fault::new(STS_ETIMEDOUT, message)
        })
    }

    /// Starts work that outlives the call. In a single-threaded plug-in it advances while other calls run.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self {
            Self::Single(runtime) => runtime.spawn(future),
            Self::Multi(handle, _) => handle.spawn(future),
        }
    }

    /// Lets uploads and read-ahead of a single-threaded plug-in advance without waiting for them.
    pub(crate) fn turn(&self) {
        if let Self::Single(runtime) = self {
            let _quiet = SigpipeBlocked::new();
            runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Ends the plug-in's threads, waiting at most `patience` for them.
    pub(crate) fn shutdown(&self, patience: Duration) {
        if let Self::Multi(_, runtime) = self
            && let Ok(mut runtime) = runtime.lock()
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_timeout(patience);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_ends_a_call() {
        for model in [ThreadModel::Single, ThreadModel::Multi] {
            let driver = Driver::new(model).unwrap();
            let fault = driver.run(Duration::from_millis(5), std::future::pending::<()>()).unwrap_err();
            assert_eq!(fault.code, STS_ETIMEDOUT, "{model:?}");
        }
    }

    #[test]
    fn spawned_work_advances_in_turns() {
        let driver = Driver::new(ThreadModel::Single).unwrap();
        let (tx, mut rx) = tokio::sync::oneshot::channel();
        driver
            .run(Duration::from_secs(5), async {
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    let _ = tx.send(7);
                });
            })
            .unwrap();
        let turns = (1..100).find(|_| {
            driver.turn();
            rx.try_recv() == Ok(7)
        });
        assert!(turns.is_some(), "100 turns moved nothing");
    }
}
