//! What the database holds of servers, pools and volumes. Sizes are bytes, times seconds, unless a name says otherwise.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Up or down, by the administrator's will or as the last poll found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// In use.
    #[default]
    Up,
    /// Out of use.
    Down,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
        })
    }
}

/// Both states of something: jobs use it while both are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct States {
    /// What the administrator set.
    pub admin: State,
    /// What the last poll found.
    pub internal: State,
}

impl States {
    /// Up if both are.
    pub fn effective(self) -> State {
        if self.admin == State::Up && self.internal == State::Up { State::Up } else { State::Down }
    }

    /// The flags that `nbdevquery` shows for them.
    pub const fn flags(self) -> [&'static str; 2] {
        let admin = match self.admin {
            State::Up => "AdminUp",
            State::Down => "AdminDown",
        };
        let internal = match self.internal {
            State::Up => "InternalUp",
            State::Down => "InternalDown",
        };
        [admin, internal]
    }
}

/// The two libraries of a plug-in and its configuration on one media server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PluginInstall {
    /// The single-threaded library.
    pub library: PathBuf,
    /// The multi-threaded one; without it, every process loads the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_mt: Option<PathBuf>,
    /// The plug-in's own configuration file; empty for a plug-in without one.
    #[serde(default)]
    pub config: PathBuf,
    /// More environment variables for processes that load it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl PluginInstall {
    /// The library that a process loads, given the names of those that load the multi-threaded one.
    pub fn library_for(&self, process: &str, multi_threaded: &[String]) -> &Path {
        match &self.library_mt {
            Some(library) if multi_threaded.iter().any(|name| name == process) => library,
            _ => &self.library,
        }
    }
}

/// A media server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaServer {
    /// Host name.
    pub name: String,
    /// Its plug-in.
    pub plugin: PluginInstall,
}

/// What a plug-in said of a storage server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerReport {
    /// The plug-in's name.
    pub plugin: String,
    /// The plug-in's version.
    pub version: String,
    /// The server's description.
    pub description: String,
    /// Its `STS_SRV_*` flags.
    pub server_flags: u64,
    /// Numbers of its `STS_SRVC_*` capabilities.
    pub capabilities: Vec<u32>,
}

/// How a storage server's disk is formatted and attached: `-st` of `nbdevconfig`, a sum of 1 (formatted) or 2 (raw)
/// and 4 (direct) or 8 (network). The numbers are from memory of the documentation: not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StorageType(u8);

impl StorageType {
    /// The type with a number; `None` if there is none.
    pub fn new(number: u8) -> Option<Self> {
        matches!(number, 5 | 6 | 9 | 10).then_some(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for StorageType {
    /// Formatted, network attached.
    fn default() -> Self {
        Self(9)
    }
}

impl fmt::Display for StorageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0 & 1 == 1 { "Formatted" } else { "Raw" };
        let attached = if self.0 & 8 == 8 { "Network" } else { "Direct" };
        write!(f, "{format} Disk, {attached} Attached")
    }
}

/// A storage server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageServer {
    /// Name without its type.
    pub name: String,
    /// Type: the plug-in's prefix.
    pub server_type: String,
    /// How its storage is formatted and attached.
    #[serde(default)]
    pub storage_type: StorageType,
    /// Media server that it was set up with.
    pub media_server: String,
    /// States.
    #[serde(default)]
    pub states: States,
    /// What the plug-in said last.
    pub report: ServerReport,
    /// NetBackup's flags for it, from the report.
    pub flags: Vec<String>,
}

impl StorageServer {
    /// Type and name as plug-ins and the database know it: `VastData:vast1`.
    pub fn key(&self) -> String {
        server_key(&self.server_type, &self.name)
    }
}

/// Type and name of a storage server as one: `VastData:vast1`.
pub fn server_key(server_type: &str, name: &str) -> String {
    format!("{server_type}:{name}")
}

/// A password. Its `Debug` form does not show it; it is in the file of credentials and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a password.
    pub const fn new(password: String) -> Self {
        Self(password)
    }

    /// The password itself, for the plug-in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a media server opens a storage server with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Media server.
    pub media_server: String,
    /// Storage server with its type.
    pub storage_server: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
}

impl Credentials {
    /// Media server and storage server as one.
    pub fn key(&self) -> String {
        credentials_key(&self.media_server, &self.storage_server)
    }
}

pub(super) fn credentials_key(media_server: &str, storage_server: &str) -> String {
    format!("of {media_server} for {storage_server}")
}

/// What a plug-in said of an LSU.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VolumeReport {
    /// The LSU's name.
    pub name: String,
    /// Capacity; `None` when the plug-in does not know.
    pub capacity: Option<u64>,
    /// Bytes used; `None` when the plug-in does not know.
    pub used: Option<u64>,
    /// Its `STS_LSUF_*` flags.
    pub lsu_flags: u64,
    /// Shortest lock of an image in seconds; `None` for any, and without locks.
    pub worm_min: Option<u64>,
    /// Longest lock of an image in seconds; `None` for any, and without locks.
    pub worm_max: Option<u64>,
}

impl VolumeReport {
    /// Bytes free, where known.
    pub fn free(&self) -> Option<u64> {
        Some(self.capacity?.saturating_sub(self.used?))
    }

    /// Percent used, rounded down, where known.
    pub fn percent_used(&self) -> Option<u8> {
        let (capacity, used) = (u128::from(self.capacity?), u128::from(self.used?));
        let percent = (used * 100).checked_div(capacity).unwrap_or(100);
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }
}

/// A disk volume: an LSU that belongs to a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskVolume {
    /// Media id, `@aaaab` and on.
    pub media_id: String,
    /// States.
    #[serde(default)]
    pub states: States,
    /// What the plug-in said last.
    pub report: VolumeReport,
}

/// A disk pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPool {
    /// Name.
    pub name: String,
    /// Storage server with its type.
    pub storage_server: String,
    /// Volumes by media id.
    pub volumes: Vec<DiskVolume>,
    /// High water mark in percent.
    pub high_water_mark: u8,
    /// Low water mark in percent.
    pub low_water_mark: u8,
    /// I/O streams per volume; -1 is unlimited.
    pub max_io_streams: i32,
    /// States.
    #[serde(default)]
    pub states: States,
    /// Flags, inherited from the storage server.
    pub flags: Vec<String>,
    /// A comment.
    #[serde(default)]
    pub comment: String,
}

impl DiskPool {
    /// A volume by name.
    pub fn volume(&self, name: &str) -> Option<&DiskVolume> {
        self.volumes.iter().find(|volume| volume.report.name == name)
    }
}
