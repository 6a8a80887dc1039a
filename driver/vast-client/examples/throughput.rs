//! How much of a bare HTTP transfer the client reaches: 16 MiB puts and gets, 4 in flight, against a bare hyper
//! server, beside a bare hyper client in the same run. Rounds alternate, so that a busy machine hurts both alike.
//!
//! `cargo run --release -p vast-client --example throughput [ROUNDS]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a measurement stops at the first thing that is wrong; its figures are approximate"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{client, server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use vast_client::{
    ClientConfig, Condition, Environment, KeyPair, S3Bucket, S3Config, Scheme, TlsConfig, VastClient,
    VmsConfig,
};

const OBJECT_BYTES: usize = 16 << 20;
const IN_FLIGHT: usize = 4;
/// Objects per round and task.
const OBJECTS: usize = 16;

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(5, |text| text.parse().expect("ROUNDS is a number"));
    let address = start_server();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bucket = bucket(address);
    for method in [Method::PUT, Method::GET] {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let bare = runtime.block_on(in_flight(|| bare(address, method.clone())));
            let ours = runtime.block_on(in_flight(|| ours(bucket.clone(), method.clone())));
            ratios.push(ours / bare);
            println!("{method}: bare {bare:.2} GB/s, client {ours:.2} GB/s, ratio {:.2}", ours / bare);
        }
        ratios.sort_by(f64::total_cmp);
        println!("{method}: median ratio {:.2}", ratios[ratios.len() / 2]);
    }
}

/// Runs the tasks of one round; GB/s of all together.
async fn in_flight<F: Future<Output = ()> + Send + 'static>(task: impl Fn() -> F) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT).map(|_| tokio::spawn(task())).collect();
    for task in tasks {
        task.await.unwrap();
    }
    (IN_FLIGHT * OBJECTS * OBJECT_BYTES) as f64 / started.elapsed().as_secs_f64() / 1e9
}

async fn ours(bucket: S3Bucket, method: Method) {
    let part = Bytes::from(vec![1_u8; OBJECT_BYTES / 4]);
    for _ in 0..OBJECTS {
        if method == Method::PUT {
            bucket.put_object("k", vec![part.clone(); 4], 0, &Condition::None, None).await.unwrap();
        } else {
            let got = bucket.get_object("k", Some(0..OBJECT_BYTES as u64)).await.unwrap();
            assert_eq!(got.data.len(), OBJECT_BYTES);
        }
    }
}

async fn bare(address: SocketAddr, method: Method) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, driver) = client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let object = Bytes::from(vec![1_u8; OBJECT_BYTES]);
    for _ in 0..OBJECTS {
        sender.ready().await.unwrap();
        let body = if method == Method::PUT { object.clone() } else { Bytes::new() };
        let request = Request::builder()
            .method(method.clone())
            .uri("/lsu/k")
            .header("host", "bare")
            .header("range", "bytes=0-")
            .body(Full::new(body))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        // The plainest way to have the object in one piece.
        let mut whole = bytes::BytesMut::with_capacity(OBJECT_BYTES);
        let mut incoming = response.into_body();
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                whole.extend_from_slice(&data);
            }
        }
        assert_eq!(whole.len(), if method == Method::GET { OBJECT_BYTES } else { 0 });
    }
}

/// A server on a runtime of its own that reads and drops what is put, and gives zeros.
fn start_server() -> SocketAddr {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            let zeros = Bytes::from(vec![0_u8; OBJECT_BYTES]);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let zeros = zeros.clone();
                let service = service_fn(move |request| respond(request, zeros.clone()));
                tokio::spawn(
                    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    });
    receive.recv_timeout(Duration::from_secs(10)).unwrap()
}

async fn respond(request: Request<Incoming>, zeros: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let put = request.method() == Method::PUT;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame);
    }
    let response = Response::builder().header("etag", "\"e\"");
    Ok(if put {
        response.body(Full::default()).unwrap()
    } else {
        let range = format!("bytes 0-{}/{OBJECT_BYTES}", OBJECT_BYTES - 1);
        response.status(206).header("content-range", range).body(Full::new(zeros)).unwrap()
    })
}

fn bucket(address: SocketAddr) -> S3Bucket {
    let vms = VmsConfig {
        endpoint: "127.0.0.1:1".parse().unwrap(),
        user: "nobody".into(),
        password: "".into(),
        tenant: None,
        tls: TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() },
    };
    let mut s3 = S3Config::new(KeyPair::new("AK", "SK"));
    s3.scheme = Scheme::Http;
    s3.endpoints = vec![address.to_string().parse().unwrap()];
    VastClient::new(&ClientConfig::new(vms, s3), &Environment::system()).unwrap().bucket("lsu")
}
