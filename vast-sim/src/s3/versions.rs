//! Versions of objects: finding one, switching versioning on, listing them all.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    BucketVersioningStatus, ChecksumAlgorithm, DeleteMarkerEntry, GetBucketVersioningInput,
    GetBucketVersioningOutput, ListObjectVersionsInput, ListObjectVersionsOutput, MFADelete, ObjectVersion,
    ObjectVersionStorageClass, PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::list::{Encoder, limit};
use super::paging::{Ask, page};
use super::place::Place;
use super::reply::{self, CoreRef};
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
            Err(of_marker(error, version, true))
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
    reply::settle(core).await?;
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
    reply::settle(core).await?;
    Ok(S3Response::new(PutBucketVersioningOutput {}))
}

/// One line of a version listing.
enum Line {
    Object(ObjectVersion),
    Marker(DeleteMarkerEntry),
}

fn line(version: &Version, is_latest: bool) -> Line {
    let (id, owner) = (Some(version.id.to_string()), reply::owner(version.owner()));
    let is_latest = Some(is_latest);
    match &version.content {
        Content::Object(object) => Line::Object(ObjectVersion {
            e_tag: reply::etag(&object.etag),
            is_latest,
            last_modified: reply::stamp(object.modified),
            owner,
            size: reply::size(object.size),
            storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
            version_id: id,
            checksum_algorithm: object
                .checksum
                .as_ref()
                .map(|c| vec![ChecksumAlgorithm::from_static(c.algorithm.name())]),
            checksum_type: object.checksum.as_ref().and_then(|c| reply::checksum_type(c.composite)),
            ..ObjectVersion::default()
        }),
        Content::DeleteMarker { modified, .. } => Line::Marker(DeleteMarkerEntry {
            is_latest,
            last_modified: reply::stamp(*modified),
            owner,
            version_id: id,
            ..DeleteMarkerEntry::default()
        }),
    }
}

/// The versions of an entry behind a marker, newest first.
fn lines(entry: &Entry, behind: Option<&str>) -> Vec<(String, Line)> {
    let behind = behind.and_then(VersionId::parse);
    let newest = entry.newest().map(|v| v.id);
    let all = || entry.versions().map(|v| (v.id.to_string(), line(v, Some(v.id) == newest)));
    match behind {
        None => all().collect(),
        Some(id) if entry.get(id).is_some() => {
            let at = entry.versions().position(|v| v.id == id).unwrap_or(0);
            all().skip(at + 1).collect()
        }
        // The marker itself is gone: numbered ids ascend with time, so that older ones are known.
        Some(id) => {
            let older =
                entry.versions().map(|v| id != VersionId::Null && (v.id == VersionId::Null || v.id < id));
            all().zip(older).filter_map(|(line, older)| older.then_some(line)).collect()
        }
    }
}

pub(crate) async fn list(
    core: CoreRef<'_>,
    req: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let (asked, max) = limit(input.max_keys)?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let version_marker = match input.version_id_marker.as_deref() {
        None => None,
        Some("") => return Err(s3_error!(InvalidArgument, "A version-id marker cannot be empty.")),
        Some(_) if key_marker.is_empty() => {
            return Err(s3_error!(
                InvalidArgument,
                "A version-id marker cannot be specified without a key marker."
            ));
        }
        Some(id) => named(Some(id))?.map(|id| id.to_string()),
    };
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let (prefix, delimiter) = (text(&input.prefix), text(&input.delimiter));
    let found = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let ask = Ask {
            base: &bucket.base(),
            prefix: &prefix,
            delimiter: &delimiter,
            after: &key_marker,
            within: version_marker.as_deref(),
            max,
        };
        Ok::<_, S3Error>(page(state.files(bucket.tenant_id).entries(), &ask, lines))
    })?;
    reply::settle(core).await?;
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, line) in found.items {
        let key = Some(encoder.text(&key));
        match line {
            Line::Object(version) => versions.push(ObjectVersion { key, ..version }),
            Line::Marker(marker) => markers.push(DeleteMarkerEntry { key, ..marker }),
        }
    }
    let (next_key, next_version) = found.next.unzip();
    Ok(S3Response::new(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoder.text(&prefix)),
        key_marker: Some(encoder.text(&key_marker)),
        version_id_marker: input.version_id_marker,
        max_keys: Some(asked),
        is_truncated: Some(next_key.is_some()),
        next_key_marker: next_key.map(|k| encoder.text(&k)),
        next_version_id_marker: next_version.filter(|v| !v.is_empty()),
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: encoder.prefixes(&found.prefixes),
        delimiter: encoder.opt(input.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        ..ListObjectVersionsOutput::default()
    }))
}
