//! A scenario with every default filled in: what the engine runs and what the JSON result prints.

use super::domain::{
    GlobalAttributes, GroupSpec, KillStep, OrderStep, PauseStep, PoolSpec, ScheduleSpec, VolumeStep,
};
use super::expect::Expectations;
use super::fault::Fault;
use super::flows::{
    ChangeStep, CopyStep, Domain, DuplicateStep, ImageChoice, ImportReplicasStep, ImportStep, Replication,
    ResumeStep, SyntheticStep, WormLimits,
};
use super::inline::Copies;
use super::lifecycle::SlpSpec;
use super::media_server::{ClockOffset, PluginSpec};
use super::target::TargetCluster;
use super::values::{ByteSize, Milliseconds, Secret};
use crate::data::{GenData, TreeSpec};
use crate::emm::UseFor;
use crate::nbu::{CheckpointEvery, DataBuffers, ForkPoint, HeaderOrder, ScheduleType, Timeouts};
use crate::primary::JobOrder;
use nbu_trace::orders::FaultOrder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One flow, what to do in it and what to expect of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Stable id, such as `NBU-BKP-001`.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What the storage server must be able to do: flags of `nbdevquery -liststs`, or capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Decides everything that is generated or picked.
    pub seed: u64,
    /// NetBackup's buffer settings.
    pub buffers: DataBuffers,
    /// When bptm forks its child.
    pub fork: ForkPoint,
    /// Global attributes of the primary.
    pub globals: GlobalAttributes,
    /// Names of the media servers.
    pub media_servers: Vec<String>,
    /// Plug-ins of those media servers that do not have the one under test as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, PluginSpec>,
    /// Clocks of those media servers whose clock is wrong.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clocks: BTreeMap<String, ClockOffset>,
    /// How long its processes wait for each other.
    pub timeouts: Timeouts,
    /// The cluster that stands behind the storage server.
    pub cluster: Cluster,
    /// The storage server.
    pub server: StorageServer,
    /// LSUs to provide, each an S3 view.
    pub lsus: Vec<Lsu>,
    /// Disk pools.
    pub pools: Vec<PoolSpec>,
    /// LSUs whose images are replicated, and where to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replication: Vec<Replication>,
    /// The cluster that backups are replicated to, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetCluster>,
    /// Storage units.
    pub units: Vec<StorageUnitSpec>,
    /// Storage unit groups.
    pub groups: Vec<GroupSpec>,
    /// Storage lifecycle policies of both domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slps: Vec<SlpSpec>,
    /// The policy's name.
    pub policy: String,
    /// Names of the clients.
    pub clients: Vec<String>,
    /// Name of the schedule that backups by hand belong to.
    pub schedule: String,
    /// Schedules of the policy.
    pub schedules: Vec<ScheduleSpec>,
    /// `Limit jobs per policy`; 0 = no limit.
    pub limit_jobs: u32,
    /// Job priority.
    pub priority: u32,
    /// Label of the unit or group that the policy writes to, or name of its storage lifecycle policy.
    pub policy_storage: String,
    /// Index in `units` of that unit, of the group's first one, or of the one that the lifecycle policy backs up to.
    pub policy_unit: usize,
    /// The copies that each backup makes beside its first one.
    #[serde(skip_serializing_if = "Copies::is_one")]
    pub copies: Copies,
    /// Where the header image comes.
    pub header: HeaderOrder,
    /// Whether the true image restore information becomes an image on the storage.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub collect_tir: bool,
    /// Data streams of the policy's file list.
    pub streams: Vec<Stream>,
    /// What to do, in order.
    pub run: Vec<Step>,
    /// What to expect.
    pub expect: Expectations,
}

impl Scenario {
    /// The unit that the policy writes to.
    pub fn unit(&self) -> &StorageUnitSpec {
        &self.units[self.policy_unit]
    }

    /// Whether storage lifecycle policies bring backups to the target domain.
    pub fn replicates_by_itself(&self) -> bool {
        let operations = self.slps.iter().flat_map(|slp| &slp.policy.operations);
        self.slps.iter().any(|slp| slp.domain == Domain::Target)
            || operations.into_iter().any(|operation| operation.use_for == UseFor::Replication)
    }

    /// Gives every `GEN_DATA` stream this many bytes, in files as they were (the last bytes that do not fill a file
    /// are left out), and returns how many streams that concerned.
    pub fn resize_synthetic(&mut self, bytes: u64) -> usize {
        let mut resized = 0;
        for stream in &mut self.streams {
            if let StreamSource::Synthetic(data) = &mut stream.source {
                data.max_files = (bytes / 1024 / data.kb_size.max(1)).max(1);
                resized += 1;
            }
        }
        resized
    }
}

/// The cluster behind the storage server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cluster {
    /// One in this process.
    Embedded(EmbeddedCluster),
    /// One that runs elsewhere: its raw state cannot be examined.
    External(ExternalCluster),
}

/// How S3 entity tags are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Etag {
    /// MD5 of the content, as AWS does; costs the server 1.5 CPU seconds per GB.
    Md5,
    /// Unique and meaningless.
    Opaque,
}

/// HTTP with or without TLS on the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum S3Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl S3Scheme {
    /// As a plug-in's configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Settings of the embedded cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedCluster {
    /// Number of virtual IP addresses, 1 to 64.
    pub vips: u8,
    /// Capacity of the whole cluster.
    pub capacity: ByteSize,
    /// How entity tags are made.
    pub etag: Etag,
    /// HTTP or HTTPS on the data path.
    pub s3: S3Scheme,
    /// How long an access token of the management API lives.
    pub access_token_lifetime: Milliseconds,
}

impl Default for EmbeddedCluster {
    fn default() -> Self {
        Self {
            vips: 4,
            capacity: ByteSize(10 << 40),
            etag: Etag::Opaque,
            s3: S3Scheme::Http,
            access_token_lifetime: Milliseconds(3_600_000),
        }
    }
}

/// Where an external cluster is, and how to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalCluster {
    /// Address of the management API: `https://host[:port]`.
    pub vms: String,
    /// User of the management API.
    pub user: String,
    /// Environment variable that holds the password: a scenario is no place for one.
    pub password_env: String,
    /// Certificate authority of the management API, PEM.
    pub ca_file: Option<PathBuf>,
    /// HTTP or HTTPS on the data path.
    #[serde(default = "ExternalCluster::default_s3")]
    pub s3: S3Scheme,
    /// Port of the data path; default: the scheme's.
    pub s3_port: Option<u16>,
    /// VIP pool whose addresses are used.
    pub vip_pool: String,
    /// TOML file, mode 0600, with `access_key` and `secret_key`.
    pub key_file: PathBuf,
}

impl ExternalCluster {
    const fn default_s3() -> S3Scheme {
        S3Scheme::Https
    }
}

/// The storage server as NetBackup knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StorageServer {
    /// Storage server type: `VastData` in `VastData:vast1`.
    #[serde(rename = "type")]
    pub server_type: String,
    /// Name behind the type: `vast1` in `VastData:vast1`.
    pub name: String,
    /// Overrides the user that the cluster has: for what must fail.
    pub user: Option<String>,
    /// Overrides the password that the cluster has: for what must fail.
    pub password: Option<Secret>,
    /// Overrides the management address of the cluster: for what must fail.
    pub vms: Option<String>,
    /// Capabilities that the plug-in's configuration takes away, by the plug-in's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disable: Vec<String>,
    /// Limits of locks in the plug-in's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worm: Option<WormLimits>,
}

impl Default for StorageServer {
    fn default() -> Self {
        Self {
            server_type: "VastData".into(),
            name: "vast1".into(),
            user: None,
            password: None,
            vms: None,
            disable: Vec::new(),
            worm: None,
        }
    }
}

/// An LSU: an S3 view of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lsu {
    /// Its name, which is the bucket's.
    pub name: String,
    /// Hard quota of the view, in bytes.
    pub quota: Option<ByteSize>,
    /// Whether its images can be locked (WORM): the view has versions and object lock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub worm: bool,
}

/// A storage unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageUnitSpec {
    /// Its label.
    pub label: String,
    /// Its disk pool.
    pub pool: String,
    /// The first LSU of its pool; one that `lsus` does not have is provided by nobody.
    pub lsu: String,
    /// Media servers that may use it.
    pub media: Vec<String>,
    /// Maximum fragment size.
    pub max_fragment: ByteSize,
    /// How many jobs run at a time; others are queued.
    pub max_concurrent_jobs: usize,
}

/// One data stream: one backup job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Its number among those of all clients, from 1.
    pub number: usize,
    /// Its client.
    pub client: String,
    /// Its number among those of its client, from 1.
    pub of_client: u32,
    /// What it reads.
    pub source: StreamSource,
}

/// What a stream reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamSource {
    /// A directory.
    Directory(PathBuf),
    /// Part `part` of `of` parts of the Rust toolchain's directory.
    RustSysroot {
        /// From 1.
        part: u32,
        /// Number of parts.
        of: u32,
    },
    /// A tree that the harness generates.
    GeneratedTree(TreeSpec),
    /// Synthetic data with no disk behind it.
    Synthetic(GenData),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Backs up the policy's streams.
    Backup(BackupStep),
    /// Restores every backup made so far, each in new processes to a new place.
    Restore(RestoreStep),
    /// Verifies every backup made so far.
    Verify(CopyStep),
    /// Expires every backup made so far.
    Expire(CopyStep),
    /// Makes another copy of every backup made so far.
    Duplicate(DuplicateStep),
    /// Makes a synthetic full backup of every stream.
    Synthetic(SyntheticStep),
    /// Imports what is on the LSUs of all storage units.
    Import(ImportStep),
    /// Replicates every backup made so far to the targets of its LSU.
    Replicate,
    /// The target domain imports what was replicated to a storage unit's LSU.
    ImportReplicas(ImportReplicasStep),
    /// Image cleanup locks what could not be locked before.
    Cleanup,
    /// The catalogue is lost.
    LoseCatalog,
    /// Resumes the jobs of the last step that can be resumed.
    Resume(ResumeStep),
    /// Changes what the streams read.
    Change(ChangeStep),
    /// Takes space of an LSU from outside, so that only some is left.
    Fill(FillStep),
    /// Makes the cluster misbehave.
    Fault(Fault),
    /// Makes calls of the plug-in go wrong, in the jobs of the steps that follow.
    PluginFault(FaultOrder),
    /// Ends all misbehaviour.
    Heal,
    /// Lets the virtual clock go on for this long: what schedules and timers bring happens.
    Advance(Milliseconds),
    /// Kills a process or a server.
    Kill(KillStep),
    /// Pauses a media server, or lets it go on.
    Pause(PauseStep),
    /// Cancels or suspends a job of the next step.
    Order(OrderStep),
    /// Runs every job again that has failed, as a new job.
    Restart,
    /// A media server with another plug-in loads the one under test from now on.
    Upgrade(String),
    /// The administrator enters the credentials that the storage server has now.
    UpdateCredentials,
    /// Starts a server again that was killed.
    Start(String),
    /// Marks a disk volume up or down.
    Volume(VolumeStep),
}

impl Step {
    /// Whether it waits until a job of a later step makes a certain fragment.
    pub(super) const fn awaits_fragment(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.fragment.is_some(),
            Self::Kill(kill) => kill.fragment.is_some(),
            Self::Pause(pause) => pause.fragment.is_some(),
            Self::Order(_) => true,
            _ => false,
        }
    }

    /// Whether its jobs make fragments that something can wait for.
    pub(super) const fn makes_fragments(&self) -> bool {
        matches!(self, Self::Backup(_) | Self::Advance(_) | Self::Resume(_) | Self::Restart)
    }

    /// Whether it runs jobs.
    pub(super) const fn has_jobs(&self) -> bool {
        self.makes_fragments()
            || matches!(
                self,
                Self::Restore(_)
                    | Self::Verify(_)
                    | Self::Expire(_)
                    | Self::Duplicate(_)
                    | Self::Synthetic(_)
                    | Self::Import(_)
                    | Self::Replicate
                    | Self::ImportReplicas(_)
                    | Self::Cleanup
            )
    }

    /// The key that the scenario file has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Verify(_) => "verify",
            Self::Expire(_) => "expire",
            Self::Duplicate(_) => "duplicate",
            Self::Synthetic(_) => "synthetic",
            Self::Import(_) => "import",
            Self::Replicate => "replicate",
            Self::ImportReplicas(_) => "import_replicas",
            Self::Cleanup => "cleanup",
            Self::LoseCatalog => "lose_catalog",
            Self::Resume(_) => "resume",
            Self::Advance(_) => "advance",
            Self::Change(_) => "change",
            Self::Fill(_) => "fill",
            Self::Fault(_) => "fault",
            Self::PluginFault(_) => "plugin_fault",
            Self::Heal => "heal",
            Self::Kill(_) => "kill",
            Self::Pause(step) if step.paused => "pause",
            Self::Pause(_) => "unpause",
            Self::Order(step) if matches!(step.order, JobOrder::Suspend) => "suspend",
            Self::Order(_) => "cancel",
            Self::Restart => "restart",
            Self::Upgrade(_) => "upgrade",
            Self::UpdateCredentials => "update_credentials",
            Self::Start(_) => "start",
            Self::Volume(_) => "volume",
        }
    }
}

/// A backup of the policy, started by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupStep {
    /// What is backed up: everything, or what changed since an earlier backup.
    pub schedule: ScheduleType,
    /// Takes checkpoints at ends of files, so far apart.
    pub checkpoint: Option<CheckpointEvery>,
    /// The operator suspends each job when this many bytes of its stream have been written.
    pub suspend_after: Option<ByteSize>,
    /// How long its images are locked (WORM), by the storage unit's retention.
    pub worm: Option<Milliseconds>,
    /// Whether the backup is accelerated.
    pub accelerator: bool,
    /// An accelerated backup reads and sends everything again.
    pub forced_rescan: bool,
    /// The operator cancels each job when this many bytes of its stream have been written.
    pub abort_after: Option<ByteSize>,
    /// How many tries each job has.
    pub tries: u32,
}

impl Default for BackupStep {
    fn default() -> Self {
        Self {
            schedule: ScheduleType::Full,
            checkpoint: None,
            suspend_after: None,
            worm: None,
            accelerator: false,
            forced_rescan: false,
            abort_after: None,
            tries: 1,
        }
    }
}

/// Which files a restore takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreSelection {
    /// All of them.
    #[default]
    All,
    /// Single files, each in a job of its own: this many of each backup, picked by the seed, first and last included.
    SingleFiles(u32),
    /// The named paths, in one job per backup.
    Files(Vec<String>),
}

/// A restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreStep {
    /// Which files.
    pub selection: RestoreSelection,
    /// The media server that reads; none = any of the storage unit's.
    pub media: Option<String>,
    /// Which copy; none: the primary one.
    pub copy: Option<u32>,
    /// How far apart checkpoints are.
    pub checkpoint: CheckpointEvery,
    /// The operator suspends each job when this many bytes of the stream have been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_after: Option<ByteSize>,
    /// In which domain.
    pub domain: Domain,
    /// Which backups. Incremental ones are never among them: they are no whole.
    pub images: ImageChoice,
}

/// Taking space of an LSU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillStep {
    /// The LSU; it must have a quota.
    pub lsu: String,
    /// What is left of its quota.
    pub leave: ByteSize,
}
