//! DeleteObjects: up to 1,000 objects or versions of them in one request; missing ones are success.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Action, Again, Flaw, Outgoing, bucket_path, read_document, with_document};
use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;

/// S3 takes this many keys in one request.
pub(crate) const KEYS_MAX: usize = 1000;

/// What to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doomed<'a> {
    pub(crate) key: &'a str,
    /// This version or delete marker for good; if `None`, the object, which a bucket with versions only hides.
    pub(crate) version: Option<&'a str>,
}

/// What the server did not delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undeleted {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Whether XML can carry the key unchanged; others are deleted one by one.
pub(crate) fn fits_xml(key: &str) -> bool {
    key.chars().all(|c| c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}')
}

#[derive(Debug)]
pub(crate) struct DeleteObjects<'a> {
    /// At most [`KEYS_MAX`], each with a key that [`fits_xml`].
    pub(crate) doomed: &'a [Doomed<'a>],
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
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
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
    version_id: Option<String>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Action for DeleteObjects<'_> {
    type Output = Vec<Undeleted>;

    const OPERATION: Operation = Operation::DeleteObjects;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("DELETE of {} objects in {bucket}", self.doomed.len())
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let object = self.doomed.iter().map(|&Doomed { key, version }| Object { key, version_id: version });
        let delete = Delete { quiet: true, object: object.collect() };
        let body = quick_xml::se::to_string(&delete).map_err(|e| {
            Error::config(self.label(bucket), format!("the keys cannot be written as XML: {e}"), "")
        })?;
        with_document(Outgoing::new(Method::POST, format!("{}?delete=", bucket_path(bucket))), body)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Vec<Undeleted>, Flaw> {
        let result: DeleteResult = read_document(&answer, "the result")?;
        let gone = ["NoSuchKey", "NoSuchVersion"];
        let failed = result.errors.into_iter().filter(|error| !gone.contains(&error.code.as_str()));
        let undeleted = failed.map(|e| Undeleted {
            key: e.key,
            version: e.version_id.filter(|id| !id.is_empty()),
            code: e.code,
            message: e.message,
        });
        Ok(undeleted.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn keys_are_escaped_and_the_body_carries_its_checksum() {
        let doomed = [Doomed { key: "a&b", version: None }, Doomed { key: "c<d>", version: Some("v<1") }];
        let request = DeleteObjects { doomed: &doomed }.build("lsu").unwrap();
        assert_eq!(request.target, "/lsu?delete=");
        let body = std::str::from_utf8(&request.body[0]).unwrap();
        assert_eq!(
            body,
            "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>c&lt;d&gt;</Key>\
             <VersionId>v&lt;1</VersionId></Object></Delete>"
        );
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, body.as_bytes());
        let crc = crate::s3::actions::crc32c_header(u32::try_from(crc).unwrap());
        assert_eq!(request.headers["x-amz-checksum-crc32c"], crc);
        assert!(request.headers.contains_key("content-md5"));
    }

    #[test]
    fn only_real_failures_are_reported() {
        let xml = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
            <Error><Key>b</Key><Code>NoSuchKey</Code><Message>gone</Message></Error>\
            <Deleted><Key>d</Key></Deleted><Error><Key>c</Key><VersionId>v1</VersionId><Code>AccessDenied</Code>\
            <Message>no</Message></Error><Error><Key>e</Key><Code>NoSuchVersion</Code></Error></DeleteResult>";
        let left = DeleteObjects { doomed: &[] }.parse(answer(200, &[], xml)).unwrap();
        let expected = Undeleted {
            key: "c".into(),
            version: Some("v1".into()),
            code: "AccessDenied".into(),
            message: "no".into(),
        };
        assert_eq!(left, [expected]);
        assert_eq!(DeleteObjects { doomed: &[] }.parse(answer(200, &[], "<DeleteResult/>")), Ok(vec![]));
        assert!(DeleteObjects { doomed: &[] }.parse(answer(200, &[], "<Del")).is_err());
    }

    #[test]
    fn control_characters_do_not_fit_xml() {
        assert!(fits_xml("plain/ünï&<>") && !fits_xml("a\rb") && !fits_xml("a\u{1}"));
    }
}
