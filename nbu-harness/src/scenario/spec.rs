//! A scenario with every default filled in: what the engine runs and what the JSON result prints.

use super::domain::{GlobalAttributes, GroupSpec, PoolSpec, ScheduleSpec};
use super::expect::Expectations;
use super::flows::{Domain, Replication};
use super::inline::Copies;
use super::lifecycle::SlpSpec;
use super::media_server::{ClockOffset, PluginSpec};
use super::step::Step;
use super::storage::{Cluster, Lsu, StorageServer, StorageUnitSpec};
use super::target::TargetCluster;
use crate::data::{GenData, TreeSpec};
use crate::emm::UseFor;
use crate::nbu::{DataBuffers, ForkPoint, HeaderOrder, Timeouts};
use serde::Serialize;
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
