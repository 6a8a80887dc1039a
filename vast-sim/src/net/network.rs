//! The network under the cluster: what it listens with. TCP of the operating system, unless a test brings a simulated one.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

/// Connections that wait to be accepted by one listener.
const BACKLOG: u32 = 1024;

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
}
