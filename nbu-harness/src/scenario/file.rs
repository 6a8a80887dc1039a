//! The keys of a scenario file, exactly as they may be written. Unknown keys are errors everywhere.

use super::domain::{Attempts, GlobalAttributes, GroupSpec, PoolSpec, ProcessName, ScheduleSpec, VolumeStep};
use super::flows::{ChangeStep, CopyStep, DuplicateFile, ImageChoice, SyntheticStep};
use super::plugin_fault::PluginFaultFile;
use super::spec::{
    EmbeddedCluster, Expectations, ExternalCluster, FaultEffect, FaultOperation, FillStep, StorageServer,
};
use super::values::{ByteSize, Milliseconds};
use crate::nbu::{ForkPoint, HeaderOrder, ScheduleType};
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    pub(super) scenario: Spanned<String>,
    pub(super) title: String,
    #[serde(default)]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) nbu: Nbu,
    pub(super) storage: Storage,
    pub(super) policy: Policy,
    pub(super) selections: Vec<Spanned<String>>,
    pub(super) run: Spanned<Vec<StepFile>>,
    #[serde(default)]
    pub(super) expect: Expectations,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Nbu {
    pub(super) buffers: Buffers,
    pub(super) fork: ForkPoint,
    pub(super) timeouts: TimeoutsFile,
    pub(super) clock_start: Option<u64>,
    pub(super) schedule_attempts: Option<Attempts>,
    pub(super) job_retry_delay: Option<Milliseconds>,
    pub(super) incomplete_to_done: Option<Milliseconds>,
    pub(super) job_silence: Option<Milliseconds>,
    pub(super) max_jobs_per_client: Option<u32>,
    pub(super) disk_polling: Option<Spanned<Milliseconds>>,
}

impl Nbu {
    /// Global attributes, every default in its place.
    pub(super) fn globals(&self) -> GlobalAttributes {
        let default = GlobalAttributes::default();
        GlobalAttributes {
            clock_start: self.clock_start.unwrap_or(default.clock_start),
            schedule_attempts: self.schedule_attempts.unwrap_or(default.schedule_attempts),
            job_retry_delay: self.job_retry_delay.unwrap_or(default.job_retry_delay),
            incomplete_to_done: self.incomplete_to_done.unwrap_or(default.incomplete_to_done),
            job_silence: self.job_silence.unwrap_or(default.job_silence),
            max_jobs_per_client: self.max_jobs_per_client.unwrap_or(default.max_jobs_per_client),
            disk_polling: self.disk_polling.as_ref().map(|interval| interval.value),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TimeoutsFile {
    pub(super) client_read: Option<Spanned<Milliseconds>>,
    pub(super) client_connect: Option<Spanned<Milliseconds>>,
    pub(super) stop: Option<Spanned<Milliseconds>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Buffers {
    #[serde(rename = "SIZE_DATA_BUFFERS_DISK")]
    pub(super) size: Option<Spanned<ByteSize>>,
    #[serde(rename = "NUMBER_DATA_BUFFERS_DISK")]
    pub(super) number: Option<Spanned<u32>>,
    pub(super) parent_delay: Option<Spanned<Milliseconds>>,
    pub(super) child_delay: Option<Spanned<Milliseconds>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Storage {
    #[serde(default)]
    pub(super) cluster: Option<Spanned<ClusterFile>>,
    #[serde(default)]
    pub(super) server: StorageServer,
    #[serde(default)]
    pub(super) lsus: Vec<LsuFile>,
    #[serde(default)]
    pub(super) media_servers: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) pools: Vec<Spanned<PoolSpec>>,
    pub(super) units: Vec<Unit>,
    #[serde(default)]
    pub(super) groups: Vec<Spanned<GroupSpec>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClusterFile {
    Embedded(EmbeddedCluster),
    External(ExternalCluster),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LsuFile {
    pub(super) name: Spanned<String>,
    pub(super) quota: Option<ByteSize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub(super) label: Spanned<String>,
    pub(super) lsu: Option<String>,
    pub(super) pool: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) media: Vec<Spanned<String>>,
    pub(super) max_fragment: Option<Spanned<ByteSize>>,
    pub(super) max_concurrent_jobs: Option<Spanned<usize>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) name: Spanned<String>,
    #[serde(rename = "type", default)]
    pub(super) _type: PolicyType,
    #[serde(default = "Policy::default_client")]
    pub(super) client: String,
    pub(super) schedule: Option<Spanned<String>>,
    pub(super) storage: Spanned<String>,
    #[serde(default)]
    pub(super) header: HeaderOrder,
    #[serde(default)]
    pub(super) schedules: Vec<Spanned<ScheduleSpec>>,
    #[serde(default)]
    pub(super) limit_jobs: u32,
    #[serde(default)]
    pub(super) priority: u32,
}

impl Policy {
    fn default_client() -> String {
        "client1".into()
    }
}

/// The only policy type that the harness plays so far: a file-system backup.
#[derive(Debug, Default, Deserialize)]
pub(super) enum PolicyType {
    #[default]
    Standard,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StepFile {
    Backup(BackupFile),
    Restore(RestoreFile),
    Verify(CopyStep),
    Expire(CopyStep),
    Duplicate(DuplicateFile),
    Synthetic(SyntheticStep),
    Change(Spanned<ChangeStep>),
    Fill(Spanned<FillStep>),
    Fault(Spanned<FaultFile>),
    PluginFault(Spanned<PluginFaultFile>),
    Heal(Nothing),
    Advance(Milliseconds),
    Kill(Spanned<KillFile>),
    Pause(Spanned<PauseFile>),
    Unpause(Spanned<PauseFile>),
    Cancel(OrderFile),
    Suspend(OrderFile),
    Resume(Nothing),
    Restart(Nothing),
    Start(Spanned<StartFile>),
    Volume(Spanned<VolumeStep>),
}

/// A step without settings: `{}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RestoreFile {
    pub(super) copy: Option<u32>,
    pub(super) images: ImageChoice,
    pub(super) single_files: Option<Spanned<u32>>,
    pub(super) files: Option<Spanned<Vec<String>>>,
    pub(super) media: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BackupFile {
    pub(super) abort_after: Option<ByteSize>,
    pub(super) tries: Option<Spanned<u32>>,
    pub(super) schedule: ScheduleType,
    pub(super) accelerator: bool,
    pub(super) forced_rescan: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseFile {
    pub(super) server: String,
    pub(super) fragment: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderFile {
    pub(super) fragment: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KillFile {
    pub(super) process: Option<ProcessName>,
    pub(super) server: Option<String>,
    pub(super) fragment: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartFile {
    pub(super) server: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultFile {
    pub(super) effect: FaultEffect,
    pub(super) operation: Option<FaultOperation>,
    pub(super) vip: Option<u8>,
    #[serde(default)]
    pub(super) skip: u32,
    #[serde(default = "FaultFile::once")]
    pub(super) times: u32,
    pub(super) fragment: Option<u32>,
}

impl FaultFile {
    const fn once() -> u32 {
        1
    }
}
