//! Multipart uploads: create, part, complete, abort. Parts count as used space from the moment they are stored.

use std::sync::Arc;

use md5::Digest as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::{self, Algorithm};
use super::conditions;
use super::ingest::{self, Declared, Received};
use super::lifecycle;
use super::lock::{LockRules, asked_lock};
use super::objects::{asked_algorithm, object_headers};
use super::place::Place;
use super::reply::{self, CoreRef, declared_checksums, put_checksum};
use super::tagging;
use super::versions;
use crate::config::EtagMode;
use crate::core::Core;
use crate::env;
use crate::store::blob::Extent;
use crate::store::object::{Attributes, Object, ObjectPart, Part, StoredChecksum, Upload};

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
    if input.server_side_encryption.is_some() || input.sse_customer_algorithm.is_some() {
        return Err(s3_error!(NotImplemented, "server-side encryption by header is not available"));
    }
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
            ..Attributes::default()
        },
        algorithm,
        full_object_checksum: full_object,
        parts: std::collections::BTreeMap::new(),
    };
    let asked = asked_lock!(input);
    let id = env::random_hex(&*core.entropy, 16);
    let (name, key) = (std::mem::take(&mut input.bucket), std::mem::take(&mut input.key));
    core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        upload.attributes.lock = LockRules::of(state, bucket).explicit(&asked, upload.initiated)?;
        state.create_upload(place.tenant, &place.path, &id, upload);
        Ok::<_, s3s::S3Error>(())
    })?;
    reply::settle(core).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(name),
        key: Some(key),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
        checksum_type: algorithm.and_then(|_| reply::checksum_type(!full_object)),
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(crate) async fn part(
    core: CoreRef<'_>,
    mut req: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let caller = Caller::of(&req)?;
    let number = part_number(req.input.part_number)?;
    let named = req.input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned());
    let (mut algorithm, trailer) = asked_algorithm(named.as_deref(), &req.headers)?;
    let input = &mut req.input;
    let checksums = declared_checksums!(input);
    let length = input.content_length.and_then(|l| u64::try_from(l).ok());
    let (name, key, id) = (&input.bucket, &input.key, &input.upload_id);
    core.store.read(|state| {
        let place = Place::new(state, caller.open(state, name)?, key);
        let upload = place.upload(state, id)?;
        if !trailer && checksums.is_empty() {
            algorithm = algorithm.or(upload.algorithm);
        }
        place.check_part_fit(core, state, upload, number, length.unwrap_or(0))
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
        Ok::<_, s3s::S3Error>(())
    });
    blob.abandon();
    stored?;
    reply::settle(core).await?;
    let mut output = UploadPartOutput { e_tag: reply::etag(&etag), ..UploadPartOutput::default() };
    put_checksum!(output, &checksum);
    Ok(S3Response::new(output))
}

/// Whether a checksum that a completion gives for a part is the one that was stored with it.
fn part_checksum_fits(wanted: &CompletedPart, part: &Part) -> bool {
    let mut wanted = wanted.clone();
    let declared = declared_checksums!(wanted);
    let differs = |(algorithm, value): &(Algorithm, String)| {
        part.checksum.as_ref().is_some_and(|c| c.algorithm == *algorithm && c.value != *value)
    };
    !declared.iter().any(differs)
}

/// The parts that a completion names, in order, as they are stored.
fn select<'u>(core: &Core, upload: &'u Upload, named: &[CompletedPart]) -> S3Result<Vec<&'u Part>> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "A completion must name at least one part."));
    }
    let mut parts = Vec::with_capacity(named.len());
    let mut last = 0;
    for wanted in named {
        let number = part_number(wanted.part_number.unwrap_or(0))?;
        if number <= last {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        last = number;
        let part = upload.parts.get(&number);
        let etag_fits = |p: &&Part| wanted.e_tag.as_ref().is_none_or(|e| e.value() == p.etag);
        let checksum_fits = |p: &&Part| part_checksum_fits(wanted, p);
        match part.filter(etag_fits).filter(checksum_fits) {
            Some(part) => parts.push(part),
            None => {
                return Err(s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found. The part may not have been uploaded, or \
                     the specified entity tag may not match the part's entity tag."
                ));
            }
        }
    }
    let (_, before_last) = parts.split_last().map_or((None, &[][..]), |(l, rest)| (Some(l), rest));
    if before_last.iter().any(|p| p.size < core.config.min_part_size) {
        return Err(s3_error!(
            EntityTooSmall,
            "Every part but the last must have at least {} bytes.",
            core.config.min_part_size
        ));
    }
    Ok(parts)
}

fn completed_etag(core: &Core, parts: &[&Part]) -> String {
    let prefix = match core.config.etag {
        EtagMode::Opaque => env::random_hex(&*core.entropy, 16),
        EtagMode::Md5 => {
            let mut md5 = md5::Md5::new();
            for part in parts {
                md5.update(unhex(&part.etag));
            }
            env::hex(&md5.finalize())
        }
    };
    format!("{prefix}-{}", parts.len())
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |i: usize| text.get(i..i + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
    (0..text.len()).step_by(2).filter_map(digit).collect()
}

fn completed_checksum(upload: &Upload, parts: &[&Part]) -> Option<StoredChecksum> {
    let algorithm = upload.algorithm?;
    let of_part = |p: &&Part| {
        p.checksum.as_ref().filter(|c| c.algorithm == algorithm).map(|c| (c.value.clone(), p.size))
    };
    let sums: Vec<(String, u64)> = parts.iter().map(of_part).collect::<Option<_>>()?;
    let composite = !upload.full_object_checksum;
    let value =
        if composite { checksum::composite(algorithm, &sums) } else { checksum::combine(algorithm, &sums) };
    value.map(|value| StoredChecksum { algorithm, value, composite })
}

pub(crate) async fn complete(
    core: CoreRef<'_>,
    mut req: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let caller = Caller::of(&req)?;
    let declared = declared_checksums!(req.input);
    let input = req.input;
    let named = input.multipart_upload.and_then(|u| u.parts).unwrap_or_default();
    let (name, key, id) = (input.bucket, input.key, input.upload_id);
    let (etag, checksum, version_id, expiration) = core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        let upload = place.upload(state, &id)?;
        let parts = select(core, upload, &named)?;
        let existing = place.current(state).map(|o| &**o);
        conditions::check_write(existing, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let size: u64 = parts.iter().map(|p| p.size).sum();
        if input.mpu_object_size.is_some_and(|s| u64::try_from(s) != Ok(size)) {
            return Err(s3_error!(InvalidRequest, "The parts make {size} bytes, another size was declared."));
        }
        let checksum = completed_checksum(upload, &parts);
        let differs = |(a, v): &(Algorithm, String)| {
            checksum.as_ref().is_some_and(|c| c.algorithm == *a && c.value != *v)
        };
        if declared.iter().any(differs) {
            return Err(s3_error!(BadDigest, "The declared checksum did not match that of the parts."));
        }
        // The parts are already counted; what they replace is given back.
        let stored: u64 = upload.parts.values().map(|p| p.size).sum();
        place.check_fit(core, state, size, stored)?;
        let now = core.now_ms();
        place.check_replace(state, now)?;
        let algorithm = checksum.as_ref().map(|c| c.algorithm);
        let mut object = Object {
            size,
            etag: completed_etag(core, &parts),
            modified: now,
            attributes: upload.attributes.clone(),
            checksum: checksum.clone(),
            parts: parts
                .iter()
                .map(|p| ObjectPart {
                    size: p.size,
                    checksum: p
                        .checksum
                        .as_ref()
                        .filter(|c| algorithm == Some(c.algorithm))
                        .map(|c| c.value.clone()),
                })
                .collect(),
            extents: parts.iter().flat_map(|p| p.extents.iter().cloned()).collect(),
        };
        object.attributes.lock = LockRules::of(state, bucket).applied(object.attributes.lock, now);
        let expiration = lifecycle::expiration_of_write(state, bucket, &key, &object);
        let etag = object.etag.clone();
        // The object first, so that the parts' bytes never lose their last reference.
        let version = state.put_object(place.tenant, &place.path, object, place.versioned);
        state.remove_upload(place.tenant, &place.path, &id);
        Ok((etag, checksum, versions::written(&place, version), expiration))
    })?;
    reply::settle(core).await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{name}/{key}")),
        bucket: Some(name),
        key: Some(key),
        e_tag: reply::etag(&etag),
        version_id,
        expiration,
        ..CompleteMultipartUploadOutput::default()
    };
    output.checksum_type = checksum.as_ref().and_then(|c| reply::checksum_type(c.composite));
    put_checksum!(output, &checksum);
    Ok(S3Response::new(output))
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
        Ok::<_, s3s::S3Error>(())
    })?;
    reply::settle(core).await?;
    Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
}
