//! What a primary server is configured with: media servers, storage, policies, and every number that NetBackup leaves
//! to its administrator.
//!
//! Times are seconds since the epoch on the virtual clock, durations are seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::emm::Selection as UnitSelection;
use crate::emm::{LifecyclePolicy, UseFor};
use crate::nbu::{HeaderOrder, Installation, OnCopyFailure, ScheduleType, Source};

/// A NetBackup domain as its administrator set it up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Id of the first job.
    pub first_job_id: u64,
    /// What the virtual clock shows at the start.
    pub clock_start: u64,
    /// Global attributes.
    #[serde(default)]
    pub globals: Globals,
    /// Media servers by name.
    pub media_servers: BTreeMap<String, Installation>,
    /// Disk volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Disk pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Storage units.
    pub units: Vec<Unit>,
    /// Storage unit groups.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Policies.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// What a job that gets no storage ends with.
    #[serde(default)]
    pub allocation: AllocationStatuses,
    /// Storage lifecycle policies.
    #[serde(default)]
    pub lifecycle_policies: Vec<LifecyclePolicy>,
    /// Parameters of storage lifecycle policies.
    #[serde(default)]
    pub lifecycle: LifecycleParameters,
    /// Labels of the storage units whose LSU other domains replicate to: nbrmms asks for its events.
    #[serde(default)]
    pub import_units: Vec<String>,
}

impl Config {
    /// The storage unit of a label.
    pub fn unit(&self, label: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.label == label)
    }

    /// The storage lifecycle policy of a name.
    pub fn lifecycle_policy(&self, name: &str) -> Option<&LifecyclePolicy> {
        self.lifecycle_policies.iter().find(|policy| policy.name == name)
    }

    /// The storage units that a label stands for, in order: one, those of a group, or those that a storage lifecycle
    /// policy backs up to; with how one is chosen.
    pub fn candidates(&self, label: &str) -> (UnitSelection, Vec<&Unit>) {
        let backs_up_to = self.lifecycle_policy(label).and_then(|policy| {
            policy.operations.iter().find(|operation| operation.use_for == UseFor::Backup)
        });
        let label = backs_up_to.map_or(label, |operation| &operation.storage);
        match self.groups.iter().find(|group| group.label == label) {
            Some(group) => {
                (group.selection, group.units.iter().filter_map(|label| self.unit(label)).collect())
            }
            None => (UnitSelection::Failover, self.unit(label).into_iter().collect()),
        }
    }
}

/// Global attributes of the primary, with NetBackup's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Globals {
    /// Tries of a scheduled backup (default 2) ...
    pub tries: u32,
    /// ... within this time (default 12 h).
    pub tries_period: u64,
    /// `Job retry delay` (default 10 min).
    pub retry_delay: u64,
    /// How long a job stays incomplete before it is done (default 3 h).
    pub incomplete_to_done: u64,
    /// Silence of a job's owner, in milliseconds of real time, after which nbjm gives it up with 40 (default 2 h).
    pub job_silence_ms: u64,
    /// `Maximum jobs per client`; 0 = no limit (default 0: the reference has no figure for the product's own).
    pub max_jobs_per_client: u32,
    /// How old the known state of a disk volume may be before a job is given one; none = volumes are not polled and
    /// taken to be up.
    pub poll_interval: Option<u64>,
    /// Time between two image cleanups (default 12 h, from memory of the product: not verified).
    pub image_cleanup_interval: u64,
    /// Whether image cleanup leaves a backup that later incremental ones need (`IMAGE_EXPIRY_DEPENDENCY_CHECK`; on by
    /// default since NetBackup 10.3). Expiry by hand never looks.
    pub image_expiry_dependency_check: bool,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            tries: 2,
            tries_period: 12 * 3600,
            retry_delay: 600,
            incomplete_to_done: 3 * 3600,
            job_silence_ms: 2 * 3600 * 1000,
            max_jobs_per_client: 0,
            poll_interval: None,
            image_cleanup_interval: 12 * 3600,
            image_expiry_dependency_check: true,
        }
    }
}

/// What a job ends with that gets no storage: data, since only a real NetBackup can confirm it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocationStatuses {
    /// Every disk volume is full, or would pass its high water mark.
    pub full: i32,
    /// The disk volume is down.
    pub volume_down: i32,
    /// The storage server does not answer.
    pub server_down: i32,
    /// No media server of the storage unit is active.
    pub media_server_down: i32,
    /// There is no such storage unit.
    pub no_unit: i32,
    /// Two copies of one backup would go to one disk volume.
    pub one_volume: i32,
}

impl Default for AllocationStatuses {
    fn default() -> Self {
        Self {
            full: 129,
            volume_down: 2074,
            server_down: 2106,
            media_server_down: 2027,
            no_unit: 213,
            one_volume: 2086,
        }
    }
}

/// Parameters of storage lifecycle policies (`LIFECYCLE_PARAMETERS`), and the statuses that follow from them. The
/// defaults are from memory of the product: not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleParameters {
    /// `Image processing interval`: time between two looks at what is to be copied, in seconds (default 5 min).
    pub image_processing_interval: u64,
    /// Tries of a copy that follow each other at the image processing interval (default 3) ...
    pub fast_tries: u32,
    /// ... and the time between the later ones, in seconds (`Extended image retry interval`, default 2 h).
    pub extended_retry_interval: u64,
    /// KiB of images that one job copies at most; a larger image has a job of its own (`Maximum size per duplication
    /// job`, default 100 GiB).
    pub max_batch_kbytes: u64,
    /// How often nbrmms asks for the events of other domains, in seconds (default 5 min).
    pub event_polling_interval: u64,
    /// What the expiry of an image ends with whose storage lifecycle policy is not complete.
    pub not_complete: i32,
    /// What an import ends with whose storage lifecycle policy this domain does not have.
    pub no_policy: i32,
    /// What an import ends with whose storage lifecycle policy has no import operation here.
    pub no_import: i32,
}

impl Default for LifecycleParameters {
    fn default() -> Self {
        Self {
            image_processing_interval: 300,
            fast_tries: 3,
            extended_retry_interval: 2 * 3600,
            max_batch_kbytes: 100 << 20,
            event_polling_interval: 300,
            not_complete: 1573,
            no_policy: 1532,
            no_import: 1534,
        }
    }
}

/// A disk volume: an LSU of a storage server, with the credentials that `tpconfig` holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Storage server with its type, such as `VastData:vast1`.
    pub server: String,
    /// User of the storage server.
    pub user: String,
    /// Password of the storage server.
    pub password: String,
    /// LSU.
    pub lsu: String,
    /// Numbers of the capabilities (`STS_SRVC_*`) that are recorded of its storage server; none: nothing is recorded, and
    /// jobs go by what the plug-in says.
    #[serde(default)]
    pub capabilities: Option<Vec<u32>>,
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume").field("server", &self.server).field("lsu", &self.lsu).finish_non_exhaustive()
    }
}

/// A disk pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Names of its disk volumes.
    pub volumes: Vec<String>,
    /// High water mark in percent of a volume's capacity: above it a volume gets no new job (default 98).
    pub high_water: u8,
    /// Low water mark in percent: image cleanup that follows the high one stops there (default 80).
    pub low_water: u8,
    /// `Maximum I/O streams` per volume; none = no limit.
    pub max_io_streams: Option<u32>,
}

impl Pool {
    /// Used bytes at which a volume of this capacity is at the high water mark.
    pub(super) fn high_bytes(&self, capacity: u64) -> u64 {
        percent(self.high_water, capacity)
    }

    /// The same of the low water mark.
    pub(super) fn low_bytes(&self, capacity: u64) -> u64 {
        percent(self.low_water, capacity)
    }
}

/// So many percent, at most all, of a number of bytes.
fn percent(part: u8, bytes: u64) -> u64 {
    u64::try_from(u128::from(bytes) * u128::from(part.min(100)) / 100).unwrap_or(bytes)
}

/// A disk storage unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Label.
    pub label: String,
    /// Its disk pool.
    pub pool: String,
    /// Media servers that may use it.
    pub media_servers: Vec<String>,
    /// `Maximum concurrent jobs`.
    pub max_concurrent_jobs: u32,
    /// Maximum fragment size in bytes.
    pub max_fragment: u64,
}

/// A storage unit group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Label.
    pub label: String,
    /// Labels of its units.
    pub units: Vec<String>,
    /// How one is chosen.
    pub selection: UnitSelection,
}

/// When a schedule may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Days of the week it opens on, 0 = Sunday.
    pub days: Vec<u8>,
    /// When it opens, in seconds since midnight (UTC).
    pub opens: u64,
    /// How long it is open.
    pub duration: u64,
}

/// A schedule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ScheduleType,
    /// How long after a successful backup the next one is due.
    pub frequency: u64,
    /// When it may begin; none = only by hand.
    pub windows: Vec<Window>,
    /// `Media multiplexing`: how many of its backups are written as one multiplexed backup; 1 = none.
    #[serde(default = "not_multiplexed")]
    pub media_multiplexing: u32,
    /// `Retention`: how long its backups are kept after they were made; none = until somebody expires them. A storage
    /// lifecycle policy has its own.
    #[serde(default)]
    pub retention: Option<u64>,
}

pub(super) const fn not_multiplexed() -> u32 {
    1
}

/// What one data stream of a policy reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyStream {
    /// Client.
    pub client: String,
    /// Its number among those of the client, from 1.
    pub number: u32,
    /// What it reads.
    pub source: Source,
}

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    /// Name.
    pub name: String,
    /// Label of a storage unit or group.
    pub storage: String,
    /// Where further copies go that are made at the same time (inline copies): labels of units or groups, copy 2 first.
    #[serde(default)]
    pub further_copies: Vec<String>,
    /// What becomes of the other copies when one fails.
    #[serde(default)]
    pub on_copy_failure: OnCopyFailure,
    /// The data streams of its clients, those of one client together.
    pub streams: Vec<PolicyStream>,
    /// Where the header image comes.
    #[serde(default)]
    pub header: HeaderOrder,
    /// `Collect true image restore information`: on the storage too.
    #[serde(default)]
    pub collect_tir: bool,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// `Limit jobs per policy`; 0 = no limit.
    #[serde(default)]
    pub limit_jobs: u32,
    /// Job priority; higher comes first.
    #[serde(default)]
    pub priority: u32,
}

impl Policy {
    /// Its clients, in order.
    pub fn clients(&self) -> Vec<&str> {
        let mut clients: Vec<&str> = self.streams.iter().map(|stream| stream.client.as_str()).collect();
        clients.dedup();
        clients
    }
}
