//! A VAST cluster as a client sees it: VMS REST session, S3 over a pool of VIPs.
//!
//! The crate knows VAST, no images and no OST. It lives inside a process that others wrote, so it starts no
//! thread, keeps no global state and logs only where it is told to; everything is async on the runtime of the
//! caller, and time, randomness and the network come in through [`Environment`].
//!
//! [`VastClient`] is the way in: [`VastClient::check`] logs in, [`VastClient::lsus`] lists the S3 views, and
//! [`VastClient::bucket`] gives a [`S3Bucket`] to read and write objects with.

mod client;
mod config;
mod counters;
mod credentials;
mod environment;
mod error;
mod lsu;
mod net;
mod retry;
mod s3;
mod secret;
mod system;
mod vip_pool;
mod vms;

pub use client::{ClusterInfo, VastClient};
pub use config::{
    ClientConfig, DEFAULT_NO_SPACE_CODES, Endpoint, Limits, RetryPolicy, S3Config, Scheme, Timeouts,
    TlsConfig, VmsConfig,
};
pub use counters::{CountersSnapshot, Operation};
pub use credentials::KeyPair;
pub use environment::{BoxFuture, Clock, Connector, Entropy, Environment, Log, Resolver, Severity, Stream};
pub use error::{Delivery, Detail, Error, Result, Thing};
pub use lsu::{CapacitySource, Lsu, RetentionRules};
pub use s3::actions::copy_object::CopySource;
pub use s3::actions::get_bucket_versioning::Versioning;
pub use s3::actions::get_object::GetOutput;
pub use s3::actions::get_object_lock_configuration::LockConfiguration;
pub use s3::actions::list_multipart_uploads::{ListedUpload, UploadMarker, UploadPage};
pub use s3::actions::list_object_versions::{ListedVersion, VersionMarker, VersionPage};
pub use s3::actions::list_objects_v2::{GroupPage, ListPage, ListedObject};
pub use s3::actions::put_object::{Condition, PutOutput};
pub use s3::bucket::S3Bucket;
pub use s3::info::ObjectInfo;
pub use s3::lock::{Retention, RetentionMode};
pub use s3::time::ServerTime;
pub use secret::Secret;
pub use system::{NoLog, SystemClock, SystemEntropy, SystemResolver, TcpConnector};
pub use vip_pool::VipStatus;
