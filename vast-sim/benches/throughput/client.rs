//! The client of both servers; signs and declares a CRC32C when it has keys.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use vast_sim::KeyPair;

/// Bytes that do not repeat soon.
pub(crate) fn data(len: usize) -> Bytes {
    (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap_or(0)).collect::<Vec<u8>>().into()
}

/// One address of a server.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) authority: String,
    pub(crate) keys: Option<KeyPair>,
}

pub(crate) struct Connection {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
    /// Of the last body, by its place: bodies are sent over and over.
    crc: Option<(usize, String)>,
}

impl Target {
    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.authority).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection { target: self.clone(), sender, crc: None }
    }
}

impl Connection {
    /// Sends one request; gives the size of the answer's body.
    pub(crate) async fn send(&mut self, method: &str, path: &str, data: &Bytes) -> usize {
        let body = if method == "PUT" { data.clone() } else { Bytes::new() };
        let request = self.request(method, path, body);
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        let mut body = response.into_body();
        let mut got = 0;
        while let Some(frame) = body.frame().await {
            got += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        got
    }

    fn request(&mut self, method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let authority = &self.target.authority;
        let mut request = Request::builder().method(method).uri(path).header("host", authority);
        if !body.is_empty() {
            let place = body.as_ptr() as usize;
            if self.crc.as_ref().is_none_or(|(at, _)| *at != place) {
                let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &body);
                let text = base64::engine::general_purpose::STANDARD.encode(&crc.to_be_bytes()[4..]);
                self.crc = Some((place, text));
            }
            if let Some((_, text)) = &self.crc {
                request = request.header("x-amz-checksum-crc32c", text);
            }
        }
        let mut request = request.body(Full::new(body)).unwrap();
        if let Some(keys) = &self.target.keys {
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
            let headers: Vec<(&str, &str)> =
                request.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
            let signable =
                SignableRequest::new(method, url, headers.into_iter(), SignableBody::UnsignedPayload)
                    .unwrap();
            let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
            instructions.apply_to_request_http1x(&mut request);
        }
        request
    }
}
