//! Reading objects: get, head, attributes.

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectAttributes, ObjectLockLegalHoldStatus,
    ObjectLockMode, ObjectPart as PartDto, Range, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::conditions::{ReadConditions, read_conditions};
use super::lock;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef, put_checksum};
use super::storage;
use super::versions::{self, Found};
use super::{checksum::Algorithm, lifecycle};
use crate::env;
use crate::store::blob;
use crate::store::object::{Object, ObjectHeaders, StoredChecksum};

/// The requested piece of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: u64,
    len: u64,
    /// Whether a piece was asked for at all.
    partial: bool,
}

fn piece(object: &Object, range: Option<Range>, part: Option<i32>) -> S3Result<Piece> {
    let whole = Piece { start: 0, len: object.size, partial: false };
    if let Some(part) = part {
        if range.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            ));
        }
        if object.parts.is_empty() && part == 1 {
            // No range of bytes says "all of nothing".
            return Ok(Piece { partial: object.size > 0, ..whole });
        }
        let index = object.parts.iter().position(|p| i32::from(p.number) == part);
        return match index.and_then(|i| Some((i, object.parts.get(i)?.size))) {
            Some((i, len)) => {
                let start = object.parts[..i].iter().map(|p| p.size).sum();
                Ok(Piece { start, len, partial: len > 0 })
            }
            None => Err(reply::refusal(
                http::StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidPartNumber",
                "The requested partnumber is not satisfiable",
            )
            .detail("ActualPartCount", object.parts.len().max(1))),
        };
    }
    // Nothing has no last bytes either.
    match range.map(|r| r.check(object.size).map(|r| (!r.is_empty()).then_some(r))) {
        None => Ok(whole),
        Some(Ok(Some(r))) => Ok(Piece { start: r.start, len: r.end - r.start, partial: true }),
        Some(Ok(None) | Err(_)) => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{}", object.size)) {
                headers.insert(http::header::CONTENT_RANGE, value);
            }
            error.set_headers(headers);
            Err(error.detail("ActualObjectSize", object.size))
        }
    }
}

/// Whether a request has a `Range` that is none: several ranges, or no range of bytes. AWS answers those with the whole
/// object; the protocol library would refuse them.
pub(crate) fn has_unusable_range(headers: &HeaderMap) -> bool {
    let usable = |value: &HeaderValue| value.to_str().is_ok_and(|text| Range::parse(text).is_ok());
    headers.get_all(http::header::RANGE).iter().any(|value| !usable(value))
}

/// Takes such a header away; only from a request whose signature was verified.
pub(crate) fn drop_unusable_range(headers: &mut HeaderMap) {
    if has_unusable_range(headers) {
        headers.remove(http::header::RANGE);
    }
}

/// Whether the range of a request counts: not when it is meant for another state of the object.
fn range_counts(headers: &HeaderMap, object: &Object) -> bool {
    let Some(condition) = headers.get(http::header::IF_RANGE) else { return true };
    let Ok(condition) = condition.to_str() else { return false };
    match condition.strip_prefix('"').and_then(|c| c.strip_suffix('"')) {
        Some(etag) => etag == object.etag,
        None => condition == env::http_date(object.modified),
    }
}

/// What GET and HEAD have in common.
struct Reading {
    found: Found,
    piece: Piece,
    expiration: Option<String>,
}

async fn reading(
    core: CoreRef<'_>,
    caller: &Caller,
    (bucket, key, version): (&str, &str, Option<&str>),
    conditions: ReadConditions,
    (range, part, headers): (Option<Range>, Option<i32>, &HeaderMap),
) -> S3Result<Reading> {
    let wanted = versions::named(version)?;
    let (found, expiration) = core.store.read(|state| {
        let bucket = caller.open(state, bucket)?;
        let found = versions::find_in(state, bucket, key, wanted)?;
        let expiration = lifecycle::expiration_header(state, bucket, key, &found);
        Ok::<_, s3s::S3Error>((found, expiration))
    })?;
    conditions.check(core, &found.object, false)?;
    let range = range.filter(|_| range_counts(headers, &found.object));
    let piece = piece(&found.object, range, part)?;
    Ok(Reading { found, piece, expiration })
}

/// The output fields that GET and HEAD share.
macro_rules! fill {
    ($output:expr, $reading:expr, $input:expr) => {{
        let Reading { found, piece, expiration } = &$reading;
        let object = &found.object;
        let ObjectHeaders {
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            expires,
            metadata,
        } = object.attributes.headers.clone();
        let default_type = || "binary/octet-stream".to_owned();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = reply::size(piece.len);
        $output.content_range = piece.partial.then(|| {
            format!("bytes {}-{}/{}", piece.start, (piece.start + piece.len).saturating_sub(1), object.size)
        });
        $output.e_tag = reply::etag(&object.etag);
        $output.last_modified = reply::stamp(object.modified);
        $output.content_type =
            Some($input.response_content_type.take().or(content_type).unwrap_or_else(default_type));
        $output.cache_control = $input.response_cache_control.take().or(cache_control);
        $output.content_disposition = $input.response_content_disposition.take().or(content_disposition);
        $output.content_encoding = $input.response_content_encoding.take().or(content_encoding);
        $output.content_language = $input.response_content_language.take().or(content_language);
        $output.expires = $input.response_expires.take().or(expires.and_then(reply::stamp));
        $output.metadata = (!metadata.is_empty()).then(|| metadata.into_iter().collect());
        $output.version_id = found.version();
        $output.expiration.clone_from(expiration);
        $output.server_side_encryption = storage::encryption(object.attributes.encrypted);
        let lock = object.attributes.lock;
        $output.object_lock_mode =
            lock.retention.map(|r| ObjectLockMode::from_static(lock::mode_name(r.mode)));
        $output.object_lock_retain_until_date = lock.retention.and_then(|r| reply::stamp(r.until));
        $output.object_lock_legal_hold_status =
            lock.legal_hold.map(|on| ObjectLockLegalHoldStatus::from_static(lock::hold_name(on)));
        $output.parts_count = $input
            .part_number
            .filter(|_| !object.parts.is_empty())
            .and_then(|_| i32::try_from(object.parts.len()).ok());
        if $input.checksum_mode.is_some() && !piece.partial {
            $output.checksum_type =
                object.checksum.as_ref().and_then(|c: &StoredChecksum| reply::checksum_type(c.composite));
            put_checksum!($output, &object.checksum);
        }
    }};
}

pub(crate) async fn get(
    core: CoreRef<'_>,
    req: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let caller = Caller::of(&req)?;
    let mut input = req.input;
    let overrides = input.response_cache_control.is_some()
        || input.response_content_disposition.is_some()
        || input.response_content_encoding.is_some()
        || input.response_content_language.is_some()
        || input.response_content_type.is_some()
        || input.response_expires.is_some();
    if overrides && caller.is_anonymous() {
        return Err(s3_error!(
            InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests."
        ));
    }
    storage::refuse_reading_key(input.sse_customer_algorithm.is_some())?;
    let conditions = read_conditions!(input);
    let at = (input.bucket.as_str(), input.key.as_str(), input.version_id.as_deref());
    let reading =
        reading(core, &caller, at, conditions, (input.range, input.part_number, &req.headers)).await?;
    let mut output = GetObjectOutput::default();
    fill!(output, reading, input);
    let object = &reading.found.object;
    output.tag_count = i32::try_from(object.attributes.tags.len()).ok().filter(|n| *n > 0);
    let extents = blob::slice(&object.extents, reading.piece.start, reading.piece.len);
    if extents.iter().any(|e| e.blob.is_unreadable()) {
        return Err(s3_error!(
            NotImplemented,
            "This cluster forgets the bytes of objects; they cannot be read."
        ));
    }
    output.body = Some(reply::body(extents));
    Ok(S3Response::new(output))
}

pub(crate) async fn head(
    core: CoreRef<'_>,
    req: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let caller = Caller::of(&req)?;
    let mut input = req.input;
    storage::refuse_reading_key(input.sse_customer_algorithm.is_some())?;
    let conditions = read_conditions!(input);
    let at = (input.bucket.as_str(), input.key.as_str(), input.version_id.as_deref());
    let reading =
        reading(core, &caller, at, conditions, (input.range, input.part_number, &req.headers)).await?;
    let mut output = HeadObjectOutput::default();
    fill!(output, reading, input);
    let partial = reading.piece.partial;
    let status = if partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
    let mut response = reply::with_status(output, status);
    let tags = reading.found.object.attributes.tags.len();
    if tags > 0 {
        // The protocol library has no such field for HEAD.
        response.headers.insert("x-amz-tagging-count", HeaderValue::from(tags));
    }
    Ok(response)
}

fn checksum_dto(sum: &StoredChecksum) -> Checksum {
    let mut dto = Checksum { checksum_type: reply::checksum_type(sum.composite), ..Checksum::default() };
    put_checksum!(dto, Some(sum));
    dto
}

/// A page of the parts that an object was completed from.
fn parts_page(object: &Object, max: Option<i32>, marker: Option<i32>) -> Option<GetObjectAttributesParts> {
    if object.parts.is_empty() {
        return None;
    }
    let max = usize::try_from(max.unwrap_or(1000)).unwrap_or(0).min(1000);
    let marker = marker.unwrap_or(0);
    let behind = object.parts.iter().filter(|p| i32::from(p.number) > marker);
    let algorithm: Option<Algorithm> = object.checksum.as_ref().map(|c| c.algorithm);
    let page = behind.clone().take(max).map(|part| {
        let mut dto = PartDto {
            part_number: Some(i32::from(part.number)),
            size: reply::size(part.size),
            ..PartDto::default()
        };
        let sum = algorithm.zip(part.checksum.clone());
        let sum = sum.map(|(algorithm, value)| StoredChecksum { algorithm, value, composite: false });
        put_checksum!(dto, &sum);
        dto
    });
    // Parts without checksums are only counted.
    let listed: Vec<PartDto> =
        if object.parts.iter().any(|p| p.checksum.is_some()) { page.collect() } else { Vec::new() };
    let last = behind.clone().take(max).last().map_or(marker, |p| i32::from(p.number));
    Some(GetObjectAttributesParts {
        is_truncated: Some(behind.count() > max),
        max_parts: i32::try_from(max).ok(),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(last),
        total_parts_count: i32::try_from(object.parts.len()).ok(),
        parts: (!listed.is_empty()).then_some(listed),
    })
}

pub(crate) async fn attributes(
    core: CoreRef<'_>,
    req: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let found = versions::find(core, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    // Several attributes may come in one header, with commas.
    let asked: Vec<String> = input
        .object_attributes
        .iter()
        .flat_map(|a| a.as_str().split(',').map(|a| a.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let known = [
        ObjectAttributes::ETAG,
        ObjectAttributes::CHECKSUM,
        ObjectAttributes::OBJECT_PARTS,
        ObjectAttributes::STORAGE_CLASS,
        ObjectAttributes::OBJECT_SIZE,
    ];
    if asked.is_empty() || asked.iter().any(|a| !known.contains(&a.as_str())) {
        return Err(s3_error!(InvalidArgument, "Invalid attribute name specified."));
    }
    let wants = |name: &str| asked.iter().any(|a| a == name);
    let object = &found.object;
    let mut output = GetObjectAttributesOutput {
        last_modified: reply::stamp(object.modified),
        version_id: found.version(),
        ..GetObjectAttributesOutput::default()
    };
    if wants(ObjectAttributes::ETAG) {
        output.e_tag = reply::etag(&object.etag);
    }
    if wants(ObjectAttributes::CHECKSUM) {
        output.checksum = object.checksum.as_ref().map(checksum_dto);
    }
    if wants(ObjectAttributes::OBJECT_PARTS) {
        output.object_parts = parts_page(object, input.max_parts, input.part_number_marker);
    }
    if wants(ObjectAttributes::STORAGE_CLASS) {
        output.storage_class = Some(StorageClass::from_static(StorageClass::STANDARD));
    }
    if wants(ObjectAttributes::OBJECT_SIZE) {
        output.object_size = reply::size(object.size);
    }
    Ok(S3Response::new(output))
}

/// The answer of GetObjectAttributes with the ETag as AWS writes it there, without quotes; the protocol library knows
/// only one way to write them.
pub(crate) fn without_quotes(document: &str) -> Option<String> {
    let (before, rest) = document.split_once("<ETag>")?;
    let (etag, after) = rest.split_once("</ETag>")?;
    let bare = etag.replace("&quot;", "").replace('"', "");
    Some(format!("{before}<ETag>{bare}</ETag>{after}"))
}
