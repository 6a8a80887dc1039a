//! The key `checkpoint`: a size, or a time as NetBackup counts it; and restores, which have checkpoints always.

use super::file::RestoreFile;
use super::flows::Domain;
use super::resolve::{Problem, restore_selection};
use super::step::RestoreStep;
use super::values::{ByteSize, Milliseconds};
use crate::nbu::CheckpointEvery;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// How far apart checkpoints are: `4m` are bytes; `{every: 15m}` is time, 15 minutes without `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub(super) enum CheckpointFile {
    Size(ByteSize),
    Time(Time),
}

/// Time between two checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Time {
    /// Real time between two checkpoints at least; default: NetBackup's, 15 minutes for a backup and one for a restore.
    every: Option<Milliseconds>,
}

impl CheckpointFile {
    /// With a default for a time that is not given.
    pub(super) fn every(self, default: CheckpointEvery) -> CheckpointEvery {
        match self {
            Self::Size(ByteSize(bytes)) => CheckpointEvery::Bytes(bytes),
            Self::Time(Time { every }) => {
                every.map_or(default, |Milliseconds(time)| CheckpointEvery::Milliseconds(time))
            }
        }
    }
}

/// A restore step.
pub(super) fn restore(step: RestoreFile, media: Option<String>) -> Result<RestoreStep, Problem> {
    if let Some(after) = step.suspend_after.as_ref().filter(|_| step.domain == Domain::Target) {
        let message = "jobs of the target domain are not resumed here";
        return Err(Problem::new(after.referenced, message, "leave `suspend_after` or `domain` out"));
    }
    let every = step.checkpoint.map(|checkpoint| checkpoint.every(CheckpointEvery::RESTORE));
    Ok(RestoreStep {
        media,
        copy: step.copy,
        checkpoint: every.unwrap_or(CheckpointEvery::RESTORE),
        suspend_after: step.suspend_after.as_ref().map(|after| after.value),
        domain: step.domain,
        images: step.images,
        selection: restore_selection(step)?,
    })
}

/// What a restore step says of its checkpoints, where that is not NetBackup's own.
pub(super) fn tell_restore(step: &RestoreStep) -> String {
    let every = match step.checkpoint {
        CheckpointEvery::RESTORE => String::new(),
        every => format!(" tar takes a checkpoint at the first end of a file after each {}.", words(every)),
    };
    let suspended = step.suspend_after.map_or_else(String::new, |bytes| {
        format!(" The operator suspends each job when {bytes} of its stream are read.")
    });
    every + &suspended
}

/// As a phrase.
pub(super) fn words(every: CheckpointEvery) -> String {
    match every {
        CheckpointEvery::Bytes(bytes) => ByteSize(bytes).to_string(),
        CheckpointEvery::Milliseconds(time) if time >= 1000 && time % 1000 == 0 => {
            format!("{} s", time / 1000)
        }
        CheckpointEvery::Milliseconds(time) => format!("{time} ms"),
    }
}

impl<'de> Deserialize<'de> for CheckpointFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = CheckpointFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 4m, or a time such as {every: 15m}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CheckpointFile, E> {
                text.parse().map(CheckpointFile::Size).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<CheckpointFile, E> {
                Ok(CheckpointFile::Size(ByteSize(number)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<CheckpointFile, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<CheckpointFile, M::Error> {
                Time::deserialize(MapAccessDeserializer::new(map)).map(CheckpointFile::Time)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
