//! What can go wrong: one variant, one thing.

use serde::{Deserialize, Serialize};

use super::Plane;
use crate::s3::features::{Feature, Switch};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The request's body, from the client.
    Request,
    /// The answer's body, to the client.
    Answer,
}

/// How the management service is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// Its port is closed. Takes the simulator's own paths along, so it needs `for_ms`.
    Refused,
    /// Every API connection is reset; the simulator's own paths go on.
    Reset,
    /// API requests are never answered; the simulator's own paths go on.
    Silent,
}

/// What happens to a request that a fault hits, or to the addresses and nodes that it names.
///
/// Offsets count bytes of a body from its start; a body that ends earlier passes unharmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Answered with this status, without being carried out. S3 answers carry the code and message as S3 XML, VMS
    /// answers carry the message as `detail`.
    Error {
        /// HTTP status, 300 to 599.
        status: u16,
        /// S3 error code, such as `SlowDown`.
        code: String,
        /// Text for people.
        #[serde(default)]
        message: String,
    },
    /// Answered 503 `SlowDown` with a `Retry-After` header, without being carried out.
    SlowDown {
        /// Seconds that the client is asked to wait.
        retry_after_s: u64,
    },
    /// The connection is reset (TCP RST) before any of the body is taken.
    ResetBeforeBody,
    /// The body is taken, nothing is carried out, the connection is reset.
    ResetAfterBody,
    /// The connection is reset in the middle of a body.
    ResetAt {
        /// Whose body.
        side: Side,
        /// Bytes that pass first.
        offset: u64,
    },
    /// The request is carried out, then the connection is reset instead of an answer.
    AnswerLost,
    /// The request is carried out and never answered; the connection stays open.
    NoAnswer,
    /// The request waits this long on the cluster's clock before anything else happens to it.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// Like [`Effect::Delay`], by an amount that differs from request to request.
    Latency {
        /// Milliseconds in the middle.
        millis: u64,
        /// Milliseconds that it may be more or less.
        #[serde(default)]
        jitter_millis: u64,
    },
    /// A body passes no faster than this; all requests that the fault hits share it.
    Bandwidth {
        /// Whose body.
        side: Side,
        /// Bytes per second on the cluster's clock.
        bytes_per_second: u64,
    },
    /// A body stands still at an offset.
    Stall {
        /// Whose body.
        side: Side,
        /// Bytes that pass first.
        offset: u64,
        /// Milliseconds on the cluster's clock; none for ever.
        #[serde(default)]
        millis: Option<u64>,
    },
    /// A body ends too early: the answer's by closing the connection, the request's as if the client had sent no more.
    Truncate {
        /// Whose body.
        side: Side,
        /// Bytes that pass first.
        offset: u64,
    },
    /// One byte of the answer's body is changed.
    CorruptBody {
        /// Which one.
        offset: u64,
    },
    /// One byte of the request's body is changed before the cluster sees it.
    CorruptRequest {
        /// Which one.
        offset: u64,
    },
    /// A header of the answer gets this value, whether it was there or not. A wrong `content-length` cuts or starves the
    /// body, as HTTP has it.
    SetHeader {
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
    /// A header is missing from the answer.
    RemoveHeader {
        /// Name.
        name: String,
    },
    /// VMS only: answered as if the token (of a session, or an API token) had expired.
    TokenExpired,
    /// VMS only: as if the token had been revoked; refresh tokens are refused as well.
    TokenRevoked,
    /// S3 only: answered as if the key pair had expired.
    KeyExpired,
    /// S3 only: answered as if the key pair were gone.
    KeyRevoked,
    /// S3 only: the cluster's clock is off by this for the request: its date is judged by it, the answer shows it.
    ClockSkew {
        /// Milliseconds; negative when the cluster is behind.
        millis: i64,
    },
    /// S3 only: answered as a write beyond a hard limit.
    QuotaFull {
        /// Bytes of the body that are taken first.
        #[serde(default)]
        after_bytes: u64,
    },
    /// S3 only: one feature is missing for the request.
    FeatureOff {
        /// Which one.
        feature: Feature,
        /// Whether asking for it is refused or not noticed.
        how: Switch,
    },
    /// VMS only: an asynchronous task fails. Tasks are operations named `TASK <name>`.
    TaskFailed {
        /// What the task says.
        #[serde(default)]
        message: String,
    },
    /// While armed: nothing listens on the VIPs that the fault names.
    VipRefused,
    /// While armed: the VIPs that the fault names take connections and never say a word.
    VipSilent,
    /// While armed: the CNode is dead. Its VIPs move to others, their connections are reset.
    CnodeDown,
    /// While armed: the CNode is drained. Its VIPs move to others, their connections end politely.
    CnodeDrained,
    /// While armed: the VIP is on this CNode in place of its own; its connections are reset.
    VipMoved {
        /// Name of the CNode.
        to: String,
    },
    /// While armed: VMS is gone; the data path is not.
    VmsOutage {
        /// In which way.
        how: Outage,
    },
}

impl Effect {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::SlowDown { .. } => "slow_down",
            Self::ResetBeforeBody => "reset_before_body",
            Self::ResetAfterBody => "reset_after_body",
            Self::ResetAt { .. } => "reset_at",
            Self::AnswerLost => "answer_lost",
            Self::NoAnswer => "no_answer",
            Self::Delay { .. } => "delay",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Stall { .. } => "stall",
            Self::Truncate { .. } => "truncate",
            Self::CorruptBody { .. } => "corrupt_body",
            Self::CorruptRequest { .. } => "corrupt_request",
            Self::SetHeader { .. } => "set_header",
            Self::RemoveHeader { .. } => "remove_header",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::KeyExpired => "key_expired",
            Self::KeyRevoked => "key_revoked",
            Self::ClockSkew { .. } => "clock_skew",
            Self::QuotaFull { .. } => "quota_full",
            Self::FeatureOff { .. } => "feature_off",
            Self::TaskFailed { .. } => "task_failed",
            Self::VipRefused => "vip_refused",
            Self::VipSilent => "vip_silent",
            Self::CnodeDown => "cnode_down",
            Self::CnodeDrained => "cnode_drained",
            Self::VipMoved { .. } => "vip_moved",
            Self::VmsOutage { .. } => "vms_outage",
        }
    }

    /// Whether it is a state of the cluster as long as it is armed, and not something that happens to single requests.
    pub(crate) fn is_standing(&self) -> bool {
        matches!(
            self,
            Self::VipRefused
                | Self::VipSilent
                | Self::CnodeDown
                | Self::CnodeDrained
                | Self::VipMoved { .. }
                | Self::VmsOutage { how: Outage::Refused }
        )
    }

    /// The only plane on which it exists, if there is one.
    fn plane(&self) -> Option<Plane> {
        match self {
            Self::TokenExpired | Self::TokenRevoked | Self::TaskFailed { .. } | Self::VmsOutage { .. } => {
                Some(Plane::Vms)
            }
            Self::KeyExpired
            | Self::KeyRevoked
            | Self::ClockSkew { .. }
            | Self::QuotaFull { .. }
            | Self::FeatureOff { .. }
            | Self::VipRefused
            | Self::VipSilent
            | Self::CnodeDown
            | Self::CnodeDrained
            | Self::VipMoved { .. } => Some(Plane::S3),
            _ => None,
        }
    }

    pub(super) fn check(&self, plane: Plane) -> Result<(), String> {
        if let Some(only) = self.plane().filter(|only| *only != plane) {
            let only = if only == Plane::S3 { "s3" } else { "vms" };
            return Err(format!("effect {} exists only on the plane {only}", self.name()));
        }
        match self {
            Self::Error { status, code, .. } => {
                if !(300..=599).contains(status) {
                    return Err(format!("effect.status {status} is not an error: 300 to 599 needed"));
                }
                if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(format!("effect.code {code:?} is not an S3 error code"));
                }
            }
            Self::Bandwidth { bytes_per_second: 0, .. } => {
                return Err(
                    "effect.bytes_per_second must be at least 1; use stall for no bytes at all".to_owned()
                );
            }
            Self::SetHeader { name, value } => {
                header_name(name)?;
                if http::HeaderValue::from_str(value).is_err() {
                    return Err(format!("effect.value {value:?} is not a header value"));
                }
            }
            Self::RemoveHeader { name } => header_name(name)?,
            Self::FeatureOff { feature, how } => feature.check(*how)?,
            _ => {}
        }
        Ok(())
    }
}

fn header_name(name: &str) -> Result<(), String> {
    let known = http::HeaderName::from_bytes(name.as_bytes());
    known.map(|_| ()).map_err(|_| format!("effect.name {name:?} is not a header name"))
}
