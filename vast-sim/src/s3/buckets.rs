//! Bucket operations. A bucket is the S3 face of a view: making one over S3 makes a view, deleting one deletes it.

use std::ops::Bound;

use s3s::dto::{
    Bucket as BucketDto, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::access::{self, Circumstances};
use super::caller::Caller;
use super::list::{marker_of, token_of};
use super::lock::indestructible_for;
use super::refusal::Detailed as _;
use super::reply::{self, CoreRef};
use crate::store::registry::Row;
use crate::vms::events;
use crate::vms::resources::{indestructibility, views};

/// The region of every bucket: VAST has none and clients want one.
const REGION: &str = "us-east-1";
/// Most buckets of one page.
const MAX_BUCKETS: usize = 10_000;

pub(crate) async fn list(
    core: CoreRef<'_>,
    req: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let caller = Caller::of(&req)?;
    let prefix = req.input.prefix.clone().unwrap_or_default();
    let max = match req.input.max_buckets {
        None => None,
        Some(asked) => {
            Some(usize::try_from(asked).ok().filter(|n| (1..=MAX_BUCKETS).contains(n)).ok_or_else(|| {
                s3_error!(InvalidArgument, "max-buckets must be between 1 and {MAX_BUCKETS}")
                    .detail("ArgumentName", "max-buckets")
                    .detail("ArgumentValue", asked)
            })?)
        }
    };
    let after = req.input.continuation_token.as_deref().map(marker_of).transpose()?.unwrap_or_default();
    let here = req.input.bucket_region.as_deref().is_none_or(|region| region == REGION);
    let at = Circumstances::new(core, &req.uri, &req.headers, &req.extensions);
    let mut buckets: Vec<BucketDto> = core.store.read(|state| {
        let behind = (Bound::Excluded(after.as_str()), Bound::Unbounded);
        let begins = state.buckets().range::<str, _>(behind).filter(|(name, _)| name.starts_with(&prefix));
        let mine = begins.filter(|(name, b)| here && access::sees(state, &caller, &at, name, b));
        let page = mine.take(max.map_or(usize::MAX, |max| max + 1));
        page.map(|(name, b)| BucketDto {
            name: Some(name.clone()),
            creation_date: reply::stamp(b.created),
            bucket_region: max.map(|_| REGION.to_owned()),
        })
        .collect()
    });
    let more = max.is_some_and(|max| buckets.len() > max);
    buckets.truncate(max.unwrap_or(usize::MAX));
    let last = buckets.last().and_then(|b| b.name.as_deref());
    let next = last.filter(|_| more).map(token_of);
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        owner: reply::owner(&caller.name),
        prefix: req.input.prefix,
        continuation_token: next,
    }))
}

pub(crate) async fn create(
    core: CoreRef<'_>,
    req: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let caller = Caller::of(&req)?;
    let locking = req.input.object_lock_enabled_for_bucket == Some(true);
    let ownership = req.input.object_ownership;
    let name = req.input.bucket;
    core.store.write(|state| {
        match state.bucket(&name) {
            Some(b) if b.owner == caller.name => {
                return Err(s3_error!(BucketAlreadyOwnedByYou, "You already own the bucket {name}."));
            }
            Some(_) => return Err(s3_error!(BucketAlreadyExists, "The bucket name {name} is taken.")),
            None => {}
        }
        let mut fields = Row::new();
        if locking {
            fields.insert("locking".to_owned(), true.into());
            fields.insert("s3_versioning".to_owned(), true.into());
        }
        views::create_for_bucket(core, state, &name, &caller.name, caller.tenant_id, fields);
        if let Some(rule) = ownership {
            state.set_document(&name, "ownershipControls", Some(rule.as_str().into()));
        }
        if caller.acl.is_some() {
            state.set_document(&name, "acl", caller.acl.clone());
        }
        Ok(())
    })?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
}

pub(crate) async fn delete(
    core: CoreRef<'_>,
    req: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let caller = Caller::of(&req)?;
    let name = req.input.bucket;
    core.store.write(|state| {
        let bucket = caller.open(state, &name)?;
        let usage = state.usage(bucket.tenant_id, &bucket.path);
        if usage.objects + usage.markers > 0 {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        let indestructible = state.view_of(bucket).and_then(indestructible_for).is_some();
        if indestructible && !indestructibility::is_unlocked(core, state) {
            return Err(s3_error!(AccessDenied, "The bucket is in indestructible object mode."));
        }
        let (view, tenant, path) = (bucket.view_id, bucket.tenant_id, bucket.path.clone());
        state.remove_bucket(&name);
        // Open uploads go with it.
        state.remove_tree(tenant, &path);
        let gone = state.vms.row("views", view).cloned().unwrap_or_default();
        state.vms.remove("views", view);
        events::record_change(core, state, &caller.name, "views", view, &gone, "OBJECT_DELETED");
        Ok(())
    })?;
    Ok(reply::with_status(DeleteBucketOutput {}, http::StatusCode::NO_CONTENT))
}

pub(crate) async fn head(
    core: CoreRef<'_>,
    req: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let caller = Caller::of(&req)?;
    core.store.read(|state| caller.open(state, &req.input.bucket).map(|_| ()))?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..HeadBucketOutput::default()
    }))
}

pub(crate) async fn location(
    core: CoreRef<'_>,
    req: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let caller = Caller::of(&req)?;
    core.store.read(|state| caller.open(state, &req.input.bucket).map(|_| ()))?;
    // An empty constraint is how S3 names us-east-1.
    let location_constraint = Some(BucketLocationConstraint::from(String::new()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}
