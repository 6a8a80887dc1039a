//! Misbehaviour of the cluster: what there is of it, resolved from the file, and in words.

use super::explain::duration;
use super::file::FaultFile;
use super::resolve::Problem;
use super::values::Milliseconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// How far a clock is off unless the file says: more than the 15 minutes that S3 forgives.
const CLOCK_OFF: Milliseconds = Milliseconds(20 * 60_000);

/// A misbehaviour of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What happens.
    pub effect: FaultEffect,
    /// To which S3 operation; none: to any. Only for effects of single requests.
    pub operation: Option<FaultOperation>,
    /// On which VIP, from 1; none: on any.
    pub vip: Option<u8>,
    /// How far a clock is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Milliseconds>,
    /// How many operations are left alone first.
    pub skip: u32,
    /// How many operations are hit.
    pub times: u32,
    /// When a job of the next step makes its fragment of this number, from 1; none: at once.
    pub fragment: Option<u32>,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// Answer 503 `SlowDown`.
    SlowDown,
    /// Answer 500 `InternalError`.
    InternalError,
    /// Reset the connection in the middle of the body.
    Reset,
    /// Do what was asked and lose the answer.
    AnswerLost,
    /// Send a body with a changed byte.
    CorruptBody,
    /// Take the VIP down.
    VipDown,
    /// Expire every access token of the management API.
    ExpireTokens,
    /// Change the password of the VMS manager that NetBackup logs in as: the old one and all its tokens are refused.
    RotatePassword,
    /// Take the whole cluster down, management and data path; a target cluster stays.
    ClusterDown,
    /// Put the cluster's clock ahead: it judges, dates and remembers by it, until it is healed.
    ClockAhead,
    /// Put it back.
    ClockBehind,
}

impl FaultEffect {
    /// Whether it happens to single requests.
    const fn is_of_requests(self) -> bool {
        !matches!(self, Self::VipDown | Self::ClusterDown | Self::ExpireTokens | Self::RotatePassword)
            && !self.is_of_clocks()
    }

    /// Whether it is about a clock.
    const fn is_of_clocks(self) -> bool {
        matches!(self, Self::ClockAhead | Self::ClockBehind)
    }
}

/// The S3 operations that faults can single out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultOperation {
    /// `PutObject`.
    Put,
    /// `GetObject`.
    Get,
    /// `DeleteObject` and `DeleteObjects`.
    Delete,
    /// `ListObjectsV2`.
    List,
}

pub(super) fn resolve(step: &Spanned<FaultFile>) -> Result<Fault, Problem> {
    let file = &step.value;
    let wrong = |message: &str, help: &str| Err(Problem::new(step.referenced, message, help));
    if file.times == 0 {
        return wrong("a fault that never happens", "expected `times` of at least 1");
    }
    if file.effect == FaultEffect::VipDown && file.vip.is_none_or(|vip| vip == 0) {
        return wrong("vip_down needs to know which VIP", "add `vip: 1` for the first");
    }
    if file.operation.is_some() && !file.effect.is_of_requests() {
        return wrong("this effect is not about one operation", "remove `operation`");
    }
    let by = file.effect.is_of_clocks().then(|| file.by.unwrap_or(CLOCK_OFF));
    if file.by.is_some() && by.is_none() {
        return wrong("this effect is not about a clock", "remove `by`");
    }
    Ok(Fault {
        effect: file.effect,
        by,
        operation: file.operation,
        vip: file.vip,
        skip: file.skip,
        times: file.times,
        fragment: file.fragment,
    })
}

/// A misbehaviour in words.
pub(super) fn tell(fault: &Fault) -> String {
    let operation = match fault.operation {
        None => "S3 request",
        Some(FaultOperation::Put) => "PutObject",
        Some(FaultOperation::Get) => "GetObject",
        Some(FaultOperation::Delete) => "DeleteObject",
        Some(FaultOperation::List) => "ListObjectsV2",
    };
    let what = match fault.effect {
        FaultEffect::SlowDown => "is answered with 503 SlowDown",
        FaultEffect::InternalError => "is answered with 500 InternalError",
        FaultEffect::Reset => "has its connection reset in the middle of the body",
        FaultEffect::AnswerLost => "is carried out and its answer lost",
        FaultEffect::CorruptBody => "gets a body with a changed byte",
        // Told below: they hit no request.
        FaultEffect::VipDown
        | FaultEffect::ExpireTokens
        | FaultEffect::RotatePassword
        | FaultEffect::ClusterDown
        | FaultEffect::ClockAhead
        | FaultEffect::ClockBehind => "",
    };
    let when = fault.fragment.map_or_else(String::new, |number| {
        format!("When a job of the next step makes its fragment {number}: ")
    });
    let vip = fault.vip.map(|vip| format!(" on VIP {vip}")).unwrap_or_default();
    match fault.effect {
        FaultEffect::VipDown => format!("{when}The cluster loses VIP {}.", fault.vip.unwrap_or(1)),
        FaultEffect::ClusterDown => {
            format!("{when}The cluster goes down: neither its management nor its VIPs answer.")
        }
        FaultEffect::ExpireTokens => format!("{when}Every access token of the management API expires."),
        FaultEffect::RotatePassword => {
            format!("{when}The manager that NetBackup logs in as gets another password, and its tokens end.")
        }
        FaultEffect::ClockAhead | FaultEffect::ClockBehind => {
            let by = duration(fault.by.unwrap_or(Milliseconds(0)));
            let way = if fault.effect == FaultEffect::ClockAhead { "ahead" } else { "back" };
            format!("{when}The cluster's clock goes {by} {way}.")
        }
        _ => {
            let first =
                if fault.skip > 0 { format!("after {} of them, ", fault.skip) } else { String::new() };
            let times = if fault.times == 1 { "one".to_owned() } else { format!("each of {}", fault.times) };
            format!("{when}Of the kind {operation}{vip}, {first}{times} {what}.")
        }
    }
}
