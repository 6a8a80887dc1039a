//! One S3 operation per file: how its request is built and its answer read; `page` has what listings share. No I/O here.

pub(crate) mod abort_multipart_upload;
pub(crate) mod complete_multipart_upload;
pub(crate) mod copy_object;
pub(crate) mod create_multipart_upload;
pub(crate) mod delete_object;
pub(crate) mod delete_objects;
pub(crate) mod get_bucket_versioning;
pub(crate) mod get_object;
pub(crate) mod get_object_lock_configuration;
pub(crate) mod get_object_retention;
pub(crate) mod head_bucket;
pub(crate) mod head_object;
pub(crate) mod list_multipart_uploads;
pub(crate) mod list_object_versions;
pub(crate) mod list_objects_v2;
pub(crate) mod page;
pub(crate) mod put_object;
pub(crate) mod put_object_retention;
pub(crate) mod upload_part;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;

/// What stays as it is in a query value, by the signature's rules.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// In a key, slashes stay too.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// S3 allows keys of 1,024 bytes.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// A request before it is signed and sent somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query, encoded.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<Bytes>,
    /// The signature covers the body by its SHA-256, which the server then verifies. Costs a pass over the bytes.
    pub(crate) body_signed: bool,
}

impl Outgoing {
    pub(crate) fn new(method: Method, target: String) -> Self {
        Self { method, target, headers: HeaderMap::new(), body: Vec::new(), body_signed: false }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::config(format!("header {name}"), "the value has characters that HTTP does not allow", "")
        })?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }
}

/// An answer that claims success and is not one; tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw(pub(crate) String);

/// What carrying an operation out once more does, when the first time happened and its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same answer, and things are as they were after the first time. In a bucket with versions there may be one
    /// more version of the same content, or one more delete marker, which goes the way of the others.
    Same,
    /// Perhaps a refusal, which then means the call's own success.
    Refused,
    /// Something further is left behind, which nobody asked for.
    Leftover,
}

/// An S3 operation.
pub(crate) trait Action: Sync {
    type Output: Send;

    const OPERATION: Operation;

    /// Whether the server may answer 200 before it knows the outcome, and then send an error document.
    const LATE_ERRORS: bool = false;

    /// What a retry after a lost answer does.
    fn again(&self) -> Again;

    /// The request's method and target in messages: `PUT bucket/key`.
    fn label(&self, bucket: &str) -> String;

    /// The request.
    fn build(&self, bucket: &str) -> Result<Outgoing>;

    /// Reads a 2xx answer.
    fn parse(&self, answer: Answer) -> std::result::Result<Self::Output, Flaw>;

    /// Bytes of body that a proper answer may have, when the action knows better than the general limit.
    fn body_max(&self) -> Option<u64> {
        None
    }
}

/// Refuses keys that no object can have.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let what = format!("object key of {} bytes", key.len());
        return Err(Error::config(what, format!("a key has 1 to {KEY_BYTES_MAX} bytes"), ""));
    }
    Ok(())
}

/// The path-style target of an object.
pub(crate) fn object_path(bucket: &str, key: &str) -> Result<String> {
    check_key(key)?;
    Ok(format!("/{}/{}", percent_encode(bucket.as_bytes(), QUERY), percent_encode(key.as_bytes(), PATH)))
}

/// The path-style target of a bucket.
pub(crate) fn bucket_path(bucket: &str) -> String {
    format!("/{}", percent_encode(bucket.as_bytes(), QUERY))
}

/// `?versionId=...` or `&versionId=...`, for the version that a request is about; nothing for the latest.
pub(crate) fn version_query(before: char, version: Option<&str>) -> String {
    version.map_or_else(String::new, |id| format!("{before}versionId={}", query_value(id)))
}

pub(crate) fn query_value(text: &str) -> String {
    percent_encode(text.as_bytes(), QUERY).to_string()
}

/// The entity tag as the server wrote it.
pub(crate) fn etag(answer: &Answer) -> std::result::Result<String, Flaw> {
    answer.header("etag").map(str::to_owned).ok_or_else(|| Flaw("the answer has no ETag".to_owned()))
}

/// The version id that an answer names. `null` is S3's name for the only version of an object that has none.
pub(crate) fn version(answer: &Answer) -> Option<String> {
    answer.header("x-amz-version-id").filter(|id| !id.is_empty()).map(str::to_owned)
}

/// CRC-32C in the form of the `x-amz-checksum-crc32c` header: base64 of the big-endian value.
pub(crate) fn crc32c_header(crc: u32) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
}

/// Makes a document the body of a request. S3 demands a digest of some documents: VAST documents `Content-MD5`,
/// AWS takes that as well as its newer checksums, and whoever knows both verifies both.
pub(crate) fn with_document(request: Outgoing, document: String) -> Result<Outgoing> {
    use base64::Engine as _;
    use md5::Digest as _;
    let md5 = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(document.as_bytes()));
    let crc = crc_fast::crc32_iscsi(document.as_bytes());
    let mut request = request
        .header("content-type", "application/xml")?
        .header("content-md5", &md5)?
        .header("x-amz-checksum-crc32c", &crc32c_header(crc))?
        .header("x-amz-sdk-checksum-algorithm", "CRC32C")?;
    request.body = vec![Bytes::from(document)];
    Ok(request)
}

/// Reads an answer's document; `what` names it in messages.
pub(crate) fn read_document<'a, T: serde::Deserialize<'a>>(
    answer: &'a Answer,
    what: &str,
) -> std::result::Result<T, Flaw> {
    let text = std::str::from_utf8(&answer.body).map_err(|e| Flaw(format!("{what} is not UTF-8: {e}")))?;
    quick_xml::de::from_str(text).map_err(|e| Flaw(format!("{what} cannot be read: {e}")))
}

/// A name in a listing whose server was asked for `encoding-type=url`, if it says that it did so.
pub(crate) fn decoded(text: String, encoding: Option<&str>) -> std::result::Result<String, Flaw> {
    if encoding != Some("url") {
        return Ok(text);
    }
    // Spaces come as `%20` or, as in forms, as `+`; a plus sign is always encoded.
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|e| Flaw(format!("the name {text:?} is not UTF-8: {e}")))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use http::StatusCode;

    pub(crate) fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_byte_by_byte() {
        assert_eq!(object_path("b", "a/b c%2F+é~").unwrap(), "/b/a/b%20c%252F%2B%C3%A9~");
        assert!(object_path("b", "").is_err());
        assert!(object_path("b", &"k".repeat(1025)).is_err());
        assert_eq!(query_value("a/b c"), "a%2Fb%20c");
    }

    #[test]
    fn encoded_names_are_decoded_only_if_the_server_says_so() {
        let name = |encoding| decoded("a%2Fb%20c+d%2B%01".to_owned(), encoding).unwrap();
        assert_eq!(name(Some("url")), "a/b c d+\u{1}");
        assert_eq!(name(None), "a%2Fb%20c+d%2B%01");
        assert!(decoded("%ff".to_owned(), Some("url")).is_err());
    }

    #[test]
    fn a_document_carries_both_digests() {
        let request = Outgoing::new(Method::PUT, "/b".into());
        let request = with_document(request, "123456789".to_owned()).unwrap();
        assert_eq!(request.headers["content-md5"], "JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(request.headers["x-amz-checksum-crc32c"], "4waSgw==");
        assert_eq!(request.body, [Bytes::from_static(b"123456789")]);
    }

    #[test]
    fn the_checksum_header_of_the_standard_check_value() {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, b"123456789");
        assert_eq!(crc, 0xe306_9283);
        assert_eq!(crc32c_header(0xe306_9283), "4waSgw==");
    }
}
