//! Every operation that AWS defines for S3: its method, the query parameters that select it, and those it takes.
//!
//! Whether the cluster has an operation is not said here: that follows from the backend.

use http::Method;

/// An operation.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// The parameters that must all be there. The first one names the sub-resource; none for the thing itself.
    pub(super) selects: &'static [&'static str],
    /// Parameters that mean something to it.
    pub(super) takes: &'static [&'static str],
}

const GET: Method = Method::GET;
const HEAD: Method = Method::HEAD;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

const fn op(
    name: &'static str,
    method: Method,
    selects: &'static [&'static str],
    takes: &'static [&'static str],
) -> Operation {
    Operation { name, method, selects, takes }
}

/// Parameters that belong to signing and to SDKs; they mean nothing to any operation.
pub(super) const OF_EVERYBODY: &[&str] = &["x-id", "AWSAccessKeyId", "Expires", "Signature"];

/// Those of signing and all that may also be a header.
pub(super) const PREFIX_OF_EVERYBODY: &str = "x-amz-";

/// Parameters that an operation either takes or refuses: skipping them would do something else than was asked.
pub(super) const STRICT: &[&str] = &["versionId", "partNumber"];

const VERSION: &[&str] = &["versionId"];
const READ: &[&str] = &[
    "versionId",
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
const LIST_V2: &[&str] =
    &["continuation-token", "delimiter", "encoding-type", "fetch-owner", "max-keys", "prefix", "start-after"];
const UPLOADS: &[&str] =
    &["delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"];
const VERSIONS: &[&str] =
    &["delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"];
const TOKEN: &[&str] = &["continuation-token"];
const ANNOTATIONS: &[&str] =
    &["versionId", "annotation-prefix", "continuation-token", "max-annotation-results"];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    SERVICE.iter().chain(BUCKET).chain(OBJECT)
}

/// On the cluster itself.
pub(super) const SERVICE: &[Operation] =
    &[op("ListBuckets", GET, &[], &["bucket-region", "continuation-token", "max-buckets", "prefix"])];

/// On buckets.
pub(super) const BUCKET: &[Operation] = &[
    op("ListObjects", GET, &[], &["delimiter", "encoding-type", "marker", "max-keys", "prefix"]),
    op("ListObjectsV2", GET, &["list-type"], LIST_V2),
    op("HeadBucket", HEAD, &[], &[]),
    op("CreateBucket", PUT, &[], &[]),
    op("DeleteBucket", DELETE, &[], &[]),
    op("PostObject", POST, &[], &[]),
    op("GetBucketAbac", GET, &["abac"], &[]),
    op("PutBucketAbac", PUT, &["abac"], &[]),
    op("GetBucketAccelerateConfiguration", GET, &["accelerate"], &[]),
    op("PutBucketAccelerateConfiguration", PUT, &["accelerate"], &[]),
    op("GetBucketAcl", GET, &["acl"], &[]),
    op("PutBucketAcl", PUT, &["acl"], &[]),
    op("GetBucketAnalyticsConfiguration", GET, &["analytics", "id"], &[]),
    op("ListBucketAnalyticsConfigurations", GET, &["analytics"], TOKEN),
    op("PutBucketAnalyticsConfiguration", PUT, &["analytics", "id"], &[]),
    op("DeleteBucketAnalyticsConfiguration", DELETE, &["analytics", "id"], &[]),
    op("GetBucketCors", GET, &["cors"], &[]),
    op("PutBucketCors", PUT, &["cors"], &[]),
    op("DeleteBucketCors", DELETE, &["cors"], &[]),
    op("DeleteObjects", POST, &["delete"], &[]),
    op("GetBucketEncryption", GET, &["encryption"], &[]),
    op("PutBucketEncryption", PUT, &["encryption"], &[]),
    op("DeleteBucketEncryption", DELETE, &["encryption"], &[]),
    op("GetBucketIntelligentTieringConfiguration", GET, &["intelligent-tiering", "id"], &[]),
    op("ListBucketIntelligentTieringConfigurations", GET, &["intelligent-tiering"], TOKEN),
    op("PutBucketIntelligentTieringConfiguration", PUT, &["intelligent-tiering", "id"], &[]),
    op("DeleteBucketIntelligentTieringConfiguration", DELETE, &["intelligent-tiering", "id"], &[]),
    op("GetBucketInventoryConfiguration", GET, &["inventory", "id"], &[]),
    op("ListBucketInventoryConfigurations", GET, &["inventory"], TOKEN),
    op("PutBucketInventoryConfiguration", PUT, &["inventory", "id"], &[]),
    op("DeleteBucketInventoryConfiguration", DELETE, &["inventory", "id"], &[]),
    op("GetBucketLifecycleConfiguration", GET, &["lifecycle"], &[]),
    op("PutBucketLifecycleConfiguration", PUT, &["lifecycle"], &[]),
    op("DeleteBucketLifecycle", DELETE, &["lifecycle"], &[]),
    op("GetBucketLocation", GET, &["location"], &[]),
    op("GetBucketLogging", GET, &["logging"], &[]),
    op("PutBucketLogging", PUT, &["logging"], &[]),
    op("UpdateBucketMetadataAnnotationTableConfiguration", PUT, &["metadataAnnotationTable"], &[]),
    op("CreateBucketMetadataConfiguration", POST, &["metadataConfiguration"], &[]),
    op("GetBucketMetadataConfiguration", GET, &["metadataConfiguration"], &[]),
    op("DeleteBucketMetadataConfiguration", DELETE, &["metadataConfiguration"], &[]),
    op("UpdateBucketMetadataInventoryTableConfiguration", PUT, &["metadataInventoryTable"], &[]),
    op("UpdateBucketMetadataJournalTableConfiguration", PUT, &["metadataJournalTable"], &[]),
    op("CreateBucketMetadataTableConfiguration", POST, &["metadataTable"], &[]),
    op("GetBucketMetadataTableConfiguration", GET, &["metadataTable"], &[]),
    op("DeleteBucketMetadataTableConfiguration", DELETE, &["metadataTable"], &[]),
    op("GetBucketMetricsConfiguration", GET, &["metrics", "id"], &[]),
    op("ListBucketMetricsConfigurations", GET, &["metrics"], TOKEN),
    op("PutBucketMetricsConfiguration", PUT, &["metrics", "id"], &[]),
    op("DeleteBucketMetricsConfiguration", DELETE, &["metrics", "id"], &[]),
    op("GetBucketNotificationConfiguration", GET, &["notification"], &[]),
    op("PutBucketNotificationConfiguration", PUT, &["notification"], &[]),
    op("GetObjectLockConfiguration", GET, &["object-lock"], &[]),
    op("PutObjectLockConfiguration", PUT, &["object-lock"], &[]),
    op("GetBucketOwnershipControls", GET, &["ownershipControls"], &[]),
    op("PutBucketOwnershipControls", PUT, &["ownershipControls"], &[]),
    op("DeleteBucketOwnershipControls", DELETE, &["ownershipControls"], &[]),
    op("GetBucketPolicy", GET, &["policy"], &[]),
    op("PutBucketPolicy", PUT, &["policy"], &[]),
    op("DeleteBucketPolicy", DELETE, &["policy"], &[]),
    op("GetBucketPolicyStatus", GET, &["policyStatus"], &[]),
    op("GetPublicAccessBlock", GET, &["publicAccessBlock"], &[]),
    op("PutPublicAccessBlock", PUT, &["publicAccessBlock"], &[]),
    op("DeletePublicAccessBlock", DELETE, &["publicAccessBlock"], &[]),
    op("GetBucketReplication", GET, &["replication"], &[]),
    op("PutBucketReplication", PUT, &["replication"], &[]),
    op("DeleteBucketReplication", DELETE, &["replication"], &[]),
    op("GetBucketRequestPayment", GET, &["requestPayment"], &[]),
    op("PutBucketRequestPayment", PUT, &["requestPayment"], &[]),
    op("CreateSession", GET, &["session"], &[]),
    op("GetBucketTagging", GET, &["tagging"], &[]),
    op("PutBucketTagging", PUT, &["tagging"], &[]),
    op("DeleteBucketTagging", DELETE, &["tagging"], &[]),
    op("ListMultipartUploads", GET, &["uploads"], UPLOADS),
    op("GetBucketVersioning", GET, &["versioning"], &[]),
    op("PutBucketVersioning", PUT, &["versioning"], &[]),
    op("ListObjectVersions", GET, &["versions"], VERSIONS),
    op("GetBucketWebsite", GET, &["website"], &[]),
    op("PutBucketWebsite", PUT, &["website"], &[]),
    op("DeleteBucketWebsite", DELETE, &["website"], &[]),
];

/// On objects. A copy is a PutObject or an UploadPart with a source.
pub(super) const OBJECT: &[Operation] = &[
    op("GetObject", GET, &[], READ),
    op("HeadObject", HEAD, &[], READ),
    op("PutObject", PUT, &[], &[]),
    op("DeleteObject", DELETE, &[], VERSION),
    op("UploadPart", PUT, &["uploadId", "partNumber"], &[]),
    op("ListParts", GET, &["uploadId"], &["encoding-type", "max-parts", "part-number-marker"]),
    op("CompleteMultipartUpload", POST, &["uploadId"], &[]),
    op("AbortMultipartUpload", DELETE, &["uploadId"], &[]),
    op("CreateMultipartUpload", POST, &["uploads"], &[]),
    op("GetObjectAcl", GET, &["acl"], VERSION),
    op("PutObjectAcl", PUT, &["acl"], VERSION),
    op("GetObjectAnnotation", GET, &["annotation", "annotationName"], VERSION),
    op("ListObjectAnnotations", GET, &["annotation"], ANNOTATIONS),
    op("PutObjectAnnotation", PUT, &["annotation", "annotationName"], VERSION),
    op("DeleteObjectAnnotation", DELETE, &["annotation", "annotationName"], VERSION),
    op("GetObjectAttributes", GET, &["attributes"], VERSION),
    op("UpdateObjectEncryption", PUT, &["encryption"], VERSION),
    op("GetObjectLegalHold", GET, &["legal-hold"], VERSION),
    op("PutObjectLegalHold", PUT, &["legal-hold"], VERSION),
    op("RenameObject", PUT, &["renameObject"], &[]),
    op("RestoreObject", POST, &["restore"], VERSION),
    op("GetObjectRetention", GET, &["retention"], VERSION),
    op("PutObjectRetention", PUT, &["retention"], VERSION),
    op("SelectObjectContent", POST, &["select", "select-type"], &[]),
    op("GetObjectTagging", GET, &["tagging"], VERSION),
    op("PutObjectTagging", PUT, &["tagging"], VERSION),
    op("DeleteObjectTagging", DELETE, &["tagging"], VERSION),
    op("GetObjectTorrent", GET, &["torrent"], &[]),
];
