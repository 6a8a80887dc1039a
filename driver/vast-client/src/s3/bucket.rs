//! A bucket: the operations that the image store needs, each tried on several VIPs before it fails.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::s3::actions::Action;
use crate::s3::actions::delete_objects::Doomed;
use crate::s3::actions::get_object::{GetObject, GetOutput};
use crate::s3::actions::head_bucket::HeadBucket;
use crate::s3::actions::head_object::HeadObject;
use crate::s3::actions::list_objects_v2::{GroupPage, ListObjectsV2, ListPage};
use crate::s3::actions::put_object::{Condition, PutObject, PutOutput};
use crate::s3::executor::S3;
use crate::s3::info::ObjectInfo;
use crate::s3::lock::Retention;

/// One bucket of a cluster. Cheap to clone; all calls may be made from any task of the client's runtime.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    s3: Arc<S3>,
    name: Arc<str>,
}

impl S3Bucket {
    pub(crate) fn new(s3: Arc<S3>, name: &str) -> Self {
        Self { s3, name: name.into() }
    }

    pub(crate) async fn run<A: Action>(&self, action: &A) -> Result<A::Output> {
        self.s3.run(&self.name, action).await
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes one object in a single request. The parts are sent one after another, without being joined or copied;
    /// `crc32c` is the CRC-32C of all of them together, and the server refuses a body that does not match it. The new
    /// version is kept for `retention` if one is given.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a retention where the bucket has no object lock.
    /// [`Error::Precondition`] when the condition does not hold; if [`Detail::after_unknown`](crate::Detail::after_unknown) is set, an earlier
    /// attempt of this very call may have succeeded, and the caller finds out by reading the object back.
    pub async fn put_object(
        &self,
        key: &str,
        parts: Vec<Bytes>,
        crc32c: u32,
        condition: &Condition,
        retention: Option<Retention>,
    ) -> Result<PutOutput> {
        self.run(&PutObject { key, parts, crc32c, condition, retention }).await
    }

    /// Reads `range` (byte offsets, end exclusive), or the whole object.
    ///
    /// # Errors
    /// [`Error::Range`] when the range begins at or past the end of the object; [`Error::Config`] when it is
    /// empty or larger than the configured limit.
    pub async fn get_object(&self, key: &str, range: Option<Range<u64>>) -> Result<GetOutput> {
        if let Some(range) = &range {
            let max = self.s3.limits.object_bytes_max;
            if range.end <= range.start || range.end - range.start > max {
                let what = format!("GET {}/{key} [{}, {})", self.name, range.start, range.end);
                return Err(Error::config(what, format!("a range has 1 to {max} bytes"), ""));
            }
        }
        self.run(&GetObject { key, range, whole_max: self.s3.limits.object_bytes_max }).await
    }

    /// What is known of an object, without its bytes.
    pub async fn head_object(&self, key: &str) -> Result<ObjectInfo> {
        self.head_version(key, None).await
    }

    /// What is known of a version (the latest if `None`), without its bytes.
    pub async fn head_version(&self, key: &str, version: Option<&str>) -> Result<ObjectInfo> {
        self.run(&HeadObject { key, version }).await
    }

    /// Deletes one object; a missing one is success. In a bucket with versions this only hides it behind a delete
    /// marker.
    pub async fn delete_object(&self, key: &str) -> Result<()> {
        self.delete_one(key, None).await
    }

    /// Deletes any number of objects, 1,000 in a request; missing ones are success. In a bucket with versions this
    /// only hides them.
    ///
    /// # Errors
    /// All keys are tried; the error is that of the first one that could not be deleted.
    pub async fn delete_objects(&self, keys: &[String]) -> Result<()> {
        self.delete_all(keys.iter().map(|key| Doomed { key, version: None }).collect()).await
    }

    /// Lists keys that begin with `prefix`, from `next` of the page before.
    pub async fn list_objects(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        let listing = self.run(&ListObjectsV2 { prefix, delimiter: None, next }).await?;
        Ok(ListPage { objects: listing.objects, next: listing.next })
    }

    /// Lists the distinct beginnings of keys under `prefix`, each up to and including the first `/` after it, from
    /// `next` of the page before. Keys without one are not told of.
    pub async fn list_groups(&self, prefix: &str, next: Option<&str>) -> Result<GroupPage> {
        let listing = self.run(&ListObjectsV2 { prefix, delimiter: Some("/"), next }).await?;
        Ok(GroupPage { groups: listing.groups, next: listing.next })
    }

    /// Whether the bucket is there and may be used.
    pub async fn head_bucket(&self) -> Result<()> {
        self.run(&HeadBucket).await
    }
}
