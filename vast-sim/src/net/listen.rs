//! Listening: one accept loop per socket, whose connections follow the orders given to their address: go on, end
//! politely, be reset, fall silent.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::conn::{Connection, Ending, Peer, ResetNow};

use super::network::{Listener, Network, Stream};
use crate::counters::VipCounting;
use crate::error::StartError;
use crate::store::pack::READ_BUFFER;

/// Connections served at a time by one listener; more are closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may be idle, or take for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_mins(10);
/// How long requests in flight may take when the listener closes.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts to find a port that is free on all VIPs.
const PORT_ATTEMPTS: usize = 64;

/// Listens on the same port of every address; port 0 takes one that is free on all of them.
pub(crate) fn bind_all(
    network: &dyn Network,
    addresses: &[IpAddr],
    port: u16,
) -> Result<Vec<Box<dyn Listener>>, StartError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match bind_once(network, addresses, port) {
            Ok(listeners) => return Ok(listeners),
            Err(error) if port != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    }
}

fn bind_once(
    network: &dyn Network,
    addresses: &[IpAddr],
    port: u16,
) -> Result<Vec<Box<dyn Listener>>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut port = port;
    for ip in addresses {
        let listener = bind(network, SocketAddr::new(*ip, port))?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Listens on one address.
pub(crate) fn bind(network: &dyn Network, address: SocketAddr) -> Result<Box<dyn Listener>, StartError> {
    network.listen(address).map_err(|source| StartError::Listen { address, source })
}

/// What the connections of an address are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Whether the address is listened on. Once false, for good.
    pub(crate) open: bool,
    /// The fault by which connections are taken and left without a word.
    pub(crate) silent: Option<u64>,
    /// Raised to reset all connections there are.
    pub(crate) resets: u64,
    /// Raised to end all connections there are after the requests in flight.
    pub(crate) drains: u64,
}

impl Default for Orders {
    fn default() -> Self {
        Self { open: true, silent: None, resets: 0, drains: 0 }
    }
}

/// What a listener serves, and by whose orders.
#[derive(Clone)]
pub(crate) struct Post<S> {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) counting: Arc<VipCounting>,
    pub(crate) orders: watch::Receiver<Orders>,
    /// Told about every connection that meets silence, with the fault's number.
    pub(crate) swallowed: Arc<dyn Fn(u64) + Send + Sync>,
    pub(crate) service: S,
}

/// Accepts connections until the orders say that the address closes, then lets what was ordered happen to those there are.
pub(crate) async fn serve<S, F, B>(listener: Box<dyn Listener>, mut post: Post<S>)
where
    S: Fn(Request<Incoming>, Ending) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = closed(&mut post.orders) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Ok((stream, address)) = accepted else {
                    // Out of descriptors, most likely: nothing announces that one is free, so pause instead of spinning.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                if connections.len() < MAX_CONNECTIONS {
                    connections.spawn(handle(stream, address.ip(), post.clone()));
                }
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// Completes when the address is to be closed, or nobody is left to give orders.
async fn closed(orders: &mut watch::Receiver<Orders>) {
    let _ = orders.wait_for(|o| !o.open).await;
}

async fn handle<S, F, B>(stream: Box<dyn Stream>, from: IpAddr, post: Post<S>)
where
    S: Fn(Request<Incoming>, Ending) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = Connection::new(stream, Arc::clone(&post.counting));
    let ending = connection.ending();
    let accepted = *post.orders.borrow();
    let mut orders = post.orders.clone();
    // Asked by the address's drain, not by the client: hyper then ends the connection after the request in flight.
    let (drain, drained) = watch::channel(!accepted.open);
    let peer = Peer { ip: from, secure: post.tls.is_some() };
    let work = work(connection, peer, ending.clone(), drained, post.tls, post.service);
    tokio::pin!(work);
    loop {
        let now = *orders.borrow_and_update();
        if now.resets > accepted.resets {
            ending.reset();
            return;
        }
        if now.drains > accepted.drains || !now.open {
            ending.drain();
            drain.send_replace(true);
        }
        if let Some(fault) = now.silent {
            (post.swallowed)(fault);
            // Held, not served: the client hears nothing until the order is taken back.
            if orders
                .wait_for(|o| o.silent != Some(fault) || o.resets > accepted.resets || !o.open)
                .await
                .is_err()
            {
                return;
            }
            if !orders.borrow().open {
                return;
            }
            continue;
        }
        tokio::select! {
            () = &mut work => return,
            changed = orders.changed() => if changed.is_err() {
                // The cluster is gone without a word.
                return;
            },
        }
    }
}

/// Serves one connection to its end.
async fn work<S, F, B>(
    connection: Connection,
    peer: Peer,
    ending: Ending,
    drain: watch::Receiver<bool>,
    tls: Option<TlsAcceptor>,
    service: S,
) where
    S: Fn(Request<Incoming>, Ending) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let inflow = connection.inflow();
    let handle = move |mut request: Request<Incoming>, ending: Ending| {
        // What is not declared says nothing of when it ends.
        inflow.announce(request.body().size_hint().exact().unwrap_or(0));
        request.extensions_mut().insert(peer);
        service(request, ending)
    };
    match tls {
        None => http(connection, ending, drain, handle).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
            Ok(Ok(stream)) => http(stream, ending, drain, handle).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        },
    }
}

async fn http<I, S, F, B>(io: I, ending: Ending, mut drain: watch::Receiver<bool>, service: S)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Fn(Request<Incoming>, Ending) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = hyper::service::service_fn(|request: Request<Incoming>| service(request, ending.clone()));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(READ_BUFFER);
    // Answers are dated by the cluster's clock.
    builder.auto_date_header(false);
    let connection = builder.serve_connection(TokioIo::new(io), handler);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { let _ = drain.wait_for(|d| *d).await; } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
