//! GetObjectRetention: until when object lock keeps a version. That it has no retention is for the caller to tell from
//! the server's refusal.

use http::Method;
use serde::Deserialize;

use super::{Action, Again, Flaw, Outgoing, object_path, read_document, version_query};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::lock::{Retention, RetentionMode};
use crate::s3::time::timestamp;

#[derive(Debug)]
pub(crate) struct GetObjectRetention<'a> {
    pub(crate) key: &'a str,
    /// The latest if `None`.
    pub(crate) version: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    mode: Option<String>,
    retain_until_date: Option<String>,
}

impl Action for GetObjectRetention<'_> {
    type Output = Option<Retention>;

    const OPERATION: Operation = Operation::GetObjectRetention;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        let version = self.version.map(|id| format!(" version {id}")).unwrap_or_default();
        format!("GET retention of {bucket}/{}{version}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let object = object_path(bucket, self.key)?;
        Ok(Outgoing::new(Method::GET, format!("{object}?retention={}", version_query('&', self.version))))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Option<Retention>, Flaw> {
        let document: Document = read_document(&answer, "the retention")?;
        let Some(until) = document.retain_until_date else { return Ok(None) };
        let until = timestamp(&until).ok_or_else(|| Flaw(format!("{until:?} is no date")))?;
        let mode = document.mode.as_deref().and_then(RetentionMode::from_name);
        let mode = mode.ok_or_else(|| Flaw(format!("the mode {:?} is not known", document.mode)))?;
        Ok(Some(Retention { until, mode }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn the_retention_is_read() {
        let get = GetObjectRetention { key: "k", version: Some("v1") };
        let request = get.build("lsu").unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("GET", "/lsu/k?retention=&versionId=v1")
        );
        let of = |inner: &str| get.parse(answer(200, &[], &format!("<Retention>{inner}</Retention>")));
        assert_eq!(
            of("<Mode>COMPLIANCE</Mode><RetainUntilDate>2009-10-12T17:50:30.000Z</RetainUntilDate>"),
            Ok(Some(Retention { until: 1_255_369_830, mode: RetentionMode::Compliance }))
        );
        assert_eq!(of(""), Ok(None));
        assert!(of("<Mode>COMPLIANCE</Mode><RetainUntilDate>soon</RetainUntilDate>").is_err());
        assert!(of("<Mode>?</Mode><RetainUntilDate>2009-10-12T17:50:30Z</RetainUntilDate>").is_err());
    }
}
