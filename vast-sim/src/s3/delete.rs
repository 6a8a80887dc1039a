//! Deleting objects and versions, one by one and many at once.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error as DeleteError,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::access::{self, Circumstances};
use super::actions::Action;
use super::caller::Caller;
use super::conditions;
use super::lock;
use super::place::Place;
use super::reply::{self, CoreRef};
use super::versions;
use crate::core::Core;
use crate::store::state::State;
use crate::store::version::{Entry, VersionId};

/// Most keys that one multi-delete may name.
const MAX_DELETE: usize = 1000;

/// What a deletion did.
#[derive(Debug, Default)]
struct Deleted {
    /// The version that is gone, or the delete marker that was made.
    version: Option<VersionId>,
    /// Whether a delete marker was made or removed.
    marker: bool,
}

/// Deletes one version for good, or hides the object behind a delete marker where versions are kept.
fn delete_one(
    core: &Core,
    state: &mut State,
    caller: &Caller,
    place: &Place,
    version: Option<VersionId>,
    bypass: bool,
) -> S3Result<Deleted> {
    let (tenant, path) = (place.tenant, place.path.as_str());
    let now = core.now_ms();
    let entry = place.entry(state);
    if let Some(id) = version {
        let Some(found) = entry.and_then(|e| e.get(id)) else {
            // Gone already, or never there: as good as deleted.
            return Ok(Deleted { version, marker: false });
        };
        if let Some(object) = found.object() {
            object.attributes.lock.check_delete(now, bypass)?;
        }
        let marker = found.object().is_none();
        state.remove_version(tenant, path, id);
        return Ok(Deleted { version, marker });
    }
    let only_null = entry.is_none_or(|e| e.versions().all(|v| v.id == VersionId::Null));
    if place.versioned || !only_null {
        if !place.versioned
            && let Some(object) = entry.and_then(|e| e.get(VersionId::Null)).and_then(|v| v.object())
        {
            object.attributes.lock.check_delete(now, bypass)?;
        }
        let id = state.put_marker(tenant, path, now, &caller.name, place.versioned);
        return Ok(Deleted { version: Some(id), marker: true });
    }
    if let Some(object) = entry.and_then(Entry::current) {
        object.attributes.lock.check_delete(now, bypass)?;
    }
    state.remove_version(tenant, path, VersionId::Null);
    Ok(Deleted::default())
}

pub(crate) async fn one(
    core: CoreRef<'_>,
    req: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let version = versions::named(input.version_id.as_deref())?;
    let deleted = core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let bypass = lock::bypass(input.bypass_governance_retention, &caller);
        let place = Place::for_write(state, bucket, &input.key)?;
        if let Some(condition) = &input.if_match {
            conditions::check_write(place.current(state).map(|o| &**o), Some(condition), None)?;
        }
        delete_one(core, state, &caller, &place, version, bypass)
    })?;
    let output = DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version.map(|id| id.to_string()),
        ..DeleteObjectOutput::default()
    };
    Ok(reply::with_status(output, http::StatusCode::NO_CONTENT))
}

pub(crate) async fn many(
    core: CoreRef<'_>,
    req: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let caller = Caller::of(&req)?;
    let at = Circumstances::new(core, &req.uri, &req.headers, &req.extensions);
    let input = req.input;
    if input.delete.objects.is_empty() || input.delete.objects.len() > MAX_DELETE {
        return Err(s3_error!(MalformedXML, "Between 1 and {MAX_DELETE} keys must be named."));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let (deleted, errors) = core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?.clone();
        let bypass = lock::bypass(input.bypass_governance_retention, &caller);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let asked = object.version_id.as_deref();
            let mut attempt = || {
                let version = versions::named(asked)?;
                let action = Action::delete(asked.is_some());
                if !access::may(state, &caller, &at, &action, (&input.bucket, &bucket, &object.key)) {
                    return access::denied();
                }
                let place = Place::for_write(state, &bucket, &object.key)?;
                if let Some(etag) = object.e_tag.clone() {
                    let condition = ETagCondition::ETag(etag);
                    conditions::check_write(place.current(state).map(|o| &**o), Some(&condition), None)?;
                }
                delete_one(core, state, &caller, &place, version, bypass)
            };
            match attempt() {
                Ok(done) => deleted.push(DeletedObject {
                    delete_marker: done.marker.then_some(true),
                    delete_marker_version_id: done.version.filter(|_| done.marker).map(|id| id.to_string()),
                    version_id: object.version_id,
                    key: Some(object.key),
                }),
                Err(error) => errors.push(DeleteError {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        Ok::<_, s3s::S3Error>((deleted, errors))
    })?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    }))
}
