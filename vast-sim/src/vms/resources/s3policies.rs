//! `/s3policies/`: identity policies, attached to users and groups by their ids.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::s3::policy::{Attached, Policy};
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

pub(crate) struct S3Policies;

/// Refuses what could never be judged by.
fn check(row: &Row) -> Result<(), ApiError> {
    if !row.contains_key("policy") {
        return Ok(());
    }
    match Policy::read(text(row, "policy"), Attached::Identity) {
        Ok(_) => Ok(()),
        Err(problem) => Err(ApiError::field("policy", problem)),
    }
}

/// Names of the rows of a collection that have this policy.
fn attached(state: &State, kind: &str, id: u64) -> Value {
    let lists = |ids: Option<&Value>| {
        ids.and_then(Value::as_array).is_some_and(|l| l.iter().any(|v| v.as_u64() == Some(id)))
    };
    let has = |row: &Row| {
        let in_tenants = row.get("_tenant_data").and_then(Value::as_object);
        lists(row.get("s3_policies_ids"))
            || in_tenants.is_some_and(|t| t.values().any(|d| lists(d.get("s3_policies_ids"))))
    };
    state.vms.rows(kind).filter(|(_, row)| has(row)).map(|(_, row)| json!(text(row, "name"))).collect()
}

impl Resource for S3Policies {
    fn kind(&self) -> &'static str {
        "s3policies"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        check(&row)?;
        row.entry("tenant_id").or_insert_with(|| super::tenants::DEFAULT.into());
        engine::refuse_duplicate(state, "s3policies", "name", &row, None)?;
        Ok(engine::insert(core, state, "s3policies", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        check(&changes)?;
        engine::refuse_duplicate(state, "s3policies", "name", &changes, Some(id))?;
        state.vms.update("s3policies", id, changes);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        for (field, kind) in [("users", "users"), ("groups", "groups")] {
            row.insert(field.to_owned(), attached(state, kind, id));
        }
    }
}
