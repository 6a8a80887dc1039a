//! The network under the cluster: what it listens with. TCP of the operating system, unless a test brings a simulated one.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use async_trait::async_trait;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::low_water;

/// Connections that wait to be accepted by one listener.
const BACKLOG: u32 = 1024;

/// How long a client may take to receive what was written to it before a reset.
const DELIVERY_TIME: Duration = Duration::from_secs(10);

/// Where listeners come from.
pub trait Network: Debug + Send + Sync + 'static {
    /// Listens on an address at once; port 0 takes a free one. Called within the cluster's runtime.
    ///
    /// # Errors
    /// What the network says.
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;
}

/// Something that connections arrive at.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// The address that clients connect to.
    ///
    /// # Errors
    /// What the network says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// What the network says; the listener goes on.
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)>;
}

/// One connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// From now on, closing it is a reset (TCP RST) for the other side, not an end.
    fn close_by_reset(&self);

    /// The same, but what was written before still arrives, where the network can tell.
    fn reset_behind(&self) {
        self.close_by_reset();
    }

    /// From now on the connection is readable only when so many bytes are there, or it ended. False if the network cannot
    /// do that; then it is readable as ever.
    fn readable_from(&self, _bytes: u64) -> bool {
        false
    }
}

/// TCP of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Box::new(socket.listen(BACKLOG)?))
    }
}

#[async_trait]
impl Listener for tokio::net::TcpListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, from) = Self::accept(self).await?;
        // Failing costs speed only.
        let _ = stream.set_nodelay(true);
        Ok((Box::new(stream), from))
    }
}

impl Stream for TcpStream {
    fn close_by_reset(&self) {
        // Without lingering, close sends RST in place of FIN.
        let _ = self.set_zero_linger();
    }

    fn reset_behind(&self) {
        self.close_by_reset();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Such a close also drops what the kernel has not sent yet because the client's window is full. So a second
        // descriptor holds the socket until it counts as writable, which now means that all is sent.
        let held = SockRef::from(self)
            .set_tcp_notsent_lowat(1)
            .and_then(|()| Self::from_std(self.as_fd().try_clone_to_owned()?.into()));
        if let Ok(held) = held {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(DELIVERY_TIME, held.writable()).await;
            });
        }
    }

    fn readable_from(&self, bytes: u64) -> bool {
        low_water::set(self, bytes)
    }
}
