//! A bucket: the operations that the image store needs, each tried on several VIPs before it fails.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Delivery, Detail, Error, Result};
use crate::s3::actions::delete_object::DeleteObject;
use crate::s3::actions::delete_objects::{DeleteObjects, KEYS_MAX, Undeleted, fits_xml};
use crate::s3::actions::get_object::{GetObject, GetOutput};
use crate::s3::actions::head_bucket::HeadBucket;
use crate::s3::actions::head_object::HeadObject;
use crate::s3::actions::list_objects_v2::{ListObjectsV2, ListPage};
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

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes one object in a single request. The parts are sent one after another, without being joined or copied;
    /// `crc32c` is the CRC-32C of all of them together, and the server refuses a body that does not match it.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the condition does not hold; if [`Detail::after_unknown`] is set, an earlier
    /// attempt of this very call may have succeeded, and the caller finds out by reading the object back.
    pub async fn put_object(
        &self,
        key: &str,
        parts: Vec<Bytes>,
        crc32c: u32,
        condition: &Condition,
        retention: Option<Retention>,
    ) -> Result<PutOutput> {
        self.s3.run(&self.name, &PutObject { key, parts, crc32c, condition, retention }).await
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
        self.s3.run(&self.name, &GetObject { key, range, whole_max: self.s3.limits.object_bytes_max }).await
    }

    /// What is known of an object, without its bytes.
    pub async fn head_object(&self, key: &str) -> Result<ObjectInfo> {
        self.s3.run(&self.name, &HeadObject { key }).await
    }

    /// Deletes one object; a missing one is success.
    pub async fn delete_object(&self, key: &str) -> Result<()> {
        match self.s3.run(&self.name, &DeleteObject { key }).await {
            Err(Error::NotFound(crate::error::Thing::Object, _)) => Ok(()),
            other => other,
        }
    }

    /// Deletes any number of objects, 1,000 in a request; missing ones are success.
    ///
    /// # Errors
    /// All keys are tried; the error is that of the first one that could not be deleted.
    pub async fn delete_objects(&self, keys: &[String]) -> Result<()> {
        let (together, alone): (Vec<&str>, Vec<&str>) =
            keys.iter().map(String::as_str).partition(|key| fits_xml(key));
        let mut first = Ok(());
        for chunk in together.chunks(KEYS_MAX) {
            let outcome = match self.s3.run(&self.name, &DeleteObjects { keys: chunk }).await {
                Ok(left) => self.delete_left(left).await,
                Err(error) => Err(error),
            };
            first = first.and(outcome);
        }
        for key in alone {
            first = first.and(self.delete_object(key).await);
        }
        first
    }

    /// Tries those that the server did not delete once more, one by one: a single delete is retried on other VIPs.
    async fn delete_left(&self, left: Vec<Undeleted>) -> Result<()> {
        let mut first = Ok(());
        for Undeleted { key, code, message } in left {
            let outcome = if matches!(code.as_str(), "InternalError" | "SlowDown" | "ServiceUnavailable") {
                self.delete_object(&key).await
            } else {
                let mut detail =
                    Detail::new(format!("DELETE {}/{key}", self.name), format!("{code}: {message}"))
                        .delivery(Delivery::Answered);
                detail.code = Some(code.clone());
                Err(if code == "AccessDenied" {
                    Error::Denied(Box::new(detail))
                } else {
                    Error::Protocol(Box::new(detail))
                })
            };
            first = first.and(outcome);
        }
        first
    }

    /// Lists keys that begin with `prefix`, from `next` of the page before.
    pub async fn list_objects(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.s3.run(&self.name, &ListObjectsV2 { prefix, next }).await
    }

    /// Whether the bucket is there and may be used.
    pub async fn head_bucket(&self) -> Result<()> {
        self.s3.run(&self.name, &HeadBucket).await
    }
}
