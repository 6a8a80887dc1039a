//! The object store of a VAST cluster: one bucket (one LSU) through the VAST client.

use std::ops::Range;

use vast_client::{Condition, Error, ObjectInfo, PutOutput, S3Bucket, Thing};

use crate::object_store::{
    BucketKind, Got, GroupPage, Head, Listed, ObjectStore, Page, Payload, Precondition, Put, Retention,
    RetentionMode, StoreError, UploadPage, UploadsNext, VersionPage, VersionsNext,
};

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
    fn bucket(&self) -> &str {
        self.bucket.name()
    }

    async fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
        retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        let condition = match condition {
            Precondition::None => Condition::None,
            Precondition::Absent => Condition::Absent,
            Precondition::Matches(etag) => Condition::Matches(etag),
        };
        let retention = retention.map(retention_out);
        let put = self.bucket.put_object(key, body.parts, body.crc32c, &condition, retention).await;
        put.map(put_in).map_err(translate)
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(StoreError::Range(key.to_owned()));
        }
        let got = self.bucket.get_object(key, range).await.map_err(translate)?;
        Ok(Got { data: got.data, head: head_in(got.info) })
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.bucket.head_object(key).await.map(head_in).map_err(translate)
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

    async fn list_groups(&self, _prefix: &str, _next: Option<&str>) -> Result<GroupPage, StoreError> {
        Err(todo())
    }

    async fn copy_from(
        &self,
        _source_bucket: &str,
        _source_key: &str,
        _key: &str,
    ) -> Result<Put, StoreError> {
        Err(todo())
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        Err(todo())
    }

    async fn list_versions(
        &self,
        _prefix: &str,
        _next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        Err(todo())
    }

    async fn delete_versions(&self, _versions: &[(String, String)]) -> Result<(), StoreError> {
        Err(todo())
    }

    async fn retain(
        &self,
        _key: &str,
        _version: Option<&str>,
        _retention: Retention,
    ) -> Result<(), StoreError> {
        Err(todo())
    }

    async fn begin_upload(&self, _key: &str, _retention: Option<Retention>) -> Result<String, StoreError> {
        Err(todo())
    }

    async fn list_uploads(
        &self,
        _prefix: &str,
        _next: Option<UploadsNext>,
    ) -> Result<UploadPage, StoreError> {
        Err(todo())
    }

    async fn abort_upload(&self, _key: &str, _upload: &str) -> Result<(), StoreError> {
        Err(todo())
    }

    async fn upload_part(
        &self,
        _key: &str,
        _upload: &str,
        _number: u32,
        _body: Payload,
    ) -> Result<String, StoreError> {
        Err(todo())
    }

    async fn complete_upload(&self, _key: &str, _upload: &str, _parts: &[String]) -> Result<Put, StoreError> {
        Err(todo())
    }
}

fn todo() -> StoreError {
    StoreError::Unsupported("not available yet".to_owned())
}

fn retention_out(retention: Retention) -> vast_client::Retention {
    let mode = match retention.mode {
        RetentionMode::Governance => vast_client::RetentionMode::Governance,
        RetentionMode::Compliance => vast_client::RetentionMode::Compliance,
    };
    vast_client::Retention { until: retention.until, mode }
}

fn put_in(put: PutOutput) -> Put {
    Put { etag: put.etag, version: put.version }
}

/// As [`Head`] says: where one of the two times is not told, the other one stands for it.
fn head_in(info: ObjectInfo) -> Head {
    let modified = info.modified.or(info.server_time).unwrap_or_default();
    Head {
        etag: info.etag,
        size: info.size,
        version: info.version,
        modified,
        answered: info.server_time.unwrap_or(modified),
        retained_until: info.retention.map(|retention| retention.until),
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
        Error::Locked(_) => StoreError::Locked(text),
        Error::NoUpload(_) => StoreError::NoUpload(text),
        Error::Range(_) => StoreError::Range(text),
        Error::NoSpace(_) => StoreError::NoSpace(text),
        Error::Denied(_) | Error::Auth(_) => StoreError::Denied(text),
        Error::Unsupported(_) => StoreError::Unsupported(text),
        Error::Timeout(_) => StoreError::Timeout(text),
        Error::Unreachable(_) | Error::Tls(_) => StoreError::Unreachable(text),
        Error::Config(_) | Error::Protocol(_) => StoreError::Protocol(text),
    }
}
