//! The operating system behind the traits of [`crate::environment`]. Nothing here starts a thread.

use std::fmt;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::SystemTime;

use tokio::net::TcpStream;

use crate::environment::{BoxFuture, Clock, Connector, Entropy, Log, Resolver, Severity, Stream};

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The kernel's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if getrandom::fill(buffer).is_ok() {
            return;
        }
        // A kernel without getrandom and without /dev/urandom. Nothing secret is made of these bytes, but writer ids
        // are, and two that are equal would mix images: time, process and the hasher's own key keep them apart.
        let mut hasher = RandomState::new().build_hasher();
        for part in buffer.chunks_mut(8) {
            (SystemTime::now(), std::process::id()).hash(&mut hasher);
            part.copy_from_slice(&hasher.finish().to_le_bytes()[..part.len()]);
        }
    }
}

/// Drops every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLog;

impl Log for NoLog {
    fn log(&self, _severity: Severity, _message: fmt::Arguments<'_>) {}
}

/// TCP sockets of the current tokio runtime, without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// `getaddrinfo`, called on the thread that polls.
///
/// It starts no thread, so it is right for a host process that must stay single-threaded, and it may block the
/// calling thread for as long as the system's resolver takes (typically 5 s a name server, twice). A program with
/// worker threads to spare can inject a resolver that uses one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in (host, 0_u16).to_socket_addrs()? {
                // One address comes once per socket type on some systems.
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_resolver_knows_localhost() {
        let addresses = SystemResolver.resolve("localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_an_error() {
        assert!(SystemResolver.resolve("no-such-host.invalid").await.is_err());
    }
}
