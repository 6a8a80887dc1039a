//! ListMultipartUploads and ListParts.

use std::collections::BTreeMap;

use s3s::dto::{
    ChecksumAlgorithm, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part as PartDto, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::super::caller::Caller;
use super::super::place::Place;
use super::super::reply::{self, CoreRef, put_checksum};
use super::paging::page;
use super::{Listing, fill, limit};
use crate::store::object::Upload;

#[allow(clippy::unnecessary_wraps, reason = "the protocol's fields are optional")]
fn initiator(name: &str) -> Option<Initiator> {
    Some(Initiator { id: Some(name.to_owned()), display_name: Some(name.to_owned()) })
}

pub(crate) async fn uploads(
    core: CoreRef<'_>,
    req: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let listing = Listing::new(
        input.encoding_type.as_ref(),
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_uploads,
    )?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    // Without a key the id marker means nothing; without an id the key stands for all its uploads.
    let id_marker = input.upload_id_marker.clone().filter(|id| !id.is_empty() && !key_marker.is_empty());
    let found = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let base = bucket.base();
        let ask = listing.ask(&base, &key_marker, id_marker.as_deref());
        let dto = |id: &String, upload: &Upload| MultipartUpload {
            upload_id: Some(id.clone()),
            initiated: reply::stamp(upload.initiated),
            owner: reply::owner(&upload.attributes.owner),
            initiator: initiator(&upload.attributes.owner),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            checksum_algorithm: upload.algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: upload.algorithm.and_then(|_| reply::checksum_type(!upload.full_object_checksum)),
            ..MultipartUpload::default()
        };
        let expand = |uploads: &BTreeMap<String, Upload>, behind: Option<&str>| {
            let wanted = uploads.iter().filter(|(id, _)| behind.is_none_or(|b| id.as_str() > b));
            wanted.map(|(id, upload)| (id.clone(), dto(id, upload))).collect()
        };
        Ok::<_, s3s::S3Error>(page(state.files(bucket.tenant_id).uploads(), &ask, expand))
    })?;
    let keyed = |(key, upload): (String, MultipartUpload)| MultipartUpload {
        key: Some(listing.text(&key)),
        ..upload
    };
    let truncated = found.next.is_some();
    let (next_key, next_id) = found.next.unzip();
    let mut output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        key_marker: Some(listing.text(&key_marker)),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(listing.asked),
        next_key_marker: next_key.map(|k| listing.text(&k)),
        next_upload_id_marker: next_id.filter(|id| !id.is_empty()),
        uploads: Some(found.items.into_iter().map(keyed).collect()),
        ..ListMultipartUploadsOutput::default()
    };
    fill!(output, listing, truncated, &found.prefixes);
    Ok(S3Response::new(output))
}

pub(crate) async fn parts(
    core: CoreRef<'_>,
    req: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let (asked, max) = limit(input.max_parts)?;
    let marker = input.part_number_marker.and_then(|m| u16::try_from(m).ok()).unwrap_or(0);
    let (owner, (algorithm, checksum_type), mut parts) = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let upload = Place::new(state, bucket, &input.key).upload(state, &input.upload_id)?;
        let parts: Vec<PartDto> = upload
            .parts
            .range((std::ops::Bound::Excluded(marker), std::ops::Bound::Unbounded))
            .take(max + 1)
            .map(|(number, part)| {
                let mut dto = PartDto {
                    part_number: Some(i32::from(*number)),
                    e_tag: reply::etag(&part.etag),
                    last_modified: reply::stamp(part.modified),
                    size: reply::size(part.size),
                    ..PartDto::default()
                };
                put_checksum!(dto, &part.checksum);
                dto
            })
            .collect();
        let kind = upload.algorithm.and_then(|_| reply::checksum_type(!upload.full_object_checksum));
        Ok::<_, s3s::S3Error>((upload.attributes.owner.clone(), (upload.algorithm, kind), parts))
    })?;
    // Nothing was asked for: there is no next page of nothing.
    let truncated = max > 0 && parts.len() > max;
    parts.truncate(max);
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(i32::from(marker)),
        next_part_number_marker: parts.last().and_then(|p| p.part_number),
        max_parts: Some(asked),
        is_truncated: Some(truncated),
        owner: reply::owner(&owner),
        initiator: initiator(&owner),
        checksum_algorithm: algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
        checksum_type,
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        parts: Some(parts),
        ..ListPartsOutput::default()
    }))
}
