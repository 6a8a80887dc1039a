//! UploadPart: one part of a multipart upload.
//!
//! Its SHA-256 is part of the signature: every server verifies that. A checksum header would have to be agreed on when
//! the upload begins, and servers differ in what they then demand at its end.

use bytes::Bytes;
use http::Method;

use super::{Action, Again, Flaw, Outgoing, etag, object_path, query_value};
use crate::counters::Operation;
use crate::error::{Error, Result};
use crate::net::link::Answer;

/// S3 numbers parts from 1 to this.
const NUMBER_MAX: u32 = 10_000;

#[derive(Debug)]
pub(crate) struct UploadPart<'a> {
    pub(crate) key: &'a str,
    pub(crate) upload: &'a str,
    pub(crate) number: u32,
    pub(crate) parts: Vec<Bytes>,
    pub(crate) crc32c: u32,
}

impl UploadPart<'_> {
    /// Compares the bytes with the checksum of whoever made them, since the server is not told of it.
    fn is_intact(&self) -> bool {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        for part in &self.parts {
            digest.update(part);
        }
        digest.finalize() == u64::from(self.crc32c)
    }
}

impl Action for UploadPart<'_> {
    type Output = String;

    const OPERATION: Operation = Operation::UploadPart;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("PUT {bucket}/{} part {}", self.key, self.number)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        if self.number == 0 || self.number > NUMBER_MAX {
            let why = format!("a part has a number from 1 to {NUMBER_MAX}");
            return Err(Error::config(self.label(bucket), why, ""));
        }
        if !self.is_intact() {
            let why = "the bytes do not match their checksum";
            return Err(Error::config(self.label(bucket), why, "check this host's memory"));
        }
        let object = object_path(bucket, self.key)?;
        let target = format!("{object}?partNumber={}&uploadId={}", self.number, query_value(self.upload));
        let mut request = Outgoing::new(Method::PUT, target);
        request.body.clone_from(&self.parts);
        request.body_signed = true;
        Ok(request)
    }

    fn parse(&self, answer: Answer) -> std::result::Result<String, Flaw> {
        etag(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    fn part(number: u32) -> UploadPart<'static> {
        let parts = vec![Bytes::from_static(b"12345"), Bytes::from_static(b"6789")];
        UploadPart { key: "k", upload: "u+1/=", number, parts, crc32c: 0xe306_9283 }
    }

    #[test]
    fn number_and_upload_are_in_the_query_and_the_body_is_signed() {
        let request = part(3).build("lsu").unwrap();
        assert_eq!(request.method, Method::PUT);
        assert_eq!(request.target, "/lsu/k?partNumber=3&uploadId=u%2B1%2F%3D");
        assert!(request.body_signed && request.body.len() == 2 && request.headers.is_empty());
        assert_eq!(part(3).parse(answer(200, &[("etag", "\"p\"")], "")), Ok("\"p\"".to_owned()));
        assert!(part(3).parse(answer(200, &[], "")).is_err());
    }

    #[test]
    fn wrong_numbers_and_damaged_bytes_are_not_sent() {
        assert!(part(0).build("lsu").is_err() && part(10_001).build("lsu").is_err());
        assert!(part(10_000).build("lsu").is_ok());
        assert!(UploadPart { crc32c: 1, ..part(1) }.build("lsu").is_err());
    }
}
