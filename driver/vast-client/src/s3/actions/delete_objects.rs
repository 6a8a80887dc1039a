//! DeleteObjects: up to 1,000 objects in one request; missing ones are success.

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};

use super::{Action, Flaw, Outgoing, bucket_path, crc32c_header};
use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;

/// S3 takes this many keys in one request.
pub(crate) const KEYS_MAX: usize = 1000;

/// A key that the server did not delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undeleted {
    pub(crate) key: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Whether XML can carry the key unchanged; others are deleted one by one.
pub(crate) fn fits_xml(key: &str) -> bool {
    key.chars().all(|c| c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}')
}

#[derive(Debug)]
pub(crate) struct DeleteObjects<'a> {
    /// At most [`KEYS_MAX`], each of which [`fits_xml`].
    pub(crate) keys: &'a [&'a str],
}

#[derive(Serialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
struct Delete<'a> {
    quiet: bool,
    object: Vec<Object<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Object<'a> {
    key: &'a str,
}

#[derive(Deserialize)]
struct DeleteResult {
    #[serde(rename = "Error", default)]
    errors: Vec<DeleteError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteError {
    #[serde(default)]
    key: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Action for DeleteObjects<'_> {
    type Output = Vec<Undeleted>;

    const OPERATION: Operation = Operation::DeleteObjects;

    fn label(&self, bucket: &str) -> String {
        format!("DELETE of {} objects in {bucket}", self.keys.len())
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let delete = Delete { quiet: true, object: self.keys.iter().map(|key| Object { key }).collect() };
        let body = quick_xml::se::to_string(&delete).map_err(|e| {
            Error::config(self.label(bucket), format!("the keys cannot be written as XML: {e}"), "")
        })?;
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, body.as_bytes());
        let crc = u32::try_from(crc).unwrap_or_default();
        let mut request = Outgoing::new(Method::POST, format!("{}?delete=", bucket_path(bucket)))
            .header("content-type", "application/xml")?
            .header("x-amz-checksum-crc32c", &crc32c_header(crc))?
            .header("x-amz-sdk-checksum-algorithm", "CRC32C")?;
        request.body = vec![Bytes::from(body)];
        Ok(request)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Vec<Undeleted>, Flaw> {
        let text =
            std::str::from_utf8(&answer.body).map_err(|e| Flaw(format!("the result is not UTF-8: {e}")))?;
        let result: DeleteResult =
            quick_xml::de::from_str(text).map_err(|e| Flaw(format!("the result cannot be read: {e}")))?;
        let failed = result.errors.into_iter().filter(|error| error.code != "NoSuchKey");
        Ok(failed.map(|e| Undeleted { key: e.key, code: e.code, message: e.message }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn keys_are_escaped_and_the_body_carries_its_checksum() {
        let request = DeleteObjects { keys: &["a&b", "c<d>"] }.build("lsu").unwrap();
        assert_eq!(request.target, "/lsu?delete=");
        let body = std::str::from_utf8(&request.body[0]).unwrap();
        assert_eq!(
            body,
            "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>c&lt;d&gt;</Key></Object></Delete>"
        );
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, body.as_bytes());
        assert_eq!(request.headers["x-amz-checksum-crc32c"], crc32c_header(u32::try_from(crc).unwrap()));
    }

    #[test]
    fn only_real_failures_are_reported() {
        let xml = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
            <Error><Key>b</Key><Code>NoSuchKey</Code><Message>gone</Message></Error>\
            <Deleted><Key>d</Key></Deleted><Error><Key>c</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
        let left = DeleteObjects { keys: &[] }.parse(answer(200, &[], xml)).unwrap();
        assert_eq!(left, [Undeleted { key: "c".into(), code: "AccessDenied".into(), message: "no".into() }]);
        assert_eq!(DeleteObjects { keys: &[] }.parse(answer(200, &[], "<DeleteResult/>")), Ok(vec![]));
        assert!(DeleteObjects { keys: &[] }.parse(answer(200, &[], "<Del")).is_err());
    }

    #[test]
    fn control_characters_do_not_fit_xml() {
        assert!(fits_xml("plain/ünï&<>") && !fits_xml("a\rb") && !fits_xml("a\u{1}"));
    }
}
