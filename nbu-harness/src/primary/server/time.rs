//! When the virtual clock goes on: while no data process runs, to the next event, as far as the operator's goal allows.

use super::{Server, ServerError};
use crate::primary::event::Input;
use crate::primary::job::Job;
use crate::primary::wire::{Reached, Reply, Until};

enum Step {
    Clock(u64),
    Reached(Reached),
}

impl Server {
    /// Lets time pass as far as the goal allows and no data process runs.
    pub(super) fn go_on(&mut self) -> Result<(), ServerError> {
        while let Some(step) = self.next_step() {
            match step {
                Step::Clock(at) => self.apply(Input::Clock(at))?,
                Step::Reached(reached) => {
                    if let Some((_, reply)) = self.goal.take() {
                        let _ = reply.send(Reply::Reached(reached));
                    }
                }
            }
        }
        Ok(())
    }

    fn next_step(&self) -> Option<Step> {
        let (core, (goal, _)) = (self.core.as_ref()?, self.goal.as_ref()?);
        if core.is_active() || !self.unquiet.is_empty() {
            return None;
        }
        let timer = core.next_timer();
        match goal {
            Until::Settled(jobs) => {
                let settled = |id: &u64| core.job(*id).is_none_or(Job::is_settled);
                Some(match timer {
                    _ if jobs.iter().all(settled) => Step::Reached(Reached::Yes),
                    Some(at) => Step::Clock(at),
                    None => Step::Reached(Reached::Stuck),
                })
            }
            // Nobody waits for image cleanup, so it does not make the clock go on where jobs are waited for.
            Until::At(end) => {
                Some(match timer.into_iter().chain([core.next_cleanup()]).min().filter(|at| at <= end) {
                    Some(at) => Step::Clock(at),
                    None if core.now() < *end => Step::Clock(*end),
                    None => Step::Reached(Reached::Yes),
                })
            }
        }
    }
}
