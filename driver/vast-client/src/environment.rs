//! What the client takes from outside: time, randomness, a log, the network and name resolution.
//!
//! Everything here is a trait, so that the same code runs in the plug-in, in a test and in a simulated network.
//! [`crate::system`] holds the real ones. Timers are not here: they are `tokio::time`, which a test can pause.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::system::{NoLog, SystemClock, SystemEntropy, SystemResolver, TcpConnector};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall time, for request signatures and certificate validity.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// Randomness, for the jitter of retries.
pub trait Entropy: Send + Sync {
    /// Fills the buffer. An implementation that has no randomness left fills it with anything.
    fn fill(&self, buffer: &mut [u8]);
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For whoever debugs the plug-in.
    Debug,
    /// Normal, worth knowing.
    Info,
    /// Something was worked around.
    Warning,
    /// A call failed.
    Error,
    /// The plug-in cannot go on.
    Critical,
}

/// Where log lines go. Called from any task; must not block for long and must not call back into the client.
pub trait Log: Send + Sync {
    /// Writes one line. The message holds no secret.
    fn log(&self, severity: Severity, message: fmt::Arguments<'_>);
}

/// A byte stream to a server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens byte streams. The caller applies the connect timeout by dropping the future.
pub trait Connector: Send + Sync {
    /// Connects to one address.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// Turns a host name into addresses. Never asked about a literal address.
pub trait Resolver: Send + Sync {
    /// All addresses of the name, in the order of preference.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// All that the client takes from outside.
#[derive(Clone)]
pub struct Environment {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Log lines.
    pub log: Arc<dyn Log>,
    /// The network.
    pub connector: Arc<dyn Connector>,
    /// Host names.
    pub resolver: Arc<dyn Resolver>,
}

impl Environment {
    /// The operating system's clock, randomness, sockets and resolver; log lines are dropped.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            log: Arc::new(NoLog),
            connector: Arc::new(TcpConnector),
            resolver: Arc::new(SystemResolver),
        }
    }

    /// The same environment with another log.
    #[must_use]
    pub fn with_log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = log;
        self
    }

    pub(crate) fn log(&self, severity: Severity, message: fmt::Arguments<'_>) {
        self.log.log(severity, message);
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
