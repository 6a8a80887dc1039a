//! The S3 data path. The protocol comes from the `s3s` crate: reading requests into typed inputs, writing XML, version 4
//! signatures in headers, the framing of chunked bodies with and without trailers. What requests mean is here.
//!
//! Of the protocol itself only this is written by hand, for want of it there:
//!
//! * [`signature`]: signatures in all other forms, and dates, which must go by the cluster's clock;
//! * [`operation`]: which operation a request names. The library takes sub-resources and methods that it does not know
//!   for the nearest that it does, so that a request to encrypt an object would overwrite it;
//! * [`refusal`]: the elements of errors beside code and message, and the messages that it leaves out;
//! * [`document_digest`]: digests of documents, which it does not look at;
//! * [`cors`]: preflights, which it has no operation for;
//! * [`read::drop_unusable_range`]: ranges that HTTP tells a server to skip and that it refuses;
//! * [`objects::drop_unreadable_expires`]: an `Expires` that is no date, which it refuses.

#![allow(clippy::unused_async, reason = "all operations are called alike, and some wait for data")]

pub(crate) mod access;
pub(crate) mod acl;
mod actions;
pub(crate) mod buckets;
pub(crate) mod caller;
pub(crate) mod checksum;
mod completion;
pub(crate) mod conditions;
mod copy;
pub(crate) mod cors;
mod delete;
pub(crate) mod document_digest;
mod documents;
pub(crate) mod features;
pub(crate) mod form;
pub(crate) mod host;
mod ingest;
pub(crate) mod lifecycle;
mod list;
mod lists;
pub(crate) mod lock;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod operation;
pub(crate) mod place;
pub(crate) mod policy;
pub(crate) mod read;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod signature;
mod snapshots;
mod storage;
mod tagging;
pub(crate) mod versions;

use std::sync::Arc;

use s3s::config::{S3Config, StaticConfigProvider};
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
    builder.set_host(host::Hosts(Arc::clone(core)));
    builder.set_route(operation::Guard);
    // Times have been judged by the cluster's clock before the library sees a request.
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// One line per operation: its name in the trait, its types, and the function that does it.
macro_rules! operations {
    ($($method:ident($input:ident) -> $output:ident = $function:path;)*) => {
        /// The types of the inputs of all operations that there are.
        const INPUTS: &[&str] = &[$(stringify!($input)),*];

        #[async_trait::async_trait]
        impl S3 for Backend {
            $(async fn $method(&self, mut req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                features::apply(stringify!($method), &mut req)?;
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
    get_object(GetObjectInput) -> GetObjectOutput = read::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = read::head;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::many;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = read::attributes;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = tagging::put;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tagging::get;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = tagging::delete;
    put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput = lock::put_retention;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput = lock::get_retention;
    put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput = lock::put_legal_hold;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput = lock::get_legal_hold;
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput = lock::put_configuration;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput = lock::get_configuration;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = versions::put_versioning;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = versions::get_versioning;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = list::versions::versions;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = lifecycle::put;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = lifecycle::get;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = lifecycle::delete;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy::object;
    list_objects(ListObjectsInput) -> ListObjectsOutput = list::objects::v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::objects::v2;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy::part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = completion::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = list::uploads::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = list::uploads::uploads;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = lists::get_bucket;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = lists::put_bucket;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = lists::get_object;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = lists::put_object;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput = cors::get;
    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput = cors::put;
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput = documents::delete_cors;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = documents::get_tagging;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = documents::put_tagging;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = documents::delete_tagging;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = documents::get_policy;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = documents::put_policy;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = documents::delete_policy;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput = documents::get_ownership;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput = documents::put_ownership;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput = documents::delete_ownership;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = documents::get_encryption;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = documents::put_encryption;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = documents::delete_encryption;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput = documents::get_logging;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput = documents::get_notification;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput = documents::get_payment;
    put_bucket_logging(PutBucketLoggingInput) -> PutBucketLoggingOutput = documents::put_logging;
    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput = documents::put_notification;
    put_bucket_request_payment(PutBucketRequestPaymentInput) -> PutBucketRequestPaymentOutput = documents::put_payment;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput = documents::get_public_access;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput = documents::put_public_access;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput = documents::delete_public_access;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput = documents::get_policy_status;
}

/// Whether the cluster has an operation of that name.
fn has_operation(name: &str) -> bool {
    // A form is another way to put an object.
    name == "PostObject" || INPUTS.iter().any(|input| input.strip_suffix("Input") == Some(name))
}
