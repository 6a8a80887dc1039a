//! What the faults that a request met mean for it, taken together: the same for both planes.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::SizeHint;

use super::conn::Behind;
use super::meddle::{Announced, Event, Meddling};
use crate::core::Core;
use crate::faults::{self, Effect, Hit, Met, Outage, Side};
use crate::s3::features::{Feature, FeaturesOff, Lacking, Switch};

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

/// The sum of the faults of one request. What happens later has its [`Hit`] beside it, to be told then.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) early: Option<Early>,
    pub(crate) request: Meddling,
    pub(crate) answer: Meddling,
    pub(crate) lose_answer: Option<Hit>,
    pub(crate) no_answer: Option<Hit>,
    token: Option<(TokenTrouble, Hit)>,
    skew: Option<(i64, Vec<Hit>)>,
    off: Vec<(Feature, Switch, Hit)>,
    pub(crate) marks: Marks,
}

/// What faults leave in the headers of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    headers: Vec<(HeaderName, Option<HeaderValue>, Hit)>,
    /// Of all faults that the request met, in the order in which they were armed.
    hits: Vec<Hit>,
    /// Faults that wait for the answer's body.
    coming: Vec<u64>,
}

impl Trouble {
    /// Adds up what a request met; waits are waited for. What comes after an early end does not happen any more.
    pub(crate) async fn meet(core: &Arc<Core>, met: Vec<Met>) -> Self {
        let mut trouble = Self::default();
        trouble.marks.hits = met.iter().map(|m| m.hit.clone()).collect();
        for met in met {
            let wait = match met.effect {
                Effect::Delay { millis } => Some(Duration::from_millis(millis)),
                Effect::Latency { millis, jitter_millis } => Some(met.jittered(millis, jitter_millis)),
                _ => None,
            };
            if let Some(wait) = wait {
                met.hit.happened();
                core.config.clock.sleep(wait).await;
            }
            trouble.early = trouble.early.or_else(|| early(core, &met.effect));
            if trouble.early.is_some() {
                met.hit.happened();
                break;
            }
            trouble.add(met);
        }
        trouble
    }

    fn add(&mut self, met: Met) {
        let hit = met.hit;
        match met.effect {
            Effect::ResetAt { side: Side::Request, offset } => self.request.at(offset, Event::Reset, hit),
            Effect::ResetAt { side: Side::Answer, offset } => {
                self.answer.at(offset, Event::Last(Behind::Reset), hit);
            }
            Effect::Truncate { side: Side::Request, offset } => self.request.at(offset, Event::End, hit),
            Effect::Truncate { side: Side::Answer, offset } => {
                self.answer.at(offset, Event::Last(Behind::Close), hit);
            }
            Effect::CorruptBody { offset } => self.answer.at(offset, Event::Corrupt, hit),
            Effect::CorruptRequest { offset } => self.request.at(offset, Event::Corrupt, hit),
            Effect::Stall { side, offset, millis } => {
                let stall = Event::Stall(millis.map(Duration::from_millis));
                self.side(side).at(offset, stall, hit);
            }
            Effect::Bandwidth { side, bytes_per_second } => {
                self.side(side).no_faster_than(met.lane, bytes_per_second, hit);
            }
            Effect::AnswerLost => self.lose_answer = Some(hit),
            Effect::NoAnswer => self.no_answer = Some(hit),
            Effect::TokenExpired => self.token = Some((TokenTrouble::Expired, hit)),
            Effect::TokenRevoked => self.token = Some((TokenTrouble::Revoked, hit)),
            Effect::ClockSkew { millis } => {
                let (sum, hits) = self.skew.get_or_insert_default();
                *sum = sum.saturating_add(millis);
                hits.push(hit);
            }
            // Contradictions were refused when the fault was armed.
            Effect::FeatureOff { feature, how } => self.off.push((feature, how, hit)),
            Effect::SetHeader { name, value } => {
                if let Ok(value) = HeaderValue::try_from(value) {
                    self.header(&name, Some(value), hit);
                }
            }
            Effect::RemoveHeader { name } => self.header(&name, None, hit),
            _ => {}
        }
    }

    fn side(&mut self, side: Side) -> &mut Meddling {
        match side {
            Side::Request => &mut self.request,
            Side::Answer => &mut self.answer,
        }
    }

    fn header(&mut self, name: &str, value: Option<HeaderValue>, hit: Hit) {
        let Ok(name) = HeaderName::try_from(name) else { return };
        if name == CONTENT_LENGTH {
            let length = value.as_ref().and_then(|v| v.to_str().ok()?.parse().ok());
            self.answer.announced(length.map_or(Announced::Nothing, Announced::As));
        }
        self.marks.headers.push((name, value, hit));
    }

    /// How the request's token is to be taken. To be asked when that is done.
    pub(crate) fn token(&self) -> TokenTrouble {
        let Some((token, hit)) = &self.token else { return TokenTrouble::None };
        hit.happened();
        *token
    }

    /// Milliseconds that the cluster's clock is off. To be asked when it is looked at.
    pub(crate) fn skew(&self) -> Option<i64> {
        let (skew, hits) = self.skew.as_ref()?;
        hits.iter().for_each(Hit::happened);
        Some(*skew)
    }

    /// What the request has to do without, beside what the server lacks anyway.
    pub(crate) fn features(&self, server: FeaturesOff) -> Lacking {
        let mut lacking = Lacking::from(server);
        for (feature, how, hit) in &self.off {
            lacking.also(*feature, *how, hit.clone());
        }
        lacking
    }

    /// Marks an answer, whose body is of this length if that is known.
    pub(crate) fn mark(&mut self, headers: &mut HeaderMap, length: &SizeHint) {
        self.marks.coming = self.answer.coming(length);
        self.marks.put(headers);
    }
}

impl Marks {
    /// Says in an answer which faults the request met, and changes the headers they want changed.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        for (name, value, hit) in &self.headers {
            let changed = match value {
                Some(value) => {
                    headers.insert(name, value.clone());
                    true
                }
                // The length is written later; its body knows that it is not to be.
                None => headers.remove(name).is_some() || name == CONTENT_LENGTH,
            };
            if changed {
                hit.happened();
            }
        }
        let shown = self.hits.iter().filter(|h| h.has_happened() || self.coming.contains(&h.fault_id()));
        let ids: Vec<String> = shown.map(|h| h.fault_id().to_string()).collect();
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
