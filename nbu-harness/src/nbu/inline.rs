//! Inline copies: one backup that is written to several places at once.

use serde::{Deserialize, Serialize};

use super::install::StorageUnit;

/// Copies that one backup makes at most, the first one included.
pub const MAX_INLINE_COPIES: usize = 4;

/// The copies that a backup makes beside its first one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InlineCopies {
    /// Where they go, copy 2 first; 1 to 3 units of the media server that writes copy 1, no two copies on one LSU.
    pub storage_units: Vec<StorageUnit>,
    /// What becomes of the others when one fails.
    pub on_failure: OnCopyFailure,
}

/// What becomes of the other copies when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCopyFailure {
    /// They are made, and the job is partially successful (1).
    #[default]
    Continue,
    /// They fail with it, and nothing is left.
    FailAll,
}
