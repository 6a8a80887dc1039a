//! DeleteObject: one object; a missing one is success.

use http::Method;

use super::{Action, Flaw, Outgoing, object_path};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;

#[derive(Debug)]
pub(crate) struct DeleteObject<'a> {
    pub(crate) key: &'a str,
}

impl Action for DeleteObject<'_> {
    type Output = ();

    const OPERATION: Operation = Operation::DeleteObject;

    fn label(&self, bucket: &str) -> String {
        format!("DELETE {bucket}/{}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(Method::DELETE, object_path(bucket, self.key)?))
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
    fn it_names_the_object_and_takes_any_success() {
        let delete = DeleteObject { key: "a/b" };
        let request = delete.build("lsu").unwrap();
        assert_eq!((request.method, request.target.as_str()), (Method::DELETE, "/lsu/a/b"));
        assert_eq!(delete.parse(answer(204, &[], "")), Ok(()));
    }
}
