//! Media servers that are paused: which processes were stopped, so that they, and no others, go on later.

use crate::primary::Servers;
use crate::scenario::PauseStep;
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Stopped processes by media server.
#[derive(Debug, Default)]
pub(super) struct Paused(Mutex<BTreeMap<String, Vec<u32>>>);

impl Paused {
    /// Stops a media server with `processes` of its jobs, or lets those go on that were stopped. Returns how many
    /// processes that concerned.
    pub(super) fn signal(&self, servers: &Servers, step: &PauseStep, processes: &[u32]) -> u64 {
        let mut stopped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (pids, signal) = if step.paused {
            // The one that starts others first: nothing new appears meanwhile.
            let pids: Vec<u32> =
                servers.pid(&step.server).into_iter().chain(processes.iter().copied()).collect();
            stopped.insert(step.server.clone(), pids.clone());
            (pids, Signal::STOP)
        } else {
            (stopped.remove(&step.server).unwrap_or_default(), Signal::CONT)
        };
        let signalled = pids.iter().filter(|pid| {
            let pid = i32::try_from(**pid).ok().and_then(Pid::from_raw);
            pid.is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
        });
        signalled.count() as u64
    }
}
