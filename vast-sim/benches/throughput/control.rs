//! The control: a server that keeps PUT bodies as they arrive and gives them back, and does nothing else; or takes a CRC32C of
//! them besides, which S3 asks for: what that costs is the processor's, from next to nothing to half of all the rest.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Stored = Arc<Mutex<HashMap<String, Vec<Bytes>>>>;

async fn answer(
    stored: Stored,
    checks: bool,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let key = request.uri().path().to_owned();
    if request.method() == Method::GET {
        let chunks = stored.lock().unwrap().get(&key).cloned().unwrap_or_default();
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let body =
            StreamBody::new(futures::stream::iter(chunks).map(|c| Ok::<_, Infallible>(Frame::data(c))));
        let response = Response::builder().header("content-length", length);
        return Ok(response.body(BoxBody::new(body)).unwrap());
    }
    let mut body = request.into_body();
    let mut chunks = Vec::new();
    let mut crc = checks.then(|| crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi));
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().ok();
        if let (Some(crc), Some(data)) = (&mut crc, &data) {
            crc.update(data);
        }
        chunks.extend(data);
    }
    stored.lock().unwrap().insert(key, chunks);
    let mut response = Response::builder();
    if let Some(crc) = crc {
        response = response.header("crc32c", crc.finalize());
    }
    Ok(response.body(BoxBody::new(Empty::new())).unwrap())
}

/// Serves on a port of its own until the process ends, with checksums of what is put or without; gives the address.
pub(crate) async fn start(checks: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let stored = Stored::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let stored = Arc::clone(&stored);
            let service = hyper::service::service_fn(move |r| answer(Arc::clone(&stored), checks, r));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    authority
}
