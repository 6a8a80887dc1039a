//! Bodies on their way through the edge: counted, and drained after an early answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::conn::Ending;
use super::linger::Patience;
use crate::metrics::RequestMeter;

/// A request's body. Dropped early, it is read to its end in the background.
pub(crate) struct RequestBody {
    inner: Option<Incoming>,
    /// On the data path.
    counting: Option<Arc<RequestMeter>>,
    withheld: Withheld,
    ending: Ending,
}

/// Whether the client still waits for "100 Continue" before it sends the body.
///
/// Asking for the body would send it that answer, after the final one: the client, which has no reason to send the body
/// any more, would have its next request taken for it. So the body is left alone and the connection closed.
#[derive(Debug, Clone)]
pub(crate) struct Withheld(Arc<AtomicBool>);

impl Withheld {
    pub(crate) fn new(headers: &http::HeaderMap) -> Self {
        let expects = headers
            .get(http::header::EXPECT)
            .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self(Arc::new(AtomicBool::new(expects)))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Says in an answer that the connection ends, when it has to.
    pub(crate) fn mark(&self, headers: &mut http::HeaderMap) {
        if self.is_set() {
            headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, withheld: Withheld, ending: Ending) -> Self {
        Self { inner: Some(inner), counting: None, withheld, ending }
    }

    /// Counts what arrives.
    pub(crate) fn counted(mut self, counting: Arc<RequestMeter>) -> Self {
        self.counting = Some(counting);
        self
    }

    /// Takes and drops the whole body.
    pub(crate) async fn discard(mut self) {
        self.withheld.clear();
        if let Some(inner) = self.inner.take() {
            drain(inner).await;
        }
    }

    /// Takes and drops at least `bytes` of it, as far as it goes.
    pub(crate) async fn discard_some(&mut self, bytes: u64) {
        let mut left = bytes;
        while left > 0
            && let Some(Ok(frame)) = self.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, |d| d.len() as u64));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut patience = Patience::new();
    let read = |cx: &mut Context<'_>| loop {
        if patience.poll_over(cx).is_ready() {
            return Poll::Ready(());
        }
        match ready!(Pin::new(&mut body).poll_frame(cx)) {
            Some(Ok(frame)) if patience.took(frame.data_ref().map_or(0, Bytes::len)) => {}
            _ => return Poll::Ready(()),
        }
    };
    std::future::poll_fn(read).await;
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        if self.withheld.is_set() {
            // The client may lose its patience and send the body unasked.
            self.ending.leave_unread();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(drain(inner));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.withheld.clear();
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(counting) = &self.counting {
                    counting.took(frame.data_ref().map_or(0, |d| d.len() as u64));
                }
            }
            Poll::Ready(None | Some(Err(_))) => self.inner = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// An answer's body.
pub(crate) struct AnswerBody {
    inner: s3s::Body,
    counting: Arc<RequestMeter>,
}

impl AnswerBody {
    pub(crate) fn new(inner: s3s::Body, counting: Arc<RequestMeter>) -> Self {
        Self { inner, counting }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, s3s::StdError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.counting.sent(frame.data_ref().map_or(0, |d| d.len() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
