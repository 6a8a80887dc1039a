//! The NetBackup domain of a scenario: media servers, disk pools, storage unit groups, schedules, global attributes. The
//! types are both the keys of the file and, with every default filled in, the specification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lifecycle::SlpParameters;
use super::values::{Milliseconds, TimeOfDay};
use crate::nbu::ScheduleType;
use crate::primary::JobOrder;
use crate::primary::config::UnitSelection;

/// Monday, 2026-01-05, 18:00 UTC.
const CLOCK_START: u64 = 1_767_636_000;

/// Global attributes of the primary: the numbers that NetBackup leaves to its administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlobalAttributes {
    /// What the virtual clock shows at the start, in seconds since the epoch: the same in every run.
    pub clock_start: u64,
    /// `Schedule backup attempts`.
    pub schedule_attempts: Attempts,
    /// `Job retry delay`.
    pub job_retry_delay: Milliseconds,
    /// How long an incomplete job stays so before it is done.
    pub incomplete_to_done: Milliseconds,
    /// Silence of a job's owner, in real time, after which nbjm gives it up.
    pub job_silence: Milliseconds,
    /// `Maximum jobs per client`; 0 = no limit.
    pub max_jobs_per_client: u32,
    /// How old the known state of a disk volume may be before a job is given one; without it volumes are not polled and
    /// taken to be up.
    pub disk_polling: Option<Milliseconds>,
    /// Time between two image cleanups, which delete what was kept long enough.
    pub image_cleanup_interval: Milliseconds,
    /// Whether they leave a backup that later incremental ones need (`IMAGE_EXPIRY_DEPENDENCY_CHECK`).
    pub image_expiry_dependency_check: bool,
    /// Parameters of storage lifecycle policies.
    pub slp: SlpParameters,
    /// How the primary gets to know its storage.
    pub set_up: SetUp,
    /// Whose word counts for what a storage server can do.
    pub attributes: AttributeSource,
}

/// Whose word counts for what a storage server can do. That NetBackup goes by what it has recorded is inferred from its
/// asking for `nbdevconfig -updatests` after an upgrade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeSource {
    /// What the commands recorded last, as far as the plug-in of the job's media server has it.
    #[default]
    Recorded,
    /// The plug-in of the job's media server alone.
    Plugin,
}

/// How the primary gets to know its storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetUp {
    /// It is told what the scenario says.
    #[default]
    Direct,
    /// NetBackup's commands set it up, as an administrator does, and the primary is told what they left.
    Commands,
}

impl Default for GlobalAttributes {
    fn default() -> Self {
        Self {
            clock_start: CLOCK_START,
            schedule_attempts: Attempts::default(),
            job_retry_delay: Milliseconds(600_000),
            incomplete_to_done: Milliseconds(3 * 3_600_000),
            job_silence: Milliseconds(2 * 3_600_000),
            max_jobs_per_client: 0,
            disk_polling: None,
            image_cleanup_interval: Milliseconds(12 * 3_600_000),
            image_expiry_dependency_check: true,
            slp: SlpParameters::default(),
            set_up: SetUp::Direct,
            attributes: AttributeSource::Recorded,
        }
    }
}

/// Tries within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Attempts {
    /// How many.
    pub tries: u32,
    /// Within which time.
    pub per: Milliseconds,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { tries: 2, per: Milliseconds(12 * 3_600_000) }
    }
}

/// A disk pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// Its name.
    pub name: String,
    /// LSUs that are its disk volumes.
    pub lsus: Vec<String>,
    /// High water mark in percent.
    #[serde(default = "PoolSpec::default_high_water")]
    pub high_water: u8,
    /// Low water mark in percent.
    #[serde(default = "PoolSpec::default_low_water")]
    pub low_water: u8,
    /// `Maximum I/O streams` per volume; without it there is no limit.
    #[serde(default)]
    pub max_io_streams: Option<u32>,
}

impl PoolSpec {
    pub(super) const fn default_high_water() -> u8 {
        98
    }

    pub(super) const fn default_low_water() -> u8 {
        80
    }
}

/// A storage unit group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Its label.
    pub label: String,
    /// Labels of its units, in order.
    pub units: Vec<String>,
    /// How one is chosen.
    #[serde(default = "GroupSpec::default_selection")]
    pub selection: UnitSelection,
}

impl GroupSpec {
    const fn default_selection() -> UnitSelection {
        UnitSelection::Prioritized
    }
}

/// A schedule of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type", default = "ScheduleSpec::default_type")]
    pub schedule_type: ScheduleType,
    /// How long after a success the next one is due.
    #[serde(default = "ScheduleSpec::default_frequency")]
    pub frequency: Milliseconds,
    /// When it may begin; without any, only by hand.
    #[serde(default)]
    pub windows: Vec<WindowSpec>,
    /// `Media multiplexing`: how many backups of the schedule are written as one multiplexed backup; 1: none are.
    #[serde(default = "ScheduleSpec::default_multiplexing")]
    #[schemars(range(min = 1, max = 32))]
    pub media_multiplexing: u32,
    /// `Retention`: how long after the backup image cleanup deletes it; without it, it is kept until a step expires it. A
    /// storage lifecycle policy has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Milliseconds>,
}

impl ScheduleSpec {
    const fn default_type() -> ScheduleType {
        ScheduleType::Full
    }

    const fn default_frequency() -> Milliseconds {
        Milliseconds(7 * 24 * 3_600_000)
    }

    const fn default_multiplexing() -> u32 {
        1
    }

    /// A full schedule that is only run by hand.
    pub(super) const fn by_hand(name: String) -> Self {
        let (schedule_type, frequency) = (Self::default_type(), Self::default_frequency());
        let media_multiplexing = Self::default_multiplexing();
        Self { name, schedule_type, frequency, windows: Vec::new(), media_multiplexing, retention: None }
    }
}

/// When a schedule may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// Days on which it opens; without any, every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When, in UTC.
    pub opens: TimeOfDay,
    /// How long it stays open.
    pub duration: Milliseconds,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Day {
    Sunday = 0,
    Monday = 1,
    Tuesday = 2,
    Wednesday = 3,
    Thursday = 4,
    Friday = 5,
    Saturday = 6,
}

/// Killing a process or a server with SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KillStep {
    /// What is killed.
    pub victim: Victim,
    /// When a job of the next step makes its fragment of this number, from 1; none: at once.
    pub fragment: Option<u32>,
}

/// Stopping a media server and all processes of its jobs where they are, as a paused virtual machine does (SIGSTOP), or
/// letting them go on (SIGCONT).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseStep {
    /// The media server.
    pub server: String,
    /// Whether it is paused; otherwise it goes on.
    pub paused: bool,
    /// When a job of the next step makes its fragment of this number, from 1; none: at once.
    pub fragment: Option<u32>,
}

/// An operator's order about the job of the next step that makes its fragment of a certain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OrderStep {
    /// The order.
    pub order: JobOrder,
    /// The fragment, from 1.
    pub fragment: u32,
}

/// What can be killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Victim {
    /// A process of the job, by NetBackup's name.
    Process(ProcessName),
    /// A media server, or `primary`.
    Server(String),
}

/// Processes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "their names say it")]
pub enum ProcessName {
    Bpbrm,
    Bpbkar,
    Bptm,
}

impl ProcessName {
    /// As NetBackup has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpbrm => "bpbrm",
            Self::Bpbkar => "bpbkar",
            Self::Bptm => "bptm",
        }
    }
}

/// What an administrator says of a disk volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeStep {
    /// The LSU.
    pub lsu: String,
    /// Its state.
    pub state: VolumeState,
}

/// States of a disk volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeState {
    /// Usable.
    Up,
    /// Not given to new jobs.
    Down,
}
