//! CompleteMultipartUpload: makes the object out of the parts.
//!
//! The server may answer 200 and then find that it cannot: an error document in a successful answer is a refusal. When
//! the answer is lost and the request is sent again, `NoSuchUpload` may be the call's own success; the error says so.

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};

use super::put_object::PutOutput;
use super::{Action, Again, Flaw, Outgoing, object_path, query_value, read_document, version};
use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;
use crate::s3::time::server_time;

#[derive(Debug)]
pub(crate) struct CompleteMultipartUpload<'a> {
    pub(crate) key: &'a str,
    pub(crate) upload: &'a str,
    /// Entity tags of the parts 1, 2, ...
    pub(crate) parts: &'a [String],
}

#[derive(Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
struct Complete<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    #[serde(rename = "Part")]
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Part<'a> {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: &'a str,
}

#[derive(Deserialize)]
struct CompleteMultipartUploadResult {
    #[serde(rename = "ETag")]
    etag: String,
}

impl Action for CompleteMultipartUpload<'_> {
    type Output = PutOutput;

    const OPERATION: Operation = Operation::CompleteMultipartUpload;

    const LATE_ERRORS: bool = true;

    fn again(&self) -> Again {
        Again::Refused
    }

    fn label(&self, bucket: &str) -> String {
        format!("completion of the upload to {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let parts = (1..).zip(self.parts).map(|(part_number, etag)| Part { part_number, etag }).collect();
        let complete = Complete { namespace: "http://s3.amazonaws.com/doc/2006-03-01/", parts };
        let document = quick_xml::se::to_string(&complete).map_err(|e| {
            Error::config(self.label(bucket), format!("the parts cannot be written as XML: {e}"), "")
        })?;
        let target = format!("{}?uploadId={}", object_path(bucket, self.key)?, query_value(self.upload));
        let mut request = Outgoing::new(Method::POST, target).header("content-type", "application/xml")?;
        request.body = vec![Bytes::from(document)];
        // Checksum headers would be taken for those of the object.
        request.body_signed = true;
        Ok(request)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<PutOutput, Flaw> {
        let result: CompleteMultipartUploadResult = read_document(&answer, "the result of the completion")?;
        Ok(PutOutput { etag: result.etag, version: version(&answer), server_time: server_time(&answer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn the_parts_are_numbered_from_one() {
        let parts = ["\"e1\"".to_owned(), "\"e2\"".to_owned()];
        let complete = CompleteMultipartUpload { key: "k", upload: "u/1", parts: &parts };
        let request = complete.build("lsu").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/lsu/k?uploadId=u%2F1"));
        assert_eq!(
            request.body[0],
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Part><PartNumber>1</PartNumber><ETag>\"e1\"</ETag></Part>\
            <Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag></Part></CompleteMultipartUpload>"
        );
        assert!(request.body_signed);
    }

    #[test]
    fn etag_and_version_of_the_object_are_read() {
        let complete = CompleteMultipartUpload { key: "k", upload: "u", parts: &[] };
        // Servers send spaces while they work.
        let xml = "  \n<CompleteMultipartUploadResult><Location>http://h/lsu/k</Location><Bucket>lsu</Bucket>\
            <Key>k</Key><ETag>&#34;9b2c-2&#34;</ETag></CompleteMultipartUploadResult>";
        let output = complete.parse(answer(200, &[("x-amz-version-id", "v7")], xml)).unwrap();
        assert_eq!((output.etag.as_str(), output.version.as_deref()), ("\"9b2c-2\"", Some("v7")));
        assert!(complete.parse(answer(200, &[], "  ")).is_err());
    }
}
