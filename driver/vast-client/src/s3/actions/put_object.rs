//! PutObject: one object in one request, with a checksum and perhaps a condition.

use bytes::Bytes;
use http::Method;

use super::{Action, Again, Flaw, Outgoing, crc32c_header, etag, object_path, version};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::lock::{Retention, with_retention};
use crate::s3::time::{ServerTime, server_time};

/// What must hold of a key for a put to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Write whatever is there.
    #[default]
    None,
    /// Only if no object has this key (`If-None-Match: *`).
    Absent,
    /// Only if the object still has this entity tag (`If-Match`).
    Matches(String),
}

/// What a successful put says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutput {
    /// Entity tag of the new object, as the server wrote it.
    pub etag: String,
    /// Version id of the new object, where the bucket keeps versions.
    pub version: Option<String>,
    /// The server's clock when it answered.
    pub server_time: ServerTime,
}

#[derive(Debug)]
pub(crate) struct PutObject<'a> {
    pub(crate) key: &'a str,
    pub(crate) parts: Vec<Bytes>,
    pub(crate) crc32c: u32,
    pub(crate) condition: &'a Condition,
    pub(crate) retention: Option<Retention>,
}

impl Action for PutObject<'_> {
    type Output = PutOutput;

    const OPERATION: Operation = Operation::PutObject;

    fn again(&self) -> Again {
        match self.condition {
            Condition::None => Again::Same,
            Condition::Absent | Condition::Matches(_) => Again::Refused,
        }
    }

    fn label(&self, bucket: &str) -> String {
        format!("PUT {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let request = Outgoing::new(Method::PUT, object_path(bucket, self.key)?)
            .header("content-type", "application/octet-stream")?
            .header("x-amz-checksum-crc32c", &crc32c_header(self.crc32c))?;
        let request = with_retention(request, self.retention)?;
        let mut request = match self.condition {
            Condition::None => request,
            Condition::Absent => request.header("if-none-match", "*")?,
            Condition::Matches(etag) => request.header("if-match", etag)?,
        };
        // Only the handles are copied, never the bytes.
        request.body.clone_from(&self.parts);
        Ok(request)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<PutOutput, Flaw> {
        Ok(PutOutput { etag: etag(&answer)?, version: version(&answer), server_time: server_time(&answer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;
    use crate::s3::lock::RetentionMode;

    fn put(condition: &Condition) -> PutObject<'_> {
        PutObject {
            key: "a b",
            parts: vec![Bytes::from_static(b"hello")],
            crc32c: 1,
            condition,
            retention: None,
        }
    }

    #[test]
    fn conditions_become_headers() {
        let request = put(&Condition::Absent).build("lsu").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/lsu/a%20b"));
        assert_eq!(request.headers["if-none-match"], "*");
        assert_eq!(request.headers["x-amz-checksum-crc32c"], "AAAAAQ==");
        let request = put(&Condition::Matches("\"e1\"".into())).build("lsu").unwrap();
        assert_eq!(request.headers["if-match"], "\"e1\"");
        assert!(put(&Condition::None).build("lsu").unwrap().headers.get("if-match").is_none());
        assert!(put(&Condition::Matches("a\nb".into())).build("lsu").is_err());
    }

    #[test]
    fn a_retention_becomes_headers() {
        let retention = Some(Retention { until: 1_255_369_830, mode: RetentionMode::Compliance });
        let request = PutObject { retention, ..put(&Condition::None) }.build("lsu").unwrap();
        assert_eq!(request.headers["x-amz-object-lock-mode"], "COMPLIANCE");
        assert_eq!(request.headers["x-amz-object-lock-retain-until-date"], "2009-10-12T17:50:30Z");
    }

    #[test]
    fn an_answer_without_etag_is_flawed() {
        let headers = [("etag", "\"e\""), ("x-amz-version-id", "v1")];
        let output = put(&Condition::None).parse(answer(200, &headers, "")).unwrap();
        assert_eq!((output.etag.as_str(), output.version.as_deref()), ("\"e\"", Some("v1")));
        assert!(put(&Condition::None).parse(answer(200, &[], "")).is_err());
    }
}
