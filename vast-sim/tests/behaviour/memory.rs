//! A network in memory, for runtimes whose clock is simulated: nothing but timers takes time, so that how long something
//! took is exact.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use vast_sim::{Listener, Network, Stream};

use crate::client::{Reply, S3, over};

/// Bytes on the way in each direction of a connection.
const WINDOW: usize = 1 << 20;

/// The network; every clone is the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    listening: Arc<Mutex<HashMap<SocketAddr, mpsc::UnboundedSender<DuplexStream>>>>,
}

struct Port {
    address: SocketAddr,
    arriving: tokio::sync::Mutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

struct Link(DuplexStream);

impl Network for Memory {
    fn listen(&self, mut address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let mut listening = self.listening.lock().unwrap();
        if address.port() == 0 {
            let free = |port: &u16| !listening.keys().any(|taken| taken.port() == *port);
            address.set_port((1_000..2_000).find(free).unwrap());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        if listening.get(&address).is_some_and(|old| !old.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        listening.insert(address, sender);
        Ok(Box::new(Port { address, arriving: receiver.into() }))
    }
}

#[async_trait::async_trait]
impl Listener for Port {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        match self.arriving.lock().await.recv().await {
            Some(stream) => Ok((Box::new(Link(stream)), ([127, 0, 0, 1], 9).into())),
            None => std::future::pending().await,
        }
    }
}

impl Stream for Link {
    fn close_by_reset(&self) {}
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Memory {
    /// Sends one request over a connection of its own.
    pub(crate) async fn send(
        &self,
        s3: &S3,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let address: SocketAddr = s3.url.split_once("://").unwrap().1.parse().unwrap();
        let (near, far) = tokio::io::duplex(WINDOW);
        self.listening.lock().unwrap()[&address].send(far).unwrap();
        over(TokioIo::new(near), s3.request(method, path, headers, body.into())).await.unwrap()
    }
}
