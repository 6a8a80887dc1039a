//! Between HTTP and the S3 service: counts every request, applies faults, keeps early answers readable.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{S3Error, S3ErrorCode};

use super::body::{AnswerBody, RequestBody, Withheld};
use super::conn::{Ending, ResetNow};
use super::date;
use super::trouble::{self, Early, Refusal, Trouble};
use crate::core::Core;
use crate::counters::VipCounting;
use crate::faults::{self, Met, Plane};
use crate::metrics::RequestMeter;
use crate::metrics::tally::Class;
use crate::qos;
use crate::s3::cors::{self, Visitor};
use crate::s3::document_digest;
use crate::s3::form;
use crate::s3::host::bucket_of;
use crate::s3::objects::drop_unreadable_expires;
use crate::s3::operation::{Asked, classify};
use crate::s3::read::drop_unusable_range;
use crate::s3::refusal::{self, About, complete};
use crate::s3::signature::{admit, claimed_signer};
use crate::store::lock;

/// The S3 face of one VIP.
#[derive(Clone)]
pub(crate) struct S3Edge {
    core: Arc<Core>,
    service: S3Service,
    vip: IpAddr,
    counting: Arc<VipCounting>,
}

/// A request on its way to the service.
struct Ready {
    parts: http::request::Parts,
    body: RequestBody,
    bucket: String,
    /// The bucket that the host names.
    bucket_of_host: Option<String>,
    about: About,
}

type Answer = Response<AnswerBody>;

impl S3Edge {
    pub(crate) fn new(core: Arc<Core>, service: S3Service, vip: IpAddr) -> Self {
        let counting = core.counting.vip(vip);
        Self { core, service, vip, counting }
    }

    pub(crate) async fn serve(self, request: Request<Incoming>, ending: Ending) -> Result<Answer, ResetNow> {
        let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok());
        let bucket_of_host = host.and_then(|host| bucket_of(&self.core, host));
        let asked = classify(request.method(), request.uri(), request.headers(), bucket_of_host.as_deref());
        let about = About::new(&self.core, &request, asked.clone());
        let counting = self.meter(&asked, request.method());
        let met = self.meet(&asked, about.id.text());
        let trouble = Trouble::meet(&self.core, met).await;
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Arc::clone(&counting));
        parts.extensions.insert(asked.clone());
        self.switch_features(&trouble, &mut parts.extensions);
        let withheld = Withheld::new(&parts.headers);
        let body = RequestBody::new(body, withheld.clone(), ending.clone()).counted(Arc::clone(&counting));
        let ready = Ready { parts, body, bucket: asked.bucket, bucket_of_host, about };
        let mut result = self.carry_out(ready, trouble, &counting, &ending).await;
        if let Ok(answer) = &mut result {
            withheld.mark(answer.headers_mut());
        }
        counting.answered();
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

    /// The faults that a request meets.
    fn meet(&self, asked: &Asked, request_id: &str) -> Vec<Met> {
        if self.core.faults.is_idle() {
            return Vec::new();
        }
        self.core.faults.take(&faults::Request {
            plane: Plane::S3,
            operation: asked.operation,
            bucket: &asked.bucket,
            key: &asked.key,
            vip: &self.vip.to_string(),
            cnode: &self.core.data_path.cnode(self.vip),
            request_id,
        })
    }

    /// Tells the operation which features it has to do without.
    fn switch_features(&self, trouble: &Trouble, extensions: &mut http::Extensions) {
        let lacking = trouble.features(lock(&self.core.features_off).clone());
        if !lacking.is_empty() {
            extensions.insert(lacking);
        }
    }

    /// Starts counting a request.
    fn meter(&self, asked: &Asked, method: &http::Method) -> Arc<RequestMeter> {
        let view = self.core.store.read(|state| state.bucket(&asked.bucket).map(|b| b.view_id));
        let counting = self.counting.request(asked.operation);
        let what = (asked.operation, Class::of(asked.operation, method), view);
        self.core.metrics.request(&self.core, self.vip, counting, what)
    }

    /// Lets a request wait for its share of what its view, its user and its tenant may do, and holds its data to it.
    async fn queue(
        &self,
        bucket: &str,
        signer: Option<&str>,
        counting: &Arc<RequestMeter>,
        trouble: &mut Trouble,
    ) -> Result<(), Refusal> {
        let asking = qos::Asking { bucket, access_key: signer, class: counting.class() };
        let admission = self.core.store.read(|state| qos::admit(&self.core, state, &asking));
        if admission.refused {
            counting.refused();
            let message = "Reduce your request rate: the QoS policy allows no more connections.";
            return Err(trouble::refusal(503, "SlowDown", message));
        }
        counting.hold(admission.on_the_way);
        let body = if counting.class() == Class::Read { &mut trouble.answer } else { &mut trouble.request };
        for passage in admission.passages {
            body.through(passage, counting);
        }
        if !admission.wait.is_zero() {
            counting.waited(admission.wait);
            self.core.config.clock.sleep(admission.wait).await;
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        ready: Ready,
        mut trouble: Trouble,
        counting: &Arc<RequestMeter>,
        ending: &Ending,
    ) -> Result<Answer, ResetNow> {
        let Ready { parts, mut body, bucket, bucket_of_host, about } = ready;
        let visitor = Visitor::of(&bucket, &parts.method, &parts.headers);
        let skew = || date::refuse(&self.core, &parts.uri, &parts.headers, trouble.skew()?);
        let skew = if trouble.early.is_none() { skew() } else { None };
        let mut answer = match &trouble.early {
            Some(Early::ResetBeforeBody) => return Err(ending.reset()),
            Some(Early::ResetAfterBody) => {
                body.discard().await;
                return Err(ending.reset());
            }
            Some(Early::Silence) => return std::future::pending().await,
            Some(Early::Refuse(refusal)) => {
                body.discard_some(refusal.after_bytes).await;
                refused(refusal, &about)
            }
            None if skew.is_some() => {
                let (code, message) = skew.unwrap_or_default();
                refused(&trouble::refusal(403, code, message), &about)
            }
            None if parts.method == http::Method::OPTIONS => {
                let preflight = cors::preflight(&self.core, &bucket, &parts.headers);
                let answer = preflight.unwrap_or_else(|error| refusal::answer(error, &about));
                self.settled(answer, &about).await
            }
            None => {
                let request = (parts, body, bucket.as_str(), bucket_of_host.as_deref());
                let answer = self.served(request, &about, &mut trouble, counting, ending).await;
                self.settled(answer, &about).await
            }
        };
        if ending.is_reset() {
            return Err(ending.reset());
        }
        if let Some(hit) = &trouble.lose_answer {
            hit.happened();
            return Err(ending.reset());
        }
        if let Some(hit) = &trouble.no_answer {
            hit.happened();
            return std::future::pending().await;
        }
        if let Some(visitor) = visitor {
            visitor.mark(&self.core, answer.headers_mut());
        }
        about.id.stamp(answer.headers_mut());
        date::stamp(&self.core, answer.headers_mut(), trouble.skew().unwrap_or(0));
        let length = http_body::Body::size_hint(answer.body());
        trouble.mark(answer.headers_mut(), &length);
        Ok(answer.map(|body| {
            let body = if trouble.answer.is_idle() {
                body
            } else {
                let clock = Arc::clone(&self.core.config.clock);
                s3s::Body::http_body_unsync(trouble.answer.to(body, clock, ending.clone()))
            };
            AnswerBody::new(body, Arc::clone(counting))
        }))
    }

    /// An answer when it may leave: what the request changed or saw is durable, whether it was done or refused.
    async fn settled(&self, answer: Response<s3s::Body>, about: &About) -> Response<s3s::Body> {
        match self.core.store.settled().await {
            Ok(()) => answer,
            Err(error) => refusal::answer(S3Error::internal_error(error), about),
        }
    }

    /// What the cluster answers when nothing is in the way but limits.
    async fn served(
        &self,
        request: (http::request::Parts, RequestBody, &str, Option<&str>),
        about: &About,
        trouble: &mut Trouble,
        counting: &Arc<RequestMeter>,
        ending: &Ending,
    ) -> Response<s3s::Body> {
        let (mut parts, body, bucket, bucket_of_host) = request;
        let form = form::is_form(about.asked.operation);
        // Who sent a form is in the form.
        let admitted =
            if form { Ok(None) } else { admit(&self.core, &self.core.own_key, &mut parts, bucket_of_host) };
        let chunks = match admitted {
            Ok(chunks) => chunks,
            Err(error) => return refusal::answer(error, about),
        };
        let signer = claimed_signer(&parts);
        if let Err(refusal) = self.queue(bucket, signer.as_deref(), counting, trouble).await {
            return refused(&refusal, about);
        }
        let body = if trouble.request.is_idle() {
            s3s::Body::http_body(body)
        } else {
            let meddling = std::mem::take(&mut trouble.request);
            let clock = Arc::clone(&self.core.config.clock);
            s3s::Body::http_body_unsync(meddling.to(body, clock, ending.clone()))
        };
        if form {
            return match form::unfold(&self.core, &mut parts, body, bucket, bucket_of_host).await {
                Ok((form, file)) => {
                    drop_unreadable_expires(&mut parts.headers);
                    form.answer(self.ask(parts, s3s::Body::from(file), about).await)
                }
                Err(error) => refusal::answer(error, about),
            };
        }
        let mut body = match chunks {
            Some(chunks) => s3s::Body::http_body_unsync(chunks.verify(body)),
            None => body,
        };
        drop_unusable_range(&mut parts.headers);
        drop_unreadable_expires(&mut parts.headers);
        document_digest::examine(&mut parts, &mut body, about.asked.operation).await;
        self.ask(parts, body, about).await
    }

    /// The protocol library's answer.
    async fn ask(&self, parts: http::request::Parts, body: s3s::Body, about: &About) -> Response<s3s::Body> {
        match self.service.call(Request::from_parts(parts, body)).await {
            Ok(answer) => complete(answer, about),
            Err(error) => {
                tracing::error!(?error, "the S3 service failed");
                refusal::answer(S3Error::new(S3ErrorCode::InternalError), about)
            }
        }
    }
}

fn refused(refusal: &Refusal, about: &About) -> Response<s3s::Body> {
    let code = S3ErrorCode::Custom(refusal.code.as_str().into());
    let mut error = S3Error::new(code);
    // Left out, it is what AWS says to the code.
    if !refusal.message.is_empty() {
        error.set_message(refusal.message.clone());
    }
    error.set_status_code(refusal.status);
    let mut answer = refusal::answer(error, about);
    if let Some(seconds) = refusal.retry_after_s {
        answer.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
