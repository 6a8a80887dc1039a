//! Listening: sockets on every VIP, one accept loop each, connections that end when the cluster stops.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::conn::{Connection, ResetNow, Resetter};
use crate::counters::VipCounting;
use crate::error::StartError;

/// Connections served at a time by one listener; more are closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may be idle, or take for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_mins(10);
/// How long requests in flight may take when the cluster stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts to find a port that is free on all VIPs.
const PORT_ATTEMPTS: usize = 64;

/// Listens on the same port of every address; port 0 takes one that is free on all of them.
pub(crate) async fn bind_all(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match bind_once(addresses, port).await {
            Ok(listeners) => return Ok(listeners),
            Err(error) if port != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    }
}

async fn bind_once(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut port = port;
    for ip in addresses {
        let listener = bind(SocketAddr::new(*ip, port)).await?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Listens on one address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Accepts connections until `stop` turns true, then lets requests in flight finish for a moment.
pub(crate) async fn serve<S, F, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    counting: Arc<VipCounting>,
    mut stop: watch::Receiver<bool>,
    service: S,
) where
    S: Fn(Request<Incoming>, Resetter) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of descriptors, most likely: nothing announces that one is free, so pause instead of spinning.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                if connections.len() >= MAX_CONNECTIONS {
                    continue;
                }
                let _ = stream.set_nodelay(true);
                let connection = Connection::new(stream, Arc::clone(&counting));
                let (tls, stop, service) = (tls.clone(), stop.clone(), service.clone());
                connections.spawn(handle(connection, tls, stop, service));
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn handle<S, F, B>(
    connection: Connection,
    tls: Option<TlsAcceptor>,
    stop: watch::Receiver<bool>,
    service: S,
) where
    S: Fn(Request<Incoming>, Resetter) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let resetter = connection.resetter();
    match tls {
        None => http(connection, resetter, stop, service).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
            Ok(Ok(stream)) => http(stream, resetter, stop, service).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        },
    }
}

async fn http<I, S, F, B>(io: I, resetter: Resetter, mut stop: watch::Receiver<bool>, service: S)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Fn(Request<Incoming>, Resetter) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, ResetNow>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = hyper::service::service_fn(|request| service(request, resetter.clone()));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(io), handler);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Completes when the cluster stops, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|s| *s).await;
}
