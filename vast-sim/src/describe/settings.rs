//! The settings of a cluster as people give them: the same names as flags and as keys of `[cluster]` in a file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;

use super::values::{Answer, Seconds, Size};
use crate::clock::SimClock;
use crate::config::{Config, EtagMode};
use crate::metrics::Monitoring;
use crate::s3::features::{Feature, FeaturesOff, Switch};
use crate::s3::signature::{SignatureRules, SignatureV2};
use crate::vms::tasks::TaskSettings;

/// How ETags are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Etag {
    /// MD5 of the content, as AWS and VAST do
    Md5,
    /// Random, for measurements
    Opaque,
}

/// Everything that can be set. What is left out keeps its default.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the VMS REST API listens (HTTPS); port 0 takes any free port [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR:PORT")]
    pub vms_listen: Option<SocketAddr>,

    /// Addresses of the S3 data path, one listener each [default: 127.0.0.11 to 127.0.0.14]
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub vips: Option<Vec<IpAddr>>,

    /// Port of plain S3 on every VIP; 0 takes one that is free on all of them [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub s3_port: Option<u16>,

    /// Port of S3 over TLS on every VIP; 0 as above [default: 8444]
    #[arg(long, value_name = "PORT")]
    pub s3_tls_port: Option<u16>,

    /// VMS administrator [default: admin]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// The administrator's password [default: 123456]
    #[arg(long, value_name = "TEXT", env = "VAST_SIM_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// Keep everything in this directory; without it the cluster is in memory and forgets
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// How ETags are made; MD5 costs about 1.5 CPU seconds per GB [default: md5]
    #[arg(long, value_enum, value_name = "KIND")]
    pub etag: Option<Etag>,

    /// Capacity of the whole cluster: bytes, or a number with K, M, G, T or P (powers of 1024) [default: 10T]
    #[arg(long, value_name = "SIZE")]
    pub capacity: Option<Size>,

    /// Least size of a multipart part other than the last, in the units of --capacity; AWS has 5M [default: 5M]
    #[arg(long, value_name = "SIZE")]
    pub min_part_size: Option<Size>,

    /// More host names for the certificates, beside localhost and all addresses
    #[arg(long = "tls-name", value_name = "NAME", value_delimiter = ',')]
    pub tls_names: Option<Vec<String>>,

    /// Lifetime of access tokens in seconds (fractions allowed) [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub access_token_lifetime: Option<Seconds>,

    /// Lifetime of refresh tokens in seconds (fractions allowed) [default: 86400]
    #[arg(long, value_name = "SECONDS")]
    pub refresh_token_lifetime: Option<Seconds>,

    /// What S3 answers when a hard limit is reached, as STATUS:CODE [default: 403:QuotaExceeded]
    #[arg(long, value_name = "STATUS:CODE")]
    pub quota_answer: Option<Answer>,

    /// Software version that the cluster reports, digits and dots [default: 5.4.1.20.10960402906660116571]
    #[arg(long, value_name = "VERSION")]
    pub sw_version: Option<String>,

    /// How long an asynchronous VMS task takes, in seconds [default: 0.5]
    #[arg(long, value_name = "SECONDS")]
    pub task_duration: Option<Seconds>,

    /// How far the figures of quotas may trail what is stored, in seconds [default: not at all]
    #[arg(long, value_name = "SECONDS")]
    pub quota_lag: Option<Seconds>,

    /// Whether S3 takes version 2 signatures [default: as-cluster]
    #[arg(long, value_enum, value_name = "KIND")]
    pub signature_v2: Option<V2>,

    /// How far the date of an S3 request may be from the cluster's clock, in seconds; 0 accepts any date [default: 900]
    #[arg(long, value_name = "SECONDS")]
    pub max_clock_skew: Option<u64>,

    /// S3 features that the cluster lacks, as FEATURE=refused or FEATURE=ignored, separated by commas [default: none]
    #[arg(long, value_name = "FEATURE=HOW", value_parser = features)]
    pub features_off: Option<FeaturesOff>,

    /// Whether the cluster's clock goes by itself; either kind can be advanced [default: ticking]
    #[arg(long, value_enum, value_name = "KIND")]
    pub clock: Option<ClockKind>,

    /// The time at which the cluster's clock starts, such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub clock_start: Option<jiff::Timestamp>,
}

/// What becomes of version 2 signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum V2 {
    /// They are as good as any
    Accept,
    /// They are refused
    Refuse,
    /// As the field `s3_enable_v2_authentication` of the cluster says
    AsCluster,
}

/// `conditional_writes=ignored,part_copy=refused`, by the names that the fault plane has for them.
fn features(text: &str) -> Result<FeaturesOff, String> {
    let known = |e: serde::de::value::Error| e.to_string();
    let mut off = FeaturesOff::default();
    for one in text.split(',') {
        let (feature, how) = one.split_once('=').ok_or("FEATURE=refused or FEATURE=ignored is needed")?;
        let feature = Feature::deserialize(feature.trim().into_deserializer()).map_err(known)?;
        off.switch_off(feature, Switch::deserialize(how.trim().into_deserializer()).map_err(known)?)?;
    }
    Ok(off)
}

/// How the cluster's clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    /// At the pace of this machine's
    Ticking,
    /// Not at all until it is advanced
    Frozen,
}

impl Settings {
    /// These settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            vms_listen: self.vms_listen.or(other.vms_listen),
            vips: self.vips.or(other.vips),
            s3_port: self.s3_port.or(other.s3_port),
            s3_tls_port: self.s3_tls_port.or(other.s3_tls_port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            data_dir: self.data_dir.or(other.data_dir),
            etag: self.etag.or(other.etag),
            capacity: self.capacity.or(other.capacity),
            min_part_size: self.min_part_size.or(other.min_part_size),
            tls_names: self.tls_names.or(other.tls_names),
            access_token_lifetime: self.access_token_lifetime.or(other.access_token_lifetime),
            refresh_token_lifetime: self.refresh_token_lifetime.or(other.refresh_token_lifetime),
            quota_answer: self.quota_answer.or(other.quota_answer),
            sw_version: self.sw_version.or(other.sw_version),
            task_duration: self.task_duration.or(other.task_duration),
            quota_lag: self.quota_lag.or(other.quota_lag),
            signature_v2: self.signature_v2.or(other.signature_v2),
            max_clock_skew: self.max_clock_skew.or(other.max_clock_skew),
            features_off: self.features_off.or(other.features_off),
            clock: self.clock.or(other.clock),
            clock_start: self.clock_start.or(other.clock_start),
        }
    }

    /// A cluster with these settings, on fixed ports unless they say otherwise.
    pub fn into_config(self) -> Config {
        let base = Config::default();
        let start = self.clock_start.map_or_else(SystemTime::now, SystemTime::from);
        let clock = match self.clock {
            Some(ClockKind::Frozen) => SimClock::frozen_at(start),
            Some(ClockKind::Ticking) | None => SimClock::ticking_from(start),
        };
        Config {
            vms_listen: self.vms_listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443))),
            vips: self.vips.unwrap_or(base.vips),
            s3_port: self.s3_port.unwrap_or(8080),
            s3_tls_port: self.s3_tls_port.unwrap_or(8444),
            user: self.user.unwrap_or(base.user),
            password: self.password.unwrap_or(base.password),
            data_dir: self.data_dir,
            etag: match self.etag {
                Some(Etag::Opaque) => EtagMode::Opaque,
                Some(Etag::Md5) | None => EtagMode::Md5,
            },
            capacity: self.capacity.map_or(base.capacity, |s| s.0),
            min_part_size: self.min_part_size.map_or(base.min_part_size, |s| s.0),
            tls_names: self.tls_names.unwrap_or(base.tls_names),
            access_token_lifetime: self.access_token_lifetime.map_or(base.access_token_lifetime, |s| s.0),
            refresh_token_lifetime: self.refresh_token_lifetime.map_or(base.refresh_token_lifetime, |s| s.0),
            quota_answer: self.quota_answer.map_or(base.quota_answer, |a| a.0),
            sw_version: self.sw_version.unwrap_or(base.sw_version),
            tasks: TaskSettings {
                duration: self.task_duration.map_or(base.tasks.duration, |s| s.0),
                ..base.tasks
            },
            monitoring: Monitoring {
                quota_lag: self.quota_lag.map_or(base.monitoring.quota_lag, |s| s.0),
                ..base.monitoring
            },
            signatures: SignatureRules {
                max_skew: match self.max_clock_skew {
                    Some(0) => None,
                    Some(seconds) => Some(Duration::from_secs(seconds)),
                    None => base.signatures.max_skew,
                },
                v2: match self.signature_v2 {
                    Some(V2::Accept) => SignatureV2::Accept,
                    Some(V2::Refuse) => SignatureV2::Refuse,
                    Some(V2::AsCluster) => SignatureV2::AsCluster,
                    None => base.signatures.v2,
                },
                ..base.signatures
            },
            features_off: self.features_off.unwrap_or_default(),
            clock: Arc::new(clock),
            ..base
        }
    }
}
