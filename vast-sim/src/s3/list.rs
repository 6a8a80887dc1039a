//! Listings: objects (v1 and v2), open uploads, parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, EncodingType, Initiator, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, MultipartUpload, Object as ObjectDto, ObjectStorageClass,
    Part as PartDto, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::paging::{Ask, Page, page};
use super::place::Place;
use super::reply::{self, CoreRef, put_checksum};
use super::snapshots;
use crate::core::Core;
use crate::store::object::{Object, Upload};
use crate::store::version::Entry;

/// Most entries of one answer.
const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves alone.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Encodes keys when the client asked for it.
#[derive(Clone, Copy)]
pub(crate) struct Encoder(bool);

impl Encoder {
    pub(crate) fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some(EncodingType::URL) => Ok(Self(true)),
            Some(other) => {
                Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request: {other}"))
            }
        }
    }

    pub(crate) fn text(self, text: &str) -> String {
        if self.0 { utf8_percent_encode(text, KEEP).to_string() } else { text.to_owned() }
    }

    pub(crate) fn opt(self, text: Option<&String>) -> Option<String> {
        text.map(|t| self.text(t))
    }

    pub(crate) fn prefixes(self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let dto = |p: &String| CommonPrefix { prefix: Some(self.text(p)) };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(dto).collect())
    }
}

/// The asked number of entries, within bounds.
pub(crate) fn limit(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let n = asked.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    match usize::try_from(n) {
        Ok(max) => Ok((n, max)),
        Err(_) => Err(s3_error!(InvalidArgument, "max-keys must not be negative")),
    }
}

fn object_page(core: &Core, caller: &Caller, bucket: &str, ask: &Ask<'_>) -> S3Result<Page<Arc<Object>>> {
    core.store.read(|state| {
        let bucket = caller.open(state, bucket)?;
        if let Some(through_snapshot) = snapshots::object_page(state, bucket, ask) {
            return through_snapshot;
        }
        let ask = Ask { base: &bucket.base(), ..*ask };
        let current = |entry: &Entry, _: Option<&str>| {
            entry.current().map(|o| (String::new(), Arc::clone(o))).into_iter().collect()
        };
        Ok(page(state.files(bucket.tenant_id).entries(), &ask, current))
    })
}

fn contents(items: Vec<(String, Arc<Object>)>, encoder: Encoder, owner: Option<&str>) -> Vec<ObjectDto> {
    let dto = |(key, object): (String, Arc<Object>)| ObjectDto {
        key: Some(encoder.text(&key)),
        e_tag: reply::etag(&object.etag),
        last_modified: reply::stamp(object.modified),
        size: reply::size(object.size),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: owner.and_then(reply::owner),
        checksum_algorithm: object
            .checksum
            .as_ref()
            .map(|c| vec![ChecksumAlgorithm::from_static(c.algorithm.name())]),
        checksum_type: object.checksum.as_ref().and_then(|c| reply::checksum_type(c.composite)),
        ..ObjectDto::default()
    };
    items.into_iter().map(dto).collect()
}

pub(crate) async fn objects_v1(
    core: CoreRef<'_>,
    req: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let (asked, max) = limit(input.max_keys)?;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let (prefix, delimiter, marker) = (text(&input.prefix), text(&input.delimiter), text(&input.marker));
    let ask = Ask { base: "", prefix: &prefix, delimiter: &delimiter, after: &marker, within: None, max };
    let found = object_page(core, &caller, &input.bucket, &ask)?;
    reply::settle(core).await?;
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoder.text(&prefix)),
        marker: Some(encoder.text(&marker)),
        max_keys: Some(asked),
        is_truncated: Some(found.next.is_some()),
        common_prefixes: encoder.prefixes(&found.prefixes),
        next_marker: found.next.filter(|_| !delimiter.is_empty()).map(|(m, _)| encoder.text(&m)),
        contents: Some(contents(found.items, encoder, Some(&caller.name))),
        delimiter: encoder.opt(input.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

/// A continuation token is the marker in a form that clients leave alone.
fn marker_of(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|b| String::from_utf8(b).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

pub(crate) async fn objects_v2(
    core: CoreRef<'_>,
    req: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let (asked, max) = limit(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => marker_of(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().unwrap_or_default();
    let ask = Ask { base: "", prefix: &prefix, delimiter: &delimiter, after: &after, within: None, max };
    let found = object_page(core, &caller, &input.bucket, &ask)?;
    reply::settle(core).await?;
    let owner = (input.fetch_owner == Some(true)).then_some(caller.name.as_str());
    let count = found.items.len() + found.prefixes.len();
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoder.text(&prefix)),
        max_keys: Some(asked),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(found.next.is_some()),
        next_continuation_token: found.next.map(|(m, _)| URL_SAFE_NO_PAD.encode(m)),
        common_prefixes: encoder.prefixes(&found.prefixes),
        contents: Some(contents(found.items, encoder, owner)),
        delimiter: encoder.opt(input.delimiter.as_ref()),
        start_after: encoder.opt(input.start_after.as_ref()),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

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
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let (asked, max) = limit(input.max_uploads)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().unwrap_or_default();
    let key_marker = input.key_marker.clone().unwrap_or_default();
    // Without a key the id marker means nothing; without an id the key stands for all its uploads.
    let id_marker = input.upload_id_marker.clone().filter(|id| !id.is_empty() && !key_marker.is_empty());
    let found = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let ask = Ask {
            base: &bucket.base(),
            prefix: &prefix,
            delimiter: &delimiter,
            after: &key_marker,
            within: id_marker.as_deref(),
            max,
        };
        let dto = |id: &String, upload: &Upload| MultipartUpload {
            upload_id: Some(id.clone()),
            initiated: reply::stamp(upload.initiated),
            owner: reply::owner(&bucket.owner),
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
    reply::settle(core).await?;
    let keyed = |(key, upload): (String, MultipartUpload)| MultipartUpload {
        key: Some(encoder.text(&key)),
        ..upload
    };
    let (next_key, next_id) = found.next.clone().unzip();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoder.text(&prefix)),
        key_marker: Some(encoder.text(&key_marker)),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(asked),
        is_truncated: Some(found.next.is_some()),
        next_key_marker: next_key.map(|k| encoder.text(&k)),
        next_upload_id_marker: next_id.filter(|id| !id.is_empty()),
        common_prefixes: encoder.prefixes(&found.prefixes),
        uploads: Some(found.items.into_iter().map(keyed).collect()),
        delimiter: encoder.opt(input.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    }))
}

pub(crate) async fn parts(
    core: CoreRef<'_>,
    req: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let (asked, max) = limit(input.max_parts)?;
    let marker = input.part_number_marker.and_then(|m| u16::try_from(m).ok()).unwrap_or(0);
    let (owner, algorithm, mut parts) = core.store.read(|state| {
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
        Ok::<_, s3s::S3Error>((bucket.owner.clone(), upload.algorithm, parts))
    })?;
    reply::settle(core).await?;
    let truncated = parts.len() > max;
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
        parts: Some(parts),
        ..ListPartsOutput::default()
    }))
}
