//! What an operator orders about jobs. A part of the [`Core`] in a file of its own.

use super::core::{Core, status};
use super::event::{Effect, JobOrder};
use crate::nbu::JobState;

impl Core {
    pub(super) fn order(&mut self, id: u64, order: JobOrder, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match (order, job.state) {
            (JobOrder::Cancel | JobOrder::Suspend, JobState::Active) if job.submission.is_none() => {
                let children: Vec<u64> =
                    self.jobs.values().filter(|job| job.parent == Some(id)).map(|job| job.id).collect();
                for child in children {
                    self.order(child, order, effects);
                }
            }
            (JobOrder::Cancel | JobOrder::Suspend, JobState::Active) if job.active_try().is_some() => {
                self.stopping.insert(id, order);
                effects.push(Effect::Stop { job: id, suspend: order == JobOrder::Suspend });
            }
            (JobOrder::Cancel, JobState::Done) => {}
            (JobOrder::Cancel, _) => self.done(id, status::CANCELLED, effects),
            (JobOrder::Suspend, JobState::Active | JobState::Queued | JobState::Requeued) => {
                (job.state, job.timer, job.status) = (JobState::Suspended, None, Some(status::SUSPENDED));
                effects.push(Effect::Changed(id));
            }
            (JobOrder::Resume, JobState::Suspended | JobState::Incomplete) => {
                (job.state, job.timer, job.reason) = (job.waiting(), None, None);
                effects.push(Effect::Changed(id));
            }
            (JobOrder::Restart, JobState::Done) if job.can_be_restarted() => {
                if let Some(submission) = job.submission.clone() {
                    self.submit(vec![submission], effects);
                }
            }
            // Whatever else is asked of a job in another state means nothing there.
            _ => {}
        }
    }
}
