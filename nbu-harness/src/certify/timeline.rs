//! When the jobs of a scenario were queued, active and done, and how many bytes they had moved in between: an observer
//! between the engine and whoever watches.

use crate::engine::{JobRecord, Observer};
use crate::nbu::{JobEvent, JobKind, JobState};
use crate::scenario::Scenario;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Most samples kept for a job; a longer job has every other one taken away, and again.
const SAMPLES: usize = 240;

/// The times of one job, in milliseconds since the scenario began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobTimes {
    /// Job id.
    pub job_id: u64,
    /// When it was queued.
    pub queued_ms: u64,
    /// When its first process was there; none when there never was one.
    pub active_ms: Option<u64>,
    /// When it was done.
    pub done_ms: Option<u64>,
    /// Bytes moved so far, as pairs of time and bytes.
    pub samples: Vec<(u64, u64)>,
}

/// Notes the times and passes everything on.
pub(super) struct Timeline<'a> {
    inner: &'a dyn Observer,
    started: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    jobs: BTreeMap<u64, JobTimes>,
    processes: BTreeSet<u32>,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(inner: &'a dyn Observer) -> Self {
        Self { inner, started: Instant::now(), noted: Mutex::default() }
    }

    /// Times in order of the job ids, and the ids of all processes of the jobs.
    pub(super) fn into_parts(self) -> (Vec<JobTimes>, BTreeSet<u32>) {
        let noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        (noted.jobs.into_values().collect(), noted.processes)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn mark(&self, job_id: u64, change: impl FnOnce(&mut JobTimes, u64)) {
        let now = self.now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || JobTimes { job_id, queued_ms: now, ..JobTimes::default() };
        change(noted.jobs.entry(job_id).or_insert_with(fresh), now);
    }
}

impl JobTimes {
    fn sample(&mut self, now: u64, bytes: u64) {
        if self.samples.len() >= SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.samples.push((now, bytes));
    }
}

impl Observer for Timeline<'_> {
    fn note(&self, text: &str) {
        self.inner.note(text);
    }

    fn scenario(&self, scenario: &Scenario) {
        self.inner.scenario(scenario);
    }

    fn job_queued(&self, job_id: u64, kind: JobKind, client: &str, name: &str) {
        self.mark(job_id, |_, _| {});
        self.inner.job_queued(job_id, kind, client, name);
    }

    fn job_event(&self, job_id: u64, event: &JobEvent) {
        match event {
            // A job that is tried again or resumed was active before.
            JobEvent::State(JobState::Active) => self.mark(job_id, |times, now| {
                times.active_ms.get_or_insert(now);
            }),
            JobEvent::Progress { bytes, .. } => self.mark(job_id, |times, now| times.sample(now, *bytes)),
            JobEvent::ProcessStarted { pid, .. } => {
                self.noted.lock().unwrap_or_else(PoisonError::into_inner).processes.insert(*pid);
            }
            _ => {}
        }
        self.inner.job_event(job_id, event);
    }

    fn job_done(&self, job: &JobRecord) {
        self.mark(job.result.job_id, |times, now| times.done_ms = Some(now));
        self.inner.job_done(job);
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Silent;

    #[test]
    fn a_long_job_keeps_samples_from_its_beginning_to_its_end() {
        let timeline = Timeline::new(&Silent);
        timeline.job_queued(3, JobKind::Backup, "c", "a");
        timeline.job_event(3, &JobEvent::State(JobState::Active));
        timeline.job_event(3, &JobEvent::ProcessStarted { name: "bpbrm".into(), pid: 77 });
        for bytes in 0..10_000 {
            timeline.job_event(3, &JobEvent::Progress { bytes, files: 0, total_bytes: None });
        }
        let (jobs, processes) = timeline.into_parts();
        assert_eq!(processes, BTreeSet::from([77]));
        let [job] = &jobs[..] else { panic!("{jobs:?}") };
        assert!(job.active_ms.is_some() && job.done_ms.is_none());
        assert!(job.samples.len() <= SAMPLES, "{}", job.samples.len());
        assert_eq!(job.samples.first().map(|sample| sample.1), Some(0));
        assert_eq!(job.samples.last().map(|sample| sample.1), Some(9999));
    }
}
