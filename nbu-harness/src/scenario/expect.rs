//! What a scenario expects: of its jobs, of the catalogue, of the storage and of the data.

use super::flows::{MediaServerWrites, StepDetails};
use super::values::{Comparison, Milliseconds};
use crate::nbu::{JobState, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// NetBackup's job types that scenarios know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobType {
    /// Backup.
    Backup,
    /// Restore.
    Restore,
    /// Verify.
    Verify,
    /// Duplicate.
    Duplicate,
    /// Import.
    Import,
    /// Replication (A.I.R.).
    Replication,
    /// Import of what was replicated (A.I.R.).
    #[serde(rename = "Replication import")]
    ReplicationImport,
    /// Image cleanup.
    #[serde(rename = "Image cleanup")]
    ImageCleanup,
}

/// What to expect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expectations {
    /// How jobs end. Every job must match an entry of its type, every entry a job; without any, all end with 0.
    pub jobs: Vec<JobExpectation>,
    /// What the catalogue holds after the backups.
    pub catalog: CatalogExpectation,
    /// What the cluster holds.
    pub storage: StorageExpectation,
    /// What restores give.
    pub data: DataExpectation,
    /// How much the media server may write in the jobs of some steps: what tells optimized flows from others.
    pub media_server_writes: Vec<MediaServerWrites>,
    /// How much the media server may read in the jobs of some steps.
    pub media_server_reads: Vec<MediaServerWrites>,
    /// Whether wait and delay counters are there and fit each other and the elapsed time.
    pub counters: Option<Consistent>,
    /// What the plug-in leaves in the processes that load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaks: Option<Leaks>,
    /// Largest resident size of any bptm.
    pub bptm_peak_memory: Option<Comparison>,
    /// Every job ends within this time.
    pub all_jobs_done_within: Option<Milliseconds>,
    /// Words that the job details of a failed job have: what a person needs to know.
    pub job_details_say: Vec<String>,
    /// Words that the details of each job of some steps have, however it ended.
    pub step_details_say: Vec<StepDetails>,
    /// What the commands recorded of the storage server and its disk pools.
    pub attributes: Vec<AttributeExpectation>,
    /// Whether all injected faults really happened.
    pub faults_fired: bool,
}

/// The only thing that counters can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistent {
    /// They fit each other and the elapsed time.
    Consistent,
}

/// The only thing that a plug-in may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leaks {
    /// No descriptor and no thread after `stspi_terminate` that was not there before the load.
    None,
}

/// How jobs of a type end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobExpectation {
    /// Job type.
    #[serde(rename = "type")]
    pub job_type: JobType,
    /// NetBackup status.
    pub status: i32,
    /// How many jobs end so; none: at least one.
    pub count: Option<Comparison>,
    /// How many tries they took; none: any number.
    #[serde(default)]
    pub tries: Option<Comparison>,
    /// NetBackup statuses of their tries, in order; none: any.
    #[serde(default)]
    pub try_statuses: Option<Vec<i32>>,
    /// The media server of their last try; none: any.
    #[serde(default)]
    pub media: Option<String>,
    /// The storage unit of their last try; none: any.
    #[serde(default)]
    pub unit: Option<String>,
    /// The operations that their last try went through, in order; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Operation>>,
    /// State that they are in; none: done.
    #[serde(default)]
    pub state: Option<JobState>,
}

/// What is recorded of the storage server, and of every disk pool, after a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeExpectation {
    /// Number of the step, from 1; 0: after the set-up.
    pub step: usize,
    /// Version of the plug-in that was asked last.
    #[serde(default)]
    pub version: Option<String>,
    /// Flags that are there, as `nbdevquery -liststs -U` has them.
    #[serde(default)]
    pub has: Vec<String>,
    /// Flags that are not there.
    #[serde(default)]
    pub lacks: Vec<String>,
}

/// What the catalogue holds after the backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogExpectation {
    /// Number of images (backups).
    pub images: Option<Comparison>,
    /// Number of data fragments of every backup.
    pub fragments: Option<Comparison>,
    /// Number of copies that every backup has after each duplication.
    pub copies: Option<Comparison>,
    /// Whether the header image comes where the policy says, by the order in which images were made.
    pub header_in_order: bool,
}

/// What the cluster holds, looked at in its raw state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StorageExpectation {
    /// A failed or cancelled step leaves exactly what was there before: no object, no version, no open upload.
    pub no_orphans: bool,
    /// After the last step nothing is there.
    pub empty: bool,
    /// Every VIP took part.
    pub all_vips_used: bool,
}

/// What restores give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataExpectation {
    /// A full restore equals what was there before the backup.
    pub restore: Option<ByteIdentical>,
    /// So does every single file.
    pub single_file: Option<ByteIdentical>,
    /// Bytes that a single-file restore read beyond those of its file.
    pub single_file_read_overhead: Option<Comparison>,
    /// Nothing that any restore returned is wrong, even where a restore had to give up.
    pub no_wrong_bytes: bool,
    /// A file that changed while it was read is reported by the backup.
    pub changed_file_reported: bool,
}

/// The only thing that restored data can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByteIdentical {
    /// Equal in content, modes, times, owners and links.
    ByteIdentical,
}
