//! One S3 operation per file: how its request is built and its answer read. No I/O here.

pub(crate) mod delete_object;
pub(crate) mod delete_objects;
pub(crate) mod get_object;
pub(crate) mod head_bucket;
pub(crate) mod head_object;
pub(crate) mod list_objects_v2;
pub(crate) mod put_object;

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
}

impl Outgoing {
    pub(crate) fn new(method: Method, target: String) -> Self {
        Self { method, target, headers: HeaderMap::new(), body: Vec::new() }
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

/// An S3 operation.
pub(crate) trait Action: Sync {
    type Output: Send;

    const OPERATION: Operation;

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

/// The path-style target of an object.
pub(crate) fn object_path(bucket: &str, key: &str) -> Result<String> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::config(
            format!("object key of {} bytes", key.len()),
            format!("a key has 1 to {KEY_BYTES_MAX} bytes"),
            "",
        ));
    }
    Ok(format!("/{}/{}", percent_encode(bucket.as_bytes(), QUERY), percent_encode(key.as_bytes(), PATH)))
}

/// The path-style target of a bucket.
pub(crate) fn bucket_path(bucket: &str) -> String {
    format!("/{}", percent_encode(bucket.as_bytes(), QUERY))
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
    fn the_checksum_header_of_the_standard_check_value() {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, b"123456789");
        assert_eq!(crc, 0xe306_9283);
        assert_eq!(crc32c_header(0xe306_9283), "4waSgw==");
    }
}
