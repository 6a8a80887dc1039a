//! Versions of objects: finding one, switching versioning on.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, MFADelete,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::lock::refuse_if_indestructible;
use super::place::Place;
use super::refusal::Detailed as _;
use super::reply::CoreRef;
use crate::core::Core;
use crate::store::frozen::SnapshotKey;
use crate::store::object::{Bucket, Object};
use crate::store::registry::Row;
use crate::store::state::State;
use crate::store::version::{Content, Entry, Version, VersionId};

/// The version that a request names; none when it names none.
pub(crate) fn named(text: Option<&str>) -> S3Result<Option<VersionId>> {
    match text {
        None => Ok(None),
        Some("") => Err(s3_error!(InvalidArgument, "Version id cannot be the empty string")),
        Some(text) => match VersionId::parse(text) {
            Some(id) => Ok(Some(id)),
            None => Err(s3_error!(InvalidArgument, "Invalid version id specified")),
        },
    }
}

/// An object that a request reads.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) object: Arc<Object>,
    pub(crate) id: VersionId,
    /// Whether answers name the version: in buckets that keep them.
    pub(crate) named: bool,
}

impl Found {
    /// The version id as answers give it.
    pub(crate) fn version(&self) -> Option<String> {
        self.named.then(|| self.id.to_string())
    }
}

/// The version id of a write as answers give it.
pub(crate) fn written(place: &Place, id: VersionId) -> Option<String> {
    place.versioned.then(|| id.to_string())
}

pub(crate) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(crate) fn no_such_version() -> S3Error {
    s3_error!(NoSuchVersion, "The specified version does not exist.")
}

/// Marks an error as the answer of a delete marker.
fn of_marker(mut error: S3Error, marker: &Version, with_date: bool) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::try_from(marker.id.to_string()) {
        headers.insert("x-amz-version-id", id);
    }
    if with_date {
        headers.insert(http::header::ALLOW, HeaderValue::from_static("DELETE"));
        if let Ok(date) = HeaderValue::try_from(crate::env::http_date(marker.modified())) {
            headers.insert(http::header::LAST_MODIFIED, date);
        }
    }
    error.set_headers(headers);
    error
}

/// The object behind a key of a bucket, or behind one of its versions, or in a snapshot that the key goes through.
pub(crate) fn find_in(
    state: &State,
    bucket: &Bucket,
    key: &str,
    wanted: Option<VersionId>,
) -> S3Result<Found> {
    // A view's path may lie in a snapshot, too.
    let full = bucket.path_of(key);
    if let Some(through) = SnapshotKey::parse(&full) {
        let (frozen, path) = state.frozen_for(bucket, &through).ok_or_else(no_such_key)?;
        let object = frozen.object(&path).cloned().ok_or_else(no_such_key)?;
        return match wanted {
            None | Some(VersionId::Null) => Ok(Found { object, id: VersionId::Null, named: false }),
            Some(_) => Err(no_such_version()),
        };
    }
    let place = Place::new(state, bucket, key);
    let entry = place.entry(state);
    let version = match wanted {
        None => entry.and_then(Entry::newest).ok_or_else(no_such_key)?,
        Some(id) => entry.and_then(|e| e.get(id)).ok_or_else(no_such_version)?,
    };
    match (&version.content, wanted) {
        (Content::Object(object), _) => Ok(Found {
            object: Arc::clone(object),
            id: version.id,
            named: place.versioned || version.id != VersionId::Null,
        }),
        (Content::DeleteMarker { .. }, None) => Err(of_marker(no_such_key(), version, false)),
        (Content::DeleteMarker { .. }, Some(_)) => {
            let error =
                s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.");
            Err(of_marker(error, version, true).detail("ResourceType", "DeleteMarker"))
        }
    }
}

/// The object that a caller may read.
pub(crate) fn find(
    core: &Core,
    caller: &Caller,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> S3Result<Found> {
    let wanted = named(version)?;
    core.store.read(|state| find_in(state, caller.open(state, bucket)?, key, wanted))
}

pub(crate) async fn get_versioning(
    core: CoreRef<'_>,
    req: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let caller = Caller::of(&req)?;
    let on = core
        .store
        .read(|state| Ok::<_, S3Error>(state.is_versioned(caller.open(state, &req.input.bucket)?)))?;
    let status = on.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
    Ok(S3Response::new(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() }))
}

/// Versioning is a field of the view; once on it stays on.
pub(crate) async fn put_versioning(
    core: CoreRef<'_>,
    req: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let caller = Caller::of(&req)?;
    let asked = req.input.versioning_configuration;
    if asked.mfa_delete.as_ref().is_some_and(|m| m.as_str() == MFADelete::ENABLED) {
        return Err(s3_error!(NotImplemented, "MFA delete is not available."));
    }
    core.store.write(|state| {
        let bucket = caller.open(state, &req.input.bucket)?;
        refuse_if_indestructible(state, bucket)?;
        let view = bucket.view_id;
        match asked.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => {
                let mut fields = Row::new();
                fields.insert("s3_versioning".to_owned(), true.into());
                state.vms.update("views", view, fields);
                Ok(())
            }
            Some(BucketVersioningStatus::SUSPENDED) => Err(s3_error!(
                InvalidBucketState,
                "Versioning cannot be suspended or disabled: the bucket would lose what it was asked to keep."
            )),
            _ => Err(s3_error!(
                IllegalVersioningConfigurationException,
                "The Versioning element must be specified with the status Enabled."
            )),
        }
    })?;
    Ok(S3Response::new(PutBucketVersioningOutput {}))
}
