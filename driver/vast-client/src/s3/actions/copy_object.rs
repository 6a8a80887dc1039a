//! CopyObject: an object of the same cluster becomes another one; no data comes through here.

use http::Method;
use percent_encoding::percent_encode;
use serde::Deserialize;

use super::put_object::PutOutput;
use super::{
    Action, Again, Flaw, Outgoing, PATH, QUERY, check_key, object_path, read_document, version, version_query,
};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::time::server_time;

/// An object to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopySource<'a> {
    /// The bucket that it is in.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The version to copy; the latest if `None`.
    pub version: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct CopyObject<'a> {
    pub(crate) source: CopySource<'a>,
    pub(crate) key: &'a str,
}

#[derive(Deserialize)]
struct CopyObjectResult {
    #[serde(rename = "ETag")]
    etag: String,
}

impl Action for CopyObject<'_> {
    type Output = PutOutput;

    const OPERATION: Operation = Operation::CopyObject;

    const LATE_ERRORS: bool = true;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("COPY {}/{} to {bucket}/{}", self.source.bucket, self.source.key, self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let CopySource { bucket: from, key, version } = self.source;
        check_key(key)?;
        let source = format!(
            "/{}/{}{}",
            percent_encode(from.as_bytes(), QUERY),
            percent_encode(key.as_bytes(), PATH),
            version_query('?', version)
        );
        Outgoing::new(Method::PUT, object_path(bucket, self.key)?).header("x-amz-copy-source", &source)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<PutOutput, Flaw> {
        let result: CopyObjectResult = read_document(&answer, "the result of the copy")?;
        Ok(PutOutput { etag: result.etag, version: version(&answer), server_time: server_time(&answer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    fn copy(version: Option<&str>) -> CopyObject<'_> {
        CopyObject { source: CopySource { bucket: "from", key: "a/b c%", version }, key: "to" }
    }

    #[test]
    fn the_source_is_a_header() {
        let request = copy(None).build("lsu").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/lsu/to"));
        assert_eq!(request.headers["x-amz-copy-source"], "/from/a/b%20c%25");
        assert!(request.body.is_empty());
        let request = copy(Some("v/1")).build("lsu").unwrap();
        assert_eq!(request.headers["x-amz-copy-source"], "/from/a/b%20c%25?versionId=v%2F1");
        let keyless = CopyObject { source: CopySource { key: "", ..copy(None).source }, key: "to" };
        assert!(keyless.build("lsu").is_err());
    }

    #[test]
    fn etag_and_version_of_the_copy_are_read() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>&quot;9b2c&quot;</ETag></CopyObjectResult>"#;
        let headers = [("x-amz-version-id", "v2"), ("x-amz-copy-source-version-id", "v1")];
        let output = copy(None).parse(answer(200, &headers, xml)).unwrap();
        assert_eq!((output.etag.as_str(), output.version.as_deref()), ("\"9b2c\"", Some("v2")));
        assert!(copy(None).parse(answer(200, &[], "")).is_err());
        assert!(copy(None).parse(answer(200, &[], "<CopyObjectResult/>")).is_err());
    }
}
