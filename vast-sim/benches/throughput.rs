//! How fast large bodies pass, against a bare hyper server with the same client in the same run.
//!
//! `cargo bench -p vast-sim` prints GB/s and CPU seconds per GB (client and server together, since they share the
//! process) for the control and for the simulator. The control keeps the bytes it receives, as the simulator must.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use vast_sim::{Cluster, Config, EtagMode, KeyPair};

const BODY: usize = 16 << 20;
const CONNECTIONS: usize = 4;
const PER_CONNECTION: usize = 24;
/// Objects each connection writes over and over, to bound the memory held.
const KEYS: usize = 8;

type Stored = Arc<Mutex<HashMap<String, Vec<Bytes>>>>;

/// A server that keeps PUT bodies as they arrive and gives them back.
async fn control(
    stored: Stored,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    let key = request.uri().path().to_owned();
    if request.method() == Method::GET {
        let chunks = stored.lock().unwrap().get(&key).cloned().unwrap_or_default();
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let body =
            StreamBody::new(futures::stream::iter(chunks).map(|c| Ok::<_, Infallible>(Frame::data(c))));
        let response = Response::builder().header("content-length", length);
        return Ok(response.body(http_body_util::combinators::BoxBody::new(body)).unwrap());
    }
    let mut body = request.into_body();
    let mut chunks = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        chunks.extend(frame.into_data().ok());
    }
    stored.lock().unwrap().insert(key, chunks);
    Ok(Response::new(http_body_util::combinators::BoxBody::new(Full::new(Bytes::new()))))
}

async fn start_control() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let stored = Stored::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let stored = Arc::clone(&stored);
            let service = hyper::service::service_fn(move |r| control(Arc::clone(&stored), r));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    authority
}

fn signed(
    authority: &str,
    keys: Option<&KeyPair>,
    method: &str,
    path: &str,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request =
        Request::builder().method(method).uri(path).header("host", authority).body(Full::new(body)).unwrap();
    if let Some(keys) = keys {
        let identity = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "bench").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let url = format!("http://{authority}{path}");
        let signable = SignableRequest::new(
            method,
            url,
            [("host", authority)].into_iter(),
            SignableBody::UnsignedPayload,
        )
        .unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
    }
    request
}

async fn connect(authority: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(authority).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn run(
    authorities: &[String],
    keys: Option<&KeyPair>,
    method: &'static str,
    data: &Bytes,
) -> (f64, f64) {
    let (start, cpu_start) = (Instant::now(), cpu());
    let mut tasks = Vec::new();
    for n in 0..CONNECTIONS {
        let (authority, keys, data) =
            (authorities[n % authorities.len()].clone(), keys.cloned(), data.clone());
        tasks.push(tokio::spawn(async move {
            let mut sender = connect(&authority).await;
            for i in 0..PER_CONNECTION {
                let path = format!("/bench/{n}-{}", i % KEYS);
                let body = if method == "PUT" { data.clone() } else { Bytes::new() };
                sender.ready().await.unwrap();
                let response = sender
                    .send_request(signed(&authority, keys.as_ref(), method, &path, body))
                    .await
                    .unwrap();
                assert!(response.status().is_success(), "{}", response.status());
                let mut body = response.into_body();
                let mut got = 0;
                while let Some(frame) = body.frame().await {
                    got += frame.unwrap().data_ref().map_or(0, Bytes::len);
                }
                assert!(method == "PUT" || got == BODY, "{got} bytes");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let gigabytes = (CONNECTIONS * PER_CONNECTION * BODY) as f64 / 1e9;
    (gigabytes / start.elapsed().as_secs_f64(), cpu().saturating_sub(cpu_start).as_secs_f64() / gigabytes)
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let data = Bytes::from((0..BODY).map(|i| u8::try_from(i * 31 % 251).unwrap_or(0)).collect::<Vec<u8>>());
    let control = vec![start_control().await];
    let before = resident();
    let config = Config { etag: EtagMode::Opaque, ..Config::default() };
    let cluster = Cluster::start(config).await.unwrap();
    let provisioned = cluster.provision("bench", None).unwrap();
    let sim: Vec<String> = cluster.s3_urls().iter().map(|u| u.replace("http://", "")).collect();
    println!(
        "{CONNECTIONS} connections, {PER_CONNECTION} x 16 MiB each; GB/s and CPU-s/GB (client + server)"
    );
    for round in 1..=3 {
        for method in ["PUT", "GET"] {
            let (bare, bare_cpu) = run(&control, None, method, &data).await;
            let (rate, cost) = run(&sim, Some(&provisioned.keys), method, &data).await;
            println!(
                "round {round} {method}: bare hyper {bare:.2} GB/s {bare_cpu:.3} | vast-sim {rate:.2} GB/s {cost:.3} | rate {:.2}x, CPU {:.2}x",
                rate / bare,
                cost / bare_cpu
            );
        }
    }
    let held: u64 = cluster.raw_state().buckets.iter().map(|b| b.bytes).sum();
    println!(
        "objects held: 2 x {:.2} GB (control and simulator); resident memory grew by {:.2} GB",
        held as f64 / 1e9,
        (resident() - before) as f64 / 1e9
    );
    cluster.stop().await;
}
