//! From flags and a description to the configuration that a cluster starts with: flags go first, defaults last, and what
//! makes no sense is told where it was said.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::settings::{ClockKind, Etag, Kept, Settings, V2};
use super::{Described, Mistake};
use crate::clock::{Clock, SimClock};
use crate::config::{Config, EtagMode, Retention};
use crate::env::{Entropy, HashEntropy};
use crate::error::BadSetting;
use crate::metrics::Monitoring;
use crate::net::network::Tcp;
use crate::s3::signature::{SignatureRules, SignatureV2};
use crate::vms::tasks::TaskSettings;

/// Why settings make no cluster.
#[derive(Debug)]
pub enum Unsettled {
    /// What the description says, shown in place.
    Described(Box<Mistake>),
    /// What flags say.
    Flags(BadSetting),
}

/// The configuration that flags and a description make together, checked.
///
/// # Errors
/// The first setting that makes no sense.
pub fn settle(flags: Settings, described: Option<&Described>) -> Result<Config, Unsettled> {
    let from_file = described.map(|d| d.description.cluster.clone()).unwrap_or_default();
    let settings = flags.or(from_file);
    let checked = check(&settings).and_then(|()| {
        let config = settings.into_config();
        config.check().map(|()| config)
    });
    checked.map_err(|bad| match described.and_then(|d| d.in_place(&bad)) {
        Some(mistake) => Unsettled::Described(Box::new(mistake)),
        None => Unsettled::Flags(bad),
    })
}

/// What only settings can say wrong, a configuration not.
fn check(settings: &Settings) -> Result<(), BadSetting> {
    if settings.seed.is_some() && settings.data_dir.is_some() {
        let what = "seed: every start would give out the ids again that the data directory has already; leave one of \
                    them out";
        return Err(BadSetting { settings: &["seed", "data_dir"], what: what.to_owned() });
    }
    Ok(())
}

impl Described {
    /// A bad setting where this description says it; none when it does not.
    fn in_place(&self, bad: &BadSetting) -> Option<Mistake> {
        let place =
            bad.settings.iter().find_map(|setting| self.place(&["cluster".into(), (*setting).into()]))?;
        Some(self.mistake(place.value, bad.what.clone(), None))
    }
}

impl Settings {
    /// These settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            vms_listen: self.vms_listen.or(other.vms_listen),
            vips: self.vips.or(other.vips),
            cnodes: self.cnodes.or(other.cnodes),
            s3_port: self.s3_port.or(other.s3_port),
            s3_tls_port: self.s3_tls_port.or(other.s3_tls_port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            data_dir: self.data_dir.or(other.data_dir),
            retention: self.retention.or(other.retention),
            etag: self.etag.or(other.etag),
            capacity: self.capacity.or(other.capacity),
            min_part_size: self.min_part_size.or(other.min_part_size),
            tls_names: self.tls_names.or(other.tls_names),
            access_token_lifetime: self.access_token_lifetime.or(other.access_token_lifetime),
            refresh_token_lifetime: self.refresh_token_lifetime.or(other.refresh_token_lifetime),
            max_keys_per_user: self.max_keys_per_user.or(other.max_keys_per_user),
            quota_answer: self.quota_answer.or(other.quota_answer),
            sw_version: self.sw_version.or(other.sw_version),
            task_duration: self.task_duration.or(other.task_duration),
            tasks_kept: self.tasks_kept.or(other.tasks_kept),
            events_kept: self.events_kept.or(other.events_kept),
            quota_lag: self.quota_lag.or(other.quota_lag),
            signature_v2: self.signature_v2.or(other.signature_v2),
            max_clock_skew: self.max_clock_skew.or(other.max_clock_skew),
            forgive_advances: self.forgive_advances.or(other.forgive_advances),
            features_off: self.features_off.or(other.features_off),
            clock: self.clock.or(other.clock),
            clock_start: self.clock_start.or(other.clock_start),
            seed: self.seed.or(other.seed),
        }
    }

    /// A cluster with these settings, on fixed ports unless they say otherwise. Every field is written out, so that none
    /// of a configuration can be forgotten here.
    pub fn into_config(self) -> Config {
        let base = Config::default();
        let clock = self.clock();
        Config {
            vms_listen: self.vms_listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443))),
            vips: self.vips.unwrap_or(base.vips),
            cnodes: self.cnodes,
            s3_port: self.s3_port.unwrap_or(8080),
            s3_tls_port: self.s3_tls_port.unwrap_or(8444),
            user: self.user.unwrap_or(base.user),
            password: self.password.unwrap_or(base.password),
            data_dir: self.data_dir,
            etag: match self.etag {
                Some(Etag::Opaque) => EtagMode::Opaque,
                Some(Etag::Md5) => EtagMode::Md5,
                None => base.etag,
            },
            retention: match self.retention {
                Some(Kept::Keep) => Retention::Keep,
                Some(Kept::Discard) => Retention::Discard,
                Some(Kept::Zeros) => Retention::Zeros,
                None => base.retention,
            },
            capacity: self.capacity.map_or(base.capacity, |s| s.0),
            min_part_size: self.min_part_size.map_or(base.min_part_size, |s| s.0),
            tls_names: self.tls_names.unwrap_or(base.tls_names),
            access_token_lifetime: self.access_token_lifetime.map_or(base.access_token_lifetime, |s| s.0),
            refresh_token_lifetime: self.refresh_token_lifetime.map_or(base.refresh_token_lifetime, |s| s.0),
            max_keys_per_user: self.max_keys_per_user.unwrap_or(base.max_keys_per_user),
            quota_answer: self.quota_answer.map_or(base.quota_answer, |a| a.0),
            sw_version: self.sw_version.unwrap_or(base.sw_version),
            tasks: TaskSettings {
                duration: self.task_duration.map_or(base.tasks.duration, |s| s.0),
                kept: self.tasks_kept.unwrap_or(base.tasks.kept),
            },
            monitoring: Monitoring {
                quota_lag: self.quota_lag.map_or(base.monitoring.quota_lag, |s| s.0),
                events_kept: self.events_kept.unwrap_or(base.monitoring.events_kept),
            },
            signatures: SignatureRules {
                max_skew: match self.max_clock_skew {
                    Some(0) => None,
                    Some(seconds) => Some(Duration::from_secs(seconds)),
                    None => base.signatures.max_skew,
                },
                forgive_advances: self.forgive_advances.unwrap_or(base.signatures.forgive_advances),
                v2: match self.signature_v2 {
                    Some(V2::Accept) => SignatureV2::Accept,
                    Some(V2::Refuse) => SignatureV2::Refuse,
                    Some(V2::AsCluster) => SignatureV2::AsCluster,
                    None => base.signatures.v2,
                },
            },
            features_off: self.features_off.unwrap_or(base.features_off),
            network: Arc::new(Tcp),
            clock,
            entropy: self.seed.map(|seed| Arc::new(HashEntropy::from_seed(seed)) as Arc<dyn Entropy>),
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        let start = self.clock_start.map_or_else(SystemTime::now, SystemTime::from);
        Arc::new(match self.clock {
            Some(ClockKind::Frozen) => SimClock::frozen_at(start),
            Some(ClockKind::Ticking) | None => SimClock::ticking_from(start),
        })
    }
}
