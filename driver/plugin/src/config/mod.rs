//! The plug-in's configuration file: TOML, named by `VAST_OST_CONFIG` or `/etc/vast-ost/vast-ost.toml`.
//!
//! One section per storage server, named as in NetBackup. User and password are not here: NetBackup passes them with
//! each session. The S3 key pair is in a file of its own that only its owner may read, and so is the password of a server
//! that is reached without a session, as the target of a replication.

mod password;
mod replication;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use ost_abi::{STS_ECONFIG, STS_ENOENT};
use serde::Deserialize;
use vast_client::{ClientConfig, Endpoint, KeyPair, S3Config, Scheme, Secret, TlsConfig, VmsConfig};

use crate::capability::{Capabilities, Disabled};
use crate::fault::Fault;

pub(crate) use replication::{LsuRef, Partners};

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
    user: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    disable: Disabled,
    #[serde(default)]
    pub(crate) worm: WormSection,
    /// Where images of each LSU are replicated to.
    #[serde(default)]
    pub(crate) replication: Partners,
    /// Where images of each LSU come from.
    #[serde(default)]
    pub(crate) replication_sources: Partners,
    lease_seconds: Option<u32>,
    connect_timeout: Option<u32>,
    stall_timeout: Option<u32>,
    call_timeout: Option<u32>,
}

/// Limits of locks in seconds, and their mode, where they shall be other than what the cluster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WormSection {
    /// Shortest time that an image can be locked for.
    pub(crate) minimum: Option<u64>,
    /// Longest time that an image can be locked for.
    pub(crate) maximum: Option<u64>,
    /// How strictly images are locked.
    pub(crate) mode: Option<LockMode>,
}

/// How strictly images are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LockMode {
    /// The storage's administrator could lift a lock.
    Governance,
    /// Nobody can.
    Compliance,
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
        let mut file: Self = toml::from_str(&text).map_err(|e| config_fault(path, e))?;
        for (name, section) in &file.server {
            let WormSection { minimum, maximum, .. } = section.worm;
            if minimum.zip(maximum).is_some_and(|(minimum, maximum)| minimum > maximum) {
                let message = format!("[server.{name}.worm]: the minimum is longer than the maximum");
                return Err(config_fault(path, message));
            }
        }
        file.pair_up();
        Ok(file)
    }

    /// What one section calls its target has that section as its source, if the target is in this file too.
    fn pair_up(&mut self) {
        let mut pairs = Vec::new();
        for (name, section) in &self.server {
            for (lsu, targets) in section.replication.iter() {
                let source = LsuRef { server: name.clone(), lsu: lsu.clone() };
                pairs.extend(targets.iter().map(|target| (target.clone(), source.clone())));
            }
        }
        for (target, source) in pairs {
            if let Some(section) = self.server.get_mut(&target.server) {
                section.replication_sources.add(&target.lsu, source);
            }
        }
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
    /// How long a silent writer keeps its image, if it shall be other than usual.
    pub(crate) fn lease_seconds(&self) -> Option<u32> {
        self.lease_seconds.map(|seconds| seconds.max(1))
    }

    /// What the server offers.
    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities::except(&self.disable)
    }

    /// User and password for a server that is opened without any of the host's; `None` if it is reached through its
    /// S3 endpoints alone.
    pub(crate) fn own_credentials(&self, path: &Path) -> Result<Option<(String, Secret)>, Fault> {
        match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => {
                let password = password::read(file).map_err(|why| config_fault(path, why))?;
                Ok(Some((user.clone(), password)))
            }
            (None, None) if !self.s3_endpoints.is_empty() => Ok(None),
            _ => Err(config_fault(
                path,
                "the host gave no credentials for this server: set user and password_file, or s3_endpoints to reach \
                 its data path without VMS",
            )),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const TWO: &str = r#"
[server.vast1]
vms = "https://vms1"
vip_pool = "backup"
key_file = "/k"
disable = ["flush"]
worm = { minimum = 60, maximum = 3600 }
[server.vast1.replication]
lsu-a = ["VastData:vast2:lsu-b", "VastData:elsewhere:lsu-c"]
[server.vast2]
vms = "https://vms2"
s3_endpoints = ["10.0.0.1"]
key_file = "/k"
"#;

    fn load(text: &str) -> Result<ConfigFile, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vast-ost.toml");
        fs::write(&path, text).unwrap();
        ConfigFile::load(&path)
    }

    #[test]
    fn a_target_in_the_same_file_knows_its_source() {
        let file = load(TWO).unwrap();
        let (vast1, vast2) = (&file.server["vast1"], &file.server["vast2"]);
        assert_eq!(vast1.replication.of("lsu-a").len(), 2);
        assert_eq!(vast1.replication.of("other"), []);
        let sources: Vec<_> = vast2.replication_sources.of("lsu-b").iter().map(ToString::to_string).collect();
        assert_eq!(sources, ["VastData:vast1:lsu-a"]);
        assert!(!vast1.capabilities().has(ost_abi::STS_SRVC_FLUSH));
        assert!(vast2.capabilities().has(ost_abi::STS_SRVC_FLUSH));
    }

    #[test]
    fn a_minimum_above_the_maximum_and_a_wrong_partner_are_refused() {
        let fault = load(&TWO.replace("= 3600", "= 59")).unwrap_err();
        assert_eq!(fault.code, STS_ECONFIG);
        assert!(fault.message.contains("vast1.worm"), "{}", fault.message);
        let fault = load(&TWO.replace("VastData:vast2", "vast2")).unwrap_err();
        assert!(fault.message.contains("VastData:server:lsu"), "{}", fault.message);
    }

    #[test]
    fn own_credentials_are_a_user_with_a_closed_file_or_none_with_endpoints() {
        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("vast-ost.toml"), folder.path().join("password"));
        fs::write(&secret, "geheim\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let user = format!("user = \"ost\"\npassword_file = {secret:?}\nkey_file = \"/k\"\ndisable");
        let file = load(&TWO.replace("key_file = \"/k\"\ndisable", &user)).unwrap();
        let (name, password) = file.server["vast1"].own_credentials(&path).unwrap().unwrap();
        assert_eq!((name.as_str(), password.expose()), ("ost", "geheim"));
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        let fault = file.server["vast1"].own_credentials(&path).unwrap_err();
        assert!(fault.message.contains("0640") && !fault.message.contains("geheim"), "{}", fault.message);
        let file = load(TWO).unwrap();
        assert_eq!(file.server["vast2"].own_credentials(&path).unwrap(), None);
        assert_eq!(file.server["vast1"].own_credentials(&path).unwrap_err().code, STS_ECONFIG);
    }
}
