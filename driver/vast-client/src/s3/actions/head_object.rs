//! HeadObject: what is known of an object, without its bytes.

use http::Method;

use super::{Action, Flaw, Outgoing, etag, object_path};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::time::{ServerTime, http_date, server_time};

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadOutput {
    /// Entity tag, as the server wrote it.
    pub etag: String,
    /// Size in bytes.
    pub size: u64,
    /// Last modification in seconds since the epoch, by the server's clock; 0 when the server does not say.
    pub modified: u64,
    /// The server's clock when it answered.
    pub server_time: ServerTime,
}

#[derive(Debug)]
pub(crate) struct HeadObject<'a> {
    pub(crate) key: &'a str,
}

impl Action for HeadObject<'_> {
    type Output = HeadOutput;

    const OPERATION: Operation = Operation::HeadObject;

    fn label(&self, bucket: &str) -> String {
        format!("HEAD {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(Method::HEAD, object_path(bucket, self.key)?))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<HeadOutput, Flaw> {
        let size = answer
            .header("content-length")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Flaw("the answer does not say how large the object is".to_owned()))?;
        Ok(HeadOutput {
            etag: etag(&answer)?,
            size,
            modified: answer.header("last-modified").and_then(http_date).unwrap_or(0),
            server_time: server_time(&answer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn size_and_time_come_from_the_headers() {
        let head = HeadObject { key: "k" };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let headers = [("etag", "\"e\""), ("content-length", "12"), ("last-modified", date), ("date", date)];
        let got = head.parse(answer(200, &headers, "")).unwrap();
        assert_eq!((got.size, got.modified, got.server_time), (12, 1_445_412_480, Some(1_445_412_480)));
        assert!(head.parse(answer(200, &[("etag", "e")], "")).is_err());
        assert_eq!(head.build("b").unwrap().method, Method::HEAD);
    }
}
