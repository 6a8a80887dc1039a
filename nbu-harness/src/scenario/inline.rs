//! Inline copies: the keys `copies` and `on_copy_failure` of a policy, resolved and told.

use super::file::Policy;
use super::resolve::Problem;
use super::step::BackupStep;
use crate::nbu::{MAX_INLINE_COPIES, OnCopyFailure};
use serde::Serialize;
use serde_saphyr::{Location, Spanned};

/// The copies that each backup of a policy makes beside its first one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Copies {
    /// Labels of the storage units or groups that they go to, copy 2 first.
    pub further: Vec<String>,
    /// What becomes of the other copies when one fails.
    pub on_failure: OnCopyFailure,
}

impl Copies {
    /// Whether there are none beside the first one.
    pub fn is_one(&self) -> bool {
        self.further.is_empty()
    }

    /// Refuses what a backup with several copies cannot be.
    pub(super) fn allow(&self, place: Location, step: &BackupStep) -> Result<(), Problem> {
        if self.is_one() || (!step.accelerator && step.checkpoint.is_none()) {
            return Ok(());
        }
        let message = "a backup with several copies has neither checkpoints nor an accelerator here";
        Err(Problem::new(place, message, "leave that out, or name one `storage` in place of `copies`"))
    }

    /// In words; nothing for one copy.
    pub(super) fn words(&self) -> String {
        if self.is_one() {
            return String::new();
        }
        let others = match self.on_failure {
            OnCopyFailure::Continue => "the others are made all the same",
            OnCopyFailure::FailAll => "all fail",
        };
        format!(", and copies of the same stream to {}; when one fails, {others}", self.further.join(", "))
    }
}

/// All that the policy names to write to, copy 1 first.
pub(super) fn storage(policy: &Policy) -> Vec<Spanned<String>> {
    let copies = policy.copies.iter().flat_map(|copies| &copies.value);
    policy.storage.iter().chain(copies).cloned().collect()
}

/// Where copy 1 goes.
pub(super) fn first(policy: &Policy) -> Result<&Spanned<String>, Problem> {
    match (&policy.storage, &policy.copies) {
        (Some(storage), None) => Ok(storage),
        (Some(storage), Some(_)) => {
            let message = "`storage` and `copies` exclude each other";
            Err(Problem::new(
                storage.referenced,
                message,
                "leave `storage` out: copy 1 goes to the first of `copies`",
            ))
        }
        (None, Some(copies)) if (2..=MAX_INLINE_COPIES).contains(&copies.value.len()) => Ok(&copies.value[0]),
        (None, Some(copies)) => {
            let help =
                format!("expected 2 to {MAX_INLINE_COPIES} storage units, or `storage: NAME` for one copy");
            Err(Problem::new(copies.referenced, "not a number of copies", help))
        }
        (None, None) => {
            let help = "add `storage: NAME`, or `copies: [NAME, NAME]`";
            Err(Problem::new(policy.name.referenced, "it is not said where the policy writes to", help))
        }
    }
}

/// The other copies; `known` refuses a label that there is not.
pub(super) fn further(
    policy: &Policy,
    known: impl Fn(&Spanned<String>) -> Result<(), Problem>,
) -> Result<Copies, Problem> {
    let further = policy.copies.iter().flat_map(|copies| copies.value.iter().skip(1));
    further.clone().try_for_each(known)?;
    let copies = Copies {
        further: further.map(|label| label.value.clone()).collect(),
        on_failure: policy.on_copy_failure.as_ref().map(|rule| rule.value).unwrap_or_default(),
    };
    match policy.on_copy_failure.as_ref().filter(|_| copies.is_one()) {
        Some(rule) => {
            let help = "add `copies: [NAME, NAME]`";
            Err(Problem::new(rule.referenced, "there is one copy, and no other that it could concern", help))
        }
        None => Ok(copies),
    }
}
