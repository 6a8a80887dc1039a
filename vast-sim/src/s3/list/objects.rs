//! ListObjects and ListObjectsV2.

use std::sync::Arc;

use s3s::dto::{
    ChecksumAlgorithm, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object as ObjectDto, ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::super::caller::Caller;
use super::super::reply::{self, CoreRef};
use super::super::snapshots;
use super::paging::{Ask, Page, page};
use super::{Listing, fill, marker_of, token_of};
use crate::core::Core;
use crate::store::object::Object;
use crate::store::version::Entry;

fn object_page(core: &Core, caller: &Caller, bucket: &str, ask: &Ask<'_>) -> S3Result<Page<Arc<Object>>> {
    core.store.read(|state| {
        let bucket = caller.open(state, bucket)?;
        if let Some(through_snapshot) = snapshots::object_page(state, bucket, ask) {
            return Ok(through_snapshot);
        }
        let ask = Ask { base: &bucket.base(), ..*ask };
        let current = |entry: &Entry, _: Option<&str>| {
            entry.current().map(|o| (String::new(), Arc::clone(o))).into_iter().collect()
        };
        Ok(page(state.files(bucket.tenant_id).entries(), &ask, current))
    })
}

fn contents(items: Vec<(String, Arc<Object>)>, listing: &Listing, with_owner: bool) -> Vec<ObjectDto> {
    let dto = |(key, object): (String, Arc<Object>)| ObjectDto {
        key: Some(listing.text(&key)),
        e_tag: reply::etag(&object.etag),
        last_modified: reply::stamp(object.modified),
        size: reply::size(object.size),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: reply::owner(&object.attributes.owner).filter(|_| with_owner),
        checksum_algorithm: object
            .checksum
            .as_ref()
            .map(|c| vec![ChecksumAlgorithm::from_static(c.algorithm.name())]),
        checksum_type: object.checksum.as_ref().and_then(|c| reply::checksum_type(c.composite)),
        ..ObjectDto::default()
    };
    items.into_iter().map(dto).collect()
}

pub(crate) async fn v1(
    core: CoreRef<'_>,
    req: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let listing = Listing::new(
        input.encoding_type.as_ref(),
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
    )?;
    let marker = input.marker.clone().unwrap_or_default();
    let found = object_page(core, &caller, &input.bucket, &listing.ask("", &marker, None))?;
    let truncated = found.next.is_some();
    let mut output = ListObjectsOutput {
        name: Some(input.bucket),
        marker: Some(listing.text(&marker)),
        max_keys: Some(listing.asked),
        // Without a delimiter the last key says it.
        next_marker: found.next.filter(|_| !listing.delimiter.is_empty()).map(|(m, _)| listing.text(&m)),
        contents: Some(contents(found.items, &listing, true)),
        ..ListObjectsOutput::default()
    };
    fill!(output, listing, truncated, &found.prefixes);
    Ok(S3Response::new(output))
}

pub(crate) async fn v2(
    core: CoreRef<'_>,
    req: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let listing = Listing::new(
        input.encoding_type.as_ref(),
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
    )?;
    let after = match &input.continuation_token {
        Some(token) => marker_of(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let found = object_page(core, &caller, &input.bucket, &listing.ask("", &after, None))?;
    let truncated = found.next.is_some();
    let count = found.items.len() + found.prefixes.len();
    let mut output = ListObjectsV2Output {
        name: Some(input.bucket),
        max_keys: Some(listing.asked),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        next_continuation_token: found.next.map(|(m, _)| token_of(&m)),
        contents: Some(contents(found.items, &listing, input.fetch_owner == Some(true))),
        start_after: input.start_after.as_deref().map(|s| listing.text(s)),
        ..ListObjectsV2Output::default()
    };
    fill!(output, listing, truncated, &found.prefixes);
    Ok(S3Response::new(output))
}
