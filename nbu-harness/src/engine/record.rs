//! What a run leaves behind: facts, for expectations, checks and reports.

use crate::nbu::{ImageRecord, JobKind, JobResult, JobState};
use crate::oracle::Comparison;
use crate::primary::Try;
use crate::scenario::{Fault, KillStep, OrderStep, PauseStep, Scenario};
use nbu_trace::orders::FaultOrder;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything about one run of one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The scenario with every default.
    pub scenario: Scenario,
    /// The administrator's commands, as far as they went; none for a domain that was set up directly.
    pub set_up: Vec<CommandRecord>,
    /// What the commands recorded of the storage server: after the set-up and after each step that changed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<RecordedAttributes>,
    /// Streams as they were prepared.
    pub streams: Vec<StreamFacts>,
    /// Steps in order.
    pub steps: Vec<StepRecord>,
    /// Jobs in order of their ids.
    pub jobs: Vec<JobRecord>,
    /// Requests that the cluster counted, by VIP; none for an external cluster.
    pub vips: Option<BTreeMap<String, VipRequests>>,
    /// Requests to the management API, by method and resource.
    pub vms: BTreeMap<String, u64>,
    /// What became of the injected faults.
    pub faults: Vec<FaultOutcome>,
    /// What became of the kills.
    pub kills: Vec<KillOutcome>,
    /// What became of the pauses.
    pub pauses: Vec<PauseOutcome>,
    /// What became of the operator's orders.
    pub orders: Vec<OrderOutcome>,
    /// What became of the calls that were to go wrong.
    pub plugin_faults: Vec<PluginFaultOutcome>,
    /// What the cluster holds at the end; none for an external cluster.
    pub storage: Option<StorageState>,
    /// Wall time of the whole run in milliseconds.
    pub elapsed_ms: u64,
}

impl Record {
    /// Jobs of a kind.
    pub fn jobs_of(&self, kind: JobKind) -> impl Iterator<Item = &JobRecord> {
        self.jobs.iter().filter(move |job| job.result.kind == kind)
    }
}

/// One of NetBackup's commands, as an administrator ran it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandRecord {
    /// Its name and arguments.
    pub line: String,
    /// Its exit code; -1 when a signal ended it.
    pub status: i32,
    /// What it printed.
    pub output: String,
}

/// What is recorded of the storage server and its disk pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedAttributes {
    /// The step after which it is so, from 1; 0: after the set-up.
    pub step: usize,
    /// Version of the plug-in that was asked last.
    pub version: String,
    /// Flags of the storage server.
    pub server: Vec<String>,
    /// Flags of its disk pools, by name.
    pub pools: BTreeMap<String, Vec<String>>,
}

/// A stream as it was prepared.
#[derive(Debug, Clone, Serialize)]
pub struct StreamFacts {
    /// Its number, from 1.
    pub number: usize,
    /// What it reads, in words.
    pub source: String,
    /// Paths (0 for synthetic data).
    pub paths: usize,
    /// Regular files.
    pub files: usize,
    /// Bytes of regular files.
    pub bytes: u64,
    /// What the generated tree could not have here.
    pub left_out: Vec<String>,
}

/// One job.
#[derive(Debug, Clone, Serialize)]
pub struct JobRecord {
    /// Index of its step.
    pub step: usize,
    /// Number of its stream.
    pub stream: usize,
    /// Storage unit.
    pub unit: String,
    /// For restores of single files: bytes of the stream that the files take, headers included.
    pub wanted_bytes: Option<u64>,
    /// State at the end of its step.
    pub state: JobState,
    /// Its attempts.
    pub tries: Vec<Try>,
    /// Its parent job.
    pub parent: Option<u64>,
    /// Why it got no storage.
    pub reason: Option<String>,
    /// What its last try reported.
    pub result: JobResult,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepRecord {
    /// Its key in the scenario.
    pub name: &'static str,
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
    /// What the cluster held before it.
    pub before: Option<StorageState>,
    /// What the cluster held after it.
    pub after: Option<StorageState>,
    /// For restores: what came back compared with what was there before the backup.
    pub full: Option<Comparison>,
    /// The same for single files.
    pub single: Option<Comparison>,
    /// For backups: images in the catalogue after it.
    pub images: Vec<ImageFacts>,
    /// For duplications, and for backups with inline copies: backups and how many copies each has after it.
    pub copies: Vec<(String, u64)>,
    /// For backups: files that were changed while they were read.
    pub changed: Vec<ChangedFile>,
}

/// An image (backup) as the catalogue has it.
#[derive(Debug, Clone, Serialize)]
pub struct ImageFacts {
    /// Number of its stream.
    pub stream: usize,
    /// The catalogue's record.
    #[serde(flatten)]
    pub image: ImageRecord,
    /// Image names in the order in which they were made.
    pub made: Vec<String>,
}

/// A file that was changed while it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedFile {
    /// Number of the stream.
    pub stream: usize,
    /// Path below the tree.
    pub path: String,
    /// How many blocks were rewritten during the backup.
    pub rewrites: u64,
    /// Whether the backup reported it.
    pub reported: bool,
}

/// Requests of one VIP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VipRequests {
    /// Connections.
    pub connections: u64,
    /// Requests by operation.
    pub operations: BTreeMap<String, u64>,
    /// Body bytes taken.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
}

impl VipRequests {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.operations.values().sum()
    }
}

/// What became of an injected fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultOutcome {
    /// The fault.
    pub fault: Fault,
    /// How often it struck.
    pub hits: u64,
}

/// What became of a kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KillOutcome {
    /// What was to be killed.
    pub kill: KillStep,
    /// How often it was.
    pub hits: u64,
}

/// What became of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseOutcome {
    /// What was paused, or went on.
    pub pause: PauseStep,
    /// How many processes that concerned.
    pub hits: u64,
}

/// What became of an operator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderOutcome {
    /// The order.
    pub order: OrderStep,
    /// How often it was given.
    pub hits: u64,
}

/// What became of calls of the plug-in that were to go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginFaultOutcome {
    /// The fault.
    pub fault: FaultOrder,
    /// How often it struck, in all processes.
    pub hits: u64,
}

/// What a cluster holds: every object and every open upload of the scenario's LSUs, from its raw state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StorageState {
    /// Bytes of objects and parts.
    pub bytes: u64,
    /// Number of objects.
    pub objects: usize,
    /// Number of open uploads.
    pub uploads: usize,
    /// What there is, each as `lsu/key` with size or `lsu/key (upload id)`.
    #[serde(skip)]
    pub things: BTreeMap<String, u64>,
}

impl StorageState {
    /// What is in `self` and not in `before`, or not with the same size.
    pub fn more_than<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        self.things
            .iter()
            .filter(|(name, size)| before.things.get(*name) != Some(*size))
            .map(|(name, _)| name.as_str())
    }

    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }
}
