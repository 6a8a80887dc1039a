//! What the database holds of the places that policies send backups to: storage units, their groups, and storage
//! lifecycle policies.

use serde::{Deserialize, Serialize};

/// A storage unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUnit {
    /// Label.
    pub label: String,
    /// Disk pool.
    pub pool: String,
    /// Media servers that may use it; none means any with credentials.
    pub media_servers: Vec<String>,
    /// Concurrent jobs; 0 disables the unit.
    pub max_concurrent_jobs: u32,
    /// Fragment size in MiB.
    pub max_fragment_mb: u64,
    /// Only for policies that name it.
    pub on_demand_only: bool,
}

/// How a storage unit group picks one of its units. The numbers of `-sm` are from memory of the documentation: not
/// verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// 1: the first one that is available.
    #[default]
    Prioritized,
    /// 2: the first one that is not down or full; a busy one is waited for.
    Failover,
    /// 3: the one that was used longest ago.
    RoundRobin,
    /// 4: the one whose media server has the least to do.
    MediaServerLoadBalancing,
}

impl Selection {
    /// All of them, in the order of their numbers from 1.
    pub const ALL: [Self; 4] =
        [Self::Prioritized, Self::Failover, Self::RoundRobin, Self::MediaServerLoadBalancing];

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Prioritized => "Prioritized",
            Self::Failover => "Failover",
            Self::RoundRobin => "Round Robin",
            Self::MediaServerLoadBalancing => "Media Server Load Balancing",
        }
    }
}

/// A storage unit group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUnitGroup {
    /// Name.
    pub name: String,
    /// Labels of its units, in order.
    pub units: Vec<String>,
    /// How it picks one.
    pub selection: Selection,
}

/// What an operation of a lifecycle policy does (`usefor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseFor {
    /// 0.
    Backup,
    /// 1.
    Duplication,
    /// 2.
    Snapshot,
    /// 3.
    Replication,
    /// 4.
    Import,
    /// 5.
    BackupFromSnapshot,
}

impl UseFor {
    /// All of them, in the order of their numbers from 0.
    pub const ALL: [Self; 6] = [
        Self::Backup,
        Self::Duplication,
        Self::Snapshot,
        Self::Replication,
        Self::Import,
        Self::BackupFromSnapshot,
    ];

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Duplication => "Duplication",
            Self::Snapshot => "Snapshot",
            Self::Replication => "Replication",
            Self::Import => "Import",
            Self::BackupFromSnapshot => "Backup From Snapshot",
        }
    }
}

/// One operation of a lifecycle policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What it does.
    pub use_for: UseFor,
    /// Storage unit or group it writes to; for a replication, the target domain's name or empty for any.
    pub storage: String,
    /// The operation whose copy it works from, by its place from 0; `None` for one that makes the first copy.
    pub source: Option<usize>,
    /// How long its copy is kept, in seconds; `None` is forever.
    pub retention_seconds: Option<u64>,
}

/// A storage lifecycle policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecyclePolicy {
    /// Name.
    pub name: String,
    /// Version: 0 at first, one more with every change.
    pub version: u32,
    /// Operations in order.
    pub operations: Vec<Operation>,
}
