//! What a person sees while jobs run: bars on a terminal, plain lines otherwise.

use super::Interrupt;
use crate::engine::{JobRecord, Observer};
use crate::nbu::{JobEvent, JobKind, JobState};
use crate::report;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Longest name of a job, in characters.
const NAME: usize = 48;

/// Shows jobs on standard error.
#[derive(Debug)]
pub struct Progress {
    interrupt: Interrupt,
    bars: Option<MultiProgress>,
    jobs: Mutex<HashMap<u64, Shown>>,
}

#[derive(Debug)]
struct Shown {
    kind: JobKind,
    name: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Bars when `terminal`, lines otherwise. A signal ends what is watched.
    pub fn new(terminal: bool, interrupt: Interrupt) -> Self {
        let bars = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { interrupt, bars, jobs: Mutex::default() }
    }

    /// The signal that ends what is watched.
    pub(super) const fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Shown>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        match &self.bars {
            // A terminal that is gone is no reason to stop.
            Some(bars) => drop(bars.println(text)),
            None => super::complain(text),
        }
    }

    fn bar(&self, kind: JobKind, id: u64, name: &str) -> Option<ProgressBar> {
        let bar = self.bars.as_ref()?.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix} {bytes:>10} {bytes_per_sec:>12} {msg}"));
        bar.set_prefix(format!("job {id:>4} {:<13}", report::kind_name(kind)));
        bar.set_message(name.to_owned());
        Some(bar)
    }
}

/// A style from a template of ours; one that indicatif does not understand becomes its default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Progress {
    fn interrupted(&self) -> bool {
        self.interrupt.signal().is_some()
    }

    fn note(&self, text: &str) {
        self.say(text);
    }

    fn job_queued(&self, job_id: u64, kind: JobKind, name: &str) {
        let name: String = name.chars().take(NAME).collect();
        self.jobs().insert(job_id, Shown { kind, name, bar: None });
    }

    fn job_event(&self, job_id: u64, event: &JobEvent) {
        let mut jobs = self.jobs();
        let Some(shown) = jobs.get_mut(&job_id) else { return };
        match event {
            JobEvent::State(JobState::Active) if shown.bar.is_none() => {
                shown.bar = self.bar(shown.kind, job_id, &shown.name);
                if self.bars.is_none() {
                    let kind = report::kind_name(shown.kind);
                    super::complain(&format!("job {job_id}: {kind}: {}", shown.name));
                }
            }
            JobEvent::Progress { bytes, total_bytes, .. } => {
                if let Some(bar) = &shown.bar {
                    if let Some(total) = total_bytes.filter(|total| bar.length() != Some(*total)) {
                        bar.set_length(total);
                        bar.set_style(style(
                            "{bar:24} {prefix} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {msg}",
                        ));
                    }
                    bar.set_position(*bytes);
                }
            }
            _ => {}
        }
    }

    fn job_done(&self, job: &JobRecord) {
        let result = &job.result;
        let shown = self.jobs().remove(&result.job_id);
        let name = shown.as_ref().map_or("", |shown| shown.name.as_str());
        if let Some(bar) = shown.as_ref().and_then(|shown| shown.bar.as_ref()) {
            bar.finish_and_clear();
        }
        self.say(&format!(
            "job {}: {}: status {}: {} ({} files, {} KB, {} KB/sec) {name}",
            result.job_id,
            report::kind_name(result.kind),
            result.status,
            result.text,
            result.files,
            result.kbytes,
            result.kbytes_per_sec,
        ));
    }
}
