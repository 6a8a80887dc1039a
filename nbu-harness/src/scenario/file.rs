//! The keys of a scenario file, exactly as they may be written. Unknown keys are errors everywhere.

use super::checkpoint::CheckpointFile;
use super::domain::{GroupSpec, PoolSpec, ProcessName, ScheduleSpec, VolumeStep};
use super::expect::Expectations;
use super::fault::{FaultEffect, FaultOperation};
use super::flows::{
    ChangeStep, CopyStep, Domain, DuplicateFile, ImageChoice, ImportReplicasFile, ImportStep, Replication,
    ResumeStep, SyntheticStep,
};
use super::lifecycle::SlpFile;
use super::media_server;
use super::plugin_fault::PluginFaultFile;
use super::settings::Nbu;
use super::step::FillStep;
use super::storage::{EmbeddedCluster, ExternalCluster, StorageServer};
use super::target::TargetFile;
use super::values::{ByteSize, Milliseconds};
use crate::nbu::{HeaderOrder, OnCopyFailure, ScheduleType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A scenario: one flow in NetBackup's vocabulary, what to do in it and what to expect of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    /// Stable id: `NBU-`, the flow in capitals, `-` and three digits, such as `NBU-BKP-001`.
    #[schemars(regex(pattern = r"^NBU-[A-Z]{2,}-[0-9]{3}$"), with = "String")]
    pub(super) scenario: Spanned<String>,
    /// One line for people.
    pub(super) title: String,
    /// Decides everything that is generated or picked.
    #[serde(default)]
    pub(super) seed: u64,
    /// What the storage server must be able to do: flags of `nbdevquery -liststs` such as `OptimizedImage`, or capabilities.
    /// Without it the scenario is skipped.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) needs: Vec<Spanned<String>>,
    /// NetBackup's own settings.
    #[serde(default)]
    pub(super) nbu: Nbu,
    /// The storage server, its LSUs and storage units.
    pub(super) storage: Storage,
    /// The policy that backs up.
    pub(super) policy: Policy,
    /// The policy's file list: paths and directives; one stream after each `NEW_STREAM`.
    #[schemars(schema_with = "super::schema::selections")]
    pub(super) selections: Vec<Spanned<String>>,
    /// What to do, in order: 1 to 1000 steps.
    #[schemars(with = "Vec<StepFile>", length(min = 1, max = 1000))]
    pub(super) run: Spanned<Vec<StepFile>>,
    /// What to expect.
    #[serde(default)]
    pub(super) expect: Expectations,
}

/// What stands behind the storage units.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Storage {
    /// The cluster behind the storage server; default: an embedded one.
    #[serde(default)]
    #[schemars(with = "Option<ClusterFile>")]
    pub(super) cluster: Option<Spanned<ClusterFile>>,
    /// The storage server as NetBackup knows it.
    #[serde(default)]
    pub(super) server: StorageServer,
    /// LSUs to provide, each an S3 view of the cluster.
    #[serde(default)]
    pub(super) lsus: Vec<LsuFile>,
    /// Another cluster, in this process too, for the target domain.
    #[serde(default)]
    pub(super) target: Option<TargetFile>,
    /// LSUs whose images are replicated, and where to.
    #[serde(default)]
    #[schemars(with = "Vec<Replication>")]
    pub(super) replication: Vec<Spanned<Replication>>,
    /// The media servers, each its name or, where it differs, `{name, plugin, clock}`; default `ms1`.
    #[serde(default)]
    #[schemars(schema_with = "media_server::entry_schema")]
    pub(super) media_servers: Vec<Spanned<media_server::Entry>>,
    /// Disk pools.
    #[serde(default)]
    #[schemars(with = "Vec<PoolSpec>")]
    pub(super) pools: Vec<Spanned<PoolSpec>>,
    /// Storage units.
    pub(super) units: Vec<Unit>,
    #[serde(default)]
    #[schemars(with = "Vec<GroupSpec>")]
    pub(super) groups: Vec<Spanned<GroupSpec>>,
    /// Storage lifecycle policies.
    #[serde(default)]
    pub(super) slps: Vec<SlpFile>,
}

/// The cluster behind the storage server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClusterFile {
    /// A cluster in this process.
    Embedded(EmbeddedCluster),
    /// A cluster that runs elsewhere: its raw state cannot be examined.
    External(ExternalCluster),
}

/// An LSU: an S3 view of the cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LsuFile {
    /// The LSU's name: 3 to 63 lower-case letters, digits and `-`; it is the bucket's.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"), with = "String")]
    pub(super) name: Spanned<String>,
    /// Hard quota of the view; none: the cluster is the limit.
    pub(super) quota: Option<ByteSize>,
    #[serde(default)]
    pub(super) worm: bool,
}

/// A storage unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    /// The unit's label.
    #[schemars(with = "String")]
    pub(super) label: Spanned<String>,
    /// The one LSU of its pool; one that `lsus` does not have is provided by nobody. Give this or `pool`.
    pub(super) lsu: Option<String>,
    /// Its disk pool.
    #[schemars(with = "Option<String>")]
    pub(super) pool: Option<Spanned<String>>,
    /// Media servers that may use it; default: all of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) media: Vec<Spanned<String>>,
    /// Maximum fragment size; default 512 GiB.
    #[schemars(with = "Option<ByteSize>")]
    pub(super) max_fragment: Option<Spanned<ByteSize>>,
    /// How many jobs run at a time, 1 to 1024; others are queued.
    #[schemars(with = "Option<usize>")]
    pub(super) max_concurrent_jobs: Option<Spanned<usize>>,
}

/// The policy that backs up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// The policy's name.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// Its type.
    #[serde(rename = "type", default)]
    pub(super) _type: PolicyType,
    /// The client's name; default `client1`. Give this or `clients`.
    #[schemars(with = "Option<String>")]
    pub(super) client: Option<Spanned<String>>,
    /// Names of the clients, 1 to 256: each has the streams of `selections`, generated data of its own.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = 256))]
    pub(super) clients: Option<Spanned<Vec<Spanned<String>>>>,
    /// Name of the schedule that backups by hand belong to; default: the first of `schedules`, or `full`.
    #[schemars(with = "Option<String>")]
    pub(super) schedule: Option<Spanned<String>>,
    /// Label of the storage unit or group that it writes to, or name of its storage lifecycle policy. Give this or `copies`.
    #[schemars(with = "Option<String>")]
    pub(super) storage: Option<Spanned<String>>,
    /// Inline copies: labels of 2 to 4 storage units or groups that each backup is written to at the same time.
    #[schemars(with = "Option<Vec<String>>", length(min = 2, max = 4))]
    pub(super) copies: Option<Spanned<Vec<Spanned<String>>>>,
    /// What becomes of the other copies when one fails; default: they are made, and the job ends with 1.
    #[schemars(with = "Option<OnCopyFailure>")]
    pub(super) on_copy_failure: Option<Spanned<OnCopyFailure>>,
    /// Where the header image comes.
    #[serde(default)]
    pub(super) header: HeaderOrder,
    /// `Collect true image restore information`: an image on the storage too, so that an import has it.
    #[serde(default)]
    pub(super) collect_tir: bool,
    #[serde(default)]
    #[schemars(with = "Vec<ScheduleSpec>")]
    pub(super) schedules: Vec<Spanned<ScheduleSpec>>,
    #[serde(default)]
    pub(super) limit_jobs: u32,
    #[serde(default)]
    pub(super) priority: u32,
}

/// The only policy type that the harness plays so far: a file-system backup.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) enum PolicyType {
    /// A file-system backup.
    #[default]
    Standard,
}

/// One thing to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StepFile {
    /// Backs up the policy's streams: one job each, as many at once as the unit allows.
    Backup(#[schemars(with = "BackupFile")] Spanned<BackupFile>),
    /// Restores every backup made so far, by new processes to a new place.
    Restore(RestoreFile),
    /// Verifies every backup made so far.
    Verify(CopyStep),
    /// Expires every backup made so far, or one copy of each.
    Expire(CopyStep),
    /// Duplicates every backup made so far.
    Duplicate(DuplicateFile),
    /// Makes a synthetic full backup of every stream.
    Synthetic(SyntheticStep),
    /// Imports what is on the LSUs into the catalogue.
    Import(ImportStep),
    /// Replicates every backup made so far to the partners of its LSU.
    Replicate(Nothing),
    /// The target domain imports what was replicated.
    ImportReplicas(ImportReplicasFile),
    /// Image cleanup of what has not expired: locks that were refused are tried again.
    Cleanup(Nothing),
    /// The catalogue is lost.
    LoseCatalog(Nothing),
    /// Changes what the client has.
    Change(#[schemars(with = "ChangeStep")] Spanned<ChangeStep>),
    /// Takes space of an LSU from outside, so that only some of its quota is left.
    Fill(#[schemars(with = "FillStep")] Spanned<FillStep>),
    /// Makes the cluster misbehave.
    Fault(#[schemars(with = "FaultFile")] Spanned<FaultFile>),
    /// Makes calls of the plug-in go wrong.
    PluginFault(#[schemars(with = "PluginFaultFile")] Spanned<PluginFaultFile>),
    /// Ends all misbehaviour.
    Heal(Nothing),
    /// Lets the virtual clock go on for this long: what schedules and timers bring happens.
    Advance(Milliseconds),
    /// Kills a process or a server with SIGKILL.
    Kill(#[schemars(with = "KillFile")] Spanned<KillFile>),
    /// Stops a media server and all processes of its jobs where they are.
    Pause(#[schemars(with = "PauseFile")] Spanned<PauseFile>),
    /// Lets a paused media server go on.
    Unpause(#[schemars(with = "PauseFile")] Spanned<PauseFile>),
    /// The operator cancels the job of the next step that makes this fragment.
    Cancel(OrderFile),
    /// The operator suspends the job of the next step that makes this fragment.
    Suspend(OrderFile),
    /// Resumes every job that is suspended or incomplete.
    Resume(ResumeStep),
    /// Runs every job again that has failed, as a new one.
    Restart(Nothing),
    /// From now on a media server with another plug-in loads the plug-in under test.
    Upgrade(#[schemars(with = "StartFile")] Spanned<StartFile>),
    /// The administrator enters the credentials that the storage server has now (`tpconfig -update`).
    UpdateCredentials(Nothing),
    /// Starts a server again that was killed.
    Start(#[schemars(with = "StartFile")] Spanned<StartFile>),
    /// Marks a disk volume up or down.
    Volume(#[schemars(with = "VolumeStep")] Spanned<VolumeStep>),
}

/// A step without settings: `{}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Which files a restore takes; all of them when it says nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RestoreFile {
    /// Which copy; default: the primary one.
    pub(super) copy: Option<u32>,
    /// Which backups.
    pub(super) images: ImageChoice,
    /// The domain that restores.
    pub(super) domain: Domain,
    /// How far apart checkpoints are; default: a minute. Bytes are those of the files' content.
    pub(super) checkpoint: Option<CheckpointFile>,
    /// The operator suspends each job when this many bytes of the stream have been read.
    #[schemars(with = "Option<ByteSize>")]
    pub(super) suspend_after: Option<Spanned<ByteSize>>,
    /// This many files of each backup, each in a job of its own: 1 to 1000, picked by the seed, first and last included.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub(super) single_files: Option<Spanned<u32>>,
    /// The named paths, in one job for each backup; not together with `single_files`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) files: Option<Spanned<Vec<String>>>,
    #[schemars(with = "Option<String>")]
    pub(super) media: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BackupFile {
    pub(super) abort_after: Option<ByteSize>,
    #[schemars(with = "Option<u32>")]
    pub(super) tries: Option<Spanned<u32>>,
    pub(super) schedule: ScheduleType,
    pub(super) accelerator: bool,
    pub(super) forced_rescan: bool,
    /// Takes checkpoints at ends of files, so far apart.
    pub(super) checkpoint: Option<CheckpointFile>,
    /// The operator suspends each job when this many bytes of its stream have been written.
    pub(super) suspend_after: Option<ByteSize>,
    /// How long its images are locked (WORM), by the storage unit's retention.
    pub(super) worm: Option<Milliseconds>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseFile {
    pub(super) server: String,
    pub(super) fragment: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderFile {
    pub(super) fragment: u32,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KillFile {
    pub(super) process: Option<ProcessName>,
    pub(super) server: Option<String>,
    pub(super) fragment: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartFile {
    pub(super) server: String,
}

/// A misbehaviour of the cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultFile {
    /// What happens.
    pub(super) effect: FaultEffect,
    /// To which S3 operation; none: to any. Only for effects of single requests.
    pub(super) operation: Option<FaultOperation>,
    /// On which VIP, from 1; none: on any.
    pub(super) vip: Option<u8>,
    /// How far the clock is off, for `clock_ahead` and `clock_behind`; default 20m.
    pub(super) by: Option<Milliseconds>,
    /// How many operations are left alone first.
    #[serde(default)]
    pub(super) skip: u32,
    /// How many operations are hit, at least 1.
    #[serde(default = "FaultFile::once")]
    #[schemars(range(min = 1))]
    pub(super) times: u32,
    /// When a job of the next step makes its fragment of this number, from 1; none: at once.
    pub(super) fragment: Option<u32>,
}

impl FaultFile {
    const fn once() -> u32 {
        1
    }
}
