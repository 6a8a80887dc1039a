//! Multipart uploads: create, part, abort; their completion is in [`super::completion`]. Parts count as used space from the moment they are stored.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::Algorithm;
use super::ingest::{self, Declared, Received};
use super::lock::{LockRules, asked_lock};
use super::objects::{asked_algorithm, object_headers};
use super::operation::not_implemented;
use super::place::Place;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef, declared_checksums, put_checksum};
use super::storage::{self, asked_storage};
use super::tagging;
use crate::env;
use crate::store::blob::Extent;
use crate::store::object::{Attributes, Part, Upload};

/// Highest part number S3 knows.
const MAX_PARTS: u16 = 10_000;

pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    match u16::try_from(number) {
        Ok(n) if (1..=MAX_PARTS).contains(&n) => Ok(n),
        _ => Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
        )),
    }
}

pub(crate) async fn create(
    core: CoreRef<'_>,
    mut req: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let caller = Caller::of(&req)?;
    let input = &mut req.input;
    storage::check_checksums(&req.headers)?;
    let (algorithm, _) =
        asked_algorithm(input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str), &req.headers)?;
    let kind = input.checksum_type.as_ref().map(|t| t.as_str().to_owned());
    let full_object = match (algorithm, kind.as_deref()) {
        (Some(Algorithm::Crc64Nvme), None) => true,
        (Some(Algorithm::Crc64Nvme), Some(ChecksumType::COMPOSITE)) => {
            return Err(s3_error!(InvalidRequest, "CRC64NVME has no COMPOSITE checksum"));
        }
        (Some(a), Some(ChecksumType::FULL_OBJECT)) if !a.is_crc() => {
            return Err(s3_error!(InvalidRequest, "{} has no FULL_OBJECT checksum", a.name()));
        }
        (_, kind) => kind == Some(ChecksumType::FULL_OBJECT),
    };
    let mut upload = Upload {
        initiated: core.now_ms(),
        attributes: Attributes {
            owner: caller.name.clone(),
            headers: object_headers!(input),
            tags: tagging::of_header(input.tagging.as_deref())?,
            acl: caller.acl.clone(),
            encrypted: asked_storage!(input).check()?,
            ..Attributes::default()
        },
        algorithm,
        full_object_checksum: full_object,
        parts: std::collections::BTreeMap::new(),
    };
    storage::check_metadata(&upload.attributes.headers.metadata)?;
    let encrypted = upload.attributes.encrypted;
    let asked = asked_lock!(input);
    let id = env::random_hex(&*core.entropy, 16);
    let (name, key) = (std::mem::take(&mut input.bucket), std::mem::take(&mut input.key));
    core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        upload.attributes.lock = LockRules::of(state, bucket).explicit(&asked, upload.initiated)?;
        state.create_upload(place.tenant, &place.path, &id, upload);
        Ok::<_, S3Error>(())
    })?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(name),
        key: Some(key),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
        checksum_type: algorithm.and_then(|_| reply::checksum_type(!full_object)),
        server_side_encryption: storage::encryption(encrypted),
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(crate) async fn part(
    core: CoreRef<'_>,
    mut req: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let caller = Caller::of(&req)?;
    let number = part_number(req.input.part_number)?;
    storage::check_checksums(&req.headers)?;
    if req.input.sse_customer_algorithm.is_some() {
        return Err(not_implemented().detail("Header", "x-amz-server-side-encryption-customer-algorithm"));
    }
    let named = req.input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned());
    let (mut algorithm, trailer) = asked_algorithm(named.as_deref(), &req.headers)?;
    let input = &mut req.input;
    let checksums = declared_checksums!(input);
    let length = input.content_length.and_then(|l| u64::try_from(l).ok());
    let (name, key, id) = (&input.bucket, &input.key, &input.upload_id);
    let encrypted = core.store.read(|state| {
        let place = Place::new(state, caller.open(state, name)?, key);
        let upload = place.upload(state, id)?;
        let given = checksums.first().map(|(given, _)| *given).or(algorithm);
        match (upload.algorithm, given) {
            (Some(expected), Some(given)) if expected != given => {
                return Err(other_checksum(expected.name(), given.name()));
            }
            _ => algorithm = algorithm.or(upload.algorithm.filter(|_| checksums.is_empty())),
        }
        place.check_part_fit(core, state, upload, number, length.unwrap_or(0))?;
        Ok(upload.attributes.encrypted)
    })?;
    let declared = Declared { length, md5: input.content_md5.take(), checksums, algorithm, trailer };
    let body = input.body.take();
    let Received { blob, etag, checksum } =
        ingest::receive(core, body, declared, req.trailing_headers.as_ref()).await?;
    let part = Part {
        size: blob.len,
        etag: etag.clone(),
        modified: core.now_ms(),
        checksum: checksum.clone(),
        extents: vec![Extent { blob: Arc::clone(&blob), offset: 0, len: blob.len }],
    };
    let stored = core.store.write(|state| {
        let place = Place::new(state, caller.open(state, name)?, key);
        let upload = place.upload(state, id)?;
        place.check_part_fit(core, state, upload, number, part.size)?;
        state.put_part(place.tenant, &place.path, id, number, part);
        Ok::<_, S3Error>(())
    });
    blob.abandon();
    stored?;
    let mut output = UploadPartOutput {
        e_tag: reply::etag(&etag),
        server_side_encryption: storage::encryption(encrypted),
        ..UploadPartOutput::default()
    };
    put_checksum!(output, &checksum);
    Ok(S3Response::new(output))
}

pub(crate) fn other_checksum(expected: &str, given: &str) -> S3Error {
    s3_error!(
        InvalidRequest,
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.to_ascii_lowercase(),
        given.to_ascii_lowercase()
    )
}

pub(crate) async fn abort(
    core: CoreRef<'_>,
    req: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    core.store.write(|state| {
        let place = Place::new(state, caller.open(state, &input.bucket)?, &input.key);
        place.upload(state, &input.upload_id)?;
        state.remove_upload(place.tenant, &place.path, &input.upload_id);
        Ok::<_, S3Error>(())
    })?;
    Ok(reply::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
}
