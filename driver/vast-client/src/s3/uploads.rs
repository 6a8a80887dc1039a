//! A bucket's multipart uploads and server-side copies.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::s3::actions::abort_multipart_upload::AbortMultipartUpload;
use crate::s3::actions::complete_multipart_upload::CompleteMultipartUpload;
use crate::s3::actions::copy_object::{CopyObject, CopySource};
use crate::s3::actions::create_multipart_upload::CreateMultipartUpload;
use crate::s3::actions::list_multipart_uploads::{ListMultipartUploads, UploadMarker, UploadPage};
use crate::s3::actions::put_object::PutOutput;
use crate::s3::actions::upload_part::UploadPart;
use crate::s3::bucket::S3Bucket;
use crate::s3::lock::Retention;

impl S3Bucket {
    /// Copies an object of a bucket of the same cluster to `key` here, on the server: no data comes through. At most
    /// 5 GB, as S3 has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] may mean the source.
    pub async fn copy_object(&self, source: CopySource<'_>, key: &str) -> Result<PutOutput> {
        self.run(&CopyObject { source, key }).await
    }

    /// Begins a multipart upload and gives its id. `retention` is for the version that completing it will make.
    ///
    /// A retry after a lost answer may leave an upload behind that nobody knows the id of; it shows in
    /// [`S3Bucket::list_uploads`], and a warning is logged.
    pub async fn begin_upload(&self, key: &str, retention: Option<Retention>) -> Result<String> {
        self.run(&CreateMultipartUpload { key, retention }).await
    }

    /// Sends one part of an upload, numbered from 1 to 10,000, and gives its entity tag. Its bytes are sent one after
    /// another; `crc32c` is the CRC-32C of all of them together.
    ///
    /// # Errors
    /// [`Error::NoUpload`] when the upload was aborted or completed; [`Error::Config`] when the bytes do not match the
    /// checksum.
    pub async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        parts: Vec<Bytes>,
        crc32c: u32,
    ) -> Result<String> {
        self.run(&UploadPart { key, upload, number, parts, crc32c }).await
    }

    /// Makes the object out of the parts 1, 2, ..., given by their entity tags; at least one.
    ///
    /// # Errors
    /// [`Error::NoUpload`] when the upload was aborted or completed; if
    /// [`Detail::after_unknown`](crate::Detail::after_unknown) is set, perhaps by this very call, and the caller finds
    /// out by reading the object back.
    pub async fn complete_upload(&self, key: &str, upload: &str, parts: &[String]) -> Result<PutOutput> {
        self.run(&CompleteMultipartUpload { key, upload, parts }).await
    }

    /// Ends an upload without an object and frees its parts; one that is not there is success.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Result<()> {
        match self.run(&AbortMultipartUpload { key, upload }).await {
            Err(Error::NoUpload(_)) => Ok(()),
            other => other,
        }
    }

    /// Lists uploads that have begun and not ended, of keys that begin with `prefix`, from `next` of the page before.
    pub async fn list_uploads(&self, prefix: &str, next: Option<&UploadMarker>) -> Result<UploadPage> {
        self.run(&ListMultipartUploads { prefix, next }).await
    }
}
