//! PutObjectRetention: keeps a version, or keeps it for longer. S3 demands a digest of the document.

use http::Method;
use serde::Serialize;

use super::{Action, Again, Flaw, Outgoing, object_path, version_query, with_document};
use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;
use crate::s3::lock::Retention;
use crate::s3::time::iso8601;

#[derive(Debug)]
pub(crate) struct PutObjectRetention<'a> {
    pub(crate) key: &'a str,
    /// The latest if `None`.
    pub(crate) version: Option<&'a str>,
    pub(crate) retention: Retention,
}

#[derive(Serialize)]
#[serde(rename = "Retention", rename_all = "PascalCase")]
struct Document {
    mode: &'static str,
    retain_until_date: String,
}

impl Action for PutObjectRetention<'_> {
    type Output = ();

    const OPERATION: Operation = Operation::PutObjectRetention;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        let version = self.version.map(|id| format!(" version {id}")).unwrap_or_default();
        format!("PUT retention of {bucket}/{}{version}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let document =
            Document { mode: self.retention.mode.name(), retain_until_date: iso8601(self.retention.until)? };
        let document = quick_xml::se::to_string(&document).map_err(|e| {
            Error::config(self.label(bucket), format!("the retention cannot be written as XML: {e}"), "")
        })?;
        let object = object_path(bucket, self.key)?;
        let target = format!("{object}?retention={}", version_query('&', self.version));
        with_document(Outgoing::new(Method::PUT, target), document)
    }

    fn parse(&self, _answer: Answer) -> std::result::Result<(), Flaw> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;
    use crate::s3::lock::RetentionMode;

    #[test]
    fn the_retention_is_a_document_with_its_digest() {
        let retention = Retention { until: 1_255_369_830, mode: RetentionMode::Governance };
        let put = PutObjectRetention { key: "a b", version: Some("v/1"), retention };
        let request = put.build("lsu").unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("PUT", "/lsu/a%20b?retention=&versionId=v%2F1")
        );
        assert_eq!(
            request.body[0],
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2009-10-12T17:50:30Z</RetainUntilDate></Retention>"
        );
        assert!(request.headers.contains_key("content-md5"));
        assert_eq!(put.parse(answer(200, &[], "")), Ok(()));
        let latest = PutObjectRetention { version: None, ..put }.build("lsu").unwrap();
        assert_eq!(latest.target, "/lsu/a%20b?retention=");
    }
}
