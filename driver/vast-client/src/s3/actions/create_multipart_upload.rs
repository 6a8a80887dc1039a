//! CreateMultipartUpload: begins an upload.
//!
//! When the answer is lost and the request is sent again, the first upload stays behind, under an id that nobody was
//! told. It shows in ListMultipartUploads, and whoever begins uploads cleans up there anyway: a process can die before
//! it writes an id down.

use http::Method;
use serde::Deserialize;

use super::{Action, Again, Flaw, Outgoing, object_path, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::lock::{Retention, with_retention};

#[derive(Debug)]
pub(crate) struct CreateMultipartUpload<'a> {
    pub(crate) key: &'a str,
    pub(crate) retention: Option<Retention>,
}

#[derive(Deserialize)]
struct InitiateMultipartUploadResult {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

impl Action for CreateMultipartUpload<'_> {
    type Output = String;

    const OPERATION: Operation = Operation::CreateMultipartUpload;

    fn again(&self) -> Again {
        Again::Leftover
    }

    fn label(&self, bucket: &str) -> String {
        format!("begin of an upload to {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let target = format!("{}?uploads=", object_path(bucket, self.key)?);
        let request =
            Outgoing::new(Method::POST, target).header("content-type", "application/octet-stream")?;
        with_retention(request, self.retention)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<String, Flaw> {
        let result: InitiateMultipartUploadResult = read_document(&answer, "the upload")?;
        if result.upload_id.is_empty() {
            return Err(Flaw("the upload has no id".to_owned()));
        }
        Ok(result.upload_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;
    use crate::s3::lock::RetentionMode;

    #[test]
    fn an_upload_is_begun_with_the_retention_of_its_object() {
        let create = CreateMultipartUpload { key: "a b", retention: None };
        let request = create.build("lsu").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/lsu/a%20b?uploads="));
        assert!(request.headers.get("x-amz-object-lock-mode").is_none());
        let retention = Some(Retention { until: 1_255_369_830, mode: RetentionMode::Compliance });
        let request = CreateMultipartUpload { retention, ..create }.build("lsu").unwrap();
        assert_eq!(request.headers["x-amz-object-lock-mode"], "COMPLIANCE");
        assert_eq!(request.headers["x-amz-object-lock-retain-until-date"], "2009-10-12T17:50:30Z");
    }

    #[test]
    fn the_id_is_read() {
        let create = CreateMultipartUpload { key: "k", retention: None };
        let xml = "<InitiateMultipartUploadResult><Bucket>lsu</Bucket><Key>k</Key><UploadId>VXBs&amp;</UploadId>\
            </InitiateMultipartUploadResult>";
        assert_eq!(create.parse(answer(200, &[], xml)), Ok("VXBs&".to_owned()));
        for xml in ["", "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>", "<a/>"]
        {
            assert!(create.parse(answer(200, &[], xml)).is_err(), "{xml}");
        }
    }
}
