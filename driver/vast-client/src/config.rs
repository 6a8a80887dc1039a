//! What a client is told: where the cluster is, who asks, and how patient to be. Reading a file is the caller's work.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::credentials::KeyPair;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A host name or address, with a port if one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, or literal IPv4 or IPv6 address without brackets.
    pub host: String,
    /// TCP port; `None` means the default of whoever uses the endpoint.
    pub port: Option<u16>,
}

impl Endpoint {
    /// The address, when the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// Reads `host`, `host:port`, `1.2.3.4:port`, `[::1]:port` or `::1`; an `http://` or `https://` before it and
    /// a `/` after it are tolerated.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::config(
                format!("endpoint {text:?}"),
                "not a host name or address with an optional port",
                "write it as host, host:port or [ipv6]:port",
            )
        };
        let rest = text.trim().trim_end_matches('/');
        let rest = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")).unwrap_or(rest);
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (host, after) = inner.split_once(']').ok_or_else(bad)?;
            (
                host,
                after.strip_prefix(':').or(if after.is_empty() { Some("") } else { None }).ok_or_else(bad)?,
            )
        } else if rest.parse::<IpAddr>().is_ok() {
            (rest, "")
        } else {
            rest.split_once(':').unwrap_or((rest, ""))
        };
        let port = if port.is_empty() { None } else { Some(port.parse::<u16>().map_err(|_| bad())?) };
        let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty()
            || host.len() > 253
            || (host.parse::<IpAddr>().is_err() && !host.chars().all(named))
        {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = self.host.contains(':');
        match (v6, self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// PEM files of certificate authorities. Empty: the system's own.
    pub ca_files: Vec<PathBuf>,
    /// Accept any certificate. Every session that does so is logged as a warning.
    pub insecure_skip_verify: bool,
    /// The name that the certificate must carry, in place of the host that is connected to.
    pub server_name: Option<String>,
}

/// The management API.
#[derive(Debug, Clone)]
pub struct VmsConfig {
    /// Where VMS is; HTTPS, port 443 unless given.
    pub endpoint: Endpoint,
    /// VMS manager or tenant-manager user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The tenant whose manager logs in; `None` for a cluster manager.
    pub tenant: Option<String>,
    /// Whom to trust.
    pub tls: TlsConfig,
}

/// How the data path is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// In the clear. Bodies carry a CRC, so damage is noticed; a hostile network is not.
    Http,
    /// TLS.
    #[default]
    Https,
}

/// The data path.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// HTTP or HTTPS.
    pub scheme: Scheme,
    /// Port of endpoints and VIPs that state none; `None`: 80 or 443.
    pub port: Option<u16>,
    /// The VIP pool whose addresses VMS is asked for.
    pub vip_pool: Option<String>,
    /// Fixed endpoints, every address of every name a VIP. With a pool, they stand in while VMS cannot be asked.
    pub endpoints: Vec<Endpoint>,
    /// The key pair that requests are signed with.
    pub keys: KeyPair,
    /// Any text; VAST does not check it. Goes into the signature.
    pub region: String,
    /// S3 error codes that mean a full quota or cluster. VAST's own code is not public, so this is data.
    pub no_space_codes: Vec<String>,
    /// Whom to trust with HTTPS.
    pub tls: TlsConfig,
}

impl S3Config {
    /// A data path over HTTPS with all defaults; the caller sets `vip_pool` or `endpoints`.
    #[must_use]
    pub fn new(keys: KeyPair) -> Self {
        Self {
            scheme: Scheme::default(),
            port: None,
            vip_pool: None,
            endpoints: Vec::new(),
            keys,
            region: "us-east-1".to_owned(),
            no_space_codes: DEFAULT_NO_SPACE_CODES.iter().map(|&c| c.to_owned()).collect(),
            tls: TlsConfig::default(),
        }
    }

    /// The port of a VIP that states none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }
}

/// Codes that S3 servers are known to use for a full quota or device. HTTP 507 counts as full whatever the code.
pub const DEFAULT_NO_SPACE_CODES: [&str; 5] =
    ["QuotaExceeded", "InsufficientCapacity", "StorageFull", "XMinioStorageFull", "InsufficientStorage"];

/// How long to wait. Time in which the caller does not drive the runtime counts only in part, so that a host
/// that pauses between calls is not punished with a timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection and its TLS handshake together.
    pub connect: Duration,
    /// Without a byte moving in either direction.
    pub stall: Duration,
    /// For a call with all its retries.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            total: Duration::from_mins(5),
        }
    }
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests per call, the first included; at least 1. Calls to VMS stop at 4.
    pub attempts: u32,
    /// The wait before the second attempt; doubles every time, with jitter of a half to the whole.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// How long a VIP is left alone after its first failure; doubles with every further one.
    pub eject: Duration,
    /// The longest time a VIP is left alone.
    pub eject_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            eject: Duration::from_secs(2),
            eject_max: Duration::from_mins(1),
        }
    }
}

/// Upper bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest object or range that a get collects, in bytes.
    pub object_bytes_max: u64,
    /// Largest body of any other answer, in bytes.
    pub answer_bytes_max: u64,
    /// Open connections per VIP that are kept without a request.
    pub idle_per_vip_max: usize,
    /// How long a connection is kept without a request.
    pub idle_for_max: Duration,
    /// Age at which the VIP list is read again.
    pub vip_list_age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes_max: 256 << 20,
            answer_bytes_max: 64 << 20,
            idle_per_vip_max: 8,
            idle_for_max: Duration::from_secs(20),
            vip_list_age_max: Duration::from_mins(5),
        }
    }
}

/// All that a client is told.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The management API.
    pub vms: VmsConfig,
    /// The data path.
    pub s3: S3Config,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Upper bounds.
    pub limits: Limits,
}

impl ClientConfig {
    /// A configuration with default patience and limits.
    #[must_use]
    pub fn new(vms: VmsConfig, s3: S3Config) -> Self {
        Self {
            vms,
            s3,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
        }
    }

    /// Finds values that cannot work, before anything is sent.
    pub fn validate(&self) -> Result<()> {
        let bad = |what: &str, why: &str, advice| Err(Error::config(what, why, advice));
        if self.vms.user.is_empty() {
            return bad("VMS user", "empty", "give the VMS user of the storage server's credentials");
        }
        if self.s3.vip_pool.is_none() && self.s3.endpoints.is_empty() {
            return bad(
                "S3 addresses",
                "neither a VIP pool nor an endpoint is given",
                "name a VIP pool or list endpoints",
            );
        }
        if self.s3.region.is_empty() {
            return bad("S3 region", "empty", "any text will do, for example us-east-1");
        }
        if self.retry.attempts == 0 {
            return bad("retry attempts", "0", "give at least 1");
        }
        let Timeouts { connect, stall, total } = self.timeouts;
        if connect.is_zero() || stall.is_zero() || total.is_zero() {
            return bad("timeouts", "one of them is 0", "give at least one second");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_every_form() {
        for (text, host, port) in [
            ("vms.example.com", "vms.example.com", None),
            ("https://vms:8443/", "vms", Some(8443)),
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:9000", "10.0.0.1", Some(9000)),
            ("[::1]:80", "::1", Some(80)),
            ("[fe80::1]", "fe80::1", None),
            ("::1", "::1", None),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap(), Endpoint { host: host.into(), port }, "{text}");
        }
        for text in
            ["", ":80", "a b", "host:", "host:0x", "host:70000", "[::1", "[::1]80", "user@host", "a/b"]
        {
            if text == "host:" {
                assert_eq!(text.parse::<Endpoint>().unwrap().port, None);
                continue;
            }
            assert!(matches!(text.parse::<Endpoint>(), Err(Error::Config(_))), "{text}");
        }
    }

    #[test]
    fn an_endpoint_prints_as_it_is_read() {
        for text in ["vms:8443", "[::1]:80", "10.0.0.1"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    fn config() -> ClientConfig {
        let vms = VmsConfig {
            endpoint: "vms".parse().unwrap(),
            user: "admin".into(),
            password: "hunter2".into(),
            tenant: None,
            tls: TlsConfig::default(),
        };
        let mut s3 = S3Config::new(KeyPair::new("AK", "sekrit"));
        s3.vip_pool = Some("main".into());
        ClientConfig::new(vms, s3)
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", config());
        assert!(!text.contains("hunter2") && !text.contains("sekrit"), "{text}");
    }

    #[test]
    fn useless_values_are_refused() {
        assert_eq!(config().validate(), Ok(()));
        let cases: [fn(&mut ClientConfig); 5] = [
            |c| c.vms.user.clear(),
            |c| c.s3.vip_pool = None,
            |c| c.s3.region.clear(),
            |c| c.retry.attempts = 0,
            |c| c.timeouts.stall = Duration::ZERO,
        ];
        for spoil in cases {
            let mut spoilt = config();
            spoil(&mut spoilt);
            assert!(matches!(spoilt.validate(), Err(Error::Config(_))));
        }
    }
}
