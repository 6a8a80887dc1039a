//! The actions that policies of buckets may name.

use super::pattern::matches;

/// As AWS lists those of buckets, objects and what leads to them, without the prefix `s3:`. Which of them a cluster does
/// not have makes no difference: policies written for AWS name them too.
const KNOWN: &str = "\
    AbortMultipartUpload BypassGovernanceRetention CreateAccessPoint CreateBucket \
    CreateBucketMetadataTableConfiguration CreateJob CreateSession DeleteAccessPoint \
    DeleteAccessPointPolicy DeleteBucket DeleteBucketMetadataTableConfiguration DeleteBucketPolicy \
    DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging \
    GetAccelerateConfiguration GetAccessPoint GetAccessPointPolicy GetAccessPointPolicyStatus \
    GetAccountPublicAccessBlock GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS \
    GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification \
    GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus \
    GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning \
    GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration \
    GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration GetObject GetObjectAcl \
    GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent \
    GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes GetObjectVersionForReplication \
    GetObjectVersionTagging GetObjectVersionTorrent GetReplicationConfiguration InitiateReplication \
    ListAccessPoints ListAllMyBuckets ListBucket ListBucketMultipartUploads ListBucketVersions \
    ListMultipartUploadParts ListTagsForResource ObjectOwnerOverrideToBucketOwner PauseReplication \
    PutAccelerateConfiguration PutAccessPointPolicy PutAccessPointPublicAccessBlock \
    PutAccountPublicAccessBlock PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS \
    PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls \
    PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging \
    PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration \
    PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutObject PutObjectAcl \
    PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging \
    PutReplicationConfiguration ReplicateDelete ReplicateObject ReplicateTags RestoreObject TagResource \
    UntagResource UpdateBucketMetadataInventoryTableConfiguration \
    UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption";

/// Whether a name, which may have wildcards, stands for at least one action.
pub(super) fn is_known(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    KNOWN.split_whitespace().any(|name| matches(&pattern, &name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::s3::{INPUTS, actions};

    #[test]
    fn what_an_operation_needs_can_be_named() {
        let mut headers = HeaderMap::new();
        for name in ["x-amz-acl", "x-amz-tagging", "x-amz-object-lock-mode", "x-amz-object-lock-legal-hold"] {
            headers.insert(name, "x".parse().unwrap());
        }
        let operations = INPUTS.iter().map(|input| input.strip_suffix("Input").unwrap());
        let on_object = |name: &str| {
            let of_keys = ["ListParts", "UploadPart", "CopyObject", "UploadPartCopy"].contains(&name);
            let is_of_buckets = name.contains("LockConfiguration") || name.ends_with("Objects");
            of_keys || ((name.contains("Object") || name.ends_with("MultipartUpload")) && !is_of_buckets)
        };
        for name in operations.filter(|name| !name.starts_with("ListObject")) {
            for action in [false, true].iter().flat_map(|v| actions::of(name, on_object(name), *v, &headers))
            {
                assert!(is_known(action.name.strip_prefix("s3:").unwrap()), "{name}: {}", action.name);
            }
        }
        assert!(!is_known("GetObjekt") && !is_known(""));
    }
}
