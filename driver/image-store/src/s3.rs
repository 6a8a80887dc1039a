//! The object store of a VAST cluster: one bucket (one LSU) through the VAST client.

use std::ops::Range;

use vast_client::{
    Condition, CopySource, Error, ObjectInfo, PutOutput, S3Bucket, Thing, UploadMarker, VersionMarker,
    Versioning,
};

use crate::object_store::{
    BucketKind, Got, GroupPage, Head, Listed, ListedUpload, ListedVersion, ObjectStore, Page, Payload,
    Precondition, Put, Retention, RetentionMode, StoreError, UploadPage, UploadsNext, VersionPage,
    VersionsNext,
};

/// A bucket of a VAST cluster. Balances, fails over and retries as the client does.
#[derive(Debug, Clone)]
pub struct S3Store {
    bucket: S3Bucket,
    kind: Option<BucketKind>,
}

impl S3Store {
    /// Wraps a bucket of the client.
    pub fn new(bucket: S3Bucket) -> Self {
        Self { bucket, kind: None }
    }

    /// Takes it from the caller what the bucket keeps, for example from VMS, and never asks the bucket.
    #[must_use]
    pub fn with_kind(self, kind: BucketKind) -> Self {
        Self { kind: Some(kind), ..self }
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

    async fn list_groups(&self, prefix: &str, next: Option<&str>) -> Result<GroupPage, StoreError> {
        let page = self.bucket.list_groups(prefix, next).await.map_err(translate)?;
        Ok(GroupPage { groups: page.groups, next: page.next })
    }

    async fn copy_from(&self, source_bucket: &str, source_key: &str, key: &str) -> Result<Put, StoreError> {
        let source = CopySource { bucket: source_bucket, key: source_key, version: None };
        self.bucket.copy_object(source, key).await.map(put_in).map_err(translate)
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        let object_lock = match self.bucket.lock_configuration().await {
            Ok(configuration) => configuration.is_some(),
            // Who does not know the question does not have the thing.
            Err(Error::Unsupported(_)) => false,
            Err(error) => return Err(translate(error)),
        };
        let versioned = match self.bucket.versioning().await {
            Ok(versioning) => versioning != Versioning::Off,
            Err(Error::Unsupported(_)) => object_lock,
            Err(error) => return Err(translate(error)),
        };
        Ok(BucketKind { versioned, object_lock })
    }

    async fn list_versions(
        &self,
        prefix: &str,
        next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        let next = next.map(|next| VersionMarker { key: next.key, version: next.version });
        let page = self.bucket.list_versions(prefix, next.as_ref()).await.map_err(translate)?;
        let versions = page.versions.into_iter().map(|version| ListedVersion {
            key: version.key,
            version: version.version,
            latest: version.latest,
            delete_marker: version.delete_marker,
            size: version.size,
            modified: version.modified.unwrap_or_default(),
        });
        Ok(VersionPage {
            versions: versions.collect(),
            next: page.next.map(|next| VersionsNext { key: next.key, version: next.version }),
        })
    }

    async fn delete_versions(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        self.bucket.delete_versions(versions).await.map_err(translate)
    }

    async fn retain(&self, key: &str, version: Option<&str>, retention: Retention) -> Result<(), StoreError> {
        self.bucket.put_retention(key, version, retention_out(retention)).await.map_err(translate)
    }

    async fn begin_upload(&self, key: &str, retention: Option<Retention>) -> Result<String, StoreError> {
        self.bucket.begin_upload(key, retention.map(retention_out)).await.map_err(translate)
    }

    async fn list_uploads(&self, prefix: &str, next: Option<UploadsNext>) -> Result<UploadPage, StoreError> {
        let next = next.map(|next| UploadMarker { key: next.key, upload: next.upload });
        let page = self.bucket.list_uploads(prefix, next.as_ref()).await.map_err(translate)?;
        let uploads = page.uploads.into_iter().map(|upload| ListedUpload {
            key: upload.key,
            upload: upload.upload,
            initiated: upload.initiated.unwrap_or_default(),
        });
        Ok(UploadPage {
            uploads: uploads.collect(),
            next: page.next.map(|next| UploadsNext { key: next.key, upload: next.upload }),
        })
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        self.bucket.abort_upload(key, upload).await.map_err(translate)
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Payload,
    ) -> Result<String, StoreError> {
        self.bucket.upload_part(key, upload, number, body.parts, body.crc32c).await.map_err(translate)
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: &[String]) -> Result<Put, StoreError> {
        self.bucket.complete_upload(key, upload, parts).await.map(put_in).map_err(translate)
    }
}

fn retention_out(retention: Retention) -> vast_client::Retention {
    let mode = match retention.mode {
        RetentionMode::Governance => vast_client::RetentionMode::Governance,
        RetentionMode::Compliance => vast_client::RetentionMode::Compliance,
    };
    vast_client::Retention { until: retention.until, mode }
}

fn retention_in(retention: vast_client::Retention) -> Retention {
    let mode = match retention.mode {
        vast_client::RetentionMode::Governance => RetentionMode::Governance,
        vast_client::RetentionMode::Compliance => RetentionMode::Compliance,
    };
    Retention { until: retention.until, mode }
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
        retention: info.retention.map(retention_in),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        translate(error)
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
