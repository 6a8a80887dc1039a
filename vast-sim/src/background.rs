//! What the cluster does by itself when its clock says so: schedules, expiry, tasks.
//!
//! Jobs run one after the other in order of due time. Advancing the clock stops at every due time on the way, so that a
//! week in one step leaves exactly what a week leaves.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::CannotAdvance;
use crate::core::Core;
use crate::store::lock;
use crate::store::state::State;

/// Something that is due from time to time. Called from one thread at a time.
pub(crate) trait Job: Sync {
    /// For the log.
    fn name(&self) -> &'static str;
    /// When it is due next, in milliseconds since 1970; none when nothing is waiting. Asked often: must not look at
    /// every object.
    fn next_due(&self, core: &Core) -> Option<u64>;
    /// Does what was due at `at`; afterwards [`Self::next_due`] must be later than `at`.
    fn run(&self, core: &Arc<Core>, at: u64);
    /// Whether it changes what is stored, so that quotas have to be looked at.
    fn stores(&self) -> bool {
        false
    }
    /// The clock is about to jump to `end`: leaves out work beyond all bounds that nothing would be left of by then.
    fn before_jump(&self, core: &Core, end: u64) {
        let _ = (core, end);
    }
}

/// All jobs; earlier ones go first when due at the same time.
static JOBS: &[&dyn Job] = &[
    &crate::faults::Expiry,
    &crate::metrics::Slots,
    &crate::vms::tasks::Tasks,
    &crate::s3::lifecycle::Expiry,
    &crate::vms::resources::quotas::Reviews,
    &crate::vms::resources::protection::Schedules,
    &crate::vms::resources::snapshots::Expiry,
];

/// Longest time without a look at what is due, for work that nobody announced.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One at a time, and a bell for new work.
#[derive(Debug, Default)]
pub(crate) struct Background {
    turn: Mutex<()>,
    bell: Notify,
}

impl Background {
    /// Keeps jobs from running until what this gives is dropped.
    pub(crate) fn pause(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    /// Something may have become due earlier than before.
    pub(crate) fn wake(&self) {
        self.bell.notify_one();
    }
}

fn earliest(core: &Core, jobs: &[&'static dyn Job]) -> Option<(u64, &'static dyn Job)> {
    jobs.iter().filter_map(|job| Some((job.next_due(core)?, *job))).min_by_key(|(due, _)| *due)
}

fn run(core: &Arc<Core>, job: &'static dyn Job, due: u64) -> bool {
    tracing::debug!(job = job.name(), due, "running");
    job.run(core, due);
    if job.stores() {
        core.metrics.touch(core);
    }
    let moved_on = job.next_due(core).is_none_or(|next| next > due);
    if !moved_on {
        tracing::error!(job = job.name(), due, "still due after it ran; left until the next look");
    }
    moved_on
}

/// Runs everything that is due by now.
fn run_due(core: &Arc<Core>) {
    let _turn = core.background.pause();
    let mut jobs: Vec<&'static dyn Job> = JOBS.to_vec();
    while let Some((due, job)) = earliest(core, &jobs).filter(|(due, _)| *due <= core.now_ms()) {
        if !run(core, job, due) {
            jobs.retain(|j| j.name() != job.name());
        }
    }
}

/// Lets `by` pass on the cluster's clock and everything happen that is due on the way. Blocks for as long as that takes.
pub(crate) fn advance(core: &Arc<Core>, by: Duration) -> Result<(), CannotAdvance> {
    run_due(core);
    let _turn = core.background.pause();
    let clock = &core.config.clock;
    // Only a clock that can be advanced gets further than this.
    clock.advance(Duration::ZERO)?;
    let end = clock.now() + by;
    // Before anything happens on the way: what a crash leaves of it must not lie ahead of the next start's clock.
    keep_advance(core, clock.advanced().saturating_add(by));
    let end_ms = crate::env::millis(end);
    for job in JOBS {
        job.before_jump(core, end_ms);
    }
    let mut jobs: Vec<&'static dyn Job> = JOBS.to_vec();
    while let Some((due, job)) = earliest(core, &jobs).filter(|(due, _)| *due <= end_ms) {
        clock.advance(Duration::from_millis(due.saturating_sub(core.now_ms())))?;
        if !run(core, job, due) {
            jobs.retain(|j| j.name() != job.name());
        }
    }
    clock.advance(end.duration_since(clock.now()).unwrap_or_default())?;
    // A clock that ticks has come a part of the way by itself.
    keep_advance(core, clock.advanced());
    Ok(())
}

fn keep_advance(core: &Core, advanced: Duration) {
    let ms = u64::try_from(advanced.as_millis()).unwrap_or(u64::MAX);
    core.store.write(|state| state.set_advanced_ms(ms));
}

/// Brings the clock of a cluster that starts again to where it was advanced before. A clock that was advanced as far
/// already, because it outlived the cluster, stays.
pub(crate) fn resume_clock(core: &Core) {
    let clock = &core.config.clock;
    let kept = Duration::from_millis(core.store.read(State::advanced_ms));
    let missing = kept.saturating_sub(clock.advanced());
    if !missing.is_zero() && clock.advance(missing).is_err() {
        tracing::warn!(?missing, "the clock was advanced before this start, and this one cannot be");
    }
}

/// Runs jobs as they become due until it is dropped.
pub(crate) async fn keep_running(core: Arc<Core>) {
    loop {
        let worker = Arc::clone(&core);
        if tokio::task::spawn_blocking(move || run_due(&worker)).await.is_err() {
            tracing::error!("a background job failed");
        }
        let now = core.now_ms();
        let wait = earliest(&core, JOBS).map_or(LOOK_AGAIN, |(due, _)| {
            // A job that stayed due is not tried again at once.
            Duration::from_millis(due.saturating_sub(now).max(1)).min(LOOK_AGAIN)
        });
        tokio::select! {
            () = core.config.clock.sleep(wait) => {}
            () = core.background.bell.notified() => {}
        }
    }
}
