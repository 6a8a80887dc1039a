//! How connections end: what a client has to be able to read, byte by byte, on raw sockets.

use std::fmt::Write as _;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vast_sim::{Effect, Fault, Side};

use crate::client::{pattern, start, tls};

/// More than the buffers of a connection hold.
const MUCH: usize = 32 << 20;
/// How long something that takes milliseconds may take before a test gives up on it.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

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

/// A request as it goes over the wire.
fn wire(request: &http::Request<http_body_util::Full<bytes::Bytes>>) -> String {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        write!(text, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    text + "\r\n"
}

/// What a client got, and how the connection ended.
#[derive(Debug)]
struct Got {
    head: String,
    body: Vec<u8>,
    end: std::io::Result<()>,
}

/// Sends a request without a body and reads until there is nothing more.
async fn ask(stream: impl AsyncRead + AsyncWrite, request: &str) -> Got {
    tokio::pin!(stream);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut all = Vec::new();
    let end = loop {
        match stream.read_buf(&mut all).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    let at = all.windows(4).position(|w| w == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let body = all.split_off(at);
    Got { head: String::from_utf8(all).unwrap(), body, end }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_arrives_up_to_the_cut() {
    let (cluster, _, s3) = start().await;
    let data = pattern(4, 8 << 20);
    s3.put("/data/k", data.clone()).await.ok();
    s3.put("/data/small", "0123456789").await.ok();
    let plain = || async { TcpStream::connect(authority(&cluster.s3_urls()[0])).await.unwrap() };
    let secure = |url: String| {
        let ca = cluster.ca_pem().to_owned();
        async move {
            let stream = TcpStream::connect(authority(&url)).await.unwrap();
            let name = ServerName::try_from(authority(&url).split(':').next().unwrap().to_owned()).unwrap();
            tls(&ca).unwrap().connect(name, stream).await.unwrap()
        }
    };
    let get = wire(&s3.request("GET", "/data/k", &[], bytes::Bytes::new()));
    let arm = |effect| {
        cluster.faults().clear();
        cluster.faults().add(Fault::s3(effect).on("GetObject").times(1)).unwrap();
    };
    let side = Side::Answer;
    for offset in [0, 1, 1_000, 100_000, 6_000_001] {
        let expected = &data[..usize::try_from(offset).unwrap()];
        let check = |got: &Got| {
            assert!(got.head.starts_with("HTTP/1.1 200 ") && got.head.ends_with("\r\n\r\n"), "{got:?}");
            assert!(got.head.contains(&format!("content-length: {}\r\n", data.len())), "{}", got.head);
            assert!(got.head.contains("x-vast-sim-fault: "), "{}", got.head);
            assert!(got.body == expected, "{} bytes in place of {offset}", got.body.len());
        };
        arm(Effect::Truncate { side, offset });
        let got = ask(plain().await, &get).await;
        check(&got);
        got.end.expect("the connection ends, it is not reset");
        arm(Effect::ResetAt { side, offset });
        let got = ask(plain().await, &get).await;
        check(&got);
        assert_eq!(got.end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        for effect in [Effect::Truncate { side, offset }, Effect::ResetAt { side, offset }] {
            arm(effect);
            let got = ask(secure(cluster.s3_tls_urls()[0].clone()).await, &get).await;
            check(&got);
            got.end.expect_err("nothing says that the encrypted stream is complete");
        }
    }
    // Behind the end of a body there is nothing to cut.
    arm(Effect::Truncate { side, offset: data.len() as u64 });
    assert_eq!(s3.get("/data/k").await.ok().body, data);

    // A length that is too great starves the client; what there is arrives.
    arm(Effect::SetHeader { name: "content-length".to_owned(), value: "100".to_owned() });
    let small = wire(&s3.request("GET", "/data/small", &[], bytes::Bytes::new()));
    let got = ask(plain().await, &small).await;
    assert!(got.head.contains("content-length: 100\r\n"), "{}", got.head);
    assert_eq!((got.body.as_slice(), got.end.is_ok()), (&b"0123456789"[..], true));
    arm(Effect::SetHeader { name: "content-length".to_owned(), value: "4".to_owned() });
    assert_eq!(s3.get("/data/small").await.ok().body, "0123");
    arm(Effect::RemoveHeader { name: "content-length".to_owned() });
    let whole = s3.get("/data/small").await.ok();
    assert_eq!((whole.body.as_ref(), whole.header("content-length")), (&b"0123456789"[..], ""));

    cluster.faults().clear();
    let url = cluster.vms_url();
    let basic = "authorization: Basic YWRtaW46MTIzNDU2\r\n";
    let views = format!("GET /api/views/ HTTP/1.1\r\nhost: x\r\n{basic}connection: close\r\n\r\n");
    let whole = ask(secure(url.clone()).await, &views).await;
    assert!(whole.end.is_ok() && whole.body.len() > 50, "{whole:?}");
    for effect in [Effect::Truncate { side, offset: 50 }, Effect::ResetAt { side, offset: 50 }] {
        cluster.faults().add(Fault::vms(effect).times(1)).unwrap();
        let got = ask(secure(url.clone()).await, &views).await;
        assert!(got.head.starts_with("HTTP/1.1 200 "), "{}", got.head);
        assert_eq!(got.body, whole.body[..50]);
        got.end.unwrap_err();
    }
    cluster.stop().await;
}

/// Large bodies are read in large pieces; one that stops short of a piece must not be left lying.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pauses_in_the_middle_of_a_body_gets_its_answer() {
    const PIECE: usize = 10_000;
    const PIECES: usize = 20;
    let (cluster, ..) = start().await;
    let after_bytes = (PIECE * PIECES) as u64;
    cluster.faults().add(Fault::s3(Effect::QuotaFull { after_bytes }).on("PutObject")).unwrap();
    let url = &cluster.s3_urls()[0];
    let mut stream = TcpStream::connect(authority(url)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!("PUT /data/k HTTP/1.1\r\nhost: x\r\ncontent-length: {MUCH}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let vip = authority(url).split(':').next().unwrap();
    let arrived = || cluster.counters().vips.get(vip).map_or(0, |counted| counted.wire_in);
    // What is there before the server looks would be read anyhow. So each piece is sent when it has taken the one before
    // and waits for more: without an end to its patience it takes none of them.
    for sent in 0..=PIECES {
        let taken = async {
            while arrived() < (head.len() + sent * PIECE) as u64 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, taken).await.unwrap_or_else(|_| panic!("piece {sent} is left lying"));
        if sent < PIECES {
            stream.write_all(&[b'x'; PIECE]).await.unwrap();
        }
    }
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut answer)).await.expect("an answer").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("QuotaExceeded"), "{answer}");
    cluster.stop().await;
}
