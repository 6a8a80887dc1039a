//! The elements that AWS adds to errors of a code, as far as they follow from the request.

use http::header;

use super::About;
use crate::s3::signature::{Query, explain};

/// Names and values, in order.
pub(super) fn of(code: &str, about: &About) -> Vec<(&'static str, String)> {
    let asked = &about.asked;
    let query = Query::parse(about.uri.query().unwrap_or_default());
    let of_query = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let key = || ("Key", asked.key.clone());
    match code {
        "NoSuchKey" => vec![key()],
        "NoSuchVersion" => vec![key(), ("VersionId", of_query("versionId"))],
        "NoSuchUpload" => vec![("UploadId", of_query("uploadId"))],
        "NoSuchBucket"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "BucketNotEmpty"
        | "InvalidBucketName"
        | "NoSuchBucketPolicy"
        | "NoSuchCORSConfiguration"
        | "NoSuchLifecycleConfiguration"
        | "NoSuchPublicAccessBlockConfiguration"
        | "NoSuchTagSet"
        | "ObjectLockConfigurationNotFoundError"
        | "OwnershipControlsNotFoundError"
        | "ServerSideEncryptionConfigurationNotFoundError" => vec![("BucketName", asked.bucket.clone())],
        "InvalidRange" => {
            let range = about.headers.get(header::RANGE).and_then(|v| v.to_str().ok());
            vec![("RangeRequested", range.unwrap_or_default().to_owned())]
        }
        "InvalidPartNumber" => vec![("PartNumberRequested", of_query("partNumber"))],
        "MethodNotAllowed" => {
            vec![("Method", about.method.to_string()), ("ResourceType", "OBJECT".to_owned())]
        }
        "InvalidAccessKeyId" => {
            explain(about).map(|found| ("AWSAccessKeyId", found.access_key)).into_iter().collect()
        }
        "SignatureDoesNotMatch" => signature(about),
        _ => Vec::new(),
    }
}

/// What the cluster signed in its turn, so that a client's author can see where the two differ.
fn signature(about: &About) -> Vec<(&'static str, String)> {
    let Some(found) = explain(about) else { return Vec::new() };
    let bytes = |text: &str| {
        let all: Vec<String> = text.bytes().map(|b| format!("{b:02x}")).collect();
        all.join(" ")
    };
    let mut all = vec![("AWSAccessKeyId", found.access_key)];
    if let Some(text) = &found.string_to_sign {
        all.push(("StringToSign", text.clone()));
    }
    all.push(("SignatureProvided", found.signature));
    if let Some(text) = found.string_to_sign {
        all.push(("StringToSignBytes", bytes(&text)));
    }
    if let Some(text) = found.canonical_request {
        all.push(("CanonicalRequestBytes", bytes(&text)));
        all.push(("CanonicalRequest", text));
    }
    all
}
