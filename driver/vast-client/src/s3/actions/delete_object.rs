//! DeleteObject: one object, or one version of it for good; a missing one is success.

use http::Method;

use super::{Action, Again, Flaw, Outgoing, object_path, version_query};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;

#[derive(Debug, Clone, Copy)]
pub(crate) struct DeleteObject<'a> {
    pub(crate) key: &'a str,
    /// This version or delete marker for good; if `None`, the object, which a bucket with versions only hides.
    pub(crate) version: Option<&'a str>,
}

impl Action for DeleteObject<'_> {
    type Output = ();

    const OPERATION: Operation = Operation::DeleteObject;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        let version = self.version.map(|id| format!(" version {id}")).unwrap_or_default();
        format!("DELETE {bucket}/{}{version}", self.key)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let target = format!("{}{}", object_path(bucket, self.key)?, version_query('?', self.version));
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
    fn it_names_the_object_and_takes_any_success() {
        let delete = DeleteObject { key: "a/b", version: None };
        let request = delete.build("lsu").unwrap();
        assert_eq!((request.method, request.target.as_str()), (Method::DELETE, "/lsu/a/b"));
        let request = DeleteObject { version: Some("v+1"), ..delete }.build("lsu").unwrap();
        assert_eq!(request.target, "/lsu/a/b?versionId=v%2B1");
        assert_eq!(delete.parse(answer(204, &[], "")), Ok(()));
    }
}
