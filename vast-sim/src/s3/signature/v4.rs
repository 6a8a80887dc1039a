//! Version 4 signatures.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use http::{HeaderValue, header};
use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};

use super::canonical::{self, Query};
use super::chunks::Chunks;
use super::{OwnKey, check_date, dates, hex_bytes, mismatch, secret};
use crate::core::Core;
use crate::env;
use crate::s3::objects::has_unreadable_expires;
use crate::s3::read::has_unusable_range;

/// The parameters that make up a presigned URL.
pub(super) const QUERY: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// Longest life of a presigned URL, in seconds: a week.
const MAX_EXPIRES: u64 = 7 * 24 * 3600;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The payload of unsigned chunks with trailers.
const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SHA256: &str = "x-amz-content-sha256";

/// Access key and the scope behind it: date, region, service.
#[derive(Debug, PartialEq, Eq)]
struct Credential<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Credential<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // From the right: access keys may hold slashes.
        let mut parts = text.rsplitn(5, '/');
        let ("aws4_request", service, region, date, access_key) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
        else {
            return None;
        };
        Some(Self { access_key, date, region, service })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

fn hmac(key: &[u8], data: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&[0; 64].into()));
    mac.update(data.as_bytes());
    mac
}

/// What signs within a scope.
pub(super) fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    let key = hmac(format!("AWS4{secret}").as_bytes(), date).finalize().into_bytes();
    let key = hmac(&key, region).finalize().into_bytes();
    let key = hmac(&key, service).finalize().into_bytes();
    hmac(&key, "aws4_request").finalize().into_bytes().to_vec()
}

/// The code of a request, to be compared or written.
fn code(secret: &str, credential: &Credential<'_>, date: &str, canonical: &str) -> Hmac<Sha256> {
    let key = signing_key(secret, credential.date, credential.region, credential.service);
    let hash = env::hex(&Sha256::digest(canonical.as_bytes()));
    hmac(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{}\n{hash}", credential.scope()))
}

/// Both spellings of a path that signers use: as sent, and made anew from the name.
fn spellings(raw: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let anew = canonical::path(raw);
    let differs = anew != raw;
    [Some(Cow::Borrowed(raw)), differs.then_some(Cow::Owned(anew))].into_iter().flatten()
}

/// What a signature claims.
struct Claim<'a> {
    credential: Credential<'a>,
    date: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    payload: &'a str,
}

impl Claim<'_> {
    /// Compares in constant time; gives the secret.
    fn check(&self, core: &Core, parts: &Parts, query: &Query) -> S3Result<String> {
        if !self.date.starts_with(self.credential.date) {
            return Err(s3_error!(SignatureDoesNotMatch, "The credential's date is not the request's."));
        }
        if !matches!(self.credential.service, "s3" | "sts") {
            return Err(s3_error!(
                AuthorizationHeaderMalformed,
                "The credential names another service than s3."
            ));
        }
        let secret = secret(core, self.credential.access_key)?;
        let (headers, names) =
            canonical::headers(&parts.headers, &self.signed_headers).ok_or_else(mismatch)?;
        let pairs = query.pairs().iter().filter(|(n, _)| n != "X-Amz-Signature");
        let query = canonical::query(pairs.map(|(n, v)| (n.as_str(), v.as_str())));
        let given = hex_bytes(self.signature).ok_or_else(mismatch)?;
        let matches = spellings(parts.uri.path()).any(|path| {
            let canonical =
                format!("{}\n{path}\n{query}\n{headers}\n{names}\n{}", parts.method, self.payload);
            code(&secret, &self.credential, self.date, &canonical).verify_slice(&given).is_ok()
        });
        if matches { Ok(secret) } else { Err(mismatch()) }
    }
}

fn text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|v| v.to_str().ok())
}

/// Payloads in signed chunks, without and with trailers.
const SIGNED_CHUNKS: [&str; 2] =
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"];

/// A signer, and what its chunks are verified by if the body comes in signed ones.
pub(super) type Signed = (String, Option<Chunks>);

/// Whether the body comes in the chunks of this protocol.
pub(super) fn is_streaming(parts: &Parts) -> bool {
    text(parts, SHA256).is_some_and(|v| v.starts_with("STREAMING-"))
}

/// Whether `s3s` takes the name of a region; here any name will do.
fn is_usual_region(region: &str) -> bool {
    !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Checks the date of a request signed in its headers. Gives the signer when the signature has been verified here,
/// none when `s3s` will do it.
pub(super) fn header(core: &Core, parts: &mut Parts, query: &Query) -> S3Result<Option<Signed>> {
    let malformed = || s3_error!(AuthorizationHeaderMalformed, "The Authorization header cannot be read.");
    if !parts.headers.contains_key("x-amz-date")
        && let Some(date) = text(parts, "date").and_then(dates::of_header)
        && let Ok(date) = HeaderValue::try_from(dates::to_basic(date))
    {
        parts.headers.insert("x-amz-date", date);
    }
    let no_date = || s3_error!(AccessDenied, "AWS authentication requires a valid Date or x-amz-date header");
    let date = text(parts, "x-amz-date").ok_or_else(no_date)?;
    check_date(core, dates::basic(date).ok_or_else(no_date)?)?;

    let payload = text(parts, SHA256).unwrap_or_default();
    let chunks_signed = SIGNED_CHUNKS.contains(&payload);
    let authorization = text(parts, "authorization").ok_or_else(malformed)?;
    let fields = authorization.trim_start_matches("AWS4-HMAC-SHA256").split(',');
    let field = |name: &str| {
        fields.clone().find_map(|f| f.trim().strip_prefix(name)?.strip_prefix('=')).ok_or_else(malformed)
    };
    let region = Credential::parse(field("Credential")?).ok_or_else(malformed)?.region;
    let usual = canonical::path(parts.uri.path()) == parts.uri.path() && is_usual_region(region);
    // What is taken away after this must have been verified before.
    let kept = !has_unusable_range(&parts.headers) && !has_unreadable_expires(&parts.headers);
    if usual && kept && !chunks_signed {
        return Ok(None);
    }
    let claim = Claim {
        credential: Credential::parse(field("Credential")?).ok_or_else(malformed)?,
        date,
        signed_headers: field("SignedHeaders")?.split(';').collect(),
        signature: field("Signature")?,
        payload: text(parts, SHA256)
            .ok_or_else(|| s3_error!(InvalidRequest, "Missing required header for this request: {SHA256}"))?,
    };
    let secret = claim.check(core, parts, query)?;
    let signer = claim.credential.access_key.to_owned();
    if !chunks_signed {
        return Ok(Some((signer, None)));
    }
    let Credential { date: day, region, service, .. } = claim.credential;
    let chunks = Chunks {
        key: signing_key(&secret, day, region, service),
        date: date.to_owned(),
        scope: claim.credential.scope(),
        previous: claim.signature.to_owned(),
        trailers: payload == SIGNED_CHUNKS[1],
    };
    let length = parts.headers.remove("x-amz-decoded-content-length").ok_or_else(|| {
        s3_error!(MissingContentLength, "You must provide the x-amz-decoded-content-length HTTP header.")
    })?;
    // What is left of the chunks when they are verified.
    if chunks.trailers {
        parts.headers.insert(SHA256, HeaderValue::from_static(UNSIGNED_CHUNKS));
        parts.headers.insert("x-amz-decoded-content-length", length);
    } else {
        parts.headers.insert(SHA256, HeaderValue::from_static(UNSIGNED));
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(Some((signer, Some(chunks))))
}

/// The access key in the Authorization header.
pub(super) fn claimed(parts: &Parts) -> Option<&str> {
    let authorization = text(parts, "authorization")?.strip_prefix("AWS4-HMAC-SHA256")?;
    let credential = authorization.split(',').find_map(|f| f.trim().strip_prefix("Credential="))?;
    Credential::parse(credential).map(|c| c.access_key)
}

/// Verifies a presigned request and gives its signer.
pub(super) fn presigned(core: &Core, parts: &Parts, query: &Query) -> S3Result<String> {
    let wrong = |what: &str| s3_error!(AuthorizationQueryParametersError, "{what}");
    let field = |name: &str| query.get(name).ok_or_else(|| wrong(&format!("{name} is missing.")));
    if field("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(wrong("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let date = field("X-Amz-Date")?;
    let made =
        dates::basic(date).ok_or_else(|| wrong("X-Amz-Date must be in the form \"yyyyMMddTHHmmssZ\""))?;
    let expires: u64 =
        field("X-Amz-Expires")?.parse().map_err(|_| wrong("X-Amz-Expires should be a number"))?;
    if expires > MAX_EXPIRES {
        return Err(wrong("X-Amz-Expires must be less than a week (in seconds); that is, 604800"));
    }
    if is_streaming(parts) {
        return Err(s3_error!(NotImplemented, "A presigned request cannot have a chunked payload."));
    }
    let claim = Claim {
        credential: Credential::parse(field("X-Amz-Credential")?)
            .ok_or_else(|| wrong("X-Amz-Credential is malformed."))?,
        date,
        signed_headers: field("X-Amz-SignedHeaders")?.split(';').collect(),
        signature: field("X-Amz-Signature")?,
        payload: query.get("X-Amz-Content-Sha256").unwrap_or(UNSIGNED),
    };
    if core.config.signatures.max_skew.is_some() {
        let now = core.now_ms();
        if made > now {
            check_date(core, made)?;
        }
        if now > made.saturating_add(expires.saturating_mul(1000)) {
            return Err(s3_error!(AccessDenied, "Request has expired"));
        }
    }
    claim.check(core, parts, query)?;
    Ok(claim.credential.access_key.to_owned())
}

/// Verifies the policy of a form, which is what its signature is of. Its date is that of the policy's own.
pub(super) fn form(core: &Core, credential: &str, policy: &str, signature: &str) -> S3Result<String> {
    let malformed = || s3_error!(InvalidArgument, "X-Amz-Credential is malformed.");
    let credential = Credential::parse(credential).ok_or_else(malformed)?;
    let secret = secret(core, credential.access_key)?;
    let given = hex_bytes(signature).ok_or_else(mismatch)?;
    let key = signing_key(&secret, credential.date, credential.region, credential.service);
    hmac(&key, policy).verify_slice(&given).map_err(|_| mismatch())?;
    Ok(credential.access_key.to_owned())
}

/// Signs a verified request in the way that `s3s` reads: in the headers, by the simulator's own key.
pub(super) fn sign_again(core: &Core, own: &OwnKey, parts: &mut Parts) -> S3Result<()> {
    let date = dates::to_basic(core.now_ms());
    let known = text(parts, SHA256).is_some_and(|v| v.len() == 64 || v == UNSIGNED_CHUNKS);
    let header = |value: &str| {
        HeaderValue::try_from(value).map_err(|_| s3_error!(InvalidRequest, "A header cannot be read."))
    };
    if !known {
        if is_streaming(parts) {
            return Err(s3_error!(AccessDenied, "Signed chunks need a signed request."));
        }
        parts.headers.insert(SHA256, HeaderValue::from_static(UNSIGNED));
    }
    let payload = text(parts, SHA256).unwrap_or(UNSIGNED).to_owned();
    parts.headers.insert("x-amz-date", header(&date)?);
    if !parts.headers.contains_key(header::HOST) {
        parts.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    }
    let credential = Credential {
        access_key: &own.id,
        date: date.get(..8).unwrap_or_default(),
        region: "us-east-1",
        service: "s3",
    };
    let signed = ["host", SHA256, "x-amz-date"];
    let (headers, names) = canonical::headers(&parts.headers, &signed).ok_or_else(mismatch)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let query = canonical::query(query.pairs().iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let path = canonical::path(parts.uri.path());
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{payload}", parts.method);
    let signature = code(&own.secret, &credential, &date, &canonical).finalize().into_bytes();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={}",
        own.id,
        credential.scope(),
        env::hex(&signature)
    );
    parts.headers.insert(header::AUTHORIZATION, header(&value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the AWS documentation.
    #[test]
    fn agrees_with_the_published_example() {
        let credential =
            Credential::parse("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request").unwrap();
        assert_eq!(credential.access_key, "AKIAIOSFODNN7EXAMPLE");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let canonical = format!(
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:{empty}\n\
             x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n{empty}"
        );
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let mac = code(secret, &credential, "20130524T000000Z", &canonical);
        let given = hex_bytes("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41").unwrap();
        mac.verify_slice(&given).unwrap();
    }

    #[test]
    fn access_keys_may_hold_slashes() {
        assert_eq!(Credential::parse("a/b/20130524/r/s3/aws4_request").unwrap().access_key, "a/b");
        assert_eq!(Credential::parse("20130524/r/s3/aws4_request"), None);
        assert_eq!(hex_bytes("0aF"), None);
        assert_eq!(hex_bytes("0aff"), Some(vec![10, 255]));
    }
}
