//! A connection that is counted and can be reset on demand.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::network::Stream;
use crate::counters::{VipCounting, add};

/// The other end of a connection, for whoever wants to know who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
}

/// Lets a request's handler reset the connection it came on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resetter(Arc<AtomicBool>);

/// The error that ends a connection from inside a handler.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is reset on purpose")]
pub(crate) struct ResetNow;

impl Resetter {
    /// From now on closing the connection sends RST. Return the error from the service to close it.
    pub(crate) fn reset(&self) -> ResetNow {
        self.0.store(true, Ordering::Release);
        ResetNow
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The connection itself; below TLS where there is TLS.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    resetter: Resetter,
    counting: Arc<VipCounting>,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, counting: Arc<VipCounting>) -> Self {
        counting.connected();
        Self { stream, resetter: Resetter::default(), counting }
    }

    pub(crate) fn resetter(&self) -> Resetter {
        self.resetter.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counting.disconnected();
        if self.resetter.is_set() {
            self.stream.close_by_reset();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        add(&self.counting.wire_in, (buf.filled().len() - before) as u64);
        polled
    }
}

impl Connection {
    fn reset_error(&self) -> Option<io::Error> {
        self.resetter.is_set().then(|| io::ErrorKind::ConnectionReset.into())
    }

    fn count_out(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = polled {
            add(&self.counting.wire_out, *n as u64);
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.reset_error() {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count_out(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.reset_error() {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count_out(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.resetter.is_set() {
            return Poll::Ready(Ok(())); // No FIN before the RST.
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
