//! An image as commands print it: the catalogue's record and where the database of the media manager has its storage.
//! Of the commands, only this module knows where the record has what.

use crate::emm::{Database, Settings};
use crate::jobs_db::ScheduleType;
use crate::nbu::{self, CopyRecord, ImageRecord};

/// A backup.
#[derive(Debug, Clone)]
pub(super) struct ImageFacts {
    pub(super) backup_id: String,
    pub(super) client: String,
    pub(super) policy: String,
    pub(super) schedule: String,
    pub(super) schedule_type: ScheduleType,
    /// Seconds since the epoch.
    pub(super) backup_time: u64,
    pub(super) job_id: u64,
    /// `IMAGE_TYPE`: 0 for a backup, 1 for one that phase 2 of an import is still to read.
    pub(super) image_type: u8,
    /// Number of the policy's data stream, from 1.
    pub(super) stream: u32,
    pub(super) kbytes: u64,
    pub(super) files: u64,
    /// NetBackup status of the backup: 0 or 1.
    pub(super) status: i32,
    /// The copy that is read when nobody names another.
    pub(super) primary_copy: u32,
    /// When its first copy expires; none: never.
    pub(super) expires: Option<u64>,
    /// Retention level of that copy.
    pub(super) retention_level: usize,
    pub(super) copies: Vec<CopyFacts>,
}

/// A copy of it.
#[derive(Debug, Clone)]
pub(super) struct CopyFacts {
    pub(super) number: u32,
    /// Media id of its volume; `None` when no pool has it.
    pub(super) media_id: Option<String>,
    /// The volume as a fragment's line has it: `1;type;server;pool;volume;0`.
    pub(super) volume: String,
    /// A media server that can read it.
    pub(super) host: String,
    pub(super) block_size: u32,
    /// When the storage lets it go again, in seconds since the epoch; 0 when it is not locked.
    pub(super) unlock_time: u64,
    /// When it expires, in seconds since the epoch; none: never.
    pub(super) expires: Option<u64>,
    pub(super) retention_level: usize,
    /// Number and KiB of each fragment.
    pub(super) fragments: Vec<(u32, u64)>,
}

/// What there is to print of an image.
pub(super) fn facts(image: &ImageRecord, database: &Database, settings: &Settings) -> ImageFacts {
    let copies: Vec<CopyFacts> =
        image.copies.iter().map(|one| copy(one, image.backup_time, database, settings)).collect();
    let first = copies.iter().min_by_key(|copy| copy.expires.unwrap_or(u64::MAX));
    ImageFacts {
        backup_id: image.backup_id.clone(),
        client: image.client.clone(),
        policy: image.policy.clone(),
        schedule: image.schedule.clone(),
        schedule_type: match image.schedule_type {
            nbu::ScheduleType::Full => ScheduleType::Full,
            nbu::ScheduleType::Differential => ScheduleType::DifferentialIncremental,
            nbu::ScheduleType::Cumulative => ScheduleType::CumulativeIncremental,
        },
        backup_time: image.backup_time,
        job_id: image.job_id,
        image_type: u8::from(image.not_imported),
        stream: image.stream,
        kbytes: image.stream_bytes.div_ceil(1024),
        files: image.files,
        status: image.status,
        primary_copy: image.primary_copy,
        expires: first.and_then(|copy| copy.expires),
        retention_level: first.map_or(0, |copy| copy.retention_level),
        copies,
    }
}

fn copy(one: &CopyRecord, backup_time: u64, database: &Database, settings: &Settings) -> CopyFacts {
    let (storage_server, lsu) = (one.storage_server.as_str(), one.lsu.as_str());
    let mut pools = database.disk_pools().iter().filter(|pool| pool.storage_server == storage_server);
    let (pool, media_id) = pools
        .find_map(|pool| pool.volume(lsu).map(|volume| (pool.name.as_str(), volume.media_id.clone())))
        .unzip();
    let server = database.storage_servers().find(storage_server);
    let (server_type, name) = storage_server.split_once(':').unwrap_or(("", storage_server));
    CopyFacts {
        number: one.number,
        media_id,
        volume: format!("1;{server_type};{name};{};{lsu};0", pool.unwrap_or("*NULL*")),
        host: server.map_or("*NULL*", |server| server.media_server.as_str()).to_owned(),
        block_size: one.buffer_size,
        unlock_time: one.unlock_time.unwrap_or(0),
        expires: one.expires,
        retention_level: settings
            .level_of(one.expires.map(|at| at.saturating_sub(backup_time)))
            .unwrap_or_default(),
        fragments: one.fragments.iter().map(|fragment| (fragment.number, fragment.kbytes())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::sample;

    #[test]
    fn an_image_expires_with_its_first_copy() {
        let of = |retentions: &[Option<u64>]| {
            let copies = retentions.iter().map(|kept| sample::copy("b_1").kept_for(1, *kept)).collect();
            let image = ImageRecord { copies, ..sample::image("b_1", 0) };
            let facts = facts(&image, &Database::default(), &Settings::default());
            (facts.expires, facts.retention_level)
        };
        let (week, two_weeks) = (7 * 86_400, 14 * 86_400);
        assert_eq!(of(&[None, Some(two_weeks), Some(week)]), (Some(week + 1), 0));
        assert_eq!(of(&[Some(two_weeks), None]), (Some(two_weeks + 1), 1));
        assert_eq!(of(&[None]), (None, 9));
    }
}
