//! How a writer wants an object to be kept: storage class, encryption, metadata. The cluster keeps all objects alike and
//! encrypts them with its own keys or not at all, so that there is little to choose.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use s3s::dto::ServerSideEncryption;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::checksum::Algorithm;
use super::operation::not_implemented;
use super::refusal::Detailed as _;

/// The storage classes that AWS defines. All of them are taken, for the sake of clients that are set to one, and none
/// makes a difference: objects are reported as STANDARD.
const CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
    "FSX_ONTAP",
];

/// Most bytes of user metadata: names and values.
const MAX_METADATA: usize = 2048;

/// What a writer's headers say.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskedStorage {
    pub(crate) class: Option<String>,
    pub(crate) encryption: Option<String>,
    /// Keys of the client's own, or of a key service.
    pub(crate) keys: bool,
    pub(crate) redirect: bool,
}

/// Those headers among an input's fields.
macro_rules! asked_storage {
    ($input:expr) => {
        $crate::s3::storage::AskedStorage {
            class: $input.storage_class.as_ref().map(|c| c.as_str().to_owned()),
            encryption: $input.server_side_encryption.as_ref().map(|e| e.as_str().to_owned()),
            keys: $input.sse_customer_algorithm.is_some()
                || $input.sse_customer_key.is_some()
                || $input.ssekms_key_id.is_some()
                || $input.ssekms_encryption_context.is_some(),
            redirect: $input.website_redirect_location.is_some(),
        }
    };
}
pub(crate) use asked_storage;

impl AskedStorage {
    /// Refuses what the cluster cannot do; says whether encryption was asked for.
    pub(crate) fn check(&self) -> S3Result<bool> {
        if let Some(class) = self.class.as_deref().filter(|c| !CLASSES.contains(c)) {
            let error = S3Error::with_message(
                S3ErrorCode::InvalidStorageClass,
                "The storage class you specified is not valid",
            );
            return Err(error.detail("StorageClassRequested", class));
        }
        if self.redirect {
            return Err(not_implemented().detail("Header", "x-amz-website-redirect-location"));
        }
        if self.keys {
            return Err(not_implemented().detail("Header", "x-amz-server-side-encryption-customer-algorithm"));
        }
        match self.encryption.as_deref() {
            None => Ok(false),
            Some(ServerSideEncryption::AES256) => Ok(true),
            Some(method) if method.starts_with("aws:") => {
                Err(not_implemented().detail("Header", "x-amz-server-side-encryption"))
            }
            Some(method) => {
                Err(s3_error!(InvalidArgument, "The encryption method specified is not supported")
                    .detail("ArgumentName", "x-amz-server-side-encryption")
                    .detail("ArgumentValue", method))
            }
        }
    }
}

/// Encryption as answers name it.
pub(crate) fn encryption(on: bool) -> Option<ServerSideEncryption> {
    on.then(|| ServerSideEncryption::from_static(ServerSideEncryption::AES256))
}

/// Refuses a reader's key for what is not encrypted by one.
pub(crate) fn refuse_reading_key(given: bool) -> S3Result<()> {
    if given {
        return Err(s3_error!(
            InvalidRequest,
            "The encryption parameters are not applicable to this object."
        ));
    }
    Ok(())
}

/// Refuses too much metadata.
pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> S3Result<()> {
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size <= MAX_METADATA {
        return Ok(());
    }
    let message = "Your metadata headers exceed the maximum allowed metadata size";
    Err(s3_error!(MetadataTooLarge, "{message}").detail("Size", size).detail("MaxSizeAllowed", MAX_METADATA))
}

/// Refuses checksums that this cluster cannot compute: an upload must not look verified when it was not.
pub(crate) fn check_checksums(headers: &HeaderMap) -> S3Result<()> {
    let known = |name: &str| {
        ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"].contains(&name)
            || Algorithm::from_header(name).is_some()
    };
    let of_checksum = |name: &&str| name.starts_with("x-amz-checksum-") && !known(name);
    let in_headers = headers.keys().map(HeaderName::as_str).find(of_checksum).map(str::to_owned);
    let announced = headers.get("x-amz-trailer").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let announced = announced.to_ascii_lowercase();
    let in_trailer = announced.split(',').map(str::trim).find(of_checksum).map(str::to_owned);
    match in_headers.or(in_trailer) {
        Some(name) => Err(not_implemented().detail("Header", name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_can_be_chosen() {
        let asked = |class: Option<&str>, encryption: Option<&str>| AskedStorage {
            class: class.map(str::to_owned),
            encryption: encryption.map(str::to_owned),
            ..AskedStorage::default()
        };
        let code = |a: AskedStorage| a.check().map_err(|e| e.code().as_str().to_owned());
        assert_eq!(code(asked(None, None)), Ok(false));
        assert_eq!(code(asked(Some("STANDARD_IA"), Some("AES256"))), Ok(true));
        assert_eq!(code(asked(Some("standard"), None)), Err("InvalidStorageClass".to_owned()));
        assert_eq!(code(asked(None, Some("aws:kms"))), Err("NotImplemented".to_owned()));
        assert_eq!(code(asked(None, Some("ROT13"))), Err("InvalidArgument".to_owned()));
        assert_eq!(code(AskedStorage { keys: true, ..asked(None, None) }), Err("NotImplemented".to_owned()));
    }

    #[test]
    fn metadata_has_a_limit() {
        let of = |n: usize| BTreeMap::from([("name".to_owned(), "v".repeat(n))]);
        assert!(check_metadata(&of(MAX_METADATA - 4)).is_ok());
        let error = check_metadata(&of(MAX_METADATA - 3)).unwrap_err();
        assert_eq!(error.code().as_str(), "MetadataTooLarge");
    }

    #[test]
    fn unknown_checksums_are_refused() {
        let ok = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            check_checksums(&headers).is_ok()
        };
        assert!(ok("x-amz-checksum-crc32", "x") && ok("x-amz-trailer", "x-amz-checksum-sha256"));
        assert!(ok("x-amz-trailer", "x-amz-trailer-signature") && ok("x-amz-checksum-mode", "ENABLED"));
        assert!(!ok("x-amz-checksum-sha512", "x") && !ok("x-amz-trailer", "x-amz-checksum-xxhash64"));
    }
}
