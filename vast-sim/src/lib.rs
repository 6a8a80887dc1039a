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
//! The simulator is not VAST: versioning, object lock, snapshots, replication and the other protocols are refused with
//! 501 and counted, never pretended. Where VAST documents no behaviour (the answer to a full quota, for one), it is a
//! setting.

mod blocking;
mod cluster;
mod config;
mod core;
mod counters;
mod env;
mod error;
mod faults;
mod net;
mod provision;
mod raw_state;
mod s3;
mod seed;
mod store;
mod tls;
mod vms;

pub use blocking::BlockingCluster;
pub use cluster::Cluster;
pub use config::{Config, EtagMode, QuotaAnswer, default_vips};
pub use counters::{Counters, OperationCounters, VipCounters};
pub use env::{Clock, Entropy, HashEntropy, SystemClock};
pub use error::{ProvisionError, StartError};
pub use faults::{Effect, Fault, FaultHit, FaultStatus, Faults, Plane};
pub use provision::{KeyPair, Provisioned};
pub use raw_state::{RawBucket, RawObject, RawPart, RawState, RawUpload};
pub use seed::VIP_POOL;
