//! What a scenario does, one step after the other.

use super::domain::{KillStep, OrderStep, PauseStep, VolumeStep};
use super::fault::Fault;
use super::flows::{
    ChangeStep, CopyStep, Domain, DuplicateStep, ImageChoice, ImportReplicasStep, ImportStep, ResumeStep,
    SyntheticStep,
};
use super::values::{ByteSize, Milliseconds};
use crate::nbu::{CheckpointEvery, ScheduleType};
use crate::primary::JobOrder;
use nbu_trace::orders::FaultOrder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
