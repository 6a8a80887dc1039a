//! Writing whole objects, and what all ways of writing share.

use std::sync::Arc;

use http::HeaderMap;
use http::header::EXPIRES;
use s3s::dto::{PutObjectInput, PutObjectOutput, Timestamp, TimestampFormat};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::Algorithm;
use super::conditions;
use super::ingest::{self, Declared, Received};
use super::lifecycle;
use super::lock::{LockRules, asked_lock};
use super::operation::not_implemented;
use super::place::Place;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef, declared_checksums, put_checksum};
use super::storage::{self, asked_storage};
use super::tagging;
use super::versions;
use crate::store::blob::Extent;
use crate::store::object::{Attributes, Object};

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

/// Whether a request has an `Expires` that is no date, as HTTP allows: `0` is a common one. The protocol library would
/// refuse it.
pub(crate) fn has_unreadable_expires(headers: &HeaderMap) -> bool {
    let is_date = |text: &str| Timestamp::parse(TimestampFormat::HttpDate, text).is_ok();
    headers.get_all(EXPIRES).iter().any(|value| !value.to_str().is_ok_and(is_date))
}

/// Takes such a header away, so that the object is stored without it; only from a request whose signature was verified.
pub(crate) fn drop_unreadable_expires(headers: &mut HeaderMap) {
    if has_unreadable_expires(headers) {
        headers.remove(EXPIRES);
    }
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

pub(crate) async fn put(
    core: CoreRef<'_>,
    mut req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let caller = Caller::of(&req)?;
    if req.input.write_offset_bytes.is_some() {
        return Err(not_implemented().detail("Header", "x-amz-write-offset-bytes"));
    }
    storage::check_checksums(&req.headers)?;
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
    let mut attributes = Attributes {
        owner: caller.name.clone(),
        headers: object_headers!(input),
        tags: tagging::of_header(input.tagging.as_deref())?,
        acl: caller.acl.clone(),
        encrypted: asked_storage!(input).check()?,
        ..Attributes::default()
    };
    storage::check_metadata(&attributes.headers.metadata)?;
    let encrypted = attributes.encrypted;
    let asked = asked_lock!(input);

    // Before the body is taken: most refusals cost the client no transfer.
    attributes.lock = core.store.read(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        let existing = place.current(state).map(|o| &**o);
        conditions::check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        place.check_fit(core, state, &caller.name, declared.length.unwrap_or(0), 0)?;
        LockRules::of(state, bucket).explicit(&asked, core.now_ms())
    })?;
    let received = ingest::receive(core, input.body.take(), declared, req.trailing_headers.as_ref()).await?;

    let Received { blob, etag, checksum } = received;
    let mut object = Object {
        size: blob.len,
        etag: etag.clone(),
        modified: core.now_ms(),
        attributes,
        checksum: checksum.clone(),
        parts: Vec::new(),
        upload: None,
        extents: vec![Extent { blob: Arc::clone(&blob), offset: 0, len: blob.len }],
    };
    // Again now: others may have written meanwhile.
    let stored = core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        let existing = place.current(state).map(|o| &**o);
        conditions::check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        place.check_replace(state, object.modified)?;
        place.check_fit(core, state, &caller.name, object.size, 0)?;
        object.attributes.lock =
            LockRules::of(state, bucket).applied(object.attributes.lock, object.modified);
        let expiration = lifecycle::expiration_of_write(state, bucket, &key, &object);
        let id = state.put_object(place.tenant, &place.path, object, place.versioned);
        Ok::<_, s3s::S3Error>((versions::written(&place, id), expiration))
    });
    blob.abandon();
    let (version_id, expiration) = stored?;
    let mut output =
        PutObjectOutput { e_tag: reply::etag(&etag), version_id, expiration, ..PutObjectOutput::default() };
    output.server_side_encryption = storage::encryption(encrypted);
    output.checksum_type = checksum.as_ref().and_then(|c| reply::checksum_type(c.composite));
    put_checksum!(output, &checksum);
    Ok(S3Response::new(output))
}
