//! AbortMultipartUpload: ends an upload without an object. One that is not there is for the caller to take as success.

use http::Method;

use super::{Action, Again, Flaw, Outgoing, object_path, query_value};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;

#[derive(Debug)]
pub(crate) struct AbortMultipartUpload<'a> {
    pub(crate) key: &'a str,
    pub(crate) upload: &'a str,
}

impl Action for AbortMultipartUpload<'_> {
    type Output = ();

    const OPERATION: Operation = Operation::AbortMultipartUpload;

    fn again(&self) -> Again {
        // `NoSuchUpload` is success either way.
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("abort of the upload to {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let target = format!("{}?uploadId={}", object_path(bucket, self.key)?, query_value(self.upload));
        Ok(Outgoing::new(Method::DELETE, target))
    }

    fn parse(&self, _answer: Answer) -> std::result::Result<(), Flaw> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn it_names_the_upload_and_takes_any_success() {
        let abort = AbortMultipartUpload { key: "a/b", upload: "u+1" };
        let request = abort.build("lsu").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("DELETE", "/lsu/a/b?uploadId=u%2B1"));
        assert_eq!(abort.parse(answer(204, &[], "")), Ok(()));
    }
}
