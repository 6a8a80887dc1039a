//! Server-side copies: whole objects and parts. The bytes are shared, never moved.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, MetadataDirective,
    UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::conditions::ReadConditions;
use super::multipart::{open_upload, part_number};
use super::objects::{self, check_fit, object_headers, refuse_version};
use super::reply::{self, CoreRef, put_checksum};
use crate::config::EtagMode;
use crate::core::Core;
use crate::env;
use crate::store::blob::{self, Extent, READ_CHUNK, read_file};
use crate::store::object::{Object, Part};

/// Bucket and key of a copy source.
fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            refuse_version(version_id.as_deref())?;
            Ok((bucket, key))
        }
        _ => Err(s3_error!(NotImplemented, "only bucket/key copy sources are available")),
    }
}

/// The VAST extension that turns a copy into a rename.
const DISPOSITION: &str = "x-amz-copy-disposition";

pub(crate) async fn object(
    core: CoreRef<'_>,
    mut req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let caller = Caller::of(&req)?;
    if req.headers.contains_key(DISPOSITION) {
        return Err(s3_error!(NotImplemented, "{DISPOSITION} is not available"));
    }
    let input = &mut req.input;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let found = objects::find(core, &caller, from_bucket, from_key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    conditions.check(&found, true)?;
    let replace = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    if !replace && from_bucket == input.bucket && from_key == input.key {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing it."
        ));
    }
    let headers = if replace { object_headers!(input) } else { found.headers.clone() };
    let (name, key) = (std::mem::take(&mut input.bucket), std::mem::take(&mut input.key));
    let etag = copied_etag(core, &found).await?;
    let copy = Object {
        size: found.size,
        etag: etag.clone(),
        modified: core.now_ms(),
        headers,
        checksum: found.checksum.clone().filter(|c| !c.composite),
        part_sizes: Vec::new(),
        extents: found.extents.clone(),
    };
    let (modified, checksum) = (copy.modified, copy.checksum.clone());
    core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        check_fit(core, state, bucket, &key, copy.size)?;
        state.put_object(&name, &key, copy);
        Ok::<_, s3s::S3Error>(())
    })?;
    reply::settle(core).await?;
    let mut result = CopyObjectResult {
        e_tag: reply::etag(&etag),
        last_modified: reply::stamp(modified),
        ..CopyObjectResult::default()
    };
    put_checksum!(result, &checksum);
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
}

/// The copy of a plain object keeps its ETag; that of a multipart object gets the MD5 of the whole.
async fn copied_etag(core: &Core, object: &Object) -> S3Result<String> {
    match core.config.etag {
        EtagMode::Opaque => Ok(env::random_hex(&*core.entropy, 16)),
        EtagMode::Md5 if object.part_sizes.is_empty() => Ok(object.etag.clone()),
        EtagMode::Md5 => md5_of(object.extents.clone()).await,
    }
}

/// MD5 of stored bytes, computed apart from the network threads.
async fn md5_of(extents: Vec<Extent>) -> S3Result<String> {
    use md5::Digest as _;
    let hash = move || {
        let mut md5 = md5::Md5::new();
        for extent in extents {
            if let Some(chunks) = extent.blob.memory_range(extent.offset, extent.len) {
                for chunk in &chunks {
                    md5.update(chunk);
                }
            } else if let Some(file) = extent.blob.open()? {
                let mut done = 0;
                while done < extent.len {
                    let n = READ_CHUNK.min(extent.len - done);
                    md5.update(read_file(&file, extent.offset + done, n)?);
                    done += n;
                }
            }
        }
        Ok::<_, std::io::Error>(env::hex(&md5.finalize()))
    };
    let hashed = tokio::task::spawn_blocking(hash).await.map_err(s3s::S3Error::internal_error)?;
    hashed.map_err(s3s::S3Error::internal_error)
}

/// `bytes=first-last`, both required, inside the source.
fn copy_range(text: &str, size: u64) -> S3Result<(u64, u64)> {
    let parsed = text.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
    let numbers = parsed.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
    match numbers {
        Some((first, last)) if first <= last && last < size => Ok((first, last - first + 1)),
        Some(_) => Err(s3_error!(InvalidRange, "The range {text} is not inside the source of {size} bytes.")),
        None => Err(s3_error!(InvalidArgument, "x-amz-copy-source-range must be bytes=first-last")),
    }
}

pub(crate) async fn part(
    core: CoreRef<'_>,
    req: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let number = part_number(input.part_number)?;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let found = objects::find(core, &caller, from_bucket, from_key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check(&found, true)?;
    let (offset, size) = match &input.copy_source_range {
        Some(range) => copy_range(range, found.size)?,
        None => (0, found.size),
    };
    let extents = blob::slice(&found.extents, offset, size);
    let etag = match core.config.etag {
        EtagMode::Opaque => env::random_hex(&*core.entropy, 16),
        EtagMode::Md5 => md5_of(extents.clone()).await?,
    };
    let part = Part { size, etag: etag.clone(), modified: core.now_ms(), checksum: None, extents };
    let modified = part.modified;
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let upload = open_upload(bucket, &input.key, &input.upload_id)?;
        super::multipart::check_part_fit(core, state, bucket, &input.key, upload, number, size)?;
        state.put_part(&input.bucket, &input.key, &input.upload_id, number, part);
        Ok::<_, s3s::S3Error>(())
    })?;
    reply::settle(core).await?;
    let result = CopyPartResult {
        e_tag: reply::etag(&etag),
        last_modified: reply::stamp(modified),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}
