//! `/s3lifecyclerules/`: what expires in a view, and when. Carried out by the S3 side, which also makes these rows of
//! the lifecycle configurations that clients put over S3.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::env;
use crate::s3::lifecycle::{self, KIND};
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

pub(crate) struct S3LifecycleRules;

/// Checks what the fields of a rule say together.
fn check(row: &Row) -> Result<(), ApiError> {
    let given = |field: &str| row.get(field).is_some_and(|v| !v.is_null());
    for field in
        ["expiration_days", "noncurrent_days", "abort_mpu_days_after_initiation", "newer_noncurrent_versions"]
    {
        if row.get(field).and_then(Value::as_i64).is_some_and(|n| n < 1) {
            return Err(ApiError::field(field, "Ensure this value is greater than or equal to 1."));
        }
    }
    for field in ["min_size", "max_size"] {
        if row.get(field).and_then(Value::as_i64).is_some_and(|n| n < 0) {
            return Err(ApiError::field(field, "Ensure this value is greater than or equal to 0."));
        }
    }
    if number(row, "min_size").zip(number(row, "max_size")).is_some_and(|(min, max)| min > max) {
        return Err(ApiError::field("min_size", "The minimum size must not be above the maximum size."));
    }
    let date = text(row, "expiration_date");
    if !date.is_empty() && lifecycle::date_of(date).is_none() {
        return Err(ApiError::field("expiration_date", "Date has wrong format. Use YYYY-MM-DD."));
    }
    if given("expiration_days") && given("expiration_date") {
        return Err(ApiError::field("expiration_date", "Give expiration_days or expiration_date, not both."));
    }
    if flag(row, "expired_obj_delete_marker") && (given("expiration_days") || given("expiration_date")) {
        let message = "Expired delete markers are cleaned up by a rule of their own.";
        return Err(ApiError::field("expired_obj_delete_marker", message));
    }
    match row.get("tags") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(tags)) if tags.values().all(Value::is_string) => Ok(()),
        Some(_) => Err(ApiError::field("tags", "Expected a dictionary of strings.")),
    }
}

/// When and by which rule an object expires.
fn expiration(core: &Arc<Core>, call: &Call) -> Result<Reply, ApiError> {
    let asked = |name: &str| {
        call.param(name).ok_or_else(|| ApiError::field(name, "This query parameter is required."))
    };
    let (bucket, key) = (asked("bucket_name")?, asked("object_name")?);
    core.store.read(|state| {
        let bucket = state.bucket(bucket).ok_or_else(ApiError::not_found)?;
        call.caller.check_tenant(Some(bucket.tenant_id))?;
        let path = bucket.path_of(key);
        let object = state.current(bucket.tenant_id, &path).ok_or_else(ApiError::not_found)?;
        let due = lifecycle::expiration_of(state, bucket, key, object);
        Ok(Reply::ok(match due {
            Some((at, rule)) => json!({ "expiration_date": env::rfc3339(at), "rule_id": rule }),
            None => json!({}),
        }))
    })
}

impl Resource for S3LifecycleRules {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        let view = number(row, "view_id").and_then(|id| state.vms.row("views", id));
        view.map(super::view_rules::tenant_of)
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        check(&row)?;
        engine::refuse_duplicate(state, KIND, "name", &row, None)?;
        let id = engine::insert(core, state, KIND, row);
        core.background.wake();
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        let mut new = state.vms.row(KIND, id).cloned().ok_or_else(ApiError::not_found)?;
        new.extend(changes.clone());
        check(&new)?;
        if changes.contains_key("name") {
            engine::refuse_duplicate(state, KIND, "name", &new, Some(id))?;
        }
        state.vms.update(KIND, id, changes);
        core.background.wake();
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let view = number(row, "view_id").and_then(|id| state.vms.row("views", id));
        row.insert("view_path".to_owned(), view.map_or(Value::Null, |v| text(v, "path").into()));
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        match name {
            "get_object_expiration" if call.method == Method::GET => Some(expiration(core, call)),
            "get_object_expiration" => Some(Err(ApiError::method_not_allowed(&call.method))),
            _ => None,
        }
    }
}
