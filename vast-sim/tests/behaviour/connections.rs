//! How connections end: what a client has to be able to read, byte by byte, on raw sockets.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{start, tls};

/// More than the buffers of a connection hold.
const MUCH: usize = 32 << 20;

fn authority(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

/// Writes all of a request, then reads all there is to read.
async fn write_then_read(stream: impl AsyncRead + AsyncWrite, head: &str, body: &[u8]) -> String {
    tokio::pin!(stream);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.expect("the server reads on although it has answered");
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_early_can_send_on_and_read_why() {
    let (cluster, ..) = start().await;
    let body = vec![b' '; MUCH];
    let url = cluster.vms_url();
    let secure = || async {
        let stream = TcpStream::connect(authority(&url)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        tls(cluster.ca_pem()).unwrap().connect(name, stream).await.unwrap()
    };
    let head = |first: &str| {
        format!("{first} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {MUCH}\r\n\r\n")
    };
    for (request, status) in
        [("POST /api/views/", "413"), ("POST /api/none/", "413"), ("POST /sim/v1/faults", "401")]
    {
        let answer = write_then_read(secure().await, &head(request), &body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    let plain = || async { TcpStream::connect(authority(&cluster.s3_urls()[0])).await.unwrap() };
    let answer = write_then_read(plain().await, &head("PUT /data/k"), &body).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // Not even a request: its head never ends.
    let answer = write_then_read(plain().await, "GET / HTTP/1.1\r\nhost: ", &vec![b'x'; MUCH]).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_sent_unasked_does_not_hide_the_answer() {
    let (cluster, ..) = start().await;
    let mut stream = TcpStream::connect(authority(&cluster.s3_urls()[0])).await.unwrap();
    let head =
        format!("PUT /data/k HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {MUCH}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer is there; the client has not looked yet and sends its body.
    stream.peek(&mut [0]).await.unwrap();
    let answer = write_then_read(stream, "", &vec![b'x'; MUCH]).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("</Error>"), "{answer}");
    cluster.stop().await;
}
