//! A tiny scripted HTTP server over real loopback sockets, and a VMS made of it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use vast_client::{
    ClientConfig, Endpoint, Environment, KeyPair, Log, S3Config, Scheme, Severity, TlsConfig, VmsConfig,
};

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    /// Empty when the script did not read it.
    pub body: Bytes,
    /// The how-manieth request of its connection, from 0.
    pub on_connection: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// What the server does with a request.
pub enum Step {
    /// Reads the body, then answers.
    Answer(Response<Bytes>),
    /// Answers without reading the body.
    Early(Response<Bytes>),
    /// Announces more bytes than it sends, then breaks the connection.
    Truncated { announced: usize, response: Response<Bytes> },
    /// Breaks the connection without reading the body.
    Reset,
    /// Never answers.
    Silent,
}

type Handler = dyn Fn(&Received) -> Step + Send + Sync;

/// A running server. Its tasks end with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    pub log: Arc<Mutex<Vec<Received>>>,
    pub connections: Arc<AtomicUsize>,
    listener: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts a server that asks `handler` about every request.
    pub async fn start(handler: impl Fn(&Received) -> Step + Send + Sync + 'static) -> Self {
        Self::start_with(None, handler).await
    }

    pub async fn start_tls(
        tls: TlsAcceptor,
        handler: impl Fn(&Received) -> Step + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(tls), handler).await
    }

    /// Starts a server that takes one step after another, and fails every request beyond.
    pub async fn script(steps: Vec<Step>) -> Self {
        let queue = Mutex::new(VecDeque::from(steps));
        Self::start(move |_| queue.lock().unwrap().pop_front().unwrap_or_else(|| answer(400, "unscripted")))
            .await
    }

    async fn start_with(
        tls: Option<TlsAcceptor>,
        handler: impl Fn(&Received) -> Step + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log: Arc<Mutex<Vec<Received>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, opened) = (Arc::clone(&log), Arc::clone(&connections));
        let listener = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                opened.fetch_add(1, Ordering::SeqCst);
                let (handler, log, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, handler, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, handler, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, log, connections, listener }
    }

    pub fn received(&self) -> Vec<Received> {
        self.log.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    pub fn endpoint(&self) -> Endpoint {
        self.address.to_string().parse().unwrap()
    }

    /// Takes no further connection; those that are open stay.
    pub fn stop_listening(&self) {
        self.listener.abort();
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Received>>>,
) {
    let count = AtomicUsize::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let on_connection = count.fetch_add(1, Ordering::SeqCst);
        let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
        async move { respond(request, on_connection, &*handler, &log).await }
    });
    // A broken connection is often what the script wants.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    on_connection: usize,
    handler: &Handler,
    log: &Mutex<Vec<Received>>,
) -> Result<Response<Scripted>, Broken> {
    let (parts, body) = request.into_parts();
    let mut received = Received {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: Bytes::new(),
        on_connection,
    };
    let step = handler(&received);
    if matches!(step, Step::Answer(_) | Step::Truncated { .. }) {
        received.body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    }
    log.lock().unwrap().push(received);
    match step {
        Step::Answer(response) | Step::Early(response) => Ok(response.map(Scripted::whole)),
        Step::Truncated { announced, response } => {
            Ok(response.map(|data| Scripted { data: Some(data), announced: announced as u64, broken: true }))
        }
        Step::Reset => Err(Broken),
        Step::Silent => pending().await,
    }
}

/// Ends the connection.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

struct Scripted {
    data: Option<Bytes>,
    announced: u64,
    broken: bool,
}

impl Scripted {
    fn whole(data: Bytes) -> Self {
        Self { announced: data.len() as u64, data: Some(data), broken: false }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.data.take() {
            Some(data) if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
            _ if self.broken => Poll::Ready(Some(Err(Broken))),
            _ => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// An answer with a text body.
pub fn answer(status: u16, body: &str) -> Step {
    Step::Answer(response(status, &[], body.as_bytes()))
}

/// An answer with headers.
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::copy_from_slice(body)).unwrap()
}

/// The answer to a put.
pub fn stored() -> Step {
    Step::Answer(response(200, &[("etag", "\"e1\"")], b""))
}

/// An S3 error document.
pub fn s3_error(status: u16, code: &str) -> Step {
    Step::Answer(s3_error_response(status, code))
}

pub fn s3_error_response(status: u16, code: &str) -> Response<Bytes> {
    let xml = format!(
        "<Error><Code>{code}</Code><Message>said the script</Message><RequestId>r1</RequestId></Error>"
    );
    response(status, &[("content-type", "application/xml")], xml.as_bytes())
}

/// A self-signed certificate for localhost and its PEM text.
pub fn certificate() -> (TlsAcceptor, String) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), pem)
}

/// Lines that the client logged.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<(Severity, String)>>);

impl Log for Lines {
    fn log(&self, severity: Severity, message: fmt::Arguments<'_>) {
        self.0.lock().unwrap().push((severity, message.to_string()));
    }
}

impl Lines {
    pub fn has(&self, severity: Severity, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(s, line)| *s == severity && line.contains(part))
    }

    pub fn all(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

pub fn environment() -> (Environment, Arc<Lines>) {
    let lines: Arc<Lines> = Arc::default();
    (Environment::system().with_log(Arc::clone(&lines) as Arc<dyn Log>), lines)
}

pub const PASSWORD: &str = "pa55-w0rd";
pub const SECRET_KEY: &str = "s3cr3t-k3y";

/// A configuration with little patience. Without servers, its endpoints lead nowhere.
pub fn config(vms: Option<&Server>, s3: &[&Server]) -> ClientConfig {
    let vms_endpoint = vms.map_or_else(|| "127.0.0.1:1".parse().unwrap(), Server::endpoint);
    let vms = VmsConfig {
        endpoint: vms_endpoint,
        user: "admin".into(),
        password: PASSWORD.into(),
        tenant: None,
        tls: TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() },
    };
    let mut s3_config = S3Config::new(KeyPair::new("AKTEST", SECRET_KEY));
    s3_config.scheme = Scheme::Http;
    s3_config.endpoints = s3.iter().map(|server| server.endpoint()).collect();
    if s3.is_empty() {
        s3_config.endpoints = vec!["127.0.0.1:1".parse().unwrap()];
    }
    let mut config = ClientConfig::new(vms, s3_config);
    config.timeouts.connect = Duration::from_secs(2);
    config.timeouts.stall = Duration::from_millis(200);
    config.timeouts.total = Duration::from_secs(20);
    config.retry.backoff = Duration::from_millis(1);
    config.retry.backoff_max = Duration::from_millis(4);
    config
}

/// CRC-32C of a body.
pub fn crc(data: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, data)).unwrap()
}
