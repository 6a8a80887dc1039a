//! Requests signed in every way that clients know, by the AWS signer where it can and by hand where it cannot.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use vast_sim::{Cluster, KeyPair};

use crate::client::{Reply, exchange};

/// How to sign, and where the request goes.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) url: String,
    pub(crate) keys: KeyPair,
    /// What the `Host` header says; the address unless given.
    pub(crate) host: String,
    pub(crate) time: SystemTime,
    pub(crate) region: &'static str,
}

impl Signer {
    pub(crate) fn new(cluster: &Cluster, keys: &KeyPair) -> Self {
        let url = cluster.s3_urls()[0].clone();
        let host = url.split_once("://").unwrap().1.to_owned();
        Self { url, keys: keys.clone(), host, time: SystemTime::now(), region: "anywhere-1" }
    }

    pub(crate) fn host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    pub(crate) fn at(&self, time: SystemTime) -> Self {
        Self { time, ..self.clone() }
    }

    fn sign(
        &self,
        request: &mut Request<()>,
        body: SignableBody<'_>,
        location: SignatureLocation,
        expires: Option<Duration>,
    ) -> String {
        let identity =
            Credentials::new(&self.keys.access_key, &self.keys.secret_key, None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = match location {
            SignatureLocation::Headers => PayloadChecksumKind::XAmzSha256,
            _ => PayloadChecksumKind::NoHeader,
        };
        settings.signature_location = location;
        settings.expires_in = expires;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("s3")
            .time(self.time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let method = request.method().to_string();
        let url = request.uri().to_string();
        let pairs: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap().to_owned()))
            .collect();
        let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let signable = SignableRequest::new(&method, url, pairs, body).unwrap();
        let (instructions, signature) = sign(signable, &parameters).unwrap().into_parts();
        instructions.apply_to_request_http1x(request);
        signature
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let name = self.host.split(':').next().unwrap();
        let mut request = Request::builder().method(method).uri(format!("http://{name}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("host", &self.host).body(()).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<()>, body: impl Into<Bytes>) -> Reply {
        let (mut parts, ()) = request.into_parts();
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
        exchange(&self.url, None, Request::from_parts(parts, Full::new(body.into()))).await.unwrap()
    }

    /// Signed in the headers, the payload unsigned.
    pub(crate) async fn header(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.header_with(method, path, &[], body).await
    }

    pub(crate) async fn header_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = self.request(method, path, headers);
        self.sign(&mut request, SignableBody::UnsignedPayload, SignatureLocation::Headers, None);
        self.send(request, body.to_vec()).await
    }

    /// Signed in the headers with the payload's hash.
    pub(crate) async fn header_and_payload(
        &self,
        method: &str,
        path: &str,
        signed: &[u8],
        sent: &[u8],
    ) -> Reply {
        let mut request = self.request(method, path, &[]);
        self.sign(&mut request, SignableBody::Bytes(signed), SignatureLocation::Headers, None);
        self.send(request, sent.to_vec()).await
    }

    /// Path and query of a presigned request.
    pub(crate) fn presign(&self, method: &str, path: &str, expires: Duration) -> String {
        let mut request = self.request(method, path, &[]);
        let location = SignatureLocation::QueryParams;
        self.sign(&mut request, SignableBody::UnsignedPayload, location, Some(expires));
        request.uri().path_and_query().unwrap().as_str().to_owned()
    }

    /// Without any signature.
    pub(crate) async fn bare(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.send(self.request(method, path, headers), body.to_vec()).await
    }

    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, or with a CRC32 trailer `...-TRAILER`: chunks signed one after the other.
    pub(crate) async fn chunks(
        &self,
        path: &str,
        chunks: &[&[u8]],
        trailer: Option<&str>,
        spoil: bool,
    ) -> Reply {
        let length = chunks.iter().map(|c| c.len()).sum::<usize>().to_string();
        let mut headers =
            vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", &length)];
        let mut kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        if trailer.is_some() {
            kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
            headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
        }
        let mut request = self.request("PUT", path, &headers);
        let body = SignableBody::Precomputed(kind.to_owned());
        let mut previous = self.sign(&mut request, body, SignatureLocation::Headers, None);
        let date = request.headers()["x-amz-date"].to_str().unwrap().to_owned();
        let scope = format!("{}/{}/s3/aws4_request", &date[..8], self.region);
        let code = |text: &str| {
            let key = v4::generate_signing_key(&self.keys.secret_key, self.time, self.region, "s3");
            v4::calculate_signature(key, text.as_bytes())
        };
        let hex = |data: &[u8]| hex(&Sha256::digest(data), "");
        let mut sent = Vec::new();
        for chunk in chunks.iter().copied().chain([&b""[..]]) {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{}\n{}",
                hex(b""),
                hex(chunk)
            );
            previous = code(&text);
            let shown = if spoil { previous.replace(['0', '1', '2'], "3") } else { previous.clone() };
            sent.extend(format!("{:x};chunk-signature={shown}\r\n", chunk.len()).into_bytes());
            if !chunk.is_empty() {
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
        }
        if let Some(sum) = trailer {
            let line = format!("x-amz-checksum-crc32:{sum}\n");
            let text =
                format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{}", hex(line.as_bytes()));
            let signature = code(&text);
            sent.extend(
                format!("x-amz-checksum-crc32:{sum}\r\nx-amz-trailer-signature:{signature}\r\n").into_bytes(),
            );
        }
        sent.extend_from_slice(b"\r\n");
        self.send(request, sent).await
    }

    fn code_v2(&self, text: &str) -> String {
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(self.keys.secret_key.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
    }

    fn rfc2822(&self) -> String {
        let time = jiff::Timestamp::try_from(self.time).unwrap();
        time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Version 2 in the headers. `resource` is what such signers call the canonical resource.
    pub(crate) async fn v2(&self, method: &str, path: &str, resource: &str, body: &[u8]) -> Reply {
        let date = self.rfc2822();
        let code = self.code_v2(&format!("{method}\n\ntext/plain\n{date}\nx-amz-meta-a:b\n{resource}"));
        let authorization = format!("AWS {}:{code}", self.keys.access_key);
        let headers = [
            ("authorization", authorization.as_str()),
            ("date", &date),
            ("content-type", "text/plain"),
            ("x-amz-meta-a", "b"),
        ];
        self.bare(method, path, &headers, body).await
    }

    /// Path and query of a request presigned by version 2.
    pub(crate) fn presign_v2(&self, method: &str, path: &str, expires: Duration) -> String {
        let until = (self.time + expires).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let code = self.code_v2(&format!("{method}\n\n\n{until}\n{path}"));
        let code = hex(code.as_bytes(), "%").to_uppercase();
        format!("{path}?AWSAccessKeyId={}&Expires={until}&Signature={code}", self.keys.access_key)
    }
}

/// Bytes as hexadecimal, each behind `mark`.
fn hex(bytes: &[u8], mark: &str) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{mark}{b:02x}").unwrap();
        text
    })
}
