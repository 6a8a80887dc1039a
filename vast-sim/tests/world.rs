//! A cluster and its client in one simulated world: network, clock and randomness are given, so that a run repeats itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

#[allow(dead_code, unused_imports, reason = "the world needs a part of it")]
#[path = "behaviour/client.rs"]
mod client;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use vast_sim::{Cluster, Config, Effect, Fault, HashEntropy, KeyPair, Listener, Network, SimClock, Stream};

/// One host of the world stands for all addresses of the cluster: each has a port of its own.
#[derive(Debug)]
struct World;

struct Port(turmoil::net::TcpListener);

struct Link(turmoil::net::TcpStream);

impl Network for World {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let IpAddr::V4(ip) = address.ip() else { return Err(io::ErrorKind::Unsupported.into()) };
        let port = address.port() + u16::from(ip.octets()[3]);
        let bound =
            futures::FutureExt::now_or_never(turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
        Ok(Box::new(Port(bound.expect("the world binds at once")?)))
    }
}

#[async_trait::async_trait]
impl Listener for Port {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        Ok((Box::new(Link(stream)), from))
    }
}

impl Stream for Link {
    fn close_by_reset(&self) {}
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

const PORT: u16 = 8_000;

fn config() -> Config {
    Config {
        vms_listen: (Ipv4Addr::LOCALHOST, 7_000).into(),
        s3_port: PORT,
        s3_tls_port: 9_000,
        network: Arc::new(World),
        clock: Arc::new(SimClock::ticking()),
        entropy: Some(Arc::new(HashEntropy::from_seed(7))),
        ..Config::default()
    }
}

/// One request over a connection of its own: status and request id, or that nothing came.
async fn ask(s3: &client::S3, method: &str, path: &str, body: Bytes) -> String {
    let request = s3.request(method, path, &[], body);
    let exchange = async {
        let stream = turmoil::net::TcpStream::connect(("cluster", PORT + 11)).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(Link(stream))).await?;
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let len = body.collect().await?.to_bytes().len();
        let id = parts.headers["x-amz-request-id"].to_str().unwrap().to_owned();
        Ok::<_, client::Failure>(format!("{} {len} {id}", parts.status))
    };
    match tokio::time::timeout(Duration::from_secs(2), exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => format!("failed: {error}"),
        Err(_) => "nothing came".to_owned(),
    }
}

/// What a client of the cluster saw, and when.
fn run(seed: u64) -> Vec<String> {
    let (given, mut keys) = tokio::sync::watch::channel::<Option<KeyPair>>(None);
    let trace: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut world = turmoil::Builder::new()
        .rng_seed(seed)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(80))
        .simulation_duration(Duration::from_mins(5))
        .tcp_capacity(4_096)
        .build();
    world.host("cluster", move || {
        let given = given.clone();
        async move {
            let cluster = Cluster::start(config()).await?;
            let fault =
                Fault::s3(Effect::Latency { millis: 300, jitter_millis: 200 }).with_probability(0.3, 5);
            cluster.faults().add(fault)?;
            given.send_replace(Some(cluster.provision("data", None)?.keys));
            std::future::pending::<()>().await;
            drop(cluster);
            Ok(())
        }
    });
    let seen = Arc::clone(&trace);
    world.client("client", async move {
        let keys = keys.wait_for(Option::is_some).await?.clone().unwrap();
        let url = format!("http://cluster:{}", PORT + 11);
        let s3 = client::S3 { url, keys, ca_pem: None, sign_payload: false };
        for step in 0..24 {
            match step {
                8 => turmoil::partition("client", "cluster"),
                14 => turmoil::repair("client", "cluster"),
                _ => {}
            }
            let path = format!("/data/{}", step / 2);
            let (method, body) =
                if step % 2 == 0 { ("PUT", client::pattern(step, 20_000)) } else { ("GET", Bytes::new()) };
            let answer = ask(&s3, method, &path, body).await;
            seen.lock().unwrap().push(format!("{:?} {method} {path}: {answer}", turmoil::elapsed()));
        }
        Ok(())
    });
    world.run().unwrap();

    trace.lock().unwrap().clone()
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let first = run(1);
    assert_eq!(first.len(), 24);
    let lines = |what: &str| first.iter().filter(|l| l.contains(what)).count();
    // Cut off for three writes and three reads of the same keys; everything else is answered.
    assert_eq!((lines("failed: "), lines("200 OK")), (6, 18), "{first:#?}");
    assert_eq!(run(1), first);
    assert_ne!(run(2), first);
}
