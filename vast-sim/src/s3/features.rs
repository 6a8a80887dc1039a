//! What an S3 server may lack: features that can be switched off one by one, for the whole cluster or by a fault for
//! single requests, so that clients' ways round them can be tested.

use std::any::Any;
use std::collections::BTreeMap;

use http::HeaderMap;
use s3s::dto;
use s3s::{S3Request, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::checksum::Algorithm;
use crate::faults::Hit;

/// A part of the S3 protocol that servers are known to lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `If-Match` and `If-None-Match` on writes and deletions.
    ConditionalWrites,
    /// `UploadPartCopy`.
    PartCopy,
    /// `ListObjectVersions`.
    VersionListing,
    /// All multipart operations.
    Multipart,
    /// The same answer to a `CompleteMultipartUpload` that is sent again; without it, 404 `NoSuchUpload`.
    RepeatedCompletion,
    /// Checksums behind the body (`x-amz-trailer`).
    Trailers,
    /// The CRC-32 checksum.
    ChecksumCrc32,
    /// The CRC-32C checksum.
    ChecksumCrc32c,
    /// The CRC-64/NVME checksum.
    ChecksumCrc64nvme,
    /// The SHA-1 checksum.
    ChecksumSha1,
    /// The SHA-256 checksum.
    ChecksumSha256,
}

/// How a server behaves that lacks a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It says so: 501 `NotImplemented`.
    Refused,
    /// It does not notice: headers are skipped as if they had not been sent.
    Ignored,
}

/// The features that are off; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeaturesOff(BTreeMap<Feature, Switch>);

impl Feature {
    /// Says what is wrong with switching it off like this, if anything.
    pub(crate) fn check(self, how: Switch) -> Result<(), String> {
        let operation = matches!(self, Self::PartCopy | Self::VersionListing | Self::Multipart);
        if operation && how == Switch::Ignored {
            return Err(format!("{self:?} is an operation: it can be refused, not ignored"));
        }
        if self == Self::RepeatedCompletion && how == Switch::Refused {
            return Err(format!("{self:?} is no request of its own: it can be ignored, not refused"));
        }
        Ok(())
    }

    fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::ChecksumCrc32 => Some(Algorithm::Crc32),
            Self::ChecksumCrc32c => Some(Algorithm::Crc32c),
            Self::ChecksumCrc64nvme => Some(Algorithm::Crc64Nvme),
            Self::ChecksumSha1 => Some(Algorithm::Sha1),
            Self::ChecksumSha256 => Some(Algorithm::Sha256),
            _ => None,
        }
    }

    /// Whether a request asks for it.
    fn is_asked(self, method: &str, headers: &HeaderMap) -> bool {
        match self {
            Self::ConditionalWrites => {
                let writes = ["put_object", "copy_object", "complete_multipart_upload", "delete_object"]
                    .contains(&method);
                writes && (headers.contains_key("if-match") || headers.contains_key("if-none-match"))
            }
            Self::PartCopy => method == "upload_part_copy",
            Self::VersionListing => method == "list_object_versions",
            Self::Multipart => method.contains("multipart") || method.contains("part"),
            // The operation asks for itself.
            Self::RepeatedCompletion => false,
            Self::Trailers => headers.contains_key("x-amz-trailer"),
            _ => self.algorithm().is_some_and(|a| asks_for(a, headers)),
        }
    }
}

fn asks_for(algorithm: Algorithm, headers: &HeaderMap) -> bool {
    let names = ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"];
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    headers.contains_key(algorithm.header())
        || names.iter().any(|n| text(n).is_some_and(|v| v.eq_ignore_ascii_case(algorithm.name())))
        || text("x-amz-trailer").is_some_and(|v| v.eq_ignore_ascii_case(algorithm.header()))
}

impl FeaturesOff {
    /// Switches a feature off.
    ///
    /// # Errors
    /// A text that says why this feature cannot be off in this way.
    pub fn switch_off(&mut self, feature: Feature, how: Switch) -> Result<(), String> {
        feature.check(how)?;
        self.0.insert(feature, how);
        Ok(())
    }

    /// Says what is wrong with these switches, if anything.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|(feature, how)| feature.check(*how))
    }
}

/// What one request has to do without, by the server's settings or by a fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lacking(BTreeMap<Feature, (Switch, Option<Hit>)>);

impl From<FeaturesOff> for Lacking {
    fn from(off: FeaturesOff) -> Self {
        Self(off.0.into_iter().map(|(feature, how)| (feature, (how, None))).collect())
    }
}

impl Lacking {
    /// Also this, by a fault, which has the last word.
    pub(crate) fn also(&mut self, feature: Feature, how: Switch, hit: Hit) {
        self.0.insert(feature, (how, Some(hit)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a request has to do without a feature that its operation looks at itself. Asked when it would matter: that is
/// when a fault that took the feature away has hit.
pub(crate) fn is_missing(feature: Feature, extensions: &http::Extensions) -> bool {
    let missing = extensions.get::<Lacking>().and_then(|lacking| lacking.0.get(&feature));
    if let Some((_, Some(hit))) = missing {
        hit.happened();
    }
    missing.is_some()
}

/// Makes a request what it is to a server without the features that are off for it.
pub(crate) fn apply<T: Any>(method: &str, request: &mut S3Request<T>) -> S3Result<()> {
    let Some(lacking) = request.extensions.get::<Lacking>().cloned() else { return Ok(()) };
    for (feature, (how, hit)) in lacking.0 {
        if !feature.is_asked(method, &request.headers) {
            continue;
        }
        hit.iter().for_each(Hit::happened);
        if how == Switch::Refused {
            return Err(s3_error!(
                NotImplemented,
                "A header or operation you provided implies functionality that is not implemented: {:?}",
                feature
            ));
        }
        ignore(feature, request);
    }
    Ok(())
}

macro_rules! forget_checksum {
    ($input:expr, $algorithm:expr) => {
        match $algorithm {
            Algorithm::Crc32 => $input.checksum_crc32 = None,
            Algorithm::Crc32c => $input.checksum_crc32c = None,
            Algorithm::Crc64Nvme => $input.checksum_crc64nvme = None,
            Algorithm::Sha1 => $input.checksum_sha1 = None,
            Algorithm::Sha256 => $input.checksum_sha256 = None,
        }
    };
}

fn ignore<T: Any>(feature: Feature, request: &mut S3Request<T>) {
    let algorithm = feature.algorithm();
    if algorithm.is_some() || feature == Feature::Trailers {
        request.headers.remove("x-amz-trailer");
    }
    if feature == Feature::ConditionalWrites {
        request.headers.remove("if-match");
        request.headers.remove("if-none-match");
    }
    if let Some(algorithm) = algorithm {
        request.headers.remove(algorithm.header());
        request.headers.remove("x-amz-sdk-checksum-algorithm");
        request.headers.remove("x-amz-checksum-algorithm");
    }
    let conditions = feature == Feature::ConditionalWrites;
    let input: &mut dyn Any = &mut request.input;
    if let Some(input) = input.downcast_mut::<dto::PutObjectInput>() {
        if conditions {
            (input.if_match, input.if_none_match) = (None, None);
        } else {
            input.checksum_algorithm = None;
        }
        if let Some(algorithm) = algorithm {
            forget_checksum!(input, algorithm);
        }
    } else if let Some(input) = input.downcast_mut::<dto::UploadPartInput>() {
        input.checksum_algorithm = None;
        if let Some(algorithm) = algorithm {
            forget_checksum!(input, algorithm);
        }
    } else if let Some(input) = input.downcast_mut::<dto::CompleteMultipartUploadInput>() {
        if conditions {
            (input.if_match, input.if_none_match) = (None, None);
        }
        if let Some(algorithm) = algorithm {
            forget_checksum!(input, algorithm);
        }
    } else if let Some(input) = input.downcast_mut::<dto::CreateMultipartUploadInput>() {
        if algorithm.is_some() {
            (input.checksum_algorithm, input.checksum_type) = (None, None);
        }
    } else if let Some(input) = input.downcast_mut::<dto::CopyObjectInput>() {
        if algorithm.is_some() {
            input.checksum_algorithm = None;
        }
    } else if let Some(input) = input.downcast_mut::<dto::DeleteObjectInput>()
        && conditions
    {
        input.if_match = None;
    }
}
