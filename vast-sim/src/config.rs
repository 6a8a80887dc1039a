//! What a cluster is made of before it starts: addresses, credentials, limits, and the injected clock and randomness.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SimClock};
use crate::env::Entropy;
use crate::error::BadSetting;
use crate::metrics::Monitoring;
use crate::net::network::{Network, Tcp};
use crate::s3::features::FeaturesOff;
use crate::s3::signature::SignatureRules;
use crate::vms::tasks::TaskSettings;

/// How ETags of objects are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EtagMode {
    /// MD5 of the content, as AWS and VAST do. Costs about 1.5 CPU seconds per GB.
    #[default]
    Md5,
    /// Random, unique per write: for measurements. Clients must treat ETags as opaque anyway.
    Opaque,
}

/// What becomes of the bytes of objects.
///
/// Sizes, checksums, ETags and accounting are always those of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// They are held.
    #[default]
    Keep,
    /// They are checked, counted and forgotten: writing costs no memory, reading an object's bytes is refused with
    /// `NotImplemented`.
    Discard,
    /// As above, but reading gives zeros of the right number: for clients that only measure.
    Zeros,
}

/// What S3 answers when a write would exceed a hard limit.
///
/// VAST does not document its code; this is a setting so that a driver can be tested against any answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaAnswer {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// S3 error code.
    pub code: String,
}

impl Default for QuotaAnswer {
    fn default() -> Self {
        Self { status: 403, code: "QuotaExceeded".to_owned() }
    }
}

/// A cluster to start. `Config::default()` is a working cluster in memory, on loopback, on free ports.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the VMS REST API listens (HTTPS). Port 0 takes any free one.
    pub vms_listen: SocketAddr,
    /// Virtual addresses of the S3 data path, each with its own listener. At least one.
    pub vips: Vec<IpAddr>,
    /// CNodes that serve the VIPs; none has one for every two VIPs. A data directory that knows fewer gets more, one that
    /// knows more keeps them.
    pub cnodes: Option<usize>,
    /// Port of plain S3 on every VIP. Port 0 takes one that is free on all of them.
    pub s3_port: u16,
    /// Port of S3 over TLS on every VIP. Port 0 as above.
    pub s3_tls_port: u16,
    /// VMS administrator name.
    pub user: String,
    /// VMS administrator password.
    pub password: String,
    /// Where to keep everything; none keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// How ETags are made.
    pub etag: EtagMode,
    /// Whether the bytes of objects are held. Without [`Self::data_dir`] only.
    pub retention: Retention,
    /// Capacity of the whole cluster in bytes.
    pub capacity: u64,
    /// More host names for the server certificates, beside `localhost` and all addresses.
    pub tls_names: Vec<String>,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// How long a refresh token lives.
    pub refresh_token_lifetime: Duration,
    /// How S3 signatures are judged.
    pub signatures: SignatureRules,
    /// S3 key pairs that one user may have.
    pub max_keys_per_user: usize,
    /// What S3 answers when a hard limit is reached.
    pub quota_answer: QuotaAnswer,
    /// Size below which a part (other than the last) makes completion fail with `EntityTooSmall`, in bytes.
    pub min_part_size: u64,
    /// Software version that the cluster reports: digits and dots only, since clients parse it as numbers.
    pub sw_version: String,
    /// How asynchronous VMS tasks behave.
    pub tasks: TaskSettings,
    /// How the cluster watches itself.
    pub monitoring: Monitoring,
    /// Features that the S3 server lacks from the start.
    pub features_off: FeaturesOff,
    /// What the cluster listens with.
    pub network: Arc<dyn Network>,
    /// Time source.
    pub clock: Arc<dyn Clock>,
    /// Randomness; none seeds one from the operating system.
    pub entropy: Option<Arc<dyn Entropy>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vms_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            vips: default_vips(),
            cnodes: None,
            s3_port: 0,
            s3_tls_port: 0,
            user: "admin".to_owned(),
            password: "123456".to_owned(),
            data_dir: None,
            etag: EtagMode::Md5,
            retention: Retention::Keep,
            capacity: 10 << 40,
            tls_names: Vec::new(),
            access_token_lifetime: Duration::from_hours(1),
            refresh_token_lifetime: Duration::from_hours(24),
            signatures: SignatureRules::default(),
            max_keys_per_user: 10,
            quota_answer: QuotaAnswer::default(),
            min_part_size: 5 << 20,
            sw_version: "5.4.1.20.10960402906660116571".to_owned(),
            tasks: TaskSettings::default(),
            monitoring: Monitoring::default(),
            features_off: FeaturesOff::default(),
            network: Arc::new(Tcp),
            clock: Arc::new(SimClock::ticking()),
            entropy: None,
        }
    }
}

/// 127.0.0.11 to 127.0.0.14: apart from 127.0.0.1, so that a client that ignores the VIP list is found out.
pub fn default_vips() -> Vec<IpAddr> {
    (11..=14).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n))).collect()
}

/// Most VIPs that one simulated cluster serves.
const MAX_VIPS: usize = 64;

/// Most CNodes that one simulated cluster has.
const MAX_CNODES: usize = 64;

impl Config {
    /// Says what is wrong with this configuration, if anything.
    ///
    /// # Errors
    /// [`BadSetting`] names the setting, the value and what would be right.
    pub fn check(&self) -> Result<(), BadSetting> {
        let refuse = |settings: &'static [&'static str], what: String| Err(BadSetting { settings, what });
        if self.vips.is_empty() || self.vips.len() > MAX_VIPS {
            return refuse(&["vips"], format!("vips: {} given, 1 to {MAX_VIPS} needed", self.vips.len()));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = self.vips.iter().find(|ip| !seen.insert(**ip)) {
            return refuse(
                &["vips"],
                format!("vips: {twice} is listed twice; each VIP needs its own address"),
            );
        }
        if let Some(any) = self.vips.iter().find(|ip| ip.is_unspecified()) {
            return refuse(&["vips"], format!("vips: {any} is not an address that clients can connect to"));
        }
        if self.cnodes.is_some_and(|n| n == 0 || n > MAX_CNODES) {
            return refuse(&["cnodes"], format!("cnodes: 1 to {MAX_CNODES} needed"));
        }
        if self.s3_port != 0 && self.s3_port == self.s3_tls_port {
            let what = format!("s3_port and s3_tls_port are both {}; they must differ", self.s3_port);
            return refuse(&["s3_tls_port", "s3_port"], what);
        }
        for (name, port) in [("s3_port", self.s3_port), ("s3_tls_port", self.s3_tls_port)] {
            let shared = port != 0 && port == self.vms_listen.port();
            if shared && self.vips.iter().any(|ip| overlap(*ip, self.vms_listen.ip())) {
                let what =
                    format!("{name} and vms_listen are both port {port} of one address; they must differ");
                let settings = if name == "s3_port" {
                    &["s3_port", "vms_listen"]
                } else {
                    &["s3_tls_port", "vms_listen"]
                };
                return refuse(settings, what);
            }
        }
        if self.user.is_empty() || self.user.contains(':') {
            return refuse(&["user"], "user must not be empty and must not contain a colon".to_owned());
        }
        if self.password.is_empty() {
            return refuse(&["password"], "password must not be empty".to_owned());
        }
        if self.retention != Retention::Keep && self.data_dir.is_some() {
            let what = "retention: a data directory keeps what was written; leave one of them out";
            return refuse(&["retention", "data_dir"], what.to_owned());
        }
        if self.capacity == 0 {
            return refuse(&["capacity"], "capacity must be at least 1 byte".to_owned());
        }
        for (setting, lifetime) in [
            (&["access_token_lifetime"], self.access_token_lifetime),
            (&["refresh_token_lifetime"], self.refresh_token_lifetime),
        ] {
            if lifetime.is_zero() {
                return refuse(setting, format!("{} must be longer than zero", setting[0]));
            }
        }
        if !(400..=599).contains(&self.quota_answer.status) || self.quota_answer.code.is_empty() {
            let what = "quota_answer: status must be 400 to 599 and the code not empty";
            return refuse(&["quota_answer"], what.to_owned());
        }
        if self.sw_version.is_empty() || self.sw_version.split('.').any(|p| p.parse::<u64>().is_err()) {
            let what = format!("sw_version {:?}: must be numbers separated by dots", self.sw_version);
            return refuse(&["sw_version"], what);
        }
        if let Err(contradiction) = self.features_off.check() {
            return refuse(&["features_off"], format!("features_off: {contradiction}"));
        }
        if let Some(bad) = self.tls_names.iter().find(|n| !is_host_name(n)) {
            return refuse(&["tls_names"], format!("tls_names: {bad:?} is not a host name"));
        }
        Ok(())
    }

    /// How many CNodes a new cluster has.
    pub(crate) fn cnode_count(&self) -> usize {
        self.cnodes.unwrap_or_else(|| self.vips.len().div_ceil(2))
    }
}

/// Whether two listeners on these addresses are in each other's way.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}

fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'*')
        })
}
