//! Between HTTP and the S3 service: counts every request, applies faults, keeps early answers readable.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{S3Error, S3ErrorCode};

use super::body::{AnswerBody, RequestBody, Withheld};
use super::conn::{ResetNow, Resetter};
use crate::core::Core;
use crate::counters::{OperationCounting, VipCounting};
use crate::faults::{self, Effect, Plane};
use crate::s3::operation::classify;

/// The S3 face of one VIP.
#[derive(Clone)]
pub(crate) struct S3Edge {
    core: Arc<Core>,
    service: S3Service,
    vip: IpAddr,
    counting: Arc<VipCounting>,
}

/// What faults leave to be done after the request has been carried out.
#[derive(Default)]
struct Afterwards {
    lose_answer: bool,
    corrupt_at: Option<u64>,
}

type Answer = Response<AnswerBody>;

impl S3Edge {
    pub(crate) fn new(core: Arc<Core>, service: S3Service, vip: IpAddr) -> Self {
        let counting = core.counting.vip(vip);
        Self { core, service, vip, counting }
    }

    pub(crate) async fn serve(
        self,
        request: Request<Incoming>,
        resetter: Resetter,
    ) -> Result<Answer, ResetNow> {
        let asked = classify(request.method(), request.uri(), request.headers());
        let counting = self.counting.request(asked.operation);
        let effects = self.core.faults.take(&faults::Request {
            plane: Plane::S3,
            operation: asked.operation,
            bucket: &asked.bucket,
            key: &asked.key,
            vip: &self.vip.to_string(),
        });
        let (parts, body) = request.into_parts();
        let withheld = Withheld::new(&parts.headers);
        let body = RequestBody::new(body, Arc::clone(&counting), withheld.clone());
        let mut result = self.carry_out(parts, body, effects, &counting, &resetter).await;
        if let Ok(answer) = &mut result {
            self.core.stamp(answer.headers_mut());
        }
        if let (Ok(answer), true) = (&mut result, withheld.is_set()) {
            answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        match &result {
            Ok(answer) if answer.status().as_u16() < 400 => {}
            Ok(answer) => {
                counting.failed();
                if answer.status() == StatusCode::NOT_IMPLEMENTED {
                    self.core.counting.not_implemented();
                }
            }
            Err(ResetNow) => counting.failed(),
        }
        result
    }

    async fn carry_out(
        &self,
        parts: http::request::Parts,
        body: RequestBody,
        effects: Vec<Effect>,
        counting: &Arc<OperationCounting>,
        resetter: &Resetter,
    ) -> Result<Answer, ResetNow> {
        let mut afterwards = Afterwards::default();
        for effect in effects {
            match effect {
                Effect::Delay { millis } => {
                    self.core.config.clock.sleep(std::time::Duration::from_millis(millis)).await;
                }
                Effect::Error { status, code, message } => {
                    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
                    error.set_status_code(
                        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    );
                    return Ok(refusal(error, counting));
                }
                Effect::ResetBeforeBody => return Err(resetter.reset()),
                Effect::ResetAfterBody => {
                    body.discard().await;
                    return Err(resetter.reset());
                }
                Effect::AnswerLost => afterwards.lose_answer = true,
                Effect::CorruptBody { offset } => afterwards.corrupt_at = Some(offset),
                Effect::TokenExpired => {}
            }
        }
        let request = Request::from_parts(parts, s3s::Body::http_body(body));
        let answer = match self.service.call(request).await {
            Ok(answer) => answer.map(|b| AnswerBody::new(b, Arc::clone(counting), afterwards.corrupt_at)),
            Err(error) => {
                tracing::error!(?error, "the S3 service failed");
                refusal(S3Error::new(S3ErrorCode::InternalError), counting)
            }
        };
        if afterwards.lose_answer { Err(resetter.reset()) } else { Ok(answer) }
    }
}

/// An error as S3 XML.
fn refusal(error: S3Error, counting: &Arc<OperationCounting>) -> Answer {
    let answer = error.to_http_response().unwrap_or_else(|_| {
        let mut bare = Response::new(s3s::Body::empty());
        *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        bare
    });
    answer.map(|b| AnswerBody::new(b, Arc::clone(counting), None))
}
