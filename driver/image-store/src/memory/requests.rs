//! The store in memory as an [`ObjectStore`]: each call is one request, or as many as S3 would need.

use std::ops::Range;

use super::{MemoryStore, Operation};
use crate::object_store::{
    BucketKind, Got, GroupPage, Head, ObjectStore, Page, Payload, Precondition, Put, Retention, StoreError,
    UploadPage, UploadsNext, VersionPage, VersionsNext,
};

/// S3 deletes this many in one request.
const DELETED_AT_ONCE: usize = 1000;

impl MemoryStore {
    fn count_in(&self, body: &Payload) {
        let len: u64 = body.parts.iter().map(|part| part.len() as u64).sum();
        self.with(|bucket, _| bucket.counters.bytes_in += len);
    }
}

impl ObjectStore for MemoryStore {
    fn bucket(&self) -> &str {
        &self.name
    }

    async fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
        retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        self.count_in(&body);
        self.run(Operation::Put, key, |bucket, server, _| {
            bucket.put(server, key, &body, &condition, retention)
        })
        .await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        self.run(Operation::Get, key, |bucket, server, flip| bucket.get(server.now, key, range, flip)).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.run(Operation::Head, key, |bucket, server, _| bucket.head(server.now, key)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.run(Operation::Delete, key, |bucket, server, _| {
            bucket.delete(server, key);
            Ok(())
        })
        .await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        for keys in keys.chunks(DELETED_AT_ONCE) {
            self.run(Operation::DeleteMany, &keys[0], |bucket, server, _| {
                for key in keys {
                    bucket.delete(server, key);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, StoreError> {
        self.run(Operation::List, prefix, |bucket, _, _| Ok(bucket.list(prefix, next))).await
    }

    async fn list_groups(&self, prefix: &str, next: Option<&str>) -> Result<GroupPage, StoreError> {
        self.run(Operation::ListGroups, prefix, |bucket, _, _| Ok(bucket.list_groups(prefix, next))).await
    }

    async fn copy_from(&self, source_bucket: &str, source_key: &str, key: &str) -> Result<Put, StoreError> {
        self.run_in_cluster(Operation::Copy, key, |cluster, _| {
            let source = cluster.buckets.get(source_bucket);
            let source = source.ok_or_else(|| StoreError::NoBucket(source_bucket.to_owned()))?;
            let data = source.current(source_key).map(|(_, data)| data.clone())?;
            self.act(cluster, |bucket, server| {
                bucket.check_room(key, data.len() as u64, bucket.replaced(key))?;
                Ok(bucket.store(server, key, data, None))
            })
        })
        .await
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        self.run(Operation::Kind, "", |bucket, _, _| Ok(bucket.kind)).await
    }

    async fn list_versions(
        &self,
        prefix: &str,
        next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        self.run(Operation::ListVersions, prefix, |bucket, _, _| bucket.list_versions(prefix, next.as_ref()))
            .await
    }

    async fn delete_versions(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for versions in versions.chunks(DELETED_AT_ONCE) {
            let deleted = self
                .run(Operation::DeleteVersions, &versions[0].0, |bucket, server, _| {
                    bucket.delete_versions(server.now, versions)
                })
                .await;
            outcome = outcome.and(deleted);
        }
        outcome
    }

    async fn retain(&self, key: &str, version: Option<&str>, retention: Retention) -> Result<(), StoreError> {
        self.run(Operation::Retain, key, |bucket, server, _| {
            bucket.retain(server.now, key, version, retention)
        })
        .await
    }

    async fn begin_upload(&self, key: &str, retention: Option<Retention>) -> Result<String, StoreError> {
        self.run(Operation::BeginUpload, key, |bucket, server, _| bucket.begin_upload(server, key, retention))
            .await
    }

    async fn list_uploads(&self, prefix: &str, next: Option<UploadsNext>) -> Result<UploadPage, StoreError> {
        self.run(Operation::ListUploads, prefix, |bucket, _, _| bucket.list_uploads(prefix, next.as_ref()))
            .await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        self.run(Operation::AbortUpload, key, |bucket, _, _| bucket.abort_upload(key, upload)).await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Payload,
    ) -> Result<String, StoreError> {
        self.count_in(&body);
        self.run(Operation::UploadPart, key, |bucket, server, _| {
            bucket.upload_part(server, key, upload, number, &body)
        })
        .await
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: &[String]) -> Result<Put, StoreError> {
        self.run(Operation::CompleteUpload, key, |bucket, server, _| {
            bucket.complete_upload(server, key, upload, parts)
        })
        .await
    }
}
