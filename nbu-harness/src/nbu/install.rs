//! What is installed on the simulated media server: the program, the plug-in, buffer sizes, timeouts, storage units.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path_bytes::lossless;
use super::status::StatusRule;

/// A media server with one plug-in, and the directory that its jobs share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Installation {
    /// The program that every NetBackup process is: a binary whose `main` begins with [`super::dispatch`].
    #[serde(with = "lossless")]
    pub exe: PathBuf,
    /// The plug-in library that `bptm` and `bpdm` load.
    #[serde(with = "lossless")]
    pub plugin: PathBuf,
    /// The plug-in's own configuration file, handed over as `VAST_OST_CONFIG`.
    #[serde(with = "lossless")]
    pub plugin_config: PathBuf,
    /// More environment variables for `bptm` and `bpdm`.
    #[serde(default)]
    pub plugin_env: BTreeMap<String, String>,
    /// Shared-memory buffers of `bptm`.
    #[serde(default)]
    pub data_buffers: DataBuffers,
    /// How long processes wait for each other.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When `bptm` forks its child.
    #[serde(default)]
    pub fork_point: ForkPoint,
    /// Rules that override the built-in mapping from plug-in errors to NetBackup statuses; the first match wins.
    #[serde(default)]
    pub status_rules: Vec<StatusRule>,
    /// Where the catalogue and the processes' logs live. Created when missing.
    #[serde(with = "lossless")]
    pub work_dir: PathBuf,
}

impl Installation {
    /// An installation with NetBackup's defaults everywhere.
    pub fn new(exe: PathBuf, plugin: PathBuf, plugin_config: PathBuf, work_dir: PathBuf) -> Self {
        Self {
            exe,
            plugin,
            plugin_config,
            plugin_env: BTreeMap::new(),
            data_buffers: DataBuffers::default(),
            timeouts: Timeouts::default(),
            fork_point: ForkPoint::default(),
            status_rules: Vec::new(),
            work_dir,
        }
    }
}

/// NetBackup's files `SIZE_DATA_BUFFERS_DISK`, `NUMBER_DATA_BUFFERS_DISK`, `PARENT_DELAY` and `CHILD_DELAY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataBuffers {
    /// `SIZE_DATA_BUFFERS_DISK`: bytes of one buffer, 1024 to 64 MiB, rounded down to a multiple of 1024
    /// (default 262144). A restore uses the size that the backup was written with.
    #[serde(rename = "SIZE_DATA_BUFFERS_DISK")]
    pub size_data_buffers_disk: u32,
    /// `NUMBER_DATA_BUFFERS_DISK`: buffers per job, 1 to 65536 (default 30). All of them together are at most 4 GiB.
    #[serde(rename = "NUMBER_DATA_BUFFERS_DISK")]
    pub number_data_buffers_disk: u32,
    /// `PARENT_DELAY` in milliseconds (default 15): the unit in which the parent's waiting time is counted.
    pub parent_delay_ms: u32,
    /// `CHILD_DELAY` in milliseconds (default 10): the unit in which the child's waiting time is counted.
    pub child_delay_ms: u32,
}

impl Default for DataBuffers {
    fn default() -> Self {
        Self {
            size_data_buffers_disk: 262_144,
            number_data_buffers_disk: 30,
            parent_delay_ms: 15,
            child_delay_ms: 10,
        }
    }
}

/// How long processes wait for each other, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// `CLIENT_READ_TIMEOUT` (default 300 000): silence between the processes of a job that ends it with status 41.
    pub client_read_timeout_ms: u64,
    /// `CLIENT_CONNECT_TIMEOUT` (default 300 000): time for a process to start and answer.
    pub client_connect_timeout_ms: u64,
    /// How long a process may take to stop after a cancel or an error before it is killed (default 60 000). A plug-in
    /// call that hangs must not hold a cancelled job for longer.
    pub stop_timeout_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { client_read_timeout_ms: 300_000, client_connect_timeout_ms: 300_000, stop_timeout_ms: 60_000 }
    }
}

impl Timeouts {
    /// [`Self::client_read_timeout_ms`].
    pub const fn client_read(&self) -> Duration {
        Duration::from_millis(self.client_read_timeout_ms)
    }

    /// [`Self::client_connect_timeout_ms`].
    pub const fn client_connect(&self) -> Duration {
        Duration::from_millis(self.client_connect_timeout_ms)
    }

    /// [`Self::stop_timeout_ms`].
    pub const fn stop(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }
}

/// When `bptm` forks its child, relative to the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForkPoint {
    /// Before the plug-in is loaded.
    #[default]
    BeforePlugin,
    /// After the storage server has been opened: the child inherits a live plug-in, and never calls it.
    AfterOpenServer,
}

/// A storage unit: one LSU of one storage server, with the credentials `tpconfig` would hold.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUnit {
    /// Storage server with its type, such as `VastData:vast1`.
    pub server: String,
    /// User of the storage server.
    pub user: String,
    /// Password of the storage server.
    pub password: String,
    /// LSU (disk volume).
    pub lsu: String,
    /// Maximum fragment size in bytes (NetBackup's default 512 GiB), rounded down to a multiple of the buffer size but
    /// at least one buffer.
    #[serde(default = "default_max_fragment_size")]
    pub max_fragment_size: u64,
    /// Numbers of the capabilities (`STS_SRVC_*`) that are recorded of the storage server: a job uses no other. None: it
    /// goes by what the plug-in says.
    #[serde(default)]
    pub capabilities: Option<Vec<u32>>,
}

/// NetBackup's default maximum fragment size of disk storage units: 524 288 MiB.
const fn default_max_fragment_size() -> u64 {
    524_288 * 1024 * 1024
}

impl StorageUnit {
    /// A storage unit with the default fragment size.
    pub fn new(
        server: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
        lsu: impl Into<String>,
    ) -> Self {
        Self {
            server: server.into(),
            user: user.into(),
            password: password.into(),
            lsu: lsu.into(),
            max_fragment_size: default_max_fragment_size(),
            capabilities: None,
        }
    }
}

impl fmt::Debug for StorageUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageUnit")
            .field("server", &self.server)
            .field("user", &self.user)
            .field("lsu", &self.lsu)
            .field("max_fragment_size", &self.max_fragment_size)
            .finish_non_exhaustive()
    }
}
