//! What a request claims to be signed with, and what was to be signed: for the answer to a signature that is wrong.

use sha2::{Digest as _, Sha256};

use super::canonical::{self, Query};
use crate::env;
use crate::s3::refusal::About;

/// The parts of a signature that AWS repeats in its refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    pub(crate) access_key: String,
    pub(crate) signature: String,
    /// Of version 4 only.
    pub(crate) string_to_sign: Option<String>,
    pub(crate) canonical_request: Option<String>,
}

/// Reads the signature of a request; none when it has none that can be read.
pub(crate) fn explain(about: &About) -> Option<Explanation> {
    let query = Query::parse(about.uri.query().unwrap_or_default());
    let header = |name: &str| about.headers.get(name).and_then(|v| v.to_str().ok());
    let authorization = header("authorization");
    if let Some(fields) = authorization.and_then(|a| a.strip_prefix("AWS4-HMAC-SHA256")) {
        let field =
            |name: &str| fields.split(',').find_map(|f| f.trim().strip_prefix(name)?.strip_prefix('='));
        let payload = header("x-amz-content-sha256").unwrap_or_default();
        let date = header("x-amz-date").or(header("date")).unwrap_or_default();
        return version_4(
            about,
            &query,
            (field("Credential")?, field("Signature")?, field("SignedHeaders")?),
            (date, payload),
        );
    }
    if let (Some(credential), Some(signature)) = (query.get("X-Amz-Credential"), query.get("X-Amz-Signature"))
    {
        let names = query.get("X-Amz-SignedHeaders").unwrap_or_default();
        let payload = query.get("X-Amz-Content-Sha256").unwrap_or("UNSIGNED-PAYLOAD");
        let date = query.get("X-Amz-Date").unwrap_or_default();
        return version_4(about, &query, (credential, signature, names), (date, payload));
    }
    let (access_key, signature) = match authorization.and_then(|a| a.strip_prefix("AWS ")) {
        Some(pair) => pair.rsplit_once(':')?,
        None => (query.get("AWSAccessKeyId")?, query.get("Signature")?),
    };
    Some(Explanation {
        access_key: access_key.to_owned(),
        signature: signature.to_owned(),
        string_to_sign: None,
        canonical_request: None,
    })
}

fn version_4(
    about: &About,
    query: &Query,
    (credential, signature, names): (&str, &str, &str),
    (date, payload): (&str, &str),
) -> Option<Explanation> {
    // From the right: access keys may hold slashes.
    let mut parts = credential.rsplitn(5, '/');
    let (end, service, region, day) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let access_key = parts.next()?.to_owned();
    let names: Vec<&str> = names.split(';').collect();
    let (lines, names) = canonical::headers(&about.headers, &names)?;
    let pairs = query.pairs().iter().filter(|(name, _)| name != "X-Amz-Signature");
    let query = canonical::query(pairs.map(|(n, v)| (n.as_str(), v.as_str())));
    let path = about.uri.path();
    let request = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", about.method);
    let hash = env::hex(&Sha256::digest(request.as_bytes()));
    Some(Explanation {
        access_key,
        signature: signature.to_owned(),
        string_to_sign: Some(format!("AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/{end}\n{hash}")),
        canonical_request: Some(request),
    })
}
