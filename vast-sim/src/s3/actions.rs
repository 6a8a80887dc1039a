//! Operations as policies and lists name them: the action, what it is about, and the permission that stands for it.

use http::HeaderMap;

use super::acl::Permission;

/// The permission of an access control list that an action needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    OfBucket(Permission),
    OfObject(Permission),
    /// Only owners and policies give it.
    Nothing,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// `s3:GetObject`.
    pub(crate) name: String,
    /// Whether it is about a key, not the bucket.
    pub(crate) on_object: bool,
    pub(crate) needs: Needs,
}

impl Action {
    fn new(name: &str, on_object: bool, needs: Needs) -> Self {
        Self { name: format!("s3:{name}"), on_object, needs }
    }

    /// Whether it leaves everything as it was.
    pub(crate) fn only_reads(&self) -> bool {
        self.name.starts_with("s3:Get")
            || self.name.starts_with("s3:List")
            || self.name.starts_with("s3:Head")
    }

    /// Deleting a key, for requests that name many.
    pub(crate) fn delete(version: bool) -> Self {
        let name = if version { "DeleteObjectVersion" } else { "DeleteObject" };
        Self::new(name, true, Needs::OfBucket(Permission::Write))
    }

    /// Reading an object, for the sources of copies.
    pub(crate) fn read(version: bool) -> Self {
        let name = if version { "GetObjectVersion" } else { "GetObject" };
        Self::new(name, true, Needs::OfObject(Permission::Read))
    }

    /// Lifting or shortening a governance retention.
    pub(crate) fn bypass_governance() -> Self {
        Self::new("BypassGovernanceRetention", true, Needs::Nothing)
    }
}

/// Names of bucket actions that differ from their operation's.
const BUCKET_NAMES: &[(&str, &str)] = &[
    ("ListBuckets", "ListAllMyBuckets"),
    ("HeadBucket", "ListBucket"),
    ("ListObjects", "ListBucket"),
    ("ListObjectsV2", "ListBucket"),
    ("ListObjectVersions", "ListBucketVersions"),
    ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    ("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("GetBucketCors", "GetBucketCORS"),
    ("PutBucketCors", "PutBucketCORS"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("GetBucketNotificationConfiguration", "GetBucketNotification"),
    ("PutBucketNotificationConfiguration", "PutBucketNotification"),
    ("DeleteBucketTagging", "PutBucketTagging"),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
];

fn on_bucket(operation: &str) -> Action {
    let name = BUCKET_NAMES.iter().find(|(op, _)| *op == operation).map_or(operation, |(_, name)| name);
    let needs = match name {
        "ListBucket" | "ListBucketVersions" | "ListBucketMultipartUploads" => {
            Needs::OfBucket(Permission::Read)
        }
        "GetBucketAcl" => Needs::OfBucket(Permission::ReadAcp),
        "PutBucketAcl" => Needs::OfBucket(Permission::WriteAcp),
        _ => Needs::Nothing,
    };
    Action::new(name, false, needs)
}

/// The actions of an operation; all of them must be allowed.
pub(crate) fn of(operation: &str, is_object: bool, versioned: bool, headers: &HeaderMap) -> Vec<Action> {
    if !is_object {
        // The keys of a multi-delete are judged one by one.
        return if operation == "DeleteObjects" { Vec::new() } else { vec![on_bucket(operation)] };
    }
    let object = |name: &str, needs| vec![Action::new(name, true, needs)];
    let of_version =
        |plain: &str, versioned_name: &str| if versioned { versioned_name } else { plain }.to_owned();
    match operation {
        "GetObject" | "HeadObject" | "GetObjectAttributes" => vec![Action::read(versioned)],
        "DeleteObject" => vec![Action::delete(versioned)],
        "PutObject"
        | "PostObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "CompleteMultipartUpload"
        | "CopyObject"
        | "UploadPartCopy" => writing(headers),
        "AbortMultipartUpload" => object("AbortMultipartUpload", Needs::OfBucket(Permission::Write)),
        "ListParts" => object("ListMultipartUploadParts", Needs::OfBucket(Permission::Read)),
        "GetObjectAcl" => {
            object(&of_version("GetObjectAcl", "GetObjectVersionAcl"), Needs::OfObject(Permission::ReadAcp))
        }
        "PutObjectAcl" => {
            object(&of_version("PutObjectAcl", "PutObjectVersionAcl"), Needs::OfObject(Permission::WriteAcp))
        }
        "GetObjectTagging" => {
            object(&of_version("GetObjectTagging", "GetObjectVersionTagging"), Needs::Nothing)
        }
        "PutObjectTagging" => {
            object(&of_version("PutObjectTagging", "PutObjectVersionTagging"), Needs::Nothing)
        }
        "DeleteObjectTagging" => {
            object(&of_version("DeleteObjectTagging", "DeleteObjectVersionTagging"), Needs::Nothing)
        }
        other => object(other, Needs::Nothing),
    }
}

/// Whether an operation gives an object its attributes.
pub(crate) fn writes_object(operation: &str) -> bool {
    matches!(operation, "PutObject" | "PostObject" | "CreateMultipartUpload" | "CopyObject")
}

/// Writing an object, and what else its headers set.
fn writing(headers: &HeaderMap) -> Vec<Action> {
    let mut all = vec![Action::new("PutObject", true, Needs::OfBucket(Permission::Write))];
    let has = |name: &str| headers.contains_key(name);
    let grants = headers.keys().any(|n| n == "x-amz-acl" || n.as_str().starts_with("x-amz-grant-"));
    for (asked, name) in [
        (has("x-amz-tagging"), "PutObjectTagging"),
        (grants, "PutObjectAcl"),
        (has("x-amz-object-lock-mode"), "PutObjectRetention"),
        (has("x-amz-object-lock-legal-hold"), "PutObjectLegalHold"),
    ] {
        if asked {
            // Who may write an object may also set what belongs to it: lists know no permission of its own for that.
            all.push(Action::new(name, true, Needs::OfBucket(Permission::Write)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions() {
        let mut headers = HeaderMap::new();
        let names = |op: &str, object, version, headers: &HeaderMap| -> Vec<String> {
            of(op, object, version, headers).into_iter().map(|a| a.name).collect()
        };
        assert_eq!(names("HeadBucket", false, false, &headers), ["s3:ListBucket"]);
        assert_eq!(names("DeleteBucketCors", false, false, &headers), ["s3:PutBucketCORS"]);
        assert_eq!(names("GetObject", true, true, &headers), ["s3:GetObjectVersion"]);
        assert_eq!(names("UploadPart", true, false, &headers), ["s3:PutObject"]);
        assert_eq!(names("GetObjectRetention", true, false, &headers), ["s3:GetObjectRetention"]);
        headers.insert("x-amz-tagging", "a=b".parse().unwrap());
        headers.insert("x-amz-acl", "private".parse().unwrap());
        assert_eq!(
            names("PutObject", true, false, &headers),
            ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"]
        );
    }
}
