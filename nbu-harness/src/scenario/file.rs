//! The keys of a scenario file, exactly as they may be written. Unknown keys are errors everywhere.

use super::flows::{
    AdvanceStep, ChangeStep, CopyStep, Domain, DuplicateFile, ImageChoice, ImportReplicasFile, ImportStep,
    Replication, ResumeStep, SyntheticStep,
};
use super::spec::{
    BackupStep, EmbeddedCluster, Expectations, ExternalCluster, FaultEffect, FaultOperation, FillStep,
    StorageServer,
};
use super::values::{ByteSize, Milliseconds};
use crate::nbu::{ForkPoint, HeaderOrder};
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
    pub(super) replication: Vec<Spanned<Replication>>,
    pub(super) units: Vec<Unit>,
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
    #[serde(default)]
    pub(super) worm: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub(super) label: Spanned<String>,
    pub(super) lsu: String,
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
    #[serde(default = "Policy::default_schedule")]
    pub(super) schedule: String,
    pub(super) storage: Spanned<String>,
    #[serde(default)]
    pub(super) header: HeaderOrder,
}

impl Policy {
    fn default_client() -> String {
        "client1".into()
    }

    fn default_schedule() -> String {
        "full".into()
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
    Backup(Spanned<BackupStep>),
    Restore(RestoreFile),
    Verify(CopyStep),
    Expire(CopyStep),
    Duplicate(DuplicateFile),
    Synthetic(SyntheticStep),
    Import(ImportStep),
    Replicate(Nothing),
    ImportReplicas(ImportReplicasFile),
    Cleanup(Nothing),
    LoseCatalog(Nothing),
    Resume(ResumeStep),
    Advance(Spanned<AdvanceStep>),
    Change(Spanned<ChangeStep>),
    Fill(Spanned<FillStep>),
    Fault(Spanned<FaultFile>),
    Heal(Nothing),
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
    pub(super) domain: Domain,
    pub(super) single_files: Option<Spanned<u32>>,
    pub(super) files: Option<Spanned<Vec<String>>>,
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
