//! What the faults that a request met mean for it, taken together: the same for both planes.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::meddle::{Event, Meddling};
use crate::core::Core;
use crate::faults::{self, Effect, Met, Outage, Side};
use crate::s3::features::FeaturesOff;

/// An answer in place of the request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after_s: Option<u64>,
    /// Bytes of the body that are taken first.
    pub(crate) after_bytes: u64,
}

/// What keeps a request from being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Early {
    Refuse(Refusal),
    ResetBeforeBody,
    ResetAfterBody,
    /// Neither carried out nor answered.
    Silence,
}

/// How a VMS request's token is to be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TokenTrouble {
    #[default]
    None,
    Expired,
    Revoked,
}

/// The sum of the faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) early: Option<Early>,
    pub(crate) request: Meddling,
    pub(crate) answer: Meddling,
    pub(crate) lose_answer: bool,
    pub(crate) no_answer: bool,
    pub(crate) token: TokenTrouble,
    /// Milliseconds that the cluster's clock is off.
    pub(crate) skew: Option<i64>,
    pub(crate) off: FeaturesOff,
    pub(crate) marks: Marks,
}

/// What faults leave in the headers of an answer.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
    ids: Vec<u64>,
}

impl Trouble {
    /// Adds up what a request met; waits are waited for. What comes after an early end does not happen any more.
    pub(crate) async fn meet(core: &Arc<Core>, met: Vec<Met>) -> Self {
        let mut trouble = Self::default();
        trouble.marks.ids = met.iter().map(|m| m.fault_id).collect();
        for met in met {
            let wait = match met.effect {
                Effect::Delay { millis } => Some(Duration::from_millis(millis)),
                Effect::Latency { millis, jitter_millis } => Some(met.jittered(millis, jitter_millis)),
                _ => None,
            };
            if let Some(wait) = wait {
                core.config.clock.sleep(wait).await;
            }
            trouble.early = trouble.early.or_else(|| early(core, &met.effect));
            if trouble.early.is_some() {
                break;
            }
            trouble.add(met);
        }
        trouble
    }

    fn add(&mut self, met: Met) {
        let mut at = |side: Side, offset, event| match side {
            Side::Request => self.request.at(offset, event),
            Side::Answer => self.answer.at(offset, event),
        };
        match met.effect {
            Effect::ResetAt { side, offset } => at(side, offset, Event::Reset),
            Effect::Truncate { side, offset } => at(side, offset, Event::End),
            Effect::CorruptBody { offset } => at(Side::Answer, offset, Event::Corrupt),
            Effect::CorruptRequest { offset } => at(Side::Request, offset, Event::Corrupt),
            Effect::Stall { side, offset, millis } => {
                at(side, offset, Event::Stall(millis.map(Duration::from_millis)));
            }
            Effect::Bandwidth { side: Side::Request, bytes_per_second } => {
                self.request.no_faster_than(met.lane, bytes_per_second);
            }
            Effect::Bandwidth { side: Side::Answer, bytes_per_second } => {
                self.answer.no_faster_than(met.lane, bytes_per_second);
            }
            Effect::AnswerLost => self.lose_answer = true,
            Effect::NoAnswer => self.no_answer = true,
            Effect::TokenExpired => self.token = TokenTrouble::Expired,
            Effect::TokenRevoked => self.token = TokenTrouble::Revoked,
            Effect::ClockSkew { millis } => self.skew = Some(self.skew.unwrap_or(0).saturating_add(millis)),
            Effect::FeatureOff { feature, how } => {
                // Contradictions were refused when the fault was armed.
                let _ = self.off.switch_off(feature, how);
            }
            Effect::SetHeader { name, value } => self.marks.header(&name, HeaderValue::try_from(value).ok()),
            Effect::RemoveHeader { name } => self.marks.header(&name, None),
            _ => {}
        }
    }
}

impl Marks {
    fn header(&mut self, name: &str, value: Option<HeaderValue>) {
        if let Ok(name) = HeaderName::try_from(name) {
            self.headers.push((name, value));
        }
    }

    /// Says in an answer which faults the request met, and changes the headers they want changed.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            match value {
                Some(value) => headers.insert(name, value.clone()),
                None => headers.remove(name),
            };
        }
        let ids: Vec<String> = self.ids.iter().map(u64::to_string).collect();
        if let (false, Ok(ids)) = (ids.is_empty(), HeaderValue::try_from(ids.join(","))) {
            headers.insert(faults::HEADER, ids);
        }
    }
}

pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Refusal {
    Refusal {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_s: None,
        after_bytes: 0,
    }
}

/// How a fault ends a request before it is carried out, if it does.
fn early(core: &Core, effect: &Effect) -> Option<Early> {
    Some(match effect {
        Effect::Error { status, code, message } => Early::Refuse(refusal(*status, code, message)),
        Effect::SlowDown { retry_after_s } => Early::Refuse(Refusal {
            retry_after_s: Some(*retry_after_s),
            ..refusal(503, "SlowDown", "Please reduce your request rate.")
        }),
        Effect::KeyExpired => Early::Refuse(refusal(400, "ExpiredToken", "The provided token has expired.")),
        Effect::KeyRevoked => Early::Refuse(refusal(
            403,
            "InvalidAccessKeyId",
            "The access key ID you provided does not exist in our records.",
        )),
        Effect::QuotaFull { after_bytes } => {
            let answer = &core.config.quota_answer;
            Early::Refuse(Refusal {
                after_bytes: *after_bytes,
                ..refusal(answer.status, &answer.code, "The hard limit of the quota is reached.")
            })
        }
        Effect::ResetBeforeBody | Effect::VmsOutage { how: Outage::Reset } => Early::ResetBeforeBody,
        Effect::ResetAfterBody => Early::ResetAfterBody,
        Effect::VmsOutage { how: Outage::Silent } => Early::Silence,
        _ => return None,
    })
}
