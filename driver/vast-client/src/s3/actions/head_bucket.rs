//! HeadBucket: is it there, and may we use it.

use http::Method;

use super::{Action, Again, Flaw, Outgoing, bucket_path};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;

#[derive(Debug)]
pub(crate) struct HeadBucket;

impl Action for HeadBucket {
    type Output = ();

    const OPERATION: Operation = Operation::HeadBucket;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("HEAD {bucket}")
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(Method::HEAD, bucket_path(bucket)))
    }

    fn parse(&self, _answer: Answer) -> std::result::Result<(), Flaw> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_bucket_only() {
        let request = HeadBucket.build("lsu 1").unwrap();
        assert_eq!((request.method, request.target.as_str()), (Method::HEAD, "/lsu%201"));
    }
}
