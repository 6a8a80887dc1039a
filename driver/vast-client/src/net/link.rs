//! One open HTTP/1 connection and one exchange at a time on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use crate::error::Delivery;
use crate::net::body::Parts;
use crate::net::budget::{Budget, Expired};
use crate::net::meter::Progress;
use crate::net::{Fault, NetError, chain};

/// Beyond this many bytes, a server that refuses a request may not have read the body: its connection is not
/// used again.
const UNREAD_BODY_MAX: u64 = 64 * 1024;

/// Bytes of body that a refusal may have, whatever the limit of the answer that was hoped for.
const REFUSAL_BYTES_MAX: u64 = 1 << 20;

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header's text, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Parts>,
    progress: Arc<Progress>,
    used: bool,
    reusable: bool,
}

impl Link {
    pub(crate) fn new(sender: SendRequest<Parts>, progress: Arc<Progress>) -> Self {
        Self { sender, progress, used: false, reusable: true }
    }

    /// Whether another request may be sent on it.
    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable && !self.sender.is_closed()
    }

    /// Sends a request and collects its answer, at most `limit` bytes of body.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Parts>,
        limit: u64,
        stall: Duration,
        budget: &mut Budget,
    ) -> Result<Answer, NetError> {
        self.reusable = false;
        let kept = std::mem::replace(&mut self.used, true);
        let progress = Arc::clone(&self.progress);
        let head = *request.method() == Method::HEAD;
        let sent_bytes = http_body::Body::size_hint(request.body()).lower();

        let ready = budget.watch(stall, Some(&progress), self.sender.ready()).await;
        let gone = if kept { Fault::Stale } else { Fault::Connect };
        settle(ready, Delivery::NotSent, stall)?
            .map_err(|e| NetError::new(gone, Delivery::NotSent, chain(&e)))?;

        let answered = budget.watch(stall, Some(&progress), self.sender.try_send_request(request)).await;
        let response = settle(answered, Delivery::Unknown, stall)?.map_err(|mut e| {
            if e.take_message().is_some() {
                return NetError::new(gone, Delivery::NotSent, chain(e.error()));
            }
            let fault = match e.error() {
                e if e.is_parse() => Fault::Garbled,
                // A server that closes an idle connection just as it is used again has read nothing of it.
                _ if kept => Fault::Stale,
                _ => Fault::Reset,
            };
            NetError::new(fault, Delivery::Unknown, chain(e.error()))
        })?;

        let keep = response.status().is_success() || sent_bytes <= UNREAD_BODY_MAX;
        let collected = budget.watch(stall, Some(&progress), collect(response, head, limit)).await;
        let answer = settle(collected, Delivery::Unknown, stall)??;
        self.reusable = keep;
        Ok(answer)
    }
}

fn settle<T>(outcome: Result<T, Expired>, delivery: Delivery, stall: Duration) -> Result<T, NetError> {
    outcome.map_err(|expired| match expired {
        Expired::Stall => NetError::new(Fault::Stall, delivery, format!("no byte moved for {stall:?}")),
        Expired::Budget => NetError::new(Fault::Deadline, delivery, "the time for this call is used up"),
    })
}

/// Reads the body into one buffer of its announced size.
async fn collect(response: Response<Incoming>, head: bool, limit: u64) -> Result<Answer, NetError> {
    let (parts, mut incoming) = response.into_parts();
    let limit = if parts.status.is_success() { limit } else { REFUSAL_BYTES_MAX };
    let body = if head { Bytes::new() } else { read_body(&parts.headers, &mut incoming, limit).await? };
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

async fn read_body(headers: &HeaderMap, incoming: &mut Incoming, limit: u64) -> Result<Bytes, NetError> {
    let error = |fault, why: String| NetError::new(fault, Delivery::Unknown, why);
    let announced = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(error(Fault::TooLarge, format!("the answer is larger than {limit} bytes")));
    }
    let expected = announced.and_then(|length| usize::try_from(length).ok());
    let mut whole = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|e| {
            let fault = if e.is_incomplete_message() { Fault::Truncated } else { Fault::Reset };
            error(fault, format!("the answer's body broke off: {}", chain(&e)))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() && expected == Some(data.len()) {
            return Ok(data);
        }
        if whole.len() as u64 + data.len() as u64 > limit {
            return Err(error(Fault::TooLarge, format!("the answer is larger than {limit} bytes")));
        }
        if whole.capacity() == 0 {
            whole.reserve(expected.unwrap_or(data.len()));
        }
        whole.extend_from_slice(&data);
    }
    if expected.is_some_and(|length| length != whole.len()) {
        return Err(error(Fault::Truncated, "the answer's body is shorter than announced".to_owned()));
    }
    Ok(whole.freeze())
}
