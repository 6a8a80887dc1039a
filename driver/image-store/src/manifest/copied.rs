//! What a state object says of the image that its own is a copy of.

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::identity::{ImageIdentity, escape, unescape};
use crate::layout::WriterId;

/// The source of a copy, and which writers stand for its writers while the copy is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) identity: ImageIdentity,
    /// The last writer of the source.
    pub(crate) writer: WriterId,
    /// The epoch of the source.
    pub(crate) epoch: u64,
    /// Who copies: may go on at once, whatever the lease says.
    pub(crate) copier: WriterId,
    /// Writers of the source's segments, and those under which the copies lie. Empty once the image is complete.
    pub(crate) writers: Vec<(WriterId, WriterId)>,
}

impl Copied {
    /// Whether it is a copy of exactly this image, and not of another one that had its name.
    pub(crate) fn is_of(&self, source: &Manifest) -> bool {
        self.identity == source.identity && self.writer == source.writer && self.epoch == source.epoch
    }

    /// Whether copies lie under this writer.
    pub(crate) fn writes_as(&self, writer: WriterId) -> bool {
        self.writers.iter().any(|(_, to)| *to == writer)
    }
}

/// The member of the line.
#[derive(Serialize, Deserialize)]
pub(super) struct CopiedLine {
    base_name: String,
    date: u64,
    policy: String,
    writer: String,
    epoch: u64,
    copier: String,
    writers: Vec<(String, String)>,
}

impl CopiedLine {
    pub(super) fn of(copied: &Copied) -> Self {
        let writers = copied.writers.iter().map(|(from, to)| (from.to_string(), to.to_string()));
        Self {
            base_name: escape(&copied.identity.base_name),
            date: copied.identity.date,
            policy: escape(&copied.identity.policy),
            writer: copied.writer.to_string(),
            epoch: copied.epoch,
            copier: copied.copier.to_string(),
            writers: writers.collect(),
        }
    }

    /// `None` if it is malformed.
    pub(super) fn read(&self) -> Option<Copied> {
        let writers =
            self.writers.iter().map(|(from, to)| Some((WriterId::parse(from)?, WriterId::parse(to)?)));
        Some(Copied {
            identity: ImageIdentity::new(unescape(&self.base_name)?, self.date, unescape(&self.policy)?)
                .ok()?,
            writer: WriterId::parse(&self.writer)?,
            epoch: self.epoch,
            copier: WriterId::parse(&self.copier)?,
            writers: writers.collect::<Option<_>>()?,
        })
    }
}
