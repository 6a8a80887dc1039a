//! What a check is: its id, its group, whether it is mandatory or by which claim, and how it is proven.

use super::probes::{self, Seen};
use super::resources::LeakKind;

/// How a check is proven.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// By what the plug-in answers to `bpstsinfo`, compared with what the cluster says of itself. Every time it is asked.
    Answers(fn(&Seen) -> Result<String, String>),
    /// By the same questions having the same answers each time.
    Alike(fn(&[Seen]) -> Result<String, String>),
    /// By what the library and the server say of one capability, by its name in `ost_abi`.
    Capability(&'static str),
    /// By findings of a scenario: these aspects of its expectations, or all of them when none is named.
    Scenario {
        /// The scenario's id.
        id: &'static str,
        /// Aspects, as [`crate::judge::Finding::aspect`] has them.
        aspects: &'static [&'static str],
    },
    /// By what the plug-in left in bptm and bpdm, in all scenarios that were run and at least in the main one.
    Footprint(fn(&crate::nbu::Footprint) -> &[String]),
    /// By what scenarios left on the machine, in all that were run and at least in the main one.
    Leaks(LeakKind),
    /// By a backup with something in place of the plug-in.
    NotAPlugin(probes::Substitute),
}

impl Proof {
    /// The scenario that it needs to be run.
    pub const fn scenario(self) -> Option<&'static str> {
        match self {
            Self::Scenario { id, .. } => Some(id),
            Self::Footprint(_) | Self::Leaks(_) => Some(super::catalogue::MAIN),
            Self::Answers(_) | Self::Alike(_) | Self::Capability(_) | Self::NotAPlugin(_) => None,
        }
    }
}

/// Whether a plug-in has to pass a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Every plug-in, whatever it claims: such a check is never skipped.
    Mandatory,
    /// A plug-in whose server claims this capability, by its name in [`ost_abi::STS_CAPABILITIES`]; others skip it.
    Claimed(&'static str),
}

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Stable id.
    pub id: &'static str,
    /// Its group.
    pub group: &'static str,
    /// Who has to pass it.
    pub requirement: Requirement,
    /// One line.
    pub title: &'static str,
    /// What a pass proves.
    pub proves: &'static str,
    /// Whether `--quick` runs it too.
    pub quick: bool,
    /// How.
    pub proof: Proof,
}

impl Check {
    /// The same check, required of those alone whose server claims a capability.
    #[must_use]
    pub const fn claimed(self, capability: &'static str) -> Self {
        Self { requirement: Requirement::Claimed(capability), ..self }
    }

    /// Whether a pattern is the beginning of its id or group; no pattern matches everything.
    pub fn matches(&self, patterns: &[String]) -> bool {
        patterns.is_empty()
            || patterns.iter().any(|p| self.id.starts_with(p.as_str()) || self.group.starts_with(p.as_str()))
    }
}
