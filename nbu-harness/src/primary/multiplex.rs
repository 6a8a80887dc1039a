//! Multiplexed backups: nbrb puts backups that get their storage together into a group, and nbjm lets none of a group go on
//! before the images of all are open.
//!
//! On a tape the blocks of a group are interleaved by one drive. A disk keeps the images apart, each with a bpbrm, a bptm
//! and shared memory of its own; what is left of the group is that its images are open at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::event::Effect;
use super::job::{Job, Try};
use crate::nbu::MultiplexGroup;
use crate::nbu::order::JobRequest;

/// Forms the groups among jobs that were granted storage in one pass: of one schedule, on one storage unit, disk volume and
/// media server, and not larger than the schedule's multiplexing. `number` is the last group's.
pub(super) fn form<'a>(granted: &mut [Effect], number: &mut u64, job: impl Fn(u64) -> Option<&'a Job>) {
    let mut together: BTreeMap<(&str, &str, &str, &str, &str), Vec<usize>> = BTreeMap::new();
    let mut limits = BTreeMap::new();
    for (index, effect) in granted.iter().enumerate() {
        let Effect::Start { job: id, .. } = effect else { continue };
        let Some((asked, at)) = job(*id).and_then(|job| Some((job.submission.as_ref()?, job.active_try()?)))
        else {
            continue;
        };
        if asked.multiplexing > 1 && asked.request.is_backup() {
            let Try { unit, volume, media_server, .. } = at;
            let key = (asked.policy.as_str(), asked.schedule.as_str(), &**unit, &**volume, &**media_server);
            together.entry(key).or_default().push(index);
            limits.insert(key, asked.multiplexing as usize);
        }
    }
    for (key, indices) in together {
        let limit = limits.get(&key).copied().unwrap_or(1);
        for members in indices.chunks(limit).filter(|members| members.len() > 1) {
            *number += 1;
            let images = u32::try_from(members.len()).unwrap_or(u32::MAX);
            for index in members {
                if let Some(Effect::Start { request, .. }) = granted.get_mut(*index)
                    && let JobRequest::Backup(backup) = &mut **request
                {
                    backup.multiplexed = Some(MultiplexGroup { number: *number, images });
                }
            }
        }
    }
}

/// A group whose backups run.
#[derive(Debug)]
pub(super) struct Group {
    images: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Jobs whose images are open or were.
    open: BTreeSet<u64>,
    /// Jobs that ended without.
    over: BTreeSet<u64>,
    /// How many images were open when nothing more was to come.
    whole: Option<u32>,
}

impl Group {
    pub(super) fn of(group: MultiplexGroup) -> Self {
        Self { images: group.images as usize, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image of a job is open.
    pub(super) fn open(&self, job: u64) {
        let mut state = self.state();
        state.open.insert(job);
        state.complete(self.images);
    }

    /// A job has ended; the others do not wait for it.
    pub(super) fn over(&self, job: u64) {
        let mut state = self.state();
        if !state.open.contains(&job) {
            state.over.insert(job);
        }
        state.complete(self.images);
    }

    /// How many images the group has open, once it is all that there will be.
    pub(super) fn whole(&self) -> Option<u32> {
        self.state().whole
    }
}

impl State {
    fn complete(&mut self, images: usize) {
        if self.whole.is_none() && self.open.len() + self.over.len() >= images {
            self.whole = Some(u32::try_from(self.open.len()).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_goes_on_when_all_images_are_open_and_waits_for_none_that_ended() {
        let group = Group::of(MultiplexGroup { number: 1, images: 3 });
        group.open(1);
        group.open(1);
        assert_eq!(group.whole(), None, "one that is heard of twice is one");
        group.over(2);
        assert_eq!(group.whole(), None);
        group.open(3);
        assert_eq!(group.whole(), Some(2));
        group.over(3);
        assert_eq!(group.whole(), Some(2), "what ends later was open");
    }
}
