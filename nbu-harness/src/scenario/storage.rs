//! Where a scenario's data goes: the cluster, its LSUs, the storage server and the storage units.

use super::flows::WormLimits;
use super::values::{ByteSize, Milliseconds, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The cluster behind the storage server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cluster {
    /// One in this process.
    Embedded(EmbeddedCluster),
    /// One that runs elsewhere: its raw state cannot be examined.
    External(ExternalCluster),
}

/// How S3 entity tags are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Etag {
    /// MD5 of the content, as AWS does; costs the server 1.5 CPU seconds per GB.
    Md5,
    /// Unique and meaningless.
    Opaque,
}

/// HTTP with or without TLS on the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum S3Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl S3Scheme {
    /// As a plug-in's configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Settings of the embedded cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedCluster {
    /// Number of virtual IP addresses, 1 to 64.
    pub vips: u8,
    /// Capacity of the whole cluster.
    pub capacity: ByteSize,
    /// How entity tags are made.
    pub etag: Etag,
    /// HTTP or HTTPS on the data path.
    pub s3: S3Scheme,
    /// How long an access token of the management API lives.
    pub access_token_lifetime: Milliseconds,
}

impl Default for EmbeddedCluster {
    fn default() -> Self {
        Self {
            vips: 4,
            capacity: ByteSize(10 << 40),
            etag: Etag::Opaque,
            s3: S3Scheme::Http,
            access_token_lifetime: Milliseconds(3_600_000),
        }
    }
}

/// Where an external cluster is, and how to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalCluster {
    /// Address of the management API: `https://host[:port]`.
    pub vms: String,
    /// User of the management API.
    pub user: String,
    /// Environment variable that holds the password: a scenario is no place for one.
    pub password_env: String,
    /// Certificate authority of the management API, PEM.
    pub ca_file: Option<PathBuf>,
    /// HTTP or HTTPS on the data path.
    #[serde(default = "ExternalCluster::default_s3")]
    pub s3: S3Scheme,
    /// Port of the data path; default: the scheme's.
    pub s3_port: Option<u16>,
    /// VIP pool whose addresses are used.
    pub vip_pool: String,
    /// TOML file, mode 0600, with `access_key` and `secret_key`.
    pub key_file: PathBuf,
}

impl ExternalCluster {
    const fn default_s3() -> S3Scheme {
        S3Scheme::Https
    }
}

/// The storage server as NetBackup knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StorageServer {
    /// Storage server type: `VastData` in `VastData:vast1`.
    #[serde(rename = "type")]
    pub server_type: String,
    /// Name behind the type: `vast1` in `VastData:vast1`.
    pub name: String,
    /// Overrides the user that the cluster has: for what must fail.
    pub user: Option<String>,
    /// Overrides the password that the cluster has: for what must fail.
    pub password: Option<Secret>,
    /// Overrides the management address of the cluster: for what must fail.
    pub vms: Option<String>,
    /// Capabilities that the plug-in's configuration takes away, by the plug-in's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disable: Vec<String>,
    /// Limits of locks in the plug-in's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worm: Option<WormLimits>,
}

impl Default for StorageServer {
    fn default() -> Self {
        Self {
            server_type: "VastData".into(),
            name: "vast1".into(),
            user: None,
            password: None,
            vms: None,
            disable: Vec::new(),
            worm: None,
        }
    }
}

/// An LSU: an S3 view of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lsu {
    /// Its name, which is the bucket's.
    pub name: String,
    /// Hard quota of the view, in bytes.
    pub quota: Option<ByteSize>,
    /// Whether its images can be locked (WORM): the view has versions and object lock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub worm: bool,
}

/// A storage unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageUnitSpec {
    /// Its label.
    pub label: String,
    /// Its disk pool.
    pub pool: String,
    /// The first LSU of its pool; one that `lsus` does not have is provided by nobody.
    pub lsu: String,
    /// Media servers that may use it.
    pub media: Vec<String>,
    /// Maximum fragment size.
    pub max_fragment: ByteSize,
    /// How many jobs run at a time; others are queued.
    pub max_concurrent_jobs: usize,
}
