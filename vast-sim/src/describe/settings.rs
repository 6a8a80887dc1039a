//! The settings of a cluster as people give them: the same names as flags and as keys of `[cluster]` in a file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;

use super::values::{Answer, Seconds, Size};
use crate::s3::features::{Feature, FeaturesOff, Switch};

/// How ETags are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Etag {
    /// MD5 of the content, as AWS and VAST do
    Md5,
    /// Random, for measurements
    Opaque,
}

/// What becomes of the bytes of objects. Sizes, checksums and accounting are those of what was written in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// They are held
    Keep,
    /// They are checked, counted and forgotten; reading them is refused
    Discard,
    /// As discard, but reading gives zeros of the right number
    Zeros,
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

    /// CNodes that serve the VIPs [default: one for every two VIPs]
    #[arg(long, value_name = "NUMBER")]
    pub cnodes: Option<usize>,

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

    /// What becomes of the bytes of objects, without --data-dir [default: keep]
    #[arg(long, value_enum, value_name = "KIND")]
    pub retention: Option<Kept>,

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

    /// S3 key pairs that one user may have [default: 10]
    #[arg(long, value_name = "NUMBER")]
    pub max_keys_per_user: Option<usize>,

    /// What S3 answers when a hard limit is reached, as STATUS:CODE [default: 403:QuotaExceeded]
    #[arg(long, value_name = "STATUS:CODE")]
    pub quota_answer: Option<Answer>,

    /// Software version that the cluster reports, digits and dots [default: 5.4.1.20.10960402906660116571]
    #[arg(long, value_name = "VERSION")]
    pub sw_version: Option<String>,

    /// How long an asynchronous VMS task takes, in seconds [default: 0.5]
    #[arg(long, value_name = "SECONDS")]
    pub task_duration: Option<Seconds>,

    /// Finished VMS tasks that are kept; older ones are forgotten [default: 1000]
    #[arg(long, value_name = "NUMBER")]
    pub tasks_kept: Option<usize>,

    /// Events, and alarms, that are kept; the oldest go first [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    pub events_kept: Option<usize>,

    /// How far the figures of quotas may trail what is stored, in seconds [default: not at all]
    #[arg(long, value_name = "SECONDS")]
    pub quota_lag: Option<Seconds>,

    /// Whether S3 takes version 2 signatures [default: as-cluster]
    #[arg(long, value_enum, value_name = "KIND")]
    pub signature_v2: Option<V2>,

    /// How far the date of an S3 request may be from the cluster's clock, in seconds; 0 accepts any date [default: 900]
    #[arg(long, value_name = "SECONDS")]
    pub max_clock_skew: Option<u64>,

    /// Whether S3 also takes dates near the time that the clock would show had it never been advanced: clients that keep
    /// real time go on working after a jump [default: true]
    #[arg(long, value_name = "BOOL")]
    pub forgive_advances: Option<bool>,

    /// S3 features that the cluster lacks, as FEATURE=refused or FEATURE=ignored, separated by commas [default: none]
    #[arg(long, value_name = "FEATURE=HOW", value_parser = features)]
    pub features_off: Option<FeaturesOff>,

    /// Whether the cluster's clock goes by itself; either kind can be advanced [default: ticking]
    #[arg(long, value_enum, value_name = "KIND")]
    pub clock: Option<ClockKind>,

    /// The time at which the cluster's clock starts, such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    #[serde(deserialize_with = "super::values::time")]
    pub clock_start: Option<jiff::Timestamp>,

    /// Makes ids, keys and tokens the same in every run, for tests, without --data-dir [default: from the system]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
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
