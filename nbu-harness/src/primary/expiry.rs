//! Image cleanup by itself: at an interval the catalogue is looked through for copies whose retention is over, and each of
//! them gets a job that deletes it. When a disk volume is found to be at its high water mark, the same is done at once for
//! what it holds, the oldest first, until it should be at the low one. A part of the [`Core`] in a file of its own, and what
//! the process around it reads.
//!
//! A copy whose deletion fails is due again at the next cleanup, since it is in the catalogue still.

use super::config::{Pool, Unit};
use super::core::Core;
use super::event::{Effect, ExpiredCopy, Polled, Pressure};
use super::job::Submission;
use crate::nbu::order::JobRequest;
use crate::nbu::{Catalog, CatalogError, CopyRecord, ExpireRequest, ImageRecord, ScheduleType, StorageUnit};

/// The copies in the catalogue whose retention is over at `now`. With `dependency_check`, those of a backup that later
/// incremental ones need stay.
pub(super) fn expired(
    catalog: &Catalog,
    now: u64,
    dependency_check: bool,
) -> Result<Vec<ExpiredCopy>, CatalogError> {
    Ok(over(&catalog.images()?, now, dependency_check))
}

pub(super) fn over(images: &[ImageRecord], now: u64, dependency_check: bool) -> Vec<ExpiredCopy> {
    let over = |copy: &&CopyRecord| copy.expires.is_some_and(|at| at <= now);
    let mut expired = Vec::new();
    for image in images {
        // In this order: few have expired, and what builds on one takes a search.
        if !image.copies.iter().any(|copy| over(&copy)) || dependency_check && is_needed(image, images) {
            continue;
        }
        expired.extend(image.copies.iter().filter(over).map(|copy| ExpiredCopy {
            backup_id: image.backup_id.clone(),
            copy: copy.number,
            policy: image.policy.clone(),
            client: image.client.clone(),
            storage_server: copy.storage_server.clone(),
            lsu: copy.lsu.clone(),
            backup_time: image.backup_time,
            bytes: image.stream_bytes,
        }));
    }
    expired
}

/// Whether an incremental backup builds on this one: a differential one on the latest before it, a cumulative one on the
/// latest full one.
fn is_needed(image: &ImageRecord, images: &[ImageRecord]) -> bool {
    let of_stream = |other: &&ImageRecord| {
        (&other.client, &other.policy, other.stream) == (&image.client, &image.policy, image.stream)
    };
    let later = |other: &&ImageRecord| other.backup_time > image.backup_time;
    images.iter().filter(of_stream).filter(later).any(|other| {
        let full_only = match other.schedule_type {
            ScheduleType::Full => return false,
            ScheduleType::Differential => false,
            ScheduleType::Cumulative => true,
        };
        let before = images.iter().filter(of_stream).filter(|one| one.backup_time < other.backup_time);
        let bases = before.filter(|one| !full_only || one.schedule_type == ScheduleType::Full);
        bases.max_by_key(|one| one.backup_time).is_some_and(|base| base.backup_id == image.backup_id)
    })
}

impl Core {
    /// When image cleanup is due next.
    pub(crate) fn next_cleanup(&self) -> u64 {
        self.moment(self.config().globals.image_cleanup_interval, self.cleaned + 1)
    }

    /// The clock has gone on: whether the time of a cleanup has come or was passed.
    pub(super) fn clean_up_images(&mut self, effects: &mut Vec<Effect>) {
        if self.next_cleanup() <= self.now() {
            self.cleaned = self.now();
            effects.push(Effect::LookForExpired(None));
        }
    }

    /// What a look at a volume says of its pressure, by the marks of its pool.
    pub(super) fn pressure(&self, polled: &Polled) -> Option<Pressure> {
        let (capacity, used) = polled.space?;
        let has_it = |pool: &&Pool| pool.volumes.contains(&polled.volume);
        let pool = self.config().pools.values().find(has_it)?;
        let bytes = used.saturating_sub(pool.low_bytes(capacity));
        (used >= pool.high_bytes(capacity)).then(|| Pressure { volume: polled.volume.clone(), bytes })
    }

    /// A job for each copy that is not being deleted yet, and that its storage lifecycle policy needs no more; with a
    /// pressure for as many as relieve it.
    pub(super) fn expired(
        &mut self,
        mut copies: Vec<ExpiredCopy>,
        pressure: Option<Pressure>,
        effects: &mut Vec<Effect>,
    ) {
        copies.retain(|copy| !self.nbstserv.needs(&copy.backup_id));
        if let Some(pressure) = pressure {
            copies.retain(|copy| self.is_on(copy, &pressure.volume));
            copies.sort_by_key(|copy| copy.backup_time);
            let mut freed = 0u64;
            let mut enough = |copy: &ExpiredCopy| {
                let wanted = freed < pressure.bytes;
                freed = freed.saturating_add(copy.bytes);
                wanted
            };
            copies = copies.into_iter().take_while(|copy| enough(copy)).collect();
        }
        for copy in copies {
            let open = self.jobs().filter(|job| !job.is_done()).filter_map(|job| job.submission.as_ref());
            let is_same = |asked: &Submission| match &asked.request {
                JobRequest::Expire(request) => {
                    request.backup_id == copy.backup_id && request.copy.is_none_or(|one| one == copy.copy)
                }
                _ => false,
            };
            if open.into_iter().any(is_same) {
                continue;
            }
            if let Some(unit) = self.unit_of(&copy) {
                let submission = cleanup(copy, unit.to_owned());
                self.submit(vec![submission], effects);
            }
        }
    }

    fn is_on(&self, copy: &ExpiredCopy, volume: &str) -> bool {
        let volume = self.config().volumes.get(volume);
        volume.is_some_and(|volume| volume.server == copy.storage_server && volume.lsu == copy.lsu)
    }

    /// A storage unit that has the LSU of a copy; none when its storage has gone from the domain, which then keeps it.
    fn unit_of(&self, copy: &ExpiredCopy) -> Option<&str> {
        let config = self.config();
        let of_pool = |pool: &Pool| pool.volumes.iter().any(|volume| self.is_on(copy, volume));
        let has_it = |unit: &&Unit| config.pools.get(&unit.pool).is_some_and(of_pool);
        config.units.iter().find(has_it).map(|unit| unit.label.as_str())
    }
}

fn cleanup(copy: ExpiredCopy, unit: String) -> Submission {
    let ExpiredCopy { backup_id, copy, policy, client, .. } = copy;
    let name = format!("expired: copy {copy} of {backup_id}");
    let request = JobRequest::Expire(ExpireRequest {
        job_id: 0,
        backup_id,
        copy: Some(copy),
        storage_unit: StorageUnit::new("", "", "", ""),
        leftovers_of: None,
    });
    Submission { policy, client, ..Submission::new(request, unit, name) }
}
