//! The name of the operation that an HTTP request asks for, before the protocol library has looked at it: what
//! counters and faults go by.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `PutObject`, `UploadPart`, ...; `Other` for what has no name here.
    pub(crate) operation: &'static str,
    /// Empty when the request names none.
    pub(crate) bucket: String,
    /// Decoded; empty when the request names none.
    pub(crate) key: String,
}

/// Names a path-style request.
pub(crate) fn classify(method: &Method, uri: &Uri, headers: &HeaderMap) -> Asked {
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    let (bucket, key) = (decode(bucket), decode(key));
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|p| p.split('=').next() == Some(name));
    let copies = headers.contains_key("x-amz-copy-source");
    let operation = if bucket.is_empty() {
        if method == Method::GET { "ListBuckets" } else { "Other" }
    } else if key.is_empty() {
        on_bucket(method, &has)
    } else {
        on_object(method, &has, copies)
    };
    Asked { operation, bucket, key }
}

/// Query parameters that turn a bucket or object request into one that has no name here.
const SUBRESOURCES: &[&str] = &[
    "acl",
    "tagging",
    "policy",
    "lifecycle",
    "versioning",
    "versions",
    "cors",
    "notification",
    "logging",
    "ownershipControls",
    "object-lock",
    "retention",
    "legal-hold",
    "encryption",
    "replication",
    "website",
    "attributes",
    "torrent",
    "restore",
    "select",
    "policyStatus",
    "publicAccessBlock",
    "accelerate",
    "requestPayment",
];

fn on_bucket(method: &Method, has: &dyn Fn(&str) -> bool) -> &'static str {
    if SUBRESOURCES.iter().any(|s| has(s)) {
        return "Other";
    }
    match method.as_str() {
        "GET" if has("location") => "GetBucketLocation",
        "GET" if has("uploads") => "ListMultipartUploads",
        "GET" if has("list-type") => "ListObjectsV2",
        "GET" => "ListObjects",
        "PUT" => "CreateBucket",
        "DELETE" => "DeleteBucket",
        "HEAD" => "HeadBucket",
        "POST" if has("delete") => "DeleteObjects",
        _ => "Other",
    }
}

fn on_object(method: &Method, has: &dyn Fn(&str) -> bool, copies: bool) -> &'static str {
    if SUBRESOURCES.iter().any(|s| has(s)) {
        return "Other";
    }
    match method.as_str() {
        "PUT" if has("uploadId") && copies => "UploadPartCopy",
        "PUT" if has("uploadId") => "UploadPart",
        "PUT" if copies => "CopyObject",
        "PUT" => "PutObject",
        "GET" if has("uploadId") => "ListParts",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_requests() {
        let name = |method: &str, uri: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let asked = classify(&method, &uri.parse().unwrap(), &HeaderMap::new());
            (asked.operation, asked.bucket, asked.key)
        };
        let is = |op, bucket: &str, key: &str| (op, bucket.to_owned(), key.to_owned());
        assert_eq!(name("GET", "/"), is("ListBuckets", "", ""));
        assert_eq!(name("GET", "/b?list-type=2&prefix=x"), is("ListObjectsV2", "b", ""));
        assert_eq!(name("GET", "/b/?prefix=x"), is("ListObjects", "b", ""));
        assert_eq!(name("PUT", "/b/a%20b/c?partNumber=1&uploadId=u"), is("UploadPart", "b", "a b/c"));
        assert_eq!(name("POST", "/b/k?uploads"), is("CreateMultipartUpload", "b", "k"));
        assert_eq!(name("POST", "/b?delete"), is("DeleteObjects", "b", ""));
        assert_eq!(name("GET", "/b/k?tagging"), is("Other", "b", "k"));
        let mut copy = HeaderMap::new();
        copy.insert("x-amz-copy-source", "b/k".parse().unwrap());
        assert_eq!(classify(&Method::PUT, &"/b/k2".parse().unwrap(), &copy).operation, "CopyObject");
    }
}
