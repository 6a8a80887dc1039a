//! The object store of a VAST cluster: one bucket (one LSU) through the VAST client.

use std::ops::Range;

use vast_client::{Condition, Error, S3Bucket, Thing};

use crate::object_store::{Got, Listed, ObjectStore, Page, Payload, Precondition, Put, StoreError};

/// A bucket of a VAST cluster. Balances, fails over and retries as the client does.
#[derive(Debug, Clone)]
pub struct S3Store {
    bucket: S3Bucket,
}

impl S3Store {
    /// Wraps a bucket of the client.
    pub fn new(bucket: S3Bucket) -> Self {
        Self { bucket }
    }

    /// The bucket's name, which is the LSU's.
    pub fn name(&self) -> &str {
        self.bucket.name()
    }
}

impl ObjectStore for S3Store {
    async fn put(&self, key: &str, body: Payload, condition: Precondition) -> Result<Put, StoreError> {
        let condition = match condition {
            Precondition::None => Condition::None,
            Precondition::Absent => Condition::Absent,
            Precondition::Matches(etag) => Condition::Matches(etag),
        };
        let put =
            self.bucket.put_object(key, body.parts, body.crc32c, &condition).await.map_err(translate)?;
        Ok(Put { etag: put.etag })
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(StoreError::Range(key.to_owned()));
        }
        let got = self.bucket.get_object(key, range).await.map_err(translate)?;
        Ok(Got { data: got.data, etag: got.etag, size: got.size })
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.bucket.delete_object(key).await.map_err(translate)
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.bucket.delete_objects(keys).await.map_err(translate)
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, StoreError> {
        let page = self.bucket.list_objects(prefix, next).await.map_err(translate)?;
        let objects = page
            .objects
            .into_iter()
            .map(|object| Listed { key: object.key, size: object.size, modified: object.modified })
            .collect();
        Ok(Page { objects, next: page.next })
    }
}

/// The client's errors in the words of the image store; the text keeps server, request id and advice.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in `map_err`")]
fn translate(error: Error) -> StoreError {
    let text = error.detail().to_string();
    match &error {
        Error::NotFound(Thing::Bucket | Thing::Lsu, _) => StoreError::NoBucket(text),
        Error::NotFound(..) => StoreError::NotFound(text),
        Error::Precondition(_) => StoreError::Precondition(text),
        Error::Range(_) => StoreError::Range(text),
        Error::NoSpace(_) => StoreError::NoSpace(text),
        Error::Denied(_) | Error::Auth(_) => StoreError::Denied(text),
        Error::Unsupported(_) => StoreError::Unsupported(text),
        Error::Timeout(_) => StoreError::Timeout(text),
        Error::Unreachable(_) | Error::Tls(_) => StoreError::Unreachable(text),
        Error::Config(_) | Error::Protocol(_) => StoreError::Protocol(text),
    }
}
