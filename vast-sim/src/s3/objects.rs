//! Whole objects: put, get, head, delete, multi-delete.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error as DeleteError, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, PutObjectInput,
    PutObjectOutput, Range,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::Algorithm;
use super::conditions::{self, ReadConditions};
use super::ingest::{self, Declared, Received};
use super::reply::{self, CoreRef, declared_checksums, put_checksum};
use crate::core::Core;
use crate::store::blob::{self, Extent};
use crate::store::capacity::Delta;
use crate::store::object::{Bucket, Object, ObjectHeaders};
use crate::store::state::State;

/// Most keys that one multi-delete may name.
const MAX_DELETE: usize = 1000;

/// The stored headers among an input's fields.
macro_rules! object_headers {
    ($input:expr) => {
        $crate::store::object::ObjectHeaders {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input
                .content_encoding
                .take()
                .and_then(|e| $crate::s3::objects::without_chunking(&e)),
            content_language: $input.content_language.take(),
            expires: $input.expires.take().map(|t| $crate::s3::conditions::stamp_millis(&t)),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(crate) use object_headers;

/// `aws-chunked` describes the transfer, not the object.
pub(crate) fn without_chunking(encoding: &str) -> Option<String> {
    let rest: Vec<&str> =
        encoding.split(',').map(str::trim).filter(|e| *e != "aws-chunked" && !e.is_empty()).collect();
    (!rest.is_empty()).then(|| rest.join(","))
}

/// The algorithm that the client asks for or announces in a trailer, and whether a trailer will carry it.
pub(crate) fn asked_algorithm(
    named: Option<&str>,
    headers: &HeaderMap,
) -> S3Result<(Option<Algorithm>, bool)> {
    let trailer = headers.get("x-amz-trailer").and_then(|v| v.to_str().ok());
    if let Some(trailer) = trailer {
        let algorithm = trailer.split(',').find_map(Algorithm::from_header);
        return Ok((algorithm, algorithm.is_some()));
    }
    match named {
        None => Ok((None, false)),
        Some(name) => match Algorithm::from_name(name) {
            Some(algorithm) => Ok((Some(algorithm), false)),
            None => Err(s3_error!(InvalidRequest, "Checksum algorithm {name} is not supported.")),
        },
    }
}

/// Refuses what this cluster cannot keep, instead of dropping it silently.
fn refuse_unsupported(input: &PutObjectInput) -> S3Result<()> {
    let refuse = |what: &str| Err(s3_error!(NotImplemented, "{what} is not available"));
    if input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some() {
        return refuse("object lock");
    }
    if input.tagging.is_some() {
        return refuse("object tagging");
    }
    if input.server_side_encryption.is_some() || input.sse_customer_algorithm.is_some() {
        return refuse("server-side encryption by header");
    }
    if input.write_offset_bytes.is_some() {
        return refuse("appending");
    }
    Ok(())
}

/// Whether `added` bytes fit in place of `key`.
pub(crate) fn check_fit(core: &Core, state: &State, bucket: &Bucket, key: &str, added: u64) -> S3Result<()> {
    let existing = bucket.objects.get(key);
    let delta =
        Delta { added, replaced: existing.map_or(0, |o| o.size), new_objects: u64::from(existing.is_none()) };
    state.check_fit(bucket, key, delta, core.config.capacity).map_err(|f| reply::full(core, &f))
}

pub(crate) async fn put(
    core: CoreRef<'_>,
    mut req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let caller = Caller::of(&req)?;
    refuse_unsupported(&req.input)?;
    let named = req.input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned());
    let (algorithm, trailer) = asked_algorithm(named.as_deref(), &req.headers)?;
    let input = &mut req.input;
    let (name, key) = (std::mem::take(&mut input.bucket), std::mem::take(&mut input.key));
    let declared = Declared {
        length: input.content_length.and_then(|l| u64::try_from(l).ok()),
        md5: input.content_md5.take(),
        checksums: declared_checksums!(input),
        algorithm,
        trailer,
    };
    let (if_match, if_none_match) = (input.if_match.take(), input.if_none_match.take());
    let headers = object_headers!(input);

    // Before the body is taken: most refusals cost the client no transfer.
    core.store.read(|state| {
        let bucket = caller.open(state, &name)?;
        let existing = bucket.objects.get(&key).map(|o| &**o);
        conditions::check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        check_fit(core, state, bucket, &key, declared.length.unwrap_or(0))
    })?;
    let received = ingest::receive(core, input.body.take(), declared, req.trailing_headers.as_ref()).await?;

    let Received { blob, etag, checksum } = received;
    let object = Object {
        size: blob.len,
        etag: etag.clone(),
        modified: core.now_ms(),
        headers,
        checksum: checksum.clone(),
        part_sizes: Vec::new(),
        extents: vec![Extent { blob: Arc::clone(&blob), offset: 0, len: blob.len }],
    };
    // Again now: others may have written meanwhile.
    let stored = core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let existing = bucket.objects.get(&key).map(|o| &**o);
        conditions::check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        check_fit(core, state, bucket, &key, object.size)?;
        state.put_object(&name, &key, object);
        Ok::<_, s3s::S3Error>(())
    });
    blob.abandon();
    stored?;
    reply::settle(core).await?;
    let mut output = PutObjectOutput { e_tag: reply::etag(&etag), ..PutObjectOutput::default() };
    output.checksum_type = checksum.as_ref().and_then(|c| reply::checksum_type(c.composite));
    put_checksum!(output, &checksum);
    Ok(S3Response::new(output))
}

/// An object that a caller may read.
pub(crate) fn find(core: &Core, caller: &Caller, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
    core.store.read(|state| {
        let bucket = caller.open(state, bucket)?;
        bucket
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    })
}

pub(crate) fn refuse_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "versioning is not available")),
    }
}

/// The requested piece of an object as `(start, length)`, and whether a piece was asked for at all.
fn piece(object: &Object, range: Option<Range>, part: Option<i32>) -> S3Result<(u64, u64, bool)> {
    if let Some(part) = part {
        let index = usize::try_from(part - 1).ok();
        if object.part_sizes.is_empty() && part == 1 {
            return Ok((0, object.size, false));
        }
        return match index.and_then(|i| Some((i, *object.part_sizes.get(i)?))) {
            Some((i, len)) => Ok((object.part_sizes[..i].iter().sum(), len, true)),
            None => Err(s3_error!(InvalidPart, "The object has no part {part}.")),
        };
    }
    match range {
        None => Ok((0, object.size, false)),
        Some(range) => {
            if let Ok(r) = range.check(object.size) {
                return Ok((r.start, r.end - r.start, true));
            }
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::try_from(format!("bytes */{}", object.size)) {
                headers.insert(http::header::CONTENT_RANGE, value);
            }
            error.set_headers(headers);
            Err(error)
        }
    }
}

/// The output fields that GET and HEAD share.
macro_rules! fill_from_object {
    ($output:expr, $object:expr, $start:expr, $len:expr, $partial:expr, $checksums:expr) => {{
        let ObjectHeaders {
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            expires,
            metadata,
        } = $object.headers.clone();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = reply::size($len);
        $output.content_range = $partial
            .then(|| format!("bytes {}-{}/{}", $start, ($start + $len).saturating_sub(1), $object.size));
        $output.e_tag = reply::etag(&$object.etag);
        $output.last_modified = reply::stamp($object.modified);
        $output.content_type = Some(content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.cache_control = cache_control;
        $output.content_disposition = content_disposition;
        $output.content_encoding = content_encoding;
        $output.content_language = content_language;
        $output.expires = expires.and_then(reply::stamp);
        $output.metadata = (!metadata.is_empty()).then(|| metadata.into_iter().collect());
        if $checksums && !$partial {
            $output.checksum_type = $object.checksum.as_ref().and_then(|c| reply::checksum_type(c.composite));
            put_checksum!($output, &$object.checksum);
        }
    }};
}

fn parts_count(object: &Object, part: Option<i32>) -> Option<i32> {
    part.filter(|_| !object.part_sizes.is_empty()).and_then(|_| i32::try_from(object.part_sizes.len()).ok())
}

pub(crate) async fn get(
    core: CoreRef<'_>,
    req: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    refuse_version(input.version_id.as_deref())?;
    let object = find(core, &caller, &input.bucket, &input.key)?;
    reply::settle(core).await?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object, false)?;
    let (start, len, partial) = piece(&object, input.range, input.part_number)?;
    let mut output = GetObjectOutput::default();
    let checksums = input.checksum_mode.is_some();
    fill_from_object!(output, object, start, len, partial, checksums);
    output.parts_count = parts_count(&object, input.part_number);
    if input.response_content_type.is_some() {
        output.content_type = input.response_content_type;
    }
    if input.response_content_disposition.is_some() {
        output.content_disposition = input.response_content_disposition;
    }
    output.body = Some(reply::body(blob::slice(&object.extents, start, len)));
    Ok(S3Response::new(output))
}

pub(crate) async fn head(
    core: CoreRef<'_>,
    req: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    refuse_version(input.version_id.as_deref())?;
    let object = find(core, &caller, &input.bucket, &input.key)?;
    reply::settle(core).await?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object, false)?;
    let (start, len, partial) = piece(&object, input.range, input.part_number)?;
    let mut output = HeadObjectOutput::default();
    let checksums = input.checksum_mode.is_some();
    fill_from_object!(output, object, start, len, partial, checksums);
    output.parts_count = parts_count(&object, input.part_number);
    let status = if partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
    Ok(S3Response::with_status(output, status))
}

pub(crate) async fn delete(
    core: CoreRef<'_>,
    req: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    refuse_version(input.version_id.as_deref())?;
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        if let Some(condition) = &input.if_match {
            let existing = bucket.objects.get(&input.key).map(|o| &**o);
            conditions::check_write(existing, Some(condition), None)?;
        }
        state.remove_object(&input.bucket, &input.key);
        Ok::<_, s3s::S3Error>(())
    })?;
    reply::settle(core).await?;
    Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(crate) async fn delete_many(
    core: CoreRef<'_>,
    req: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    if input.delete.objects.is_empty() || input.delete.objects.len() > MAX_DELETE {
        return Err(s3_error!(MalformedXML, "Between 1 and {MAX_DELETE} keys must be named."));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let (deleted, errors) = core.store.write(|state| {
        caller.open(state, &input.bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            if let Err(error) = refuse_version(object.version_id.as_deref()) {
                errors.push(DeleteError {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: object.version_id,
                });
                continue;
            }
            state.remove_object(&input.bucket, &object.key);
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        Ok::<_, s3s::S3Error>((deleted, errors))
    })?;
    reply::settle(core).await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    }))
}
