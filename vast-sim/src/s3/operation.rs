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

/// Names a request. `bucket_of_host` is the bucket that its host names, for requests in virtual-host style.
pub(crate) fn classify(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    bucket_of_host: Option<&str>,
) -> Asked {
    let path = uri.path().strip_prefix('/').unwrap_or(uri.path());
    let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    let (bucket, key) = if let Some(bucket) = bucket_of_host {
        (bucket.to_owned(), decode(path))
    } else {
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (decode(bucket), decode(key))
    };
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

/// The operations on a bucket that a query parameter selects: parameter, then GET, PUT, DELETE. Empty where there is
/// none.
const BUCKET: &[(&str, [&str; 3])] = &[
    ("accelerate", ["GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", ""]),
    ("acl", ["GetBucketAcl", "PutBucketAcl", ""]),
    ("cors", ["GetBucketCors", "PutBucketCors", "DeleteBucketCors"]),
    ("encryption", ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"]),
    (
        "lifecycle",
        ["GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"],
    ),
    ("location", ["GetBucketLocation", "", ""]),
    ("logging", ["GetBucketLogging", "PutBucketLogging", ""]),
    ("notification", ["GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", ""]),
    ("object-lock", ["GetObjectLockConfiguration", "PutObjectLockConfiguration", ""]),
    (
        "ownershipControls",
        ["GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"],
    ),
    ("policy", ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"]),
    ("policyStatus", ["GetBucketPolicyStatus", "", ""]),
    ("publicAccessBlock", ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"]),
    ("replication", ["GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication"]),
    ("requestPayment", ["GetBucketRequestPayment", "PutBucketRequestPayment", ""]),
    ("tagging", ["GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"]),
    ("uploads", ["ListMultipartUploads", "", ""]),
    ("versioning", ["GetBucketVersioning", "PutBucketVersioning", ""]),
    ("versions", ["ListObjectVersions", "", ""]),
    ("website", ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"]),
];

/// The same for objects.
const OBJECT: &[(&str, [&str; 3])] = &[
    ("acl", ["GetObjectAcl", "PutObjectAcl", ""]),
    ("attributes", ["GetObjectAttributes", "", ""]),
    ("legal-hold", ["GetObjectLegalHold", "PutObjectLegalHold", ""]),
    ("retention", ["GetObjectRetention", "PutObjectRetention", ""]),
    ("tagging", ["GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"]),
    ("torrent", ["GetObjectTorrent", "", ""]),
];

/// Names that no query parameter selects, or not one alone; `Other` stands for what has no name.
const PLAIN: &[&str] = &[
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjects",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "Other",
    "PostObject",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
];

/// Every name that [`classify`] can give.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let selected = BUCKET.iter().chain(OBJECT).flat_map(|(_, names)| names.iter().copied());
    selected.filter(|name| !name.is_empty()).chain(PLAIN.iter().copied())
}

/// Operations with names of their own that this cluster does not have; they are counted together.
const UNNAMED: &[&str] =
    &["analytics", "intelligent-tiering", "inventory", "metrics", "select", "restore", "session"];

fn selected(
    table: &[(&str, [&'static str; 3])],
    method: &Method,
    has: &dyn Fn(&str) -> bool,
) -> Option<&'static str> {
    if UNNAMED.iter().any(|name| has(name)) {
        return Some("Other");
    }
    let (_, names) = table.iter().find(|(parameter, _)| has(parameter))?;
    let name = match *method {
        Method::GET => names[0],
        Method::PUT => names[1],
        Method::DELETE => names[2],
        _ => "",
    };
    Some(if name.is_empty() { "Other" } else { name })
}

fn on_bucket(method: &Method, has: &dyn Fn(&str) -> bool) -> &'static str {
    if let Some(name) = selected(BUCKET, method, has) {
        return name;
    }
    match method.as_str() {
        "GET" if has("list-type") => "ListObjectsV2",
        "GET" => "ListObjects",
        "PUT" => "CreateBucket",
        "DELETE" => "DeleteBucket",
        "HEAD" => "HeadBucket",
        "POST" if has("delete") => "DeleteObjects",
        "POST" => "PostObject",
        _ => "Other",
    }
}

fn on_object(method: &Method, has: &dyn Fn(&str) -> bool, copies: bool) -> &'static str {
    if let Some(name) = selected(OBJECT, method, has) {
        return name;
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
        let name = |method: &str, uri: &str, host: Option<&str>| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let asked = classify(&method, &uri.parse().unwrap(), &HeaderMap::new(), host);
            assert!(names().any(|n| n == asked.operation), "{}", asked.operation);
            (asked.operation, asked.bucket, asked.key)
        };
        let is = |op, bucket: &str, key: &str| (op, bucket.to_owned(), key.to_owned());
        assert_eq!(name("GET", "/", None), is("ListBuckets", "", ""));
        assert_eq!(name("GET", "/b?list-type=2&prefix=x", None), is("ListObjectsV2", "b", ""));
        assert_eq!(name("GET", "/b/?prefix=x", None), is("ListObjects", "b", ""));
        assert_eq!(name("PUT", "/b/a%20b/c?partNumber=1&uploadId=u", None), is("UploadPart", "b", "a b/c"));
        assert_eq!(name("POST", "/b/k?uploads", None), is("CreateMultipartUpload", "b", "k"));
        assert_eq!(name("POST", "/b?delete", None), is("DeleteObjects", "b", ""));
        assert_eq!(name("GET", "/b/k?tagging", None), is("GetObjectTagging", "b", "k"));
        assert_eq!(name("GET", "/b?tagging", None), is("GetBucketTagging", "b", ""));
        assert_eq!(name("DELETE", "/b?policy", None), is("DeleteBucketPolicy", "b", ""));
        assert_eq!(name("POST", "/b/k?select&select-type=2", None), is("Other", "b", "k"));
        // The host names the bucket.
        assert_eq!(name("GET", "/", Some("b")), is("ListObjects", "b", ""));
        assert_eq!(name("PUT", "/x/y", Some("b")), is("PutObject", "b", "x/y"));
        let mut copy = HeaderMap::new();
        copy.insert("x-amz-copy-source", "b/k".parse().unwrap());
        assert_eq!(classify(&Method::PUT, &"/b/k2".parse().unwrap(), &copy, None).operation, "CopyObject");
    }
}
