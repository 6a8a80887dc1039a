//! The operation that an HTTP request asks for, found before the protocol library has looked at it: what counters and
//! faults go by, and what is refused.
//!
//! The protocol library knows fewer operations than AWS has, and takes a request that names another one for the nearest
//! that it knows: a `PUT` of an unknown sub-resource would overwrite the object. So a request is only carried out when
//! this module and the library agree on what it is.

mod table;

use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, s3_error};

use self::table::{Operation, STRICT};
use super::refusal::Detailed as _;
use super::signature::Query;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `PutObject`, `UploadPart`, ...; `Other` for what has no name.
    pub(crate) operation: &'static str,
    /// Empty when the request names none.
    pub(crate) bucket: String,
    /// Decoded; empty when the request names none.
    pub(crate) key: String,
    /// Why nobody can carry it out, if so.
    refused: Option<Refused>,
}

/// Why a request names no operation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    /// A parameter without a value selects something, and nobody knows what.
    Unknown(String),
    /// The sub-resource exists, not with this method. Also what it is called, and the methods that it has.
    Method(&'static str, Vec<Method>),
    /// Two sub-resources at once.
    Conflict(Vec<&'static str>),
    /// A parameter that the sub-resource needs is missing.
    Missing(&'static str),
    /// A parameter that cannot go with this operation.
    Unwanted(&'static str),
    /// `list-type` with another value than 2.
    ListType(String),
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
    let (operations, thing) = match (bucket.is_empty(), key.is_empty()) {
        (true, _) => (table::SERVICE, "SERVICE"),
        (_, true) => (table::BUCKET, "BUCKET"),
        (_, false) => (table::OBJECT, "OBJECT"),
    };
    let query = Query::parse(uri.query().unwrap_or_default());
    let (operation, refused) = match select(operations, thing, method, &query) {
        Ok(operation) => {
            let copies = headers.contains_key("x-amz-copy-source");
            let name = match operation.name {
                "PutObject" if copies => "CopyObject",
                "UploadPart" if copies => "UploadPartCopy",
                name => name,
            };
            (name, unwanted(operations, operation, &query))
        }
        Err(refused) => ("Other", Some(refused)),
    };
    Asked { operation, bucket, key, refused }
}

/// Every name that [`classify`] can give; `Other` stands for what has no name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    table::all().map(|o| o.name).chain(["CopyObject", "UploadPartCopy", "Other"])
}

/// The operation that method and parameters select.
fn select(
    operations: &'static [Operation],
    thing: &'static str,
    method: &Method,
    query: &Query,
) -> Result<&'static Operation, Refused> {
    let mut named: Vec<&'static str> = Vec::new();
    for first in operations.iter().filter_map(|o| o.selects.first()) {
        if query.get(first).is_some() && !named.contains(first) {
            named.push(first);
        }
    }
    if named.len() > 1 {
        // The version of a listing says nothing to anything else.
        named.retain(|n| *n != "list-type");
    }
    let resource = match named[..] {
        [] => None,
        [one] => Some(one),
        _ => return Err(Refused::Conflict(named)),
    };
    let of_resource = || operations.iter().filter(|o| o.selects.first().copied() == resource);
    let mut missing = None;
    let mut found: Option<&'static Operation> = None;
    for operation in of_resource().filter(|o| o.method == *method) {
        match operation.selects.iter().find(|name| query.get(name).is_none()) {
            Some(name) => missing = Some(*name),
            // The one that asks for most.
            None if found.is_none_or(|f| f.selects.len() < operation.selects.len()) => {
                found = Some(operation);
            }
            None => {}
        }
    }
    match (found, missing) {
        (Some(operation), _) => Ok(operation),
        (None, Some(name)) => Err(Refused::Missing(name)),
        (None, None) => {
            Err(Refused::Method(resource.unwrap_or(thing), of_resource().map(|o| o.method.clone()).collect()))
        }
    }
}

/// What stands in the way of an operation among the parameters of its request. Those that are there for others, and
/// those that have a value and mean nothing to anybody, are skipped, as AWS does.
fn unwanted(operations: &[Operation], operation: &Operation, query: &Query) -> Option<Refused> {
    let means = |o: &Operation, name: &str| o.selects.contains(&name) || o.takes.contains(&name);
    if operation.name == "ListObjectsV2" && query.get("list-type") != Some("2") {
        return Some(Refused::ListType(query.get("list-type").unwrap_or_default().to_owned()));
    }
    if let Some(name) = STRICT.iter().find(|n| query.get(n).is_some() && !means(operation, n)) {
        return operations.iter().any(|o| means(o, name)).then_some(Refused::Unwanted(name));
    }
    // An empty prefix, say, asks for nothing, wherever it stands.
    let harmless = |name: &str| {
        table::OF_EVERYBODY.contains(&name)
            || name.to_ascii_lowercase().starts_with(table::PREFIX_OF_EVERYBODY)
            || table::all().any(|o| o.takes.contains(&name))
    };
    let mut valueless = query.pairs().iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name);
    valueless
        .find(|name| !harmless(name) && !operations.iter().any(|o| o.selects.contains(&name.as_str())))
        .map(|name| Refused::Unknown(name.clone()))
}

impl Asked {
    /// The refusal of a request that nobody can carry out.
    fn refusal(&self, method: &Method) -> Option<S3Error> {
        let invalid = |message: String, name: &str| {
            s3_error!(InvalidArgument, "{message}").detail("ArgumentName", name)
        };
        Some(match self.refused.as_ref()? {
            Refused::Unknown(name) => not_implemented().detail("Header", name),
            Refused::Method(resource, methods) => {
                let mut error =
                    s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.");
                let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
                let mut headers = HeaderMap::new();
                if let Ok(allowed) = HeaderValue::try_from(allowed.join(", ")) {
                    headers.insert(http::header::ALLOW, allowed);
                }
                error.set_headers(headers);
                error.detail("Method", method).detail("ResourceType", resource.to_ascii_uppercase())
            }
            Refused::Conflict(names) => {
                invalid(format!("Conflicting query string parameters: {}", names.join(", ")), "ResourceType")
                    .detail("ArgumentValue", names.first().unwrap_or(&""))
            }
            Refused::Missing(name) => invalid(format!("This operation requires the parameter {name}"), name),
            Refused::Unwanted("versionId") => {
                invalid("This operation does not accept a version-id.".to_owned(), "versionId")
            }
            Refused::Unwanted(name) => invalid(format!("This operation does not accept {name}."), name),
            Refused::ListType(value) => {
                invalid("Invalid List Type specified in Request".to_owned(), "list-type")
                    .detail("ArgumentValue", value)
            }
        })
    }
}

/// The answer to what this cluster does not have.
pub(crate) fn not_implemented() -> S3Error {
    s3_error!(NotImplemented, "A header you provided implies functionality that is not implemented.")
}

/// Refuses what the library must not be left to guess, once it has verified the signature.
pub(crate) struct Guard;

#[async_trait::async_trait]
impl S3Route for Guard {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, extensions: &mut http::Extensions) -> bool {
        let asked = extensions.get::<Asked>();
        asked.is_none_or(|a| a.refused.is_some() || !super::has_operation(a.operation))
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        // What nobody can do needs no permission.
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let asked = request.extensions.get::<Asked>();
        Err(asked.and_then(|a| a.refusal(&request.method)).unwrap_or_else(not_implemented))
    }
}

/// Refuses a request that the library takes for another operation than this module does.
pub(crate) fn check_agreement(asked: Option<&Asked>, found: &str) -> S3Result<()> {
    if asked.is_some_and(|a| a.operation == found) {
        return Ok(());
    }
    Err(not_implemented())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> Asked {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        classify(&method, &uri.parse().unwrap(), &HeaderMap::new(), None)
    }

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
        assert_eq!(name("GET", "/b?%74agging", None), is("GetBucketTagging", "b", ""));
        assert_eq!(name("DELETE", "/b?policy", None), is("DeleteBucketPolicy", "b", ""));
        assert_eq!(name("POST", "/b/k?select&select-type=2", None), is("SelectObjectContent", "b", "k"));
        assert_eq!(name("GET", "/b?metrics", None).0, "ListBucketMetricsConfigurations");
        assert_eq!(name("GET", "/b?metrics&id=1", None).0, "GetBucketMetricsConfiguration");
        // The host names the bucket.
        assert_eq!(name("GET", "/", Some("b")), is("ListObjects", "b", ""));
        assert_eq!(name("PUT", "/x/y", Some("b")), is("PutObject", "b", "x/y"));
        let mut copy = HeaderMap::new();
        copy.insert("x-amz-copy-source", "b/k".parse().unwrap());
        assert_eq!(classify(&Method::PUT, &"/b/k2".parse().unwrap(), &copy, None).operation, "CopyObject");
    }

    #[test]
    fn refuses_what_would_mean_something_else() {
        let code = |method: &str, uri: &str| {
            let asked = asked(method, uri);
            asked.refusal(&method.parse().unwrap()).map(|e| e.code().as_str().to_owned())
        };
        let refused = |method: &str, uri: &str, expected: &str| {
            assert_eq!(code(method, uri).as_deref(), Some(expected), "{method} {uri}");
        };
        for unknown in ["/b/k?newThing", "/b/k?newThing=", "/b/k?cors", "/b?newThing", "/b?torrent"] {
            refused("PUT", unknown, "NotImplemented");
            refused("GET", unknown, "NotImplemented");
            refused("DELETE", unknown, "NotImplemented");
        }
        refused("PUT", "/b/k?torrent", "MethodNotAllowed");
        refused("HEAD", "/b/k?acl", "MethodNotAllowed");
        refused("PATCH", "/b/k", "MethodNotAllowed");
        refused("POST", "/b/k", "MethodNotAllowed");
        refused("PUT", "/", "MethodNotAllowed");
        refused("PUT", "/b?uploads", "MethodNotAllowed");
        refused("PUT", "/b/k?acl&tagging", "InvalidArgument");
        refused("PUT", "/b/k?uploadId=u", "InvalidArgument");
        refused("PUT", "/b/k?partNumber=1", "InvalidArgument");
        refused("PUT", "/b/k?versionId=null", "InvalidArgument");
        refused("GET", "/b?list-type=3", "InvalidArgument");
        for fine in [
            "/b/k?x-id=GetObject&versionId=null",
            "/b/k?X-Amz-Date=&partNumber=3",
            "/b/k?response-content-type=",
            "/b/k?anything=1&prefix=",
            "/b?prefix=&delimiter=&marker=",
            "/b?versions&list-type=2&prefix=",
            "/b?list-type=2&encoding-type=url&fetch-owner=",
        ] {
            assert_eq!(code("GET", fine), None, "{fine}");
        }
    }
}
