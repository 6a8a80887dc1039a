//! Server-side copies: whole objects and parts, and renames. The bytes are shared, never moved.

use s3s::dto::{
    ChecksumAlgorithm, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    MetadataDirective, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::checksum::{Algorithm, Hasher};
use super::conditions::{check_write, source_conditions, write_conditions};
use super::lifecycle;
use super::lock::{LockRules, asked_lock};
use super::multipart::part_number;
use super::objects::object_headers;
use super::place::Place;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef, put_checksum};
use super::storage::{self, asked_storage};
use super::tagging;
use super::versions::{self, Found};
use crate::config::EtagMode;
use crate::core::Core;
use crate::env;
use crate::store::blob::{self, Extent, READ_CHUNK, read_file};
use crate::store::object::{Attributes, Object, Part, StoredChecksum};

/// Bucket, key and version of a copy source.
type Source<'s> = (&'s str, &'s str, Option<&'s str>);

fn source(source: &CopySource) -> S3Result<Source<'_>> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => Ok((bucket, key, version_id.as_deref())),
        _ => Err(s3_error!(NotImplemented, "Only copy sources of the form bucket/key are available.")),
    }
}

/// The object to be copied; a refusal names the source, not the target.
fn find_source(core: &Core, caller: &Caller, (bucket, key, version): Source<'_>) -> S3Result<Found> {
    versions::find(core, caller, bucket, key, version).map_err(|error| of_source(error, key))
}

fn of_source(error: S3Error, key: &str) -> S3Error {
    if matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchVersion) {
        error.detail("Key", key)
    } else {
        error
    }
}

/// The VAST extension that turns a copy into a rename.
const DISPOSITION: &str = "x-amz-copy-disposition";

/// Whether a copy is to be a rename, which keeps everything that belongs to the object and takes nothing new.
fn is_rename(req: &S3Request<CopyObjectInput>) -> S3Result<bool> {
    let Some(value) = req.headers.get(DISPOSITION) else { return Ok(false) };
    if !value.as_bytes().eq_ignore_ascii_case(b"replace") {
        return Err(s3_error!(InvalidArgument, "{DISPOSITION} must be \"replace\"."));
    }
    let input = &req.input;
    let replaces =
        input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE)
            || input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
    let grants =
        input.acl.is_some() || req.headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    if replaces || grants {
        return Err(s3_error!(
            InvalidRequest,
            "{DISPOSITION}: replace moves an object with its metadata and ACL; it cannot be combined with a REPLACE \
             directive, an ACL or grants."
        ));
    }
    Ok(true)
}

pub(crate) async fn object(
    core: CoreRef<'_>,
    req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    if is_rename(&req)? { rename(core, req).await } else { copy(core, req).await }
}

/// What the copy gets beside its bytes.
fn attributes(
    caller: &Caller,
    input: &mut CopyObjectInput,
    found: &Object,
    replace: bool,
) -> S3Result<Attributes> {
    let tags = match input.tagging_directive.as_ref().map(TaggingDirective::as_str) {
        None | Some(TaggingDirective::COPY) => found.attributes.tags.clone(),
        Some(TaggingDirective::REPLACE) => tagging::of_header(input.tagging.as_deref())?,
        Some(_) => return Err(s3_error!(InvalidArgument, "Unknown tagging directive.")),
    };
    let headers = if replace { object_headers!(input) } else { found.attributes.headers.clone() };
    Ok(Attributes {
        owner: caller.name.clone(),
        headers,
        tags,
        acl: caller.acl.clone(),
        encrypted: asked_storage!(input).check()?,
        ..Attributes::default()
    })
}

async fn copy(
    core: CoreRef<'_>,
    mut req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = &mut req.input;
    let from = input.copy_source.clone();
    let (from_bucket, from_key, from_version) = source(&from)?;
    let found = find_source(core, &caller, (from_bucket, from_key, from_version))?;
    source_conditions!(input).check(core, &found.object, true)?;
    let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
    };
    let onto_itself = from_bucket == input.bucket && from_key == input.key;
    // Asking how it is to be kept changes the object, too, if only in name.
    let keeps = input.storage_class.is_none() && input.server_side_encryption.is_none();
    if !replace && keeps && onto_itself && from_version.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let attributes = attributes(&caller, input, &found.object, replace)?;
    storage::check_metadata(&attributes.headers.metadata)?;
    storage::refuse_reading_key(input.copy_source_sse_customer_algorithm.is_some())?;
    let (if_match, if_none_match) = write_conditions(&req.headers)?;
    let asked = asked_lock!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(named_algorithm).transpose()?;
    let (name, key) = (std::mem::take(&mut input.bucket), std::mem::take(&mut input.key));
    let encrypted = attributes.encrypted;
    let (etag, checksum) = digests_of_copy(core, &found.object, algorithm).await?;
    let modified = core.now_ms();
    let mut copy = Object {
        size: found.object.size,
        etag: etag.clone(),
        modified,
        attributes,
        checksum: checksum.clone(),
        parts: Vec::new(),
        upload: None,
        extents: found.object.extents.clone(),
    };
    let (version_id, expiration) = core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let place = Place::for_write(state, bucket, &key)?;
        let existing = place.current(state).map(|o| &**o);
        check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        place.check_replace(state, modified)?;
        place.check_fit(core, state, &caller.name, copy.size, 0)?;
        let rules = LockRules::of(state, bucket);
        copy.attributes.lock = rules.applied(rules.explicit(&asked, modified)?, modified);
        let expiration = lifecycle::expiration_of_write(state, bucket, &key, &copy);
        let id = state.put_object(place.tenant, &place.path, copy, place.versioned);
        Ok::<_, S3Error>((versions::written(&place, id), expiration))
    })?;
    let mut answer = answer(&found, &etag, modified, checksum.as_ref(), version_id);
    answer.output.server_side_encryption = storage::encryption(encrypted);
    answer.output.expiration = expiration;
    Ok(answer)
}

fn answer(
    found: &Found,
    etag: &str,
    modified: u64,
    checksum: Option<&StoredChecksum>,
    version_id: Option<String>,
) -> S3Response<CopyObjectOutput> {
    let mut result = CopyObjectResult {
        e_tag: reply::etag(etag),
        last_modified: reply::stamp(modified),
        checksum_type: checksum.and_then(|c| reply::checksum_type(c.composite)),
        ..CopyObjectResult::default()
    };
    put_checksum!(result, checksum);
    S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: found.version(),
        version_id,
        ..CopyObjectOutput::default()
    })
}

/// Moves an object to another key in one step: nobody ever sees both or none.
async fn rename(
    core: CoreRef<'_>,
    mut req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = &mut req.input;
    let from = input.copy_source.clone();
    let (from_bucket, from_key, from_version) = source(&from)?;
    let wanted = versions::named(from_version)?;
    let conditions = source_conditions!(input);
    let (if_match, if_none_match) = write_conditions(&req.headers)?;
    let (found, version_id) = core.store.write(|state| {
        let source_bucket = caller.open(state, from_bucket)?;
        let target_bucket = caller.open(state, &input.bucket)?;
        let source = Place::for_write(state, source_bucket, from_key)?;
        let target = Place::for_write(state, target_bucket, &input.key)?;
        let found =
            versions::find_in(state, source_bucket, from_key, wanted).map_err(|e| of_source(e, from_key))?;
        conditions.check(core, &found.object, true)?;
        if (source.tenant, &source.path) == (target.tenant, &target.path) {
            return Err(s3_error!(InvalidRequest, "An object cannot be renamed to itself."));
        }
        let existing = target.current(state).map(|o| &**o);
        check_write(existing, if_match.as_ref(), if_none_match.as_ref())?;
        let now = core.now_ms();
        found.object.attributes.lock.check_delete(now, false)?;
        target.check_replace(state, now)?;
        let within = source_bucket.path == target_bucket.path;
        let size = found.object.size;
        let owner = &found.object.attributes.owner;
        target.check_fit(core, state, owner, size, if within { size } else { 0 })?;
        let id = state.put_object(target.tenant, &target.path, (*found.object).clone(), target.versioned);
        state.remove_version(source.tenant, &source.path, found.id);
        if source.current(state).is_some() {
            // An older version must not come to light.
            state.put_marker(source.tenant, &source.path, now, &caller.name, source.versioned);
        }
        Ok::<_, S3Error>((found, versions::written(&target, id)))
    })?;
    let object = &found.object;
    Ok(answer(&found, &object.etag, object.modified, object.checksum.as_ref(), version_id))
}

fn named_algorithm(name: &ChecksumAlgorithm) -> S3Result<Algorithm> {
    Algorithm::from_name(name.as_str()).ok_or_else(|| {
        s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    })
}

/// ETag and checksum of a copy: those of the source where they describe the whole, else made from the bytes.
async fn digests_of_copy(
    core: &Core,
    object: &Object,
    algorithm: Option<Algorithm>,
) -> S3Result<(String, Option<StoredChecksum>)> {
    let kept =
        object.checksum.as_ref().filter(|c| !c.composite && algorithm.is_none_or(|a| a == c.algorithm));
    let algorithm = algorithm.or(object.checksum.as_ref().map(|c| c.algorithm));
    let compute = algorithm.filter(|_| kept.is_none());
    let opaque = core.config.etag == EtagMode::Opaque;
    let md5 = !opaque && !object.parts.is_empty();
    let digests = digest(object.extents.clone(), md5, compute).await?;
    let etag = match digests.md5 {
        Some(md5) => md5,
        None if opaque => env::random_hex(&*core.entropy, 16),
        None => object.etag.clone(),
    };
    Ok((etag, kept.cloned().or(digests.checksum)))
}

#[derive(Debug, Default)]
struct Digests {
    md5: Option<String>,
    checksum: Option<StoredChecksum>,
}

/// MD5 and checksum of stored bytes as asked, computed apart from the network threads.
async fn digest(extents: Vec<Extent>, md5: bool, algorithm: Option<Algorithm>) -> S3Result<Digests> {
    use md5::Digest as _;
    if !md5 && algorithm.is_none() {
        return Ok(Digests::default());
    }
    let hash = move || {
        let mut md5 = md5.then(md5::Md5::new);
        let mut hasher = algorithm.map(|a| (a, Hasher::new(a)));
        let mut take = |chunk: &[u8]| {
            if let Some(md5) = &mut md5 {
                md5.update(chunk);
            }
            if let Some((_, hasher)) = &mut hasher {
                hasher.update(chunk);
            }
        };
        for extent in extents {
            if let Some(chunks) = extent.blob.memory_range(extent.offset, extent.len) {
                for chunk in &chunks {
                    take(chunk);
                }
            } else if let Some(file) = extent.blob.open()? {
                let mut done = 0;
                while done < extent.len {
                    let n = READ_CHUNK.min(extent.len - done);
                    take(&read_file(&file, extent.offset + done, n)?);
                    done += n;
                }
            }
        }
        Ok::<_, std::io::Error>(Digests {
            md5: md5.map(|m| env::hex(&m.finalize())),
            checksum: hasher.map(|(algorithm, h)| StoredChecksum {
                algorithm,
                value: h.finish(),
                composite: false,
            }),
        })
    };
    let hashed = tokio::task::spawn_blocking(hash).await.map_err(S3Error::internal_error)?;
    hashed.map_err(S3Error::internal_error)
}

/// `bytes=first-last`, both required, inside the source.
fn copy_range(text: &str, size: u64) -> S3Result<(u64, u64)> {
    let parsed = text.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
    let numbers = parsed.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
    match numbers {
        Some((first, last)) if first <= last && last < size => Ok((first, last - first + 1)),
        Some(_) => {
            Err(s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {size}")
                .detail("ArgumentName", "x-amz-copy-source-range")
                .detail("ArgumentValue", text))
        }
        None => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy"
        )),
    }
}

pub(crate) async fn part(
    core: CoreRef<'_>,
    req: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let caller = Caller::of(&req)?;
    let mut input = req.input;
    let number = part_number(input.part_number)?;
    let found = find_source(core, &caller, source(&input.copy_source)?)?;
    source_conditions!(input).check(core, &found.object, true)?;
    let (offset, size) = match &input.copy_source_range {
        Some(range) => copy_range(range, found.object.size)?,
        None => (0, found.object.size),
    };
    let extents = blob::slice(&found.object.extents, offset, size);
    let algorithm = core.store.read(|state| {
        let place = Place::for_write(state, caller.open(state, &input.bucket)?, &input.key)?;
        place.upload(state, &input.upload_id).map(|upload| upload.algorithm)
    })?;
    let digests = digest(extents.clone(), core.config.etag == EtagMode::Md5, algorithm).await?;
    let etag = digests.md5.unwrap_or_else(|| env::random_hex(&*core.entropy, 16));
    let checksum = digests.checksum;
    let modified = core.now_ms();
    let part = Part { size, etag: etag.clone(), modified, checksum: checksum.clone(), extents };
    core.store.write(|state| {
        let place = Place::for_write(state, caller.open(state, &input.bucket)?, &input.key)?;
        let upload = place.upload(state, &input.upload_id)?;
        place.check_part_fit(core, state, upload, number, size)?;
        state.put_part(place.tenant, &place.path, &input.upload_id, number, part);
        Ok::<_, S3Error>(())
    })?;
    let mut result = CopyPartResult {
        e_tag: reply::etag(&etag),
        last_modified: reply::stamp(modified),
        ..CopyPartResult::default()
    };
    put_checksum!(result, &checksum);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: found.version(),
        ..UploadPartCopyOutput::default()
    }))
}
