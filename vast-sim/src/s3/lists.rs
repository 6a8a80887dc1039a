//! Reading and setting the access control lists of buckets and objects.

use s3s::dto::{
    AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput,
    PutBucketAclInput, PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::access;
use super::acl::Acl;
use super::caller::Caller;
use super::reply::CoreRef;
use crate::store::object::{Bucket, Object};
use crate::store::state::State;
use crate::store::version::VersionId;

/// Refuses to share where only the bucket's owner owns.
pub(crate) fn refuse_without_lists(state: &State, bucket: &Bucket) -> S3Result<()> {
    if access::has_lists(bucket, state.view_of(bucket)) {
        Ok(())
    } else {
        Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"))
    }
}

/// The list that a request asks for, in its headers or its body.
fn asked(
    headers: &http::HeaderMap,
    document: Option<AccessControlPolicy>,
    owner: &str,
    bucket_owner: &str,
) -> S3Result<Acl> {
    match (Acl::of_headers(headers, owner, bucket_owner)?, document) {
        (Some(_), Some(_)) => {
            Err(s3_error!(UnexpectedContent, "An ACL is either in the headers or in the body."))
        }
        (Some(acl), None) => Ok(acl),
        (None, Some(document)) => Acl::of_document(document, owner),
        (None, None) => Err(s3_error!(MissingSecurityHeader, "Your request was missing a required ACL.")),
    }
}

pub(crate) async fn get_bucket(
    core: CoreRef<'_>,
    req: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let caller = Caller::of(&req)?;
    let acl = core.store.read(|state| {
        let bucket = caller.open(state, &req.input.bucket)?;
        Ok::<_, S3Error>(Acl::stored(bucket.documents.get("acl"), &bucket.owner))
    })?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(acl.grants()), owner: acl.owner_dto() }))
}

pub(crate) async fn put_bucket(
    core: CoreRef<'_>,
    req: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let acl = asked(&req.headers, input.access_control_policy, &bucket.owner, &bucket.owner)?;
        if acl.shares() {
            refuse_without_lists(state, bucket)?;
        }
        state.set_document(&input.bucket, "acl", Some(acl.to_value()));
        Ok::<_, S3Error>(())
    })?;
    Ok(S3Response::new(PutBucketAclOutput {}))
}

/// The version that a request names, or the newest.
fn version<'s>(
    state: &'s State,
    bucket: &Bucket,
    key: &str,
    version: Option<&str>,
) -> S3Result<(VersionId, &'s Object)> {
    let missing = || s3_error!(NoSuchKey, "The specified key does not exist.");
    let entry = state.entry(bucket.tenant_id, &bucket.path_of(key)).ok_or_else(missing)?;
    let found = match version {
        None => entry.newest().ok_or_else(missing)?,
        Some(text) => VersionId::parse(text)
            .and_then(|id| entry.get(id))
            .ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?,
    };
    let object = found.object().ok_or_else(|| s3_error!(MethodNotAllowed, "A delete marker has no ACL."))?;
    Ok((found.id, object))
}

pub(crate) async fn get_object(
    core: CoreRef<'_>,
    req: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let caller = Caller::of(&req)?;
    let input = &req.input;
    let acl = core.store.read(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let (_, object) = version(state, bucket, &input.key, input.version_id.as_deref())?;
        Ok::<_, S3Error>(Acl::stored(object.attributes.acl.as_ref(), &object.attributes.owner))
    })?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(acl.grants()),
        owner: acl.owner_dto(),
        request_charged: None,
    }))
}

pub(crate) async fn put_object(
    core: CoreRef<'_>,
    req: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let (id, object) = version(state, bucket, &input.key, input.version_id.as_deref())?;
        let owner = &object.attributes.owner;
        let acl = asked(&req.headers, input.access_control_policy, owner, &bucket.owner)?;
        if acl.shares() {
            refuse_without_lists(state, bucket)?;
        }
        let (tenant, path) = (bucket.tenant_id, bucket.path_of(&input.key));
        state.change_object(tenant, &path, id, |attributes| attributes.acl = Some(acl.to_value()));
        Ok::<_, S3Error>(())
    })?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}
