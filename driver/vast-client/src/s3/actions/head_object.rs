//! HeadObject: what is known of an object, without its bytes.

use http::Method;

use super::{Action, Again, Flaw, Outgoing, object_path, version_query};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::info::ObjectInfo;

#[derive(Debug)]
pub(crate) struct HeadObject<'a> {
    pub(crate) key: &'a str,
    /// The latest if `None`.
    pub(crate) version: Option<&'a str>,
}

impl Action for HeadObject<'_> {
    type Output = ObjectInfo;

    const OPERATION: Operation = Operation::HeadObject;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("HEAD {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(
            Method::HEAD,
            format!("{}{}", object_path(bucket, self.key)?, version_query('?', self.version)),
        ))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<ObjectInfo, Flaw> {
        let size = answer
            .header("content-length")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Flaw("the answer does not say how large the object is".to_owned()))?;
        ObjectInfo::read(&answer, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;
    use crate::s3::lock::{Retention, RetentionMode};

    #[test]
    fn size_and_time_come_from_the_headers() {
        let head = HeadObject { key: "k", version: None };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let headers = [("etag", "\"e\""), ("content-length", "12"), ("last-modified", date), ("date", date)];
        let got = head.parse(answer(200, &headers, "")).unwrap();
        let then = Some(1_445_412_480);
        assert_eq!((got.size, got.modified, got.server_time), (12, then, then));
        assert_eq!((got.version, got.retention), (None, None));
        assert!(head.parse(answer(200, &[("etag", "e")], "")).is_err());
        assert_eq!(head.build("b").unwrap().method, Method::HEAD);
    }

    #[test]
    fn version_and_retention_come_from_the_headers() {
        let headers = [
            ("etag", "\"e\""),
            ("content-length", "12"),
            ("x-amz-version-id", "3HL4kqtJ"),
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", "2009-10-12T17:50:30Z"),
        ];
        let head = HeadObject { key: "k", version: Some("3HL4kqtJ") };
        assert_eq!(head.build("b").unwrap().target, "/b/k?versionId=3HL4kqtJ");
        let got = head.parse(answer(200, &headers, "")).unwrap();
        assert_eq!(got.version.as_deref(), Some("3HL4kqtJ"));
        let kept = Retention { until: 1_255_369_830, mode: RetentionMode::Compliance };
        assert_eq!((got.retention, got.modified), (Some(kept), None));
    }
}
