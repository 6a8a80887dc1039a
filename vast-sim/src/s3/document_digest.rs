//! Digests of the documents that requests bring: configurations, lists of keys. The protocol library reads a document
//! without looking at the digest in its headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use md5::Digest as _;
use s3s::{Body, S3Error, S3Result, s3_error};

use super::checksum::{Algorithm, Hasher};
use super::storage;

/// Longest document that is looked at; the library's own limit is the same.
const MAX_DOCUMENT: usize = 20 << 20;

/// What is wrong with a document's digest, on the way to where the signature has been verified.
#[derive(Debug, Clone)]
pub(crate) struct Verdict(Wrong);

#[derive(Debug, Clone)]
enum Wrong {
    /// The `Content-MD5` is no MD5.
    NoDigest,
    Differs(&'static str),
}

/// Whether the body of an operation is a document.
fn brings_document(operation: &str) -> bool {
    let data =
        ["PutObject", "UploadPart", "PostObject", "CopyObject", "UploadPartCopy", "CreateMultipartUpload"];
    !data.contains(&operation)
}

/// Compares a document with the digests in the headers, and leaves a [`Verdict`] when they differ.
pub(crate) async fn examine(parts: &mut Parts, body: &mut Body, operation: &str) {
    if !brings_document(operation) {
        return;
    }
    let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let md5 = text("content-md5");
    // The checksums of a completion are those of the object.
    let of_object = operation == "CompleteMultipartUpload";
    let sums = Algorithm::ALL.into_iter().filter(|_| !of_object);
    let declared: Vec<(Algorithm, String)> = sums.filter_map(|a| Some((a, text(a.header())?))).collect();
    let chunked = text("x-amz-content-sha256").is_some_and(|v| v.starts_with("STREAMING-"));
    if chunked || (md5.is_none() && declared.is_empty()) {
        return;
    }
    // What cannot be read whole is refused by the library.
    let Ok(document) = body.store_all_limited(MAX_DOCUMENT).await else { return };
    if let Some(wrong) = compare(&document, md5.as_deref(), &declared) {
        parts.extensions.insert(Verdict(wrong));
    }
}

fn compare(document: &[u8], md5: Option<&str>, declared: &[(Algorithm, String)]) -> Option<Wrong> {
    if let Some(md5) = md5 {
        match STANDARD.decode(md5) {
            Ok(digest) if digest.len() == 16 => {
                if digest != md5::Md5::digest(document).as_slice() {
                    return Some(Wrong::Differs("Content-MD5"));
                }
            }
            _ => return Some(Wrong::NoDigest),
        }
    }
    let differs = |(algorithm, value): &&(Algorithm, String)| {
        let mut hasher = Hasher::new(*algorithm);
        hasher.update(document);
        hasher.finish() != *value
    };
    declared.iter().find(differs).map(|(algorithm, _)| Wrong::Differs(algorithm.name()))
}

/// Refuses a document that is not what its headers say.
pub(crate) fn check(extensions: &http::Extensions, headers: &http::HeaderMap) -> S3Result<()> {
    storage::check_checksums(headers)?;
    match extensions.get::<Verdict>().map(|verdict| &verdict.0) {
        None => Ok(()),
        Some(Wrong::NoDigest) => Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid.")),
        Some(Wrong::Differs(name)) => Err(differs(name)),
    }
}

fn differs(name: &str) -> S3Error {
    s3_error!(BadDigest, "The {name} you specified did not match what we received.")
}
