//! ListObjectVersions.

use s3s::dto::{
    ChecksumAlgorithm, DeleteMarkerEntry, ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion,
    ObjectVersionStorageClass,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::super::caller::Caller;
use super::super::reply::{self, CoreRef};
use super::super::versions::named;
use super::paging::page;
use super::{Listing, fill};
use crate::store::version::{Content, Entry, Version, VersionId};

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

pub(crate) async fn versions(
    core: CoreRef<'_>,
    req: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let listing = Listing::new(
        input.encoding_type.as_ref(),
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
    )?;
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
    let found = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let base = bucket.base();
        let ask = listing.ask(&base, &key_marker, version_marker.as_deref());
        Ok::<_, S3Error>(page(state.files(bucket.tenant_id).entries(), &ask, lines))
    })?;
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, line) in found.items {
        let key = Some(listing.text(&key));
        match line {
            Line::Object(version) => versions.push(ObjectVersion { key, ..version }),
            Line::Marker(marker) => markers.push(DeleteMarkerEntry { key, ..marker }),
        }
    }
    let truncated = found.next.is_some();
    let (next_key, next_version) = found.next.unzip();
    let mut output = ListObjectVersionsOutput {
        name: Some(input.bucket),
        key_marker: Some(listing.text(&key_marker)),
        version_id_marker: input.version_id_marker,
        max_keys: Some(listing.asked),
        next_key_marker: next_key.map(|k| listing.text(&k)),
        next_version_id_marker: next_version.filter(|v| !v.is_empty()),
        versions: Some(versions),
        delete_markers: Some(markers),
        ..ListObjectVersionsOutput::default()
    };
    fill!(output, listing, truncated, &found.prefixes);
    Ok(S3Response::new(output))
}
