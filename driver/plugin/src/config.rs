//! The plug-in's configuration file: TOML, named by `VAST_OST_CONFIG` or `/etc/vast-ost/vast-ost.toml`.
//!
//! One section per storage server, named as in NetBackup. User and password are not here: NetBackup passes them with
//! each session. The S3 key pair is in a file of its own that only its owner may read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use ost_abi::{STS_ECONFIG, STS_ENOENT};
use serde::Deserialize;
use vast_client::{ClientConfig, Endpoint, KeyPair, S3Config, Scheme, Secret, TlsConfig, VmsConfig};

use crate::fault::Fault;

/// Storage-server type: names look like `VastData:<server>`.
pub(crate) const PREFIX: &str = "VastData";

/// Where the file is unless `VAST_OST_CONFIG` says otherwise.
const DEFAULT_PATH: &str = "/etc/vast-ost/vast-ost.toml";

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    server: BTreeMap<String, ServerSection>,
    #[serde(default)]
    pub(crate) memory: MemorySection,
}

/// How much memory one process of the host may spend on data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MemorySection {
    /// Buffers of all writers of a process together, in MiB.
    pub(crate) write_mib: u32,
    /// Buffers of all readers of a process together, in MiB.
    pub(crate) read_mib: u32,
}

impl Default for MemorySection {
    fn default() -> Self {
        Self { write_mib: 256, read_mib: 256 }
    }
}

/// One storage server. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// Management address: `https://host:port`.
    vms: String,
    tenant: Option<String>,
    ca_file: Option<PathBuf>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_verify: bool,
    #[serde(default)]
    s3: S3Scheme,
    s3_port: Option<u16>,
    vip_pool: Option<String>,
    #[serde(default)]
    s3_endpoints: Vec<String>,
    s3_region: Option<String>,
    no_space_codes: Option<Vec<String>>,
    key_file: PathBuf,
    connect_timeout: Option<u32>,
    stall_timeout: Option<u32>,
    call_timeout: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum S3Scheme {
    Http,
    #[default]
    Https,
}

/// The path of the file, from the host's environment. Read once, when the plug-in starts.
pub(crate) fn path() -> PathBuf {
    std::env::var_os("VAST_OST_CONFIG")
        .filter(|v: &OsString| !v.is_empty())
        .map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from)
}

fn config_fault(path: &Path, problem: impl std::fmt::Display) -> Fault {
    Fault::new(STS_ECONFIG, format_args!("{}: {problem}", path.display()))
}

/// Splits `VastData:name` (or a bare `name`); `None` if the type is another one.
pub(crate) fn server_name(full: &[u8]) -> Option<&[u8]> {
    match full.iter().position(|b| *b == b':') {
        None => Some(full),
        Some(colon) if &full[..colon] == PREFIX.as_bytes() => Some(&full[colon + 1..]),
        Some(_) => None,
    }
}

impl ConfigFile {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, Fault> {
        let text = fs::read_to_string(path).map_err(|e| {
            config_fault(path, format_args!("{e}; create it, or name another one in VAST_OST_CONFIG"))
        })?;
        toml::from_str(&text).map_err(|e| config_fault(path, e))
    }

    /// The section of a storage server.
    pub(crate) fn server(&self, path: &Path, name: &str) -> Result<&ServerSection, Fault> {
        self.server.get(name).ok_or_else(|| {
            let known: Vec<_> = self.server.keys().map(String::as_str).collect();
            let message = format!(
                "{}: no section [server.{name}] for storage server {name:?}; the file has: {}",
                path.display(),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
            Fault::new(STS_ENOENT, message)
        })
    }
}

fn seconds(value: Option<u32>, default: Duration) -> Duration {
    value.map_or(default, |s| Duration::from_secs(u64::from(s.max(1))))
}

impl ServerSection {
    /// Settings for the client, with the credentials of a session.
    pub(crate) fn client_config(
        &self,
        path: &Path,
        user: &str,
        password: &str,
    ) -> Result<ClientConfig, Fault> {
        let endpoint = |text: &str| Endpoint::from_str(text).map_err(|e| config_fault(path, e));
        let keys = KeyPair::from_file(&self.key_file).map_err(|e| config_fault(path, e))?;
        let tls = TlsConfig {
            ca_files: self.ca_file.iter().cloned().collect(),
            insecure_skip_verify: self.insecure_skip_verify,
            server_name: self.tls_server_name.clone(),
        };
        if self.vip_pool.is_none() && self.s3_endpoints.is_empty() {
            return Err(config_fault(path, "a server needs vip_pool or s3_endpoints to reach its data path"));
        }
        let mut s3 = S3Config::new(keys);
        s3.scheme = match self.s3 {
            S3Scheme::Http => Scheme::Http,
            S3Scheme::Https => Scheme::Https,
        };
        s3.port = self.s3_port;
        s3.vip_pool.clone_from(&self.vip_pool);
        s3.endpoints = self.s3_endpoints.iter().map(|e| endpoint(e)).collect::<Result<_, _>>()?;
        s3.tls = tls.clone();
        if let Some(region) = &self.s3_region {
            s3.region.clone_from(region);
        }
        if let Some(codes) = &self.no_space_codes {
            s3.no_space_codes.clone_from(codes);
        }
        let vms = VmsConfig {
            endpoint: endpoint(&self.vms)?,
            user: user.to_owned(),
            password: Secret::new(password),
            tenant: self.tenant.clone(),
            tls,
        };
        let mut config = ClientConfig::new(vms, s3);
        let timeouts = &mut config.timeouts;
        timeouts.connect = seconds(self.connect_timeout, timeouts.connect);
        timeouts.stall = seconds(self.stall_timeout, timeouts.stall);
        timeouts.total = seconds(self.call_timeout, timeouts.total);
        Ok(config)
    }
}
