//! A connection that is counted, can be reset on demand, and lingers when the client still sends while it closes.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::linger::Patience;
use super::low_water::{Inflow, LowWater};
use super::network::Stream;
use crate::counters::{VipCounting, add};

/// The other end of a connection, for whoever wants to know who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
}

/// How a connection is to end, as its handlers want it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<Wishes>);

#[derive(Debug, Default)]
struct Wishes {
    reset: AtomicBool,
    behind: AtomicU8,
    unread: AtomicBool,
    drained: AtomicBool,
}

/// What becomes of a connection once everything written to it is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// It is closed.
    Close = 1,
    /// It is reset.
    Reset = 2,
}

/// The error that ends a connection from inside a handler.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is reset on purpose")]
pub(crate) struct ResetNow;

impl Ending {
    /// From now on closing the connection sends RST. Return the error from the service to close it.
    pub(crate) fn reset(&self) -> ResetNow {
        self.0.reset.store(true, Ordering::Release);
        ResetNow
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.0.reset.load(Ordering::Acquire)
    }

    /// The connection ends as soon as all that hyper holds is written. An answer's body that wishes this gives no more.
    pub(crate) fn end_behind(&self, how: Behind) {
        self.0.behind.store(how as u8, Ordering::Release);
    }

    fn behind(&self) -> Option<Behind> {
        let wish = self.0.behind.load(Ordering::Acquire);
        [Behind::Close, Behind::Reset].into_iter().find(|b| *b as u8 == wish)
    }

    /// The server ends the connection between two requests: it need not linger for a client that sends nothing.
    pub(crate) fn drain(&self) {
        self.0.drained.store(true, Ordering::Release);
    }

    /// The client may send what nobody will read: the connection lingers when it closes.
    pub(crate) fn leave_unread(&self) {
        self.0.unread.store(true, Ordering::Release);
    }
}

/// The connection itself; below TLS where there is TLS.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    ending: Ending,
    counting: Arc<VipCounting>,
    /// While it is closing: our side is closed, the client's not yet.
    lingers: Option<Patience>,
    inflow: Inflow,
    low_water: LowWater,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, counting: Arc<VipCounting>) -> Self {
        counting.connected();
        let inflow = Inflow::default();
        let low_water = LowWater::new(inflow.clone());
        Self { stream, ending: Ending::default(), counting, lingers: None, inflow, low_water }
    }

    pub(crate) fn inflow(&self) -> Inflow {
        self.inflow.clone()
    }

    pub(crate) fn ending(&self) -> Ending {
        self.ending.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counting.disconnected();
        if self.ending.is_reset() {
            self.stream.close_by_reset();
        } else if self.ending.behind() == Some(Behind::Reset) {
            self.stream.reset_behind();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            this.low_water.before_read(|bytes| this.stream.readable_from(bytes));
            let before = buf.filled().len();
            let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
            let read = (buf.filled().len() - before) as u64;
            if polled.is_ready() {
                add(&this.counting.wire_in, read);
                this.low_water.took(read);
            } else if this.low_water.is_tired(cx) {
                continue;
            }
            return polled;
        }
    }
}

impl Connection {
    /// Drops what the client still sends until it ends, too; at once when nothing is to be expected from it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let patience = self.lingers.get_or_insert_with(Patience::new);
            if patience.poll_over(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    // Something that hyper left behind: more may come.
                    self.ending.leave_unread();
                    if !patience.took(buffer.filled().len()) {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => {
                    let expects = !self.ending.0.drained.load(Ordering::Acquire)
                        || self.ending.0.unread.load(Ordering::Acquire);
                    return if expects { Poll::Pending } else { Poll::Ready(()) };
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    fn reset_error(&self) -> Option<io::Error> {
        self.ending.is_reset().then(|| io::ErrorKind::ConnectionReset.into())
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
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // Hyper flushes what is below it when it has nothing left itself: now everything is written.
        match self.ending.behind() {
            None => Poll::Ready(Ok(())),
            Some(Behind::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Behind::Close) => {
                ready!(self.as_mut().poll_shutdown(cx))?;
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending.is_reset() {
            return Poll::Ready(Ok(())); // No FIN before the RST.
        }
        if self.lingers.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}
