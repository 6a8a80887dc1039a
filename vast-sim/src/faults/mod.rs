//! Faults: what shall go wrong, for which requests, how often. Deterministic: the same requests in the same order meet
//! the same faults. The layers that act on them are at the edge of each listener, outside the protocol libraries, so
//! that a fault can also be something those would never say.

mod effect;
mod filter;
mod hit;
mod names;
mod plane;

use serde::{Deserialize, Serialize};

pub use effect::{Effect, Outage, Side};
pub(crate) use hit::{Hit, Met};
pub(crate) use names::doubts;
pub use plane::Faults;
pub(crate) use plane::{Expiry, Lane, Request};

/// The header of an answer that names the faults that the request met, by number.
pub(crate) const HEADER: &str = "x-vast-sim-fault";

/// Which side of the cluster a fault is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// The S3 data path.
    #[default]
    S3,
    /// The VMS REST API (never the simulator's own `/sim` paths).
    Vms,
}

/// A fault to arm. Everything but the effect narrows it down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which side of the cluster.
    #[serde(default)]
    pub plane: Plane,
    /// Operations it is limited to; empty for all. S3: `PutObject`, `UploadPart`, ...; VMS: `GET views`.
    #[serde(default)]
    pub operations: Vec<String>,
    /// The bucket it is limited to.
    #[serde(default)]
    pub bucket: Option<String>,
    /// What the key must start with.
    #[serde(default)]
    pub key_prefix: Option<String>,
    /// A pattern for the whole key: `*` stands for any characters, `?` for one.
    #[serde(default)]
    pub key_glob: Option<String>,
    /// The VIP it is limited to, without port.
    #[serde(default)]
    pub vip: Option<String>,
    /// The name of the CNode it is limited to.
    #[serde(default)]
    pub cnode: Option<String>,
    /// Matching requests that pass before the first hit.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it hits; none for all until it is removed.
    #[serde(default)]
    pub count: Option<u64>,
    /// The share of matching requests that it hits, above 0 and at most 1; none for all.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What chance goes by: the same seed hits the same requests.
    #[serde(default)]
    pub seed: u64,
    /// Milliseconds on the cluster's clock after which it disarms itself.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// A fault on every S3 request; narrow it with the methods below.
    pub fn s3(effect: Effect) -> Self {
        Self {
            plane: Plane::S3,
            operations: Vec::new(),
            bucket: None,
            key_prefix: None,
            key_glob: None,
            vip: None,
            cnode: None,
            skip: 0,
            count: None,
            probability: None,
            seed: 0,
            for_ms: None,
            effect,
        }
    }

    /// A fault on every VMS request.
    pub fn vms(effect: Effect) -> Self {
        Self { plane: Plane::Vms, ..Self::s3(effect) }
    }

    /// Also on this operation (and no longer on all).
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.operations.push(operation.to_owned());
        self
    }

    /// Only in this bucket.
    #[must_use]
    pub fn bucket(mut self, bucket: &str) -> Self {
        self.bucket = Some(bucket.to_owned());
        self
    }

    /// Only on keys that start so.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.key_prefix = Some(prefix.to_owned());
        self
    }

    /// Only on keys that match this pattern: `*` stands for any characters, `?` for one.
    #[must_use]
    pub fn key_glob(mut self, pattern: &str) -> Self {
        self.key_glob = Some(pattern.to_owned());
        self
    }

    /// Only on this VIP (an address without port).
    #[must_use]
    pub fn vip(mut self, vip: &str) -> Self {
        self.vip = Some(vip.to_owned());
        self
    }

    /// Only on the VIPs that this CNode serves at the time.
    #[must_use]
    pub fn cnode(mut self, name: &str) -> Self {
        self.cnode = Some(name.to_owned());
        self
    }

    /// Lets the first `n` matching requests pass.
    #[must_use]
    pub fn skip(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Hits `n` requests, then no more.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.count = Some(n);
        self
    }

    /// Hits this share of the requests, chosen by the seed.
    #[must_use]
    pub fn with_probability(mut self, share: f64, seed: u64) -> Self {
        (self.probability, self.seed) = (Some(share), seed);
        self
    }

    /// Disarms itself after this time on the cluster's clock.
    #[must_use]
    pub fn lasting(mut self, time: std::time::Duration) -> Self {
        self.for_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

/// A fault as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number.
    pub id: u64,
    /// Matching requests so far, those that passed included.
    pub seen: u64,
    /// Requests hit so far.
    pub hits: u64,
    /// When it disarms itself, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// The fault itself.
    pub fault: Fault,
}

/// One thing that a fault did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultHit {
    /// Counts all hits since the start, also those that the log has forgotten.
    pub number: u64,
    /// Number of the fault.
    pub fault_id: u64,
    /// Name of its effect.
    pub effect: String,
    /// When, in milliseconds since 1970 on the cluster's clock.
    pub time_ms: u64,
    /// The `x-amz-request-id` of the request; empty when it was no S3 request.
    pub request_id: String,
    /// The operation it hit; what happened, when no request was hit.
    pub operation: String,
    /// The bucket; empty when the request named none.
    pub bucket: String,
    /// The key; empty when the request named none.
    pub key: String,
    /// The VIP; empty for VMS.
    pub vip: String,
    /// The CNode that served the VIP; empty for VMS.
    pub cnode: String,
}
