//! Who signed a request, judged before the protocol library sees it.
//!
//! `s3s` verifies version 4 signatures in headers and compares them in constant time. What it cannot do is done here by
//! hand: it judges times by the machine's clock and not the cluster's, it knows one spelling of an encoded path where
//! signers use two, it compares version 2 signatures and those of chunks byte by byte, and it leaves the framing of
//! chunked bodies in place when a request is not signed. Requests of these kinds are verified here and
//! then signed again, by the simulator itself, in the form that `s3s` knows best; [`Verified`] carries the real signer.

mod canonical;
mod chunks;
mod dates;
mod explain;
mod v2;
mod v4;

use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::caller::usable_key;
use super::refusal::Detailed as _;
use crate::core::Core;
use crate::env;
use crate::store::registry::flag;
pub(crate) use canonical::Query;
pub(crate) use chunks::{Broken, Chunks};
pub(crate) use explain::explain;

/// Whether version 2 signatures are accepted.
///
/// A cluster has a field for it, but its name and its description say opposite things; this setting says it clearly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignatureV2 {
    /// While `s3_enable_v2_authentication` of the cluster is true, as it is from the start.
    #[default]
    AsCluster,
    /// Always.
    Accept,
    /// Never.
    Refuse,
}

/// How signatures are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRules {
    /// How far a request's date may be from the cluster's clock; none accepts any date, for clusters whose clock stands
    /// at another time than their clients'.
    pub max_skew: Option<Duration>,
    /// Also accepts dates near the time that the clock would show had it never been advanced: clients that keep real
    /// time go on working after a jump.
    pub forgive_advances: bool,
    /// Whether version 2 signatures are accepted.
    pub v2: SignatureV2,
}

impl Default for SignatureRules {
    fn default() -> Self {
        Self { max_skew: Some(Duration::from_mins(15)), forgive_advances: true, v2: SignatureV2::AsCluster }
    }
}

/// The signer that was found before the protocol library looked; none for a request without signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified(pub(crate) Option<String>);

/// How a request was signed, for conditions in policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    HeaderV4,
    QueryV4,
    HeaderV2,
    QueryV2,
    FormV4,
    FormV2,
    Unsigned,
}

/// The key pair by which the simulator signs what it has verified. Made anew at every start; never leaves the process.
#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl OwnKey {
    pub(crate) fn new(entropy: &dyn env::Entropy) -> Self {
        Self {
            id: format!("vast-sim-{}", env::random_hex(entropy, 16)),
            secret: env::random_hex(entropy, 32),
        }
    }
}

/// Checks what `s3s` cannot check and leaves a request that it can. `bucket` is the one that the host names. Gives what
/// the body's chunks are to be verified by.
pub(crate) fn admit(
    core: &Core,
    own: &OwnKey,
    parts: &mut Parts,
    bucket: Option<&str>,
) -> S3Result<Option<Chunks>> {
    parts.extensions.remove::<Verified>();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let authorization = parts.headers.get(http::header::AUTHORIZATION).cloned();
    let scheme = match authorization.as_ref().map(HeaderValue::as_bytes) {
        _ if query.get("X-Amz-Signature").is_some() => Scheme::QueryV4,
        _ if query.get("Signature").is_some() && query.get("AWSAccessKeyId").is_some() => Scheme::QueryV2,
        None if query.get("Signature").is_some() || query.get("AWSAccessKeyId").is_some() => {
            let message =
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
            return Err(s3_error!(AccessDenied, "{message}"));
        }
        None => Scheme::Unsigned,
        Some(value) if value.starts_with(b"AWS4-HMAC-SHA256") => Scheme::HeaderV4,
        Some(value) if value.starts_with(b"AWS ") => Scheme::HeaderV2,
        Some(_) => return Err(s3_error!(InvalidArgument, "Unsupported Authorization Type")),
    };
    parts.extensions.insert(scheme);
    let mut chunks = None;
    let signer = match scheme {
        Scheme::HeaderV4 => {
            let Some((signer, signed)) = v4::header(core, parts, &query)? else { return Ok(None) };
            chunks = signed;
            Some(signer)
        }
        Scheme::QueryV4 => {
            let signer = v4::presigned(core, parts, &query)?;
            parts.uri = without_signature(parts, &query, v4::QUERY)?;
            Some(signer)
        }
        Scheme::HeaderV2 => {
            accept_v2(core)?;
            Some(v2::header(core, parts, &query, bucket)?)
        }
        Scheme::QueryV2 => {
            accept_v2(core)?;
            let signer = v2::presigned(core, parts, &query, bucket)?;
            parts.uri = without_signature(parts, &query, v2::QUERY)?;
            Some(signer)
        }
        Scheme::Unsigned if !v4::is_streaming(parts) => return Ok(None),
        // Forms are judged elsewhere.
        Scheme::Unsigned | Scheme::FormV4 | Scheme::FormV2 => None,
    };
    v4::sign_again(core, own, parts)?;
    parts.extensions.insert(Verified(signer));
    Ok(chunks)
}

/// Lets a request pass that was judged by other rules: `signer` is who made it.
pub(crate) fn vouch(core: &Core, own: &OwnKey, parts: &mut Parts, signer: Option<String>) -> S3Result<()> {
    v4::sign_again(core, own, parts)?;
    parts.extensions.insert(Verified(signer));
    Ok(())
}

/// Verifies the policy of a form signed by version 4 and gives its signer.
pub(crate) fn form_v4(core: &Core, credential: &str, policy: &str, signature: &str) -> S3Result<String> {
    v4::form(core, credential, policy, signature)
}

/// Verifies the policy of a form signed by version 2 and gives its signer.
pub(crate) fn form_v2(core: &Core, access_key: &str, policy: &str, signature: &str) -> S3Result<String> {
    accept_v2(core)?;
    v2::form(core, access_key, policy, signature)
}

/// The key that an admitted request says it is signed with; `s3s` may have yet to verify that.
pub(crate) fn claimed_signer(parts: &Parts) -> Option<String> {
    match parts.extensions.get::<Verified>() {
        Some(Verified(signer)) => signer.clone(),
        None => v4::claimed(parts).map(str::to_owned),
    }
}

fn accept_v2(core: &Core) -> S3Result<()> {
    let accepted = match core.config.signatures.v2 {
        SignatureV2::Accept => true,
        SignatureV2::Refuse => false,
        SignatureV2::AsCluster => {
            let enables = |(_, row): (u64, &_)| flag(row, "s3_enable_v2_authentication");
            core.store.read(|state| state.vms.rows("clusters").any(enables))
        }
    };
    if accepted {
        Ok(())
    } else {
        let message =
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        Err(s3_error!(InvalidRequest, "{message}"))
    }
}

fn hex_bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|p| Some(digit(*p.first()?)? << 4 | digit(*p.get(1)?)?)).collect()
}

/// The secret of an access key that may be used.
fn secret(core: &Core, access_key: &str) -> S3Result<String> {
    core.store.read(|state| usable_key(state, access_key).map(|key| key.secret.clone()))
}

fn mismatch() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::SignatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    )
}

/// Judges the date of a signed request, in milliseconds since 1970.
fn check_date(core: &Core, date: u64) -> S3Result<()> {
    let rules = &core.config.signatures;
    let Some(max) = rules.max_skew else { return Ok(()) };
    let now = core.now_ms();
    let max = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    let advanced = u64::try_from(core.config.clock.advanced().as_millis()).unwrap_or(u64::MAX);
    let near = |now: u64| now.abs_diff(date) <= max;
    if near(now) || (rules.forgive_advances && near(now.saturating_sub(advanced))) {
        Ok(())
    } else {
        let message = "The difference between the request time and the current time is too large.";
        Err(s3_error!(RequestTimeTooSkewed, "{message}")
            .detail("RequestTime", env::rfc3339(date))
            .detail("ServerTime", env::rfc3339(now))
            .detail("MaxAllowedSkewMilliseconds", max))
    }
}

/// The URI without the parameters of the signature. What else signers move from headers into the query goes back.
fn without_signature(parts: &mut Parts, query: &Query, names: &[&str]) -> S3Result<Uri> {
    let bad = || s3_error!(InvalidURI, "The query cannot be read.");
    let mut kept = Vec::new();
    for (name, value) in query.pairs() {
        if names.contains(&name.as_str()) {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("x-amz-") {
            let header = HeaderName::try_from(lower.as_str()).map_err(|_| bad())?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
            parts.headers.entry(header).or_insert(value);
            continue;
        }
        kept.push((name.clone(), value.clone()));
    }
    let path = parts.uri.path();
    let target = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", canonical::query(kept.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
    };
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(target.parse().map_err(|_| bad())?);
    Uri::from_parts(uri).map_err(|_| bad())
}
