//! Image cleanup by the clock: at an interval the catalogue is looked through for copies whose retention is over, and each
//! of them gets a job that deletes it. A part of the [`Core`] in a file of its own, and what the process around it reads.
//!
//! A copy whose deletion fails is due again at the next cleanup, since it is in the catalogue still.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::core::Core;
use super::event::Effect;
use super::job::Submission;
use crate::nbu::order::JobRequest;
use crate::nbu::{Catalog, CatalogError, CopyRecord, ExpireRequest, ImageRecord, ScheduleType, StorageUnit};

/// A copy whose retention is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpiredCopy {
    pub(super) backup_id: String,
    pub(super) copy: u32,
    pub(super) policy: String,
    pub(super) client: String,
    pub(super) storage_server: String,
    pub(super) lsu: String,
}

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
        if dependency_check && is_needed(image, images) {
            continue;
        }
        expired.extend(image.copies.iter().filter(over).map(|copy| ExpiredCopy {
            backup_id: image.backup_id.clone(),
            copy: copy.number,
            policy: image.policy.clone(),
            client: image.client.clone(),
            storage_server: copy.storage_server.clone(),
            lsu: copy.lsu.clone(),
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
            effects.push(Effect::LookForExpired);
        }
    }

    /// A job for each copy that is not being deleted yet, and that its storage lifecycle policy needs no more.
    pub(super) fn expired(&mut self, copies: Vec<ExpiredCopy>, effects: &mut Vec<Effect>) {
        for copy in copies {
            let open = self.jobs().filter(|job| !job.is_done()).filter_map(|job| job.submission.as_ref());
            let is_same = |asked: &Submission| match &asked.request {
                JobRequest::Expire(request) => {
                    request.backup_id == copy.backup_id && request.copy.is_none_or(|one| one == copy.copy)
                }
                _ => false,
            };
            if open.into_iter().any(is_same) || self.nbstserv.needs(&copy.backup_id) {
                continue;
            }
            if let Some(unit) = unit_of(self.config(), &copy) {
                let submission = cleanup(copy, unit.to_owned());
                self.submit(vec![submission], effects);
            }
        }
    }
}

/// A storage unit that has the LSU of a copy; none when its storage has gone from the domain, which then keeps it.
fn unit_of<'a>(config: &'a Config, copy: &ExpiredCopy) -> Option<&'a str> {
    let has_it = |volume: &String| {
        let volume = config.volumes.get(volume);
        volume.is_some_and(|volume| volume.server == copy.storage_server && volume.lsu == copy.lsu)
    };
    let of_pool = |pool: &String| config.pools.get(pool).is_some_and(|pool| pool.volumes.iter().any(has_it));
    config.units.iter().find(|unit| of_pool(&unit.pool)).map(|unit| unit.label.as_str())
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
