//! The S3 data path. The protocol (signatures, XML, routing) comes from `s3s`; what requests mean is here.

pub(crate) mod buckets;
pub(crate) mod caller;
pub(crate) mod checksum;
pub(crate) mod conditions;
mod copy;
mod ingest;
mod list;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod operation;
mod paging;
pub(crate) mod reply;

use std::sync::Arc;

#[allow(clippy::wildcard_imports, reason = "two types per operation, all named in one table below")]
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::core::Core;

/// The cluster as `s3s` sees it: every method hands over to the module of its kind. What is missing here is answered
/// `NotImplemented` by the trait.
struct Backend(Arc<Core>);

/// Builds the service that all VIPs share.
pub(crate) fn service(core: &Arc<Core>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Backend(Arc::clone(core)));
    builder.set_auth(caller::Keys(Arc::clone(core)));
    builder.set_access(caller::Access(Arc::clone(core)));
    builder.build()
}

/// One line per operation: its name in the trait, its types, and the function that does it.
macro_rules! operations {
    ($($method:ident($input:ident) -> $output:ident = $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Backend {
            $(async fn $method(&self, req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $function(&self.0, req).await
            })*
        }
    };
}

operations! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
    put_object(PutObjectInput) -> PutObjectOutput = objects::put;
    get_object(GetObjectInput) -> GetObjectOutput = objects::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = objects::head;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = objects::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = objects::delete_many;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy::object;
    list_objects(ListObjectsInput) -> ListObjectsOutput = list::objects_v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::objects_v2;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy::part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = list::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = list::uploads;
}
