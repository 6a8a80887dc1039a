//! What the wrapping plug-in is told: environment variables, and faults as JSON.

use serde::{Deserialize, Serialize};

/// The plug-in that is wrapped: path of its library. Without it every call fails.
pub const PLUGIN: &str = "NBU_SHIM_PLUGIN";
/// Directory that gets a trace of every process: `<process>-<pid>-<start>.nbutrace`.
pub const TRACE: &str = "NBU_SHIM_TRACE";
/// Faults to inject: a JSON list of [`FaultOrder`].
pub const FAULTS: &str = "NBU_SHIM_FAULTS";
/// File that gets a line for every time a fault struck: its [`FaultOrder::id`]. Written before the fault has its effect.
pub const HITS: &str = "NBU_SHIM_HITS";
/// The one thing that the plug-in shall do wrong: a name of the table [`crate::defects::DEFECTS`].
pub const DEFECT: &str = "NBU_SHIM_DEFECT";
/// The file of shared memory that a plug-in leaves whose defect is that; whoever orders the defect removes it.
pub const SEGMENT: &str = "NBU_SHIM_SEGMENT";
/// The older version that it shall pass for: an [`OlderVersion`] as JSON.
pub const OLDER: &str = "NBU_SHIM_OLDER";

/// The prefix of every entry point, which orders may leave out.
const PREFIX: &str = "stspi_";

/// A fault: some calls of one entry point in one process, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// Chosen by whoever gives the order; it comes back in the file of hits.
    #[serde(default)]
    pub id: u64,
    /// Entry point, with or without `stspi_`.
    pub call: String,
    /// What happens.
    pub effect: FaultEffect,
    /// How many calls of it in the process are left alone first.
    #[serde(default)]
    pub skip: u64,
    /// How many calls after those are hit.
    #[serde(default = "once")]
    pub times: u64,
    /// Only in processes of this name, such as `bptm`; none: in every process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

const fn once() -> u64 {
    1
}

impl FaultOrder {
    /// Full name of the entry point.
    pub fn entry_point(&self) -> String {
        full_name(&self.call)
    }
}

/// The name of an entry point with its prefix.
pub fn full_name(call: &str) -> String {
    if call.starts_with(PREFIX) { call.to_owned() } else { format!("{PREFIX}{call}") }
}

/// What happens to a call. A call that closes a handle is made whatever its answer shall be, since the handle is gone then;
/// an image is closed incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// It is not made; the host gets this code.
    Error(i32),
    /// It is made with at most this many bytes: a write takes less, a read gives less.
    Short(u64),
    /// It is made after this many milliseconds.
    Delay(u64),
    /// It never returns.
    Hang,
    /// It is not made; the host gets `STS_EBUSY`.
    Busy,
    /// It is made with a handle that was closed: the host gets `STS_EINVAL`, as from a plug-in that knows its handles.
    StaleHandle,
    /// The process ends by this signal.
    Crash(i32),
    /// It is made, and this bit of what it gave (a bit number, modulo the length) is the other one.
    Corrupt(u64),
}

impl FaultEffect {
    /// The calls that the effect can be had with; none: any.
    pub const fn only_for(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Short(_) => Some(&[
                "stspi_write_image",
                "stspi_read_image",
                "stspi_write_image_meta",
                "stspi_read_image_meta",
            ]),
            Self::Corrupt(_) => Some(&["stspi_read_image", "stspi_read_image_meta"]),
            _ => None,
        }
    }
}

/// An older version of the wrapped plug-in: what it says of itself, and what it cannot do yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OlderVersion {
    /// What it says that its version is; none: what the wrapped one says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Capabilities that it does not have, by their names in [`ost_abi::STS_CAPABILITIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl OlderVersion {
    /// Whether the wrapping plug-in can pass for it.
    ///
    /// # Errors
    /// A capability that the interface does not know, or a version that has no place in the plug-in's answer.
    pub fn check(&self) -> Result<(), VersionError> {
        let is_unknown =
            |name: &&String| !ost_abi::STS_CAPABILITIES.iter().any(|row| row.name == name.as_str());
        if let Some(unknown) = self.without.iter().find(is_unknown) {
            return Err(VersionError::NoSuchCapability(unknown.clone()));
        }
        match &self.version {
            Some(text) if text.is_empty() || text.len() >= ost_abi::STS_MAX_TEXT || text.contains('\0') => {
                Err(VersionError::NoVersion)
            }
            _ => Ok(()),
        }
    }
}

/// Why there cannot be such a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// There is no such capability.
    #[error("the interface has no capability {0}")]
    NoSuchCapability(String),
    /// A text that cannot be a version.
    #[error("a version is a text of 1 to {} bytes", ost_abi::STS_MAX_TEXT - 1)]
    NoVersion,
}

/// Why an order cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such entry point.
    #[error("the interface has no call {0}")]
    NoSuchCall(String),
    /// The effect makes no sense for the call.
    #[error("{effect} is only for {}, not for {call}", only_for.join(", "))]
    NotForThisCall {
        /// The effect as the order has it.
        effect: String,
        /// The call.
        call: String,
        /// Calls that have it.
        only_for: &'static [&'static str],
    },
    /// It would never strike.
    #[error("`times` is 0: the fault would never strike")]
    Never,
}

impl FaultOrder {
    /// Whether the order can be carried out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), OrderError> {
        let name = self.entry_point();
        if !ost_abi::ENTRY_POINTS.contains(&name.as_str()) {
            return Err(OrderError::NoSuchCall(name));
        }
        if self.times == 0 {
            return Err(OrderError::Never);
        }
        match self.effect.only_for() {
            Some(only_for) if !only_for.contains(&name.as_str()) => {
                let effect = format!("{:?}", self.effect).to_lowercase();
                Err(OrderError::NotForThisCall { effect, call: name, only_for })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_with_their_defaults_and_judged() {
        let read = |text: &str| serde_json::from_str::<FaultOrder>(text).unwrap();
        let order = read(r#"{"call": "write_image", "effect": {"error": 2060046}}"#);
        assert_eq!((order.skip, order.times, order.process.as_deref()), (0, 1, None));
        assert_eq!(order.entry_point(), "stspi_write_image");
        assert_eq!(order.check(), Ok(()));
        assert_eq!(read(r#"{"call": "stspi_close_image", "effect": "hang"}"#).check(), Ok(()));
        let said = |text: &str| read(text).check().unwrap_err().to_string();
        assert!(said(r#"{"call": "write", "effect": "hang"}"#).contains("stspi_write"));
        assert!(said(r#"{"call": "claim", "effect": {"short": 5}}"#).contains("not for stspi_claim"));
        assert!(said(r#"{"call": "claim", "effect": "busy", "times": 0}"#).contains("never strike"));
        assert!(serde_json::from_str::<FaultOrder>(r#"{"call": "claim", "effect": "explode"}"#).is_err());
    }

    #[test]
    fn an_older_version_lacks_capabilities_that_there_are() {
        let check = |text: &str| serde_json::from_str::<OlderVersion>(text).unwrap().check();
        assert_eq!(check(r#"{"version": "0.0.9", "without": ["include", "copy_extent"]}"#), Ok(()));
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(
            check(r#"{"without": ["includes"]}"#),
            Err(VersionError::NoSuchCapability("includes".into()))
        );
        assert_eq!(check(r#"{"version": ""}"#), Err(VersionError::NoVersion));
    }
}
