//! A VAST cluster in one process: VMS REST and S3 over several VIPs.
//!
//! For every program that is a client of VAST and has to be tested without one. The management API (VMS) answers over
//! HTTPS with VAST's own conventions: token and basic authentication, version prefixes, bare lists and envelopes,
//! filters on any field. The data path is S3 on several virtual addresses (VIPs), each with listeners of its own, plain
//! and TLS. What one side changes the other side sees: a view made over REST is a bucket, an object put over S3 counts
//! against the quota on its path.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use vast_sim::{BlockingCluster, Config, Effect, Fault};
//!
//! let cluster = BlockingCluster::start(Config::default(), 2)?;
//! let backup = cluster.provision("backup", Some(1 << 30))?;
//! println!("{} and {}, key {}", cluster.vms_url(), cluster.s3_urls()[0], backup.keys.access_key);
//! cluster.faults().add(Fault::s3(Effect::AnswerLost).on("PutObject").times(1))?;
//! assert!(cluster.raw_state().bucket("backup").is_some_and(|b| b.objects.is_empty()));
//! # Ok(())
//! # }
//! ```
//!
//! The simulator is not VAST: replication and the other protocols are refused with 501 and counted, never pretended. Where VAST documents no behaviour (the answer to a full quota, for one), it is a
//! setting.

mod background;
mod blocking;
mod clock;
mod cluster;
mod config;
mod core;
mod counters;
pub mod describe;
mod env;
mod error;
mod faults;
mod metrics;
mod net;
mod provision;
mod qos;
#[cfg(test)]
mod random;
mod raw_state;
mod s3;
mod seed;
mod store;
mod tls;
mod vms;
mod web;

pub use blocking::BlockingCluster;
pub use clock::{CannotAdvance, Clock, SimClock};
pub use cluster::Cluster;
pub use config::{Config, EtagMode, QuotaAnswer, Retention, default_vips};
pub use counters::{Counters, OperationCounters, VipCounters};
pub use env::{Entropy, HashEntropy};
pub use error::{BadSetting, ProvisionError, StartError};
pub use faults::{Effect, Fault, FaultHit, FaultStatus, Faults, Outage, Plane, Side};
pub use metrics::Monitoring;
pub use net::network::{Listener, Network, Stream, Tcp};
pub use net::vips::{VipState, VipStatus};
pub use provision::{KeyPair, Provisioned};
pub use raw_state::{RawBucket, RawObject, RawPart, RawState, RawUpload, RawVersion};
pub use s3::features::{Feature, FeaturesOff, Switch};
pub use s3::signature::{SignatureRules, SignatureV2};
pub use seed::VIP_POOL;
pub use vms::tasks::TaskSettings;
