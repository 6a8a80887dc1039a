//! What NetBackup does by default and what this project could not verify: data, with the defaults here.
//!
//! `<home>/emm/settings.json` overrides any of it; a key that does not exist is refused.

use ost_abi::{
    STS_SRVC_CHECKPOINT, STS_SRVC_COPY_EXTENT, STS_SRVC_COPY_IMAGE, STS_SRVC_EVENTS,
    STS_SRVC_INCLUDE_IN_IMAGE, STS_SRVC_LSU_REPLICATION_PROP, STS_SRVC_NAMED_ASYNC_COPY, STS_SRVC_WORM,
    STS_SRVC_WRITE_IMAGE_RANDOM,
};
use serde::{Deserialize, Serialize};

/// Defaults of new pools and units, and how capabilities become flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// High water mark of a new pool in percent (98).
    pub high_water_mark: u8,
    /// Low water mark of a new pool in percent (80).
    pub low_water_mark: u8,
    /// I/O streams per volume of a new pool; -1 is unlimited, the default.
    pub max_io_streams: i32,
    /// Concurrent jobs of a new storage unit (1).
    pub max_concurrent_jobs: u32,
    /// Fragment size of a new storage unit in MiB (524 288).
    pub max_fragment_mb: u64,
    /// How long a plug-in may take to answer, in seconds (60).
    pub plugin_patience_seconds: u64,
    /// Processes that load the multi-threaded library when a media server has one. Which they are in NetBackup is not
    /// documented: a log shows bptm with the single-threaded one, the rest is a guess.
    pub multi_threaded: Vec<String>,
    /// How long each retention level keeps a backup, in seconds; `null` is forever. NetBackup's levels 0 to 9 by
    /// default, from memory of the documentation: 1, 2 and 3 weeks, 1, 2, 3, 6 and 9 months, 1 year, forever.
    pub retention_levels: Vec<Option<u64>>,
    /// How long `bpdbjobs -clean` keeps a job that failed, in hours (78), from memory of the documentation.
    pub keep_jobs_hours: u64,
    /// The same for one that was successful, if only in part (78).
    pub keep_jobs_successful_hours: u64,
    /// Flags of a storage server, in the order in which they are printed.
    pub flags: Vec<FlagRule>,
}

/// When a storage server has a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagRule {
    /// NetBackup's name for it.
    pub flag: String,
    /// Number of the capability (`STS_SRVC_*`) that it stands for; without one, every storage server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<u32>,
}

/// The default flags. The names OpenStorage, LifeCycle, CapacityMgmt, FragmentImages, Cpr and RandomWrites are seen in
/// public output of `nbdevquery -liststs`, OptimizedImage in the documentation; the others, and which capability
/// each stands for, are not verified.
const FLAGS: &[(&str, Option<u32>)] = &[
    ("OpenStorage", None),
    ("CopyExtents", Some(STS_SRVC_COPY_EXTENT)),
    ("CopyImage", Some(STS_SRVC_COPY_IMAGE)),
    ("LifeCycle", None),
    ("CapacityMgmt", None),
    ("FragmentImages", None),
    ("Cpr", Some(STS_SRVC_CHECKPOINT)),
    ("RandomWrites", Some(STS_SRVC_WRITE_IMAGE_RANDOM)),
    ("OptimizedImage", Some(STS_SRVC_INCLUDE_IN_IMAGE)),
    ("ReplicationSource", Some(STS_SRVC_NAMED_ASYNC_COPY)),
    ("ReplicationTarget", Some(STS_SRVC_EVENTS)),
    ("ReplicationTopology", Some(STS_SRVC_LSU_REPLICATION_PROP)),
    ("WORM", Some(STS_SRVC_WORM)),
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            high_water_mark: 98,
            low_water_mark: 80,
            max_io_streams: -1,
            max_concurrent_jobs: 1,
            max_fragment_mb: 524_288,
            plugin_patience_seconds: 60,
            keep_jobs_hours: 78,
            keep_jobs_successful_hours: 78,
            multi_threaded: vec!["nbrmms".into(), "bpstsinfo".into()],
            retention_levels: [7, 14, 21, 31, 62, 93, 186, 279, 365]
                .map(|days| Some(days * 86_400))
                .into_iter()
                .chain([None])
                .collect(),
            flags: FLAGS
                .iter()
                .map(|(flag, capability)| FlagRule { flag: (*flag).into(), capability: *capability })
                .collect(),
        }
    }
}

impl Settings {
    /// The retention level that keeps a backup for so many seconds, or for ever; none if no level does.
    pub fn level_of(&self, seconds: Option<u64>) -> Option<usize> {
        self.retention_levels.iter().position(|known| *known == seconds)
    }

    /// The flags of a storage server with these capabilities.
    pub fn flags_for(&self, capabilities: &[u32]) -> Vec<String> {
        self.flags
            .iter()
            .filter(|rule| rule.capability.is_none_or(|index| capabilities.contains(&index)))
            .map(|rule| rule.flag.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_brings_its_flag_and_only_that() {
        let settings = Settings::default();
        let plain = settings.flags_for(&[]);
        assert_eq!(plain, ["OpenStorage", "LifeCycle", "CapacityMgmt", "FragmentImages"]);
        let more: Vec<_> = settings
            .flags_for(&[STS_SRVC_CHECKPOINT, STS_SRVC_INCLUDE_IN_IMAGE])
            .into_iter()
            .filter(|flag| !plain.contains(flag))
            .collect();
        assert_eq!(more, ["Cpr", "OptimizedImage"]);
    }

    #[test]
    fn one_key_overrides_one_default() {
        let settings: Settings = serde_json::from_str(r#"{"high_water_mark": 90}"#).unwrap();
        assert_eq!(settings, Settings { high_water_mark: 90, ..Settings::default() });
        let error = serde_json::from_str::<Settings>(r#"{"hwm": 90}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `hwm`"), "{error}");
    }
}
