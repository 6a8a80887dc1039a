//! Faults: what shall go wrong, for which requests, how often. Deterministic: the same requests in the same order meet
//! the same faults. The layers that act on them are at the edge of each listener, outside the protocol libraries, so
//! that a fault can also be something those would never say.

mod plane;

use serde::{Deserialize, Serialize};

pub use plane::Faults;
pub(crate) use plane::Request;

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

/// What happens to a request that a fault hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Answered with this status, without being carried out. S3 answers carry the code and message as S3 XML, VMS
    /// answers carry the message as `detail`.
    Error {
        /// HTTP status.
        status: u16,
        /// S3 error code, such as `SlowDown`.
        code: String,
        /// Text for people.
        #[serde(default)]
        message: String,
    },
    /// The connection is reset (TCP RST) before any of the body is taken.
    ResetBeforeBody,
    /// The body is taken, nothing is carried out, the connection is reset.
    ResetAfterBody,
    /// The request is carried out, then the connection is reset instead of an answer.
    AnswerLost,
    /// The request waits this long on the cluster's clock before anything else happens to it.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// One byte of the answer's body is changed.
    CorruptBody {
        /// Which one, from the start of the body. Bodies that end earlier pass unharmed.
        offset: u64,
    },
    /// VMS only: answered as if the token had expired.
    TokenExpired,
}

/// A fault to arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The VIP it is limited to, without port.
    #[serde(default)]
    pub vip: Option<String>,
    /// Matching requests that pass before the first hit.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it hits; none for all until it is removed.
    #[serde(default)]
    pub count: Option<u64>,
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
            vip: None,
            skip: 0,
            count: None,
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

    /// Only on this VIP (an address without port).
    #[must_use]
    pub fn vip(mut self, vip: &str) -> Self {
        self.vip = Some(vip.to_owned());
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
}

/// A fault as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number.
    pub id: u64,
    /// Matching requests so far, those that passed included.
    pub seen: u64,
    /// Requests hit so far.
    pub hits: u64,
    /// The fault itself.
    pub fault: Fault,
}

/// One request that a fault hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultHit {
    /// Number of the fault.
    pub fault_id: u64,
    /// The operation it hit.
    pub operation: String,
    /// The bucket; empty when the request named none.
    pub bucket: String,
    /// The key; empty when the request named none.
    pub key: String,
    /// The VIP; empty for VMS.
    pub vip: String,
}
