//! HTTP clients for the tests: one connection per request, signed by the AWS signer, nothing shared with the simulator.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use vast_sim::{Cluster, Config, KeyPair, Provisioned};

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The S3 error code.
    pub(crate) fn code(&self) -> String {
        self.between("<Code>", "</Code>").into_iter().next().unwrap_or_default()
    }

    /// All texts between two marks: enough XML for tests.
    pub(crate) fn between(&self, open: &str, close: &str) -> Vec<String> {
        let text = self.text();
        text.split(open).skip(1).filter_map(|t| t.split_once(close)).map(|(t, _)| t.to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{}", self.text());
        self
    }
}

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request as it is.
pub(crate) async fn exchange(
    url: &str,
    ca_pem: Option<&str>,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Failure> {
    let authority = url.split_once("://").unwrap().1;
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    if url.starts_with("https") {
        let name = ServerName::try_from(authority.rsplit_once(':').unwrap().0.to_owned())?;
        let stream = tls(ca_pem.expect("a CA"))?.connect(name, stream).await?;
        over(TokioIo::new(stream), request).await
    } else {
        over(TokioIo::new(stream), request).await
    }
}

pub(crate) fn tls(ca_pem: &str) -> Result<tokio_rustls::TlsConnector, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

pub(crate) async fn over<I>(io: I, request: Request<Full<Bytes>>) -> Result<Reply, Failure>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(Reply { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
}

/// An S3 client for one address and one key pair.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    pub(crate) url: String,
    pub(crate) keys: KeyPair,
    pub(crate) ca_pem: Option<String>,
    /// Whether the body's SHA-256 is signed; otherwise the payload is declared unsigned.
    pub(crate) sign_payload: bool,
}

impl S3 {
    pub(crate) fn new(cluster: &Cluster, keys: &KeyPair) -> Self {
        Self { url: cluster.s3_urls()[0].clone(), keys: keys.clone(), ca_pem: None, sign_payload: false }
    }

    pub(crate) fn on(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// A signed request. `path` is the encoded path and query.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let authority = self.url.split_once("://").unwrap().1;
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.header("host", authority).body(()).unwrap();
        let identity =
            Credentials::new(&self.keys.access_key, &self.keys.secret_key, None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signable_body =
            if self.sign_payload { SignableBody::Bytes(&body) } else { SignableBody::UnsignedPayload };
        let url = request.uri().to_string();
        let pairs: Vec<(&str, &str)> =
            request.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        let signable = SignableRequest::new(method, url, pairs.into_iter(), signable_body).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let (mut parts, ()) = request.into_parts();
        parts.uri = path.parse().unwrap();
        Request::from_parts(parts, Full::new(body))
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        exchange(&self.url, self.ca_pem.as_deref(), self.request(method, path, headers, body.into())).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send("PUT", path, &[], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.send("HEAD", path, &[], Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], Bytes::new()).await
    }

    pub(crate) async fn create_upload(&self, path: &str) -> String {
        let reply = self.send("POST", &format!("{path}?uploads"), &[], Bytes::new()).await.ok();
        reply.between("<UploadId>", "</UploadId>").remove(0)
    }

    pub(crate) async fn part(&self, path: &str, id: &str, number: u32, body: impl Into<Bytes>) -> Reply {
        self.send("PUT", &format!("{path}?partNumber={number}&uploadId={id}"), &[], body).await
    }

    pub(crate) async fn complete(&self, path: &str, id: &str, parts: &[(u32, &str)]) -> Reply {
        self.send("POST", &format!("{path}?uploadId={id}"), &[], completion(parts)).await
    }
}

pub(crate) fn completion(parts: &[(u32, &str)]) -> String {
    use std::fmt::Write as _;
    let mut xml = String::from("<CompleteMultipartUpload>");
    for (number, etag) in parts {
        write!(
            xml,
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
            etag.replace('"', "&quot;")
        )
        .unwrap();
    }
    xml + "</CompleteMultipartUpload>"
}

/// A VMS client with the administrator's password unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Vms {
    pub(crate) url: String,
    pub(crate) ca_pem: String,
    pub(crate) authorization: String,
    /// Sent as `X-Tenant-Name`, if any.
    pub(crate) tenant: Option<String>,
}

impl Vms {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self::at(&cluster.vms_url(), cluster.ca_pem())
    }

    pub(crate) fn at(url: &str, ca_pem: &str) -> Self {
        let basic = base64::engine::general_purpose::STANDARD.encode("admin:123456");
        Self {
            url: url.to_owned(),
            ca_pem: ca_pem.to_owned(),
            authorization: format!("Basic {basic}"),
            tenant: None,
        }
    }

    pub(crate) fn with(&self, authorization: impl Into<String>) -> Self {
        Self { authorization: authorization.into(), ..self.clone() }
    }

    pub(crate) fn in_tenant(&self, name: &str) -> Self {
        Self { tenant: Some(name.to_owned()), ..self.clone() }
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.url.split_once("://").unwrap().1)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        if let Some(tenant) = &self.tenant {
            request = request.header("x-tenant-name", tenant);
        }
        let request = request.body(Full::new(body.into()))?;
        exchange(&self.url, Some(&self.ca_pem), request).await
    }

    /// A GET that calls the host by another name.
    pub(crate) async fn get_as(&self, host: &str, path: &str) -> Reply {
        let request = Request::builder()
            .uri(path)
            .header("host", host)
            .header("authorization", &self.authorization)
            .body(Full::default())
            .unwrap();
        exchange(&self.url, Some(&self.ca_pem), request).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &serde_json::Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_send(method, path, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &serde_json::Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: serde_json::Value) -> Reply {
        self.call("POST", path, &body).await
    }
}

/// A cluster in memory with the bucket `data`.
pub(crate) async fn start() -> (Cluster, Provisioned, S3) {
    start_with(Config::default(), None).await
}

pub(crate) async fn start_with(config: Config, hard_limit: Option<u64>) -> (Cluster, Provisioned, S3) {
    let cluster = Cluster::start(config).await.unwrap();
    let provisioned = cluster.provision("data", hard_limit).unwrap();
    let s3 = S3::new(&cluster, &provisioned.keys);
    (cluster, provisioned, s3)
}

/// `len` bytes that depend on `seed` and on their place.
pub(crate) fn pattern(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out.into()
}
