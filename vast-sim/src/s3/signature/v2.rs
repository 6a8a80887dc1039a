//! Version 2 signatures, which old backup software still makes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use s3s::{S3Result, s3_error};
use sha1::Sha1;

use super::canonical::Query;
use super::{check_date, dates, mismatch, secret};
use crate::core::Core;

/// The parameters that make up a presigned URL.
pub(super) const QUERY: &[&str] = &["AWSAccessKeyId", "Signature", "Expires"];

/// Parameters that take part in the signature, in order.
const SIGNED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

fn text<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Both ways to write the path: some signers end that of a bucket with a slash whether the request has it or not.
fn spellings<'a>(parts: &'a Parts, bucket: Option<&str>) -> Vec<Cow<'a, str>> {
    let path = parts.uri.path();
    let only_bucket = bucket.is_none() && path.len() > 1 && !path[1..].contains('/');
    let mut all = vec![Cow::Borrowed(path)];
    all.extend(only_bucket.then(|| Cow::Owned(format!("{path}/"))));
    all
}

/// The text under the signature; `date` is the one of the headers or the end of a presigned URL's life.
fn signed_text(parts: &Parts, query: &Query, (bucket, path): (Option<&str>, &str), date: &str) -> String {
    let mut signed = format!(
        "{}\n{}\n{}\n{date}\n",
        parts.method,
        text(parts, "content-md5"),
        text(parts, "content-type")
    );
    let mut names: Vec<&str> =
        parts.headers.keys().map(http::HeaderName::as_str).filter(|n| n.starts_with("x-amz-")).collect();
    names.sort_unstable();
    for name in names {
        let all = parts.headers.get_all(name).into_iter();
        let values: Vec<String> =
            all.map(|v| String::from_utf8_lossy(v.as_bytes()).trim().to_owned()).collect();
        signed.extend([name, ":", &values.join(","), "\n"]);
    }
    if let Some(bucket) = bucket {
        signed.push('/');
        signed.push_str(bucket);
    }
    signed.push_str(path);
    let mut join = '?';
    for name in SIGNED {
        if let Some(value) = query.get(name) {
            signed.push(join);
            join = '&';
            signed.push_str(name);
            if !value.is_empty() {
                signed.push('=');
                signed.push_str(value);
            }
        }
    }
    signed
}

/// Compares in constant time.
fn is_code(secret: &str, signed: &str, given: &[u8]) -> bool {
    // HMAC takes keys of any length.
    Hmac::<Sha1>::new_from_slice(secret.as_bytes())
        .is_ok_and(|mac| mac.chain_update(signed.as_bytes()).verify_slice(given).is_ok())
}

fn check(
    secret: &str,
    parts: &Parts,
    query: &Query,
    bucket: Option<&str>,
    date: &str,
    signature: &str,
) -> S3Result<()> {
    let given = STANDARD.decode(signature.trim()).map_err(|_| mismatch())?;
    let mut paths = spellings(parts, bucket).into_iter();
    let matches = paths.any(|path| {
        let signed = signed_text(parts, query, (bucket, &path), date);
        is_code(secret, &signed, &given)
    });
    if matches { Ok(()) } else { Err(mismatch()) }
}

/// Verifies a request signed in its headers and gives its signer.
pub(super) fn header(core: &Core, parts: &Parts, query: &Query, bucket: Option<&str>) -> S3Result<String> {
    let malformed = || s3_error!(InvalidArgument, "AWS authorization header is invalid.");
    let (access_key, signature) = text(parts, "authorization")
        .strip_prefix("AWS ")
        .and_then(|v| v.trim().rsplit_once(':'))
        .ok_or_else(malformed)?;
    let of_amazon = parts.headers.contains_key("x-amz-date");
    let date = if of_amazon { text(parts, "x-amz-date") } else { text(parts, "date") };
    let moment = dates::of_header(date).ok_or_else(|| {
        s3_error!(AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    })?;
    check_date(core, moment)?;
    let date = if of_amazon { "" } else { date };
    check(&secret(core, access_key)?, parts, query, bucket, date, signature)?;
    Ok(access_key.to_owned())
}

/// Verifies a presigned request and gives its signer.
pub(super) fn presigned(core: &Core, parts: &Parts, query: &Query, bucket: Option<&str>) -> S3Result<String> {
    let field = |name: &str| {
        let missing = || s3_error!(AccessDenied, "Query-string authentication requires {name}.");
        query.get(name).ok_or_else(missing)
    };
    let (access_key, signature, expires) = (field("AWSAccessKeyId")?, field("Signature")?, field("Expires")?);
    let until: u64 = expires
        .parse()
        .map_err(|_| s3_error!(AccessDenied, "Invalid date (should be seconds since epoch)"))?;
    if core.config.signatures.max_skew.is_some() && core.now_ms() > until.saturating_mul(1000) {
        return Err(s3_error!(AccessDenied, "Request has expired"));
    }
    check(&secret(core, access_key)?, parts, query, bucket, expires, signature)?;
    Ok(access_key.to_owned())
}

/// Verifies the policy of a form, which is what its signature is of.
pub(super) fn form(core: &Core, access_key: &str, policy: &str, signature: &str) -> S3Result<String> {
    let given = STANDARD.decode(signature.trim()).map_err(|_| mismatch())?;
    if is_code(&secret(core, access_key)?, policy, &given) {
        Ok(access_key.to_owned())
    } else {
        Err(mismatch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn everything_that_counts_is_signed_in_its_order() {
        let headers =
            [("x-amz-meta-b", "2"), ("x-amz-acl", "private"), ("x-amz-meta-b", "3"), ("content-md5", "m")];
        let put = parts("PUT", "/b/k?uploadId=u&partNumber=2&acl&x=1", &headers);
        let query = Query::parse(put.uri.query().unwrap());
        assert_eq!(
            signed_text(&put, &query, (None, "/b/k"), "D"),
            "PUT\nm\n\nD\nx-amz-acl:private\nx-amz-meta-b:2,3\n/b/k?acl&partNumber=2&uploadId=u"
        );
        for (uri, bucket, expected) in
            [("/b", None, 2), ("/b", Some("host"), 1), ("/b/", None, 1), ("/b/k", None, 1), ("/", None, 1)]
        {
            assert_eq!(spellings(&parts("GET", uri, &[]), bucket).len(), expected, "{uri}");
        }
    }

    /// The worked examples of the AWS documentation.
    #[test]
    fn agrees_with_the_published_examples() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let verify = |parts: &Parts, date: &str, signature: &str| {
            let query = Query::parse(parts.uri.query().unwrap_or_default());
            check(secret, parts, &query, Some("awsexamplebucket1"), date, signature)
        };
        let get = parts("GET", "/photos/puppy.jpg", &[]);
        verify(&get, "Tue, 27 Mar 2007 19:36:42 +0000", "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=").unwrap();
        verify(&get, "Tue, 27 Mar 2007 19:36:43 +0000", "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=").unwrap_err();
        let put = parts("PUT", "/photos/puppy.jpg", &[("content-type", "image/jpeg")]);
        verify(&put, "Tue, 27 Mar 2007 21:15:45 +0000", "iqRzw+ileNPu1fhspnRs8nOjjIA=").unwrap();
        let acl = parts("GET", "/?acl", &[]);
        verify(&acl, "Tue, 27 Mar 2007 19:44:46 +0000", "82ZHiFIjc+WbcwFKGUVEQspPn+0=").unwrap();
    }
}
