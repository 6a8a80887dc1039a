//! Completing multipart uploads: which parts, their order and sizes, what the object's ETag and checksum become.

use md5::Digest as _;
use s3s::dto::{
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::{self, Algorithm};
use super::conditions;
use super::features::{Feature, is_missing};
use super::lifecycle;
use super::lock::LockRules;
use super::multipart::{other_checksum, part_number};
use super::place::Place;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef, declared_checksums, put_checksum};
use super::storage;
use super::versions;
use crate::config::EtagMode;
use crate::core::Core;
use crate::env;
use crate::net::conn::Peer;
use crate::store::object::{Bucket, Object, ObjectPart, Part, StoredChecksum, Upload};
use crate::store::state::State;

/// A part of an upload and its number.
type Numbered<'u> = (u16, &'u Part);

/// Compares the checksum that a completion gives for a part with the one that was stored with it.
fn check_part_checksum(upload: &Upload, number: u16, wanted: &CompletedPart, part: &Part) -> S3Result<()> {
    let mut wanted = wanted.clone();
    let declared = declared_checksums!(wanted);
    let differs = |(algorithm, value): &(Algorithm, String)| {
        part.checksum.as_ref().is_some_and(|c| c.algorithm == *algorithm && c.value != *value)
    };
    if declared.iter().any(differs) {
        return Err(invalid_part(number, &part.etag));
    }
    match upload.algorithm {
        Some(algorithm) if !upload.full_object_checksum && !declared.iter().any(|(a, _)| *a == algorithm) => {
            Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {} checksum. The complete request must include the checksum for each \
                 part. It was missing for part {number} in the request.",
                algorithm.name().to_ascii_lowercase()
            ))
        }
        _ => Ok(()),
    }
}

fn invalid_part(number: u16, etag: &str) -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified \
         entity tag may not match the part's entity tag."
    )
    .detail("PartNumber", number)
    .detail("ETag", etag)
}

/// The parts that a completion names, in order, as they are stored.
fn select<'u>(core: &Core, upload: &'u Upload, named: &[CompletedPart]) -> S3Result<Vec<Numbered<'u>>> {
    let mut parts: Vec<Numbered<'u>> = Vec::with_capacity(named.len());
    for wanted in named {
        let number = part_number(wanted.part_number.unwrap_or(0))?;
        if parts.last().is_some_and(|(last, _)| number <= *last) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let etag = wanted.e_tag.as_ref().map(ETag::value);
        let part = upload.parts.get(&number).filter(|p| etag.is_none_or(|e| e == p.etag));
        let part = part.ok_or_else(|| invalid_part(number, etag.unwrap_or_default()))?;
        check_part_checksum(upload, number, wanted, part)?;
        parts.push((number, part));
    }
    let least = core.config.min_part_size;
    let before_last = parts.split_last().map_or(&[][..], |(_, rest)| rest);
    if let Some((number, small)) = before_last.iter().find(|(_, p)| p.size < least) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        )
        .detail("ProposedSize", small.size)
        .detail("MinSizeAllowed", least)
        .detail("PartNumber", number)
        .detail("ETag", &small.etag));
    }
    Ok(parts)
}

fn completed_etag(core: &Core, parts: &[Numbered<'_>]) -> String {
    let prefix = match core.config.etag {
        EtagMode::Opaque => env::random_hex(&*core.entropy, 16),
        EtagMode::Md5 => {
            let mut md5 = md5::Md5::new();
            for (_, part) in parts {
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

/// The checksum of the whole, compared with the declared ones.
fn completed_checksum(
    upload: &Upload,
    asked: Option<&ChecksumType>,
    parts: &[Numbered<'_>],
    declared: &[(Algorithm, String)],
) -> S3Result<Option<StoredChecksum>> {
    let composite = upload.algorithm.is_some() && !upload.full_object_checksum;
    let kind = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    if upload.algorithm.is_some() && asked.is_some_and(|asked| asked.as_str() != kind) {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {kind} checksum mode. The complete request must use the same checksum mode."
        ));
    }
    let expected = upload.algorithm.map_or("null", Algorithm::name);
    if let (Some(algorithm), Some((other, _))) = (upload.algorithm, declared.first())
        && algorithm != *other
    {
        return Err(other_checksum(expected, other.name()));
    }
    let Some(algorithm) = upload.algorithm.or(declared.first().map(|(algorithm, _)| *algorithm)) else {
        return Ok(None);
    };
    let of_part = |(_, p): &Numbered<'_>| {
        p.checksum.as_ref().filter(|c| c.algorithm == algorithm).map(|c| (c.value.clone(), p.size))
    };
    let sums: Option<Vec<(String, u64)>> = parts.iter().map(of_part).collect();
    let value = sums.and_then(|sums| {
        if composite { checksum::composite(algorithm, &sums) } else { checksum::combine(algorithm, &sums) }
    });
    match (&value, declared.first()) {
        // What cannot be computed cannot be confirmed.
        (None, Some((given, _))) => Err(other_checksum(expected, given.name())),
        (Some(value), Some((_, given))) if value != given => Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            algorithm.name()
        )),
        _ => Ok(value.map(|value| StoredChecksum { algorithm, value, composite })),
    }
}

/// What a completion made.
struct Completed {
    etag: String,
    checksum: Option<StoredChecksum>,
    version_id: Option<String>,
    expiration: Option<String>,
    encrypted: bool,
}

impl Completed {
    fn of(state: &State, bucket: &Bucket, key: &str, object: &Object, version_id: Option<String>) -> Self {
        Self {
            etag: object.etag.clone(),
            checksum: object.checksum.clone(),
            version_id,
            expiration: lifecycle::expiration_of_write(state, bucket, key, object),
            encrypted: object.attributes.encrypted,
        }
    }
}

/// What a completion that is asked for again has made: as long as its object is the current one.
fn made_before(state: &State, bucket: &Bucket, place: &Place, key: &str, id: &str) -> Option<Completed> {
    let newest = place.entry(state)?.newest()?;
    let object = newest.object().filter(|o| o.upload.as_deref() == Some(id))?;
    Some(Completed::of(state, bucket, key, object, versions::written(place, newest.id)))
}

/// The URL of what a request is about, as its client wrote it. Clients hand it on to whoever is to read the object.
fn address_of<T>(req: &S3Request<T>) -> String {
    let secure = req.extensions.get::<Peer>().is_some_and(|peer| peer.secure);
    let named = req.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| req.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    format!("{}://{host}{}", if secure { "https" } else { "http" }, req.uri.path())
}

pub(crate) async fn complete(
    core: CoreRef<'_>,
    mut req: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let caller = Caller::of(&req)?;
    storage::check_checksums(&req.headers)?;
    let declared = declared_checksums!(req.input);
    let address = address_of(&req);
    let input = req.input;
    let extensions = req.extensions;
    let named = input.multipart_upload.and_then(|u| u.parts).unwrap_or_default();
    let (name, key, id) = (input.bucket, input.key, input.upload_id);
    if named.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let done = core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        let upload = match place.upload(state, &id) {
            Ok(upload) => upload,
            Err(gone) => {
                let before = made_before(state, bucket, &place, &key, &id);
                let missing = |_: &Completed| is_missing(Feature::RepeatedCompletion, &extensions);
                return before.filter(|b| !missing(b)).ok_or(gone);
            }
        };
        let parts = select(core, upload, &named)?;
        let existing = place.current(state).map(|o| &**o);
        conditions::check_write(existing, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let size: u64 = parts.iter().map(|(_, p)| p.size).sum();
        if input.mpu_object_size.is_some_and(|s| u64::try_from(s) != Ok(size)) {
            return Err(s3_error!(InvalidRequest, "The parts make {size} bytes, another size was declared."));
        }
        let checksum = completed_checksum(upload, input.checksum_type.as_ref(), &parts, &declared)?;
        // The parts are already counted; what they replace is given back.
        let stored: u64 = upload.parts.values().map(|p| p.size).sum();
        place.check_fit(core, state, &upload.attributes.owner, size, stored)?;
        let now = core.now_ms();
        place.check_replace(state, now)?;
        let algorithm = checksum.as_ref().map(|c| c.algorithm);
        let of_part = |(number, part): &Numbered<'_>| ObjectPart {
            number: *number,
            size: part.size,
            checksum: part
                .checksum
                .as_ref()
                .filter(|c| algorithm == Some(c.algorithm))
                .map(|c| c.value.clone()),
        };
        let mut object = Object {
            size,
            etag: completed_etag(core, &parts),
            modified: now,
            attributes: upload.attributes.clone(),
            checksum,
            parts: parts.iter().map(of_part).collect(),
            upload: Some(id.clone()),
            extents: parts.iter().flat_map(|(_, p)| p.extents.iter().cloned()).collect(),
        };
        object.attributes.lock = LockRules::of(state, bucket).applied(object.attributes.lock, now);
        let mut completed = Completed::of(state, bucket, &key, &object, None);
        // The object first, so that the parts' bytes never lose their last reference.
        let version = state.put_object(place.tenant, &place.path, object, place.versioned);
        state.remove_upload(place.tenant, &place.path, &id);
        completed.version_id = versions::written(&place, version);
        Ok(completed)
    })?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(address),
        bucket: Some(name),
        key: Some(key),
        e_tag: reply::etag(&done.etag),
        version_id: done.version_id,
        expiration: done.expiration,
        server_side_encryption: storage::encryption(done.encrypted),
        ..CompleteMultipartUploadOutput::default()
    };
    output.checksum_type = done.checksum.as_ref().and_then(|c| reply::checksum_type(c.composite));
    put_checksum!(output, &done.checksum);
    Ok(S3Response::new(output))
}
