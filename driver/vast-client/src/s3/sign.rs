//! AWS Signature Version 4 in headers. A body is not hashed, its CRC-32C is a signed header, unless the operation asks
//! for its hash.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::header::HOST;
use http::{HeaderValue, Request};

use crate::credentials::KeyPair;
use crate::net::body::{Parts, length};
use crate::s3::actions::Outgoing;

/// Requests are signed with this pair, for this region.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: KeyPair,
    region: String,
    scheme: &'static str,
}

impl Signer {
    pub(crate) fn new(keys: KeyPair, region: String, tls: bool) -> Self {
        Self { keys, region, scheme: if tls { "https" } else { "http" } }
    }

    /// The signed request to `host` (with its port unless it is the scheme's own).
    pub(crate) fn sign(
        &self,
        outgoing: Outgoing,
        host: &str,
        now: SystemTime,
    ) -> Result<Request<Parts>, String> {
        let joined;
        let payload = match outgoing.body.as_slice() {
            body if length(body) == 0 => SignableBody::Bytes(b""),
            _ if !outgoing.body_signed => SignableBody::UnsignedPayload,
            [whole] => SignableBody::Bytes(whole),
            several => {
                joined = several.concat();
                SignableBody::Bytes(&joined)
            }
        };
        let mut request = Request::new(());
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing.target.parse().map_err(|e| format!("{}: {e}", outgoing.target))?;
        *request.headers_mut() = outgoing.headers;
        let host_header = HeaderValue::from_str(host).map_err(|e| format!("{host}: {e}"))?;
        request.headers_mut().insert(HOST, host_header);

        let identity =
            Credentials::new(&self.keys.access_key, self.keys.secret_key.expose(), None, None, "key file")
                .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(now)
            .settings(settings())
            .build()
            .map_err(|e| e.to_string())?
            .into();
        let url = format!("{}://{host}{}", self.scheme, outgoing.target);
        let headers: Vec<(&str, &str)> = request
            .headers()
            .iter()
            .filter_map(|(name, value)| value.to_str().ok().map(|value| (name.as_str(), value)))
            .collect();
        let signable = SignableRequest::new(request.method().as_str(), url, headers.into_iter(), payload)
            .map_err(|e| e.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|e| e.to_string())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.map(|()| Parts::new(outgoing.body)))
    }
}

/// S3 wants the path as it is sent and the payload's hash, or the word that replaces it, in a header.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

/// The time to sign with: ours, moved by what the server's clock was found to differ, in milliseconds.
pub(crate) fn shifted(now: SystemTime, skew_ms: i64) -> SystemTime {
    let shift = Duration::from_millis(skew_ms.unsigned_abs());
    let moved = if skew_ms < 0 { now.checked_sub(shift) } else { now.checked_add(shift) };
    moved.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::Method;

    /// 2013-05-24T00:00:00Z, the time of the published examples.
    const THEN: Duration = Duration::from_hours(15_849 * 24);

    fn signer() -> Signer {
        let keys = KeyPair::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        Signer::new(keys, "us-east-1".into(), false)
    }

    fn signature(request: &Request<Parts>) -> &str {
        request.headers()["authorization"].to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    #[test]
    fn the_published_example_of_a_ranged_get() {
        let outgoing = Outgoing::new(Method::GET, "/test.txt".into()).header("range", "bytes=0-9").unwrap();
        let request =
            signer().sign(outgoing, "examplebucket.s3.amazonaws.com", SystemTime::UNIX_EPOCH + THEN).unwrap();
        assert_eq!(signature(&request), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        assert_eq!(request.headers()["x-amz-date"], "20130524T000000Z");
        assert_eq!(request.uri(), "/test.txt");
    }

    #[test]
    fn the_published_example_of_a_listing() {
        let outgoing = Outgoing::new(Method::GET, "/?max-keys=2&prefix=J".into());
        let request =
            signer().sign(outgoing, "examplebucket.s3.amazonaws.com", SystemTime::UNIX_EPOCH + THEN).unwrap();
        assert_eq!(signature(&request), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn a_body_is_not_hashed_but_its_checksum_is_signed() {
        let mut outgoing = Outgoing::new(Method::PUT, "/b/k%2525".into())
            .header("x-amz-checksum-crc32c", "AAAAAQ==")
            .unwrap();
        outgoing.body = vec![Bytes::from_static(b"data")];
        let request = signer().sign(outgoing, "10.0.0.1:9000", SystemTime::UNIX_EPOCH + THEN).unwrap();
        assert_eq!(request.headers()["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("x-amz-checksum-crc32c"), "{authorization}");
        assert_eq!(request.headers()["host"], "10.0.0.1:9000");
    }

    #[test]
    fn a_body_can_be_part_of_the_signature() {
        let signed = |parts: &[&'static [u8]]| {
            let mut outgoing = Outgoing::new(Method::PUT, "/b/k".into());
            outgoing.body = parts.iter().copied().map(Bytes::from_static).collect();
            outgoing.body_signed = true;
            let request = signer().sign(outgoing, "h", SystemTime::UNIX_EPOCH + THEN).unwrap();
            request.headers()["x-amz-content-sha256"].to_str().unwrap().to_owned()
        };
        // SHA-256 of "abc", from FIPS 180.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(signed(&[b"abc"]), abc);
        assert_eq!(signed(&[b"a", b"", b"bc"]), abc);
        assert!(signed(&[]).starts_with("e3b0c442"));
    }

    #[test]
    fn the_clock_can_be_moved_both_ways() {
        let now = SystemTime::UNIX_EPOCH + THEN;
        assert_eq!(shifted(now, 1500), now + Duration::from_millis(1500));
        assert_eq!(shifted(now, -1500), now - Duration::from_millis(1500));
        assert_eq!(
            shifted(SystemTime::UNIX_EPOCH, i64::MIN),
            SystemTime::UNIX_EPOCH - Duration::from_millis(1 << 63)
        );
    }
}
