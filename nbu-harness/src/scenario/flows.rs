//! The steps of the flows behind a backup (copies and what is made of them), as they are written, resolved and told.

use super::diagnostic::nearest;
use super::resolve::Problem;
use super::step::BackupStep;
use super::values::{ByteSize, Comparison};
use super::{Lsu, Scenario, TargetCluster};
use crate::nbu::{DuplicateMethod, DuplicateRequest, FallBack, ScheduleType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

/// Verifies or expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CopyStep {
    /// Which copy; none: the primary one is verified, all are expired.
    pub copy: Option<u32>,
    /// Which backups.
    pub images: ImageChoice,
    /// In which domain.
    pub domain: Domain,
}

/// A NetBackup domain: a catalogue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// The one that backs up.
    #[default]
    Source,
    /// The one that backups are replicated to.
    Target,
}

impl Domain {
    /// As a phrase, with a comma before it; nothing for the usual one.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Source => "",
            Self::Target => ", in the target domain",
        }
    }
}

/// An LSU and the LSU that its images are replicated to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// Source.
    pub from: String,
    /// Target; with the storage server before it, `vast2:lsu0`, on the target cluster.
    pub to: String,
}

/// The target domain imports what was replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImportReplicasStep {
    /// Index of the storage unit whose LSU is the target.
    pub unit: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportReplicasFile {
    #[schemars(with = "String")]
    unit: Spanned<String>,
}

/// Which backups a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageChoice {
    /// All of them.
    #[default]
    All,
    /// The latest of each stream.
    Latest,
    /// All but the latest of each stream.
    Older,
}

impl ImageChoice {
    /// As a phrase.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::All => "every backup so far",
            Self::Latest => "the latest backup of each stream",
            Self::Older => "every backup but the latest of each stream",
        }
    }
}

/// Imports what is on the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImportStep {
    /// Only phase 1: headers, no files.
    pub phase_one_only: bool,
}

/// Resumes incomplete and suspended backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResumeStep {
    /// Another buffer size than that of the scenario.
    #[serde(rename = "SIZE_DATA_BUFFERS_DISK")]
    pub size_data_buffers_disk: Option<ByteSize>,
}

/// Limits of locks, in seconds, as the plug-in's configuration has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WormLimits {
    /// Shortest lock.
    pub minimum: u64,
    /// Longest lock.
    pub maximum: u64,
}

/// Moves the data of all streams on by one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeStep {
    /// Share of a generated tree's files that change, move or get another mode. `GEN_DATA` has its own directives.
    pub percent: u8,
    /// Share of a generated tree's files that go.
    pub delete_percent: u8,
}

impl Default for ChangeStep {
    fn default() -> Self {
        Self { percent: 10, delete_percent: 3 }
    }
}

/// Makes a synthetic full backup of every stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticStep {
    /// Whether the storage server composes the image; otherwise the media server reads and writes.
    pub optimized: bool,
    /// When a normal synthetic backup takes the place of an optimized one.
    pub fall_back: FallBack,
}

impl Default for SyntheticStep {
    fn default() -> Self {
        Self { optimized: true, fall_back: FallBack::default() }
    }
}

/// Makes another copy of every backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DuplicateStep {
    /// Index of the storage unit that the copy goes to.
    pub to: usize,
    /// The copy that is read; none: the primary one.
    pub source_copy: Option<u32>,
    /// How the data gets there.
    pub method: DuplicateMethod,
    /// When a normal duplication takes the place of an optimized one.
    pub fall_back: FallBack,
    /// Bytes that an extent copy asks for at a time.
    pub extent: ByteSize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DuplicateFile {
    #[schemars(with = "String")]
    to: Spanned<String>,
    #[serde(default)]
    source_copy: Option<u32>,
    #[serde(default)]
    method: DuplicateMethod,
    #[serde(default)]
    fall_back: FallBack,
    #[serde(default)]
    #[schemars(with = "Option<ByteSize>")]
    extent: Option<Spanned<ByteSize>>,
}

/// How much the jobs of a step may have moved through the media server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaServerWrites {
    /// Number of the step, from 1.
    pub step: usize,
    /// Bytes that bptm or bpdm gave to the plug-in in write calls, or got in read calls, in each successful job of it.
    pub bytes: Comparison,
}

/// What the details of the jobs of a step say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDetails {
    /// Number of the step, from 1.
    pub step: usize,
    /// The words.
    pub says: String,
}

/// What a backup step cannot be at the same time.
pub(super) fn backup(place: Location, step: BackupStep) -> Result<BackupStep, Problem> {
    let BackupStep { schedule, accelerator, forced_rescan, checkpoint, suspend_after, abort_after, .. } =
        step;
    let full = schedule == ScheduleType::Full;
    let wrong = |message: &str, help: &str| Err(Problem::new(place, message, help));
    if forced_rescan && !accelerator {
        return wrong("a forced rescan is one of an accelerated backup", "add `accelerator: true`");
    }
    if (accelerator || checkpoint.is_some()) && !full {
        let help = "leave `schedule` out";
        return wrong("only full backups are accelerated or have checkpoints here", help);
    }
    if accelerator && checkpoint.is_some() {
        return wrong("an accelerated backup has no checkpoints here", "leave one of the two out");
    }
    if suspend_after.is_some() && abort_after.is_some() {
        return wrong("a job cannot be suspended and cancelled", "leave one of the two out");
    }
    if suspend_after.is_some() && checkpoint.is_none() {
        return wrong(
            "a job without checkpoints cannot be suspended",
            "add `checkpoint: 4m` or `checkpoint: {every: 15m}`",
        );
    }
    Ok(step)
}

/// The index of a storage unit.
fn unit(label: &Spanned<String>, labels: &[&str]) -> Result<usize, Problem> {
    labels.iter().position(|known| *known == label.value).ok_or_else(|| {
        let message = format!("there is no storage unit `{}`", label.value);
        Problem::new(label.referenced, message, nearest("label", &label.value, labels))
    })
}

pub(super) fn duplicate(step: DuplicateFile, labels: &[&str]) -> Result<DuplicateStep, Problem> {
    let extent = match step.extent {
        Some(size) if size.value.0 == 0 || !size.value.0.is_multiple_of(512) => {
            let help = "expected a multiple of 512 bytes, such as 256k";
            return Err(Problem::new(size.referenced, "not the size of an extent", help));
        }
        Some(size) => size.value,
        None => ByteSize(DuplicateRequest::default_extent()),
    };
    Ok(DuplicateStep {
        to: unit(&step.to, labels)?,
        source_copy: step.source_copy,
        method: step.method,
        fall_back: step.fall_back,
        extent,
    })
}

pub(super) fn import_replicas(
    step: &ImportReplicasFile,
    labels: &[&str],
) -> Result<ImportReplicasStep, Problem> {
    Ok(ImportReplicasStep { unit: unit(&step.unit, labels)? })
}

pub(super) fn replication(
    pairs: Vec<Spanned<Replication>>,
    lsus: &[Lsu],
    target: Option<&TargetCluster>,
) -> Result<Vec<Replication>, Problem> {
    let own: Vec<&str> = lsus.iter().map(|lsu| lsu.name.as_str()).collect();
    let there: Vec<String> = target.into_iter().flat_map(TargetCluster::lsu_names).collect();
    let both: Vec<&str> = own.iter().copied().chain(there.iter().map(String::as_str)).collect();
    for pair in &pairs {
        for (name, names) in [(&pair.value.from, &own), (&pair.value.to, &both)] {
            if !names.contains(&name.as_str()) {
                let message = format!("there is no LSU `{name}`");
                return Err(Problem::new(pair.referenced, message, nearest("LSU", name, names)));
            }
        }
        if pair.value.from == pair.value.to {
            let help = "name two LSUs";
            return Err(Problem::new(pair.referenced, "an LSU is not replicated to itself", help));
        }
    }
    Ok(pairs.into_iter().map(|pair| pair.value).collect())
}

pub(super) fn tell_import_replicas(step: ImportReplicasStep, scenario: &Scenario) -> String {
    let unit = &scenario.units[step.unit];
    format!(
        "The target domain imports: nbrmms asks for the events of LSU {}, bpimport has bpdm read the catalogue images \
         that they name, and the events are deleted.",
        unit.lsu
    )
}

pub(super) fn tell_import(step: ImportStep) -> String {
    let then = if step.phase_one_only {
        ""
    } else {
        " Phase 2: bptm reads each backup that was entered, and its file list is made anew."
    };
    format!(
        "Import, phase 1: for the LSU of every storage unit, bpimport has bpdm read the headers and enters the backups.{then}"
    )
}

pub(super) fn tell_resume(step: ResumeStep) -> String {
    let with = step.size_data_buffers_disk.map(|size| format!(" with buffers of {size}")).unwrap_or_default();
    format!(
        "Resume{with} every job that can be, under its job id: bpbkar goes on behind the file of the last checkpoint, bptm \
         with the next fragment; a restore at the file of its last checkpoint."
    )
}

pub(super) fn tell_change(step: ChangeStep) -> String {
    format!(
        "The data of every stream moves on by one generation: {} % of a tree's files change, {} % go, synthetic files as \
         their directives say.",
        step.percent, step.delete_percent
    )
}

pub(super) fn tell_synthetic(step: SyntheticStep) -> String {
    let how = if step.optimized {
        "bptm has the storage include the pieces"
    } else {
        "one bptm reads the pieces, another writes"
    };
    let otherwise = match step.fall_back {
        FallBack::Never => "",
        _ if step.optimized => "; if it does not offer that, one bptm reads and another writes",
        _ => "",
    };
    format!(
        "Synthetic full backup of every stream, from its last full and incremental backups: bpsynth plans, {how}{otherwise}."
    )
}

pub(super) fn tell_duplicate(step: &DuplicateStep, scenario: &Scenario) -> String {
    let unit = &scenario.units[step.to];
    let how = match step.method {
        DuplicateMethod::Optimized => {
            "bpdm has the storage copy the images, whole if it can, else by extents"
        }
        DuplicateMethod::WholeImage => "bpdm has the storage copy whole images",
        DuplicateMethod::Extents => "bpdm has the storage copy the images by extents",
        DuplicateMethod::Normal => "one bptm reads, another writes",
    };
    let otherwise = match (step.method, step.fall_back) {
        (DuplicateMethod::Normal, _) | (_, FallBack::Never) => "",
        (_, FallBack::NotOffered) => "; if it does not offer that, one bptm reads and another writes",
        (_, FallBack::Failed) => "; if that fails, one bptm reads and another writes",
    };
    format!(
        "Duplicate every backup so far to storage unit {} (LSU {}): bpduplicate; {how}{otherwise}.",
        unit.label, unit.lsu
    )
}
