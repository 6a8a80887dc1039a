//! `/qospolicies/`: limits for views and for users. What they do to requests is in [`crate::qos`].

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::qos::limits;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

pub(crate) struct QosPolicies;

const KIND: &str = "qospolicies";

/// How users can be named.
const IDENTIFIERS: [&str; 3] = ["sid_str", "uid", "username"];

/// Checks what is given of a policy and leaves of its limits those that VMS knows.
fn check(row: &mut Row) -> Result<(), ApiError> {
    for (part, known) in limits::parts() {
        if let Some(given) = row.get(part).and_then(Value::as_object) {
            let tidied = limits::tidy(given, &known).map_err(|why| ApiError::field(part, why))?;
            row.insert(part.to_owned(), tidied.into());
        }
    }
    if row.get("s3_connections_limit").and_then(Value::as_i64).is_some_and(|n| n < 0) {
        let message = "Ensure this value is greater than or equal to 0.";
        return Err(ApiError::field("s3_connections_limit", message));
    }
    for user in row.get("attached_users").and_then(Value::as_array).into_iter().flatten() {
        let kind = user.get("identifier_type").and_then(Value::as_str).unwrap_or_default();
        if !IDENTIFIERS.contains(&kind) {
            let message = format!("identifier_type: \"{kind}\" is not one of {}.", IDENTIFIERS.join(", "));
            return Err(ApiError::field("attached_users", message));
        }
        if user.get("identifier_value").is_none_or(Value::is_null) {
            return Err(ApiError::field("attached_users", "identifier_value: This field is required."));
        }
    }
    Ok(())
}

/// Checks a policy as a whole.
fn check_whole(state: &State, row: &Row, id: Option<u64>) -> Result<(), ApiError> {
    if text(row, "policy_type") == "USER" {
        if !["", "STATIC"].contains(&text(row, "mode")) {
            return Err(ApiError::field("mode", "The limits of users are static: they have no capacity."));
        }
    } else {
        let users = row.get("attached_users").and_then(Value::as_array).is_some_and(|u| !u.is_empty());
        for (wrong, field) in [(users, "attached_users"), (flag(row, "is_default"), "is_default")] {
            if wrong {
                return Err(ApiError::field(field, "Only a policy of type USER has this."));
            }
        }
    }
    let tenant = |row: &Row| number(row, "tenant_id").unwrap_or(1);
    let other = |(other_id, other): &(u64, &Row)| {
        Some(*other_id) != id && flag(other, "is_default") && tenant(other) == tenant(row)
    };
    match state.vms.rows(KIND).find(other) {
        Some((_, other)) if flag(row, "is_default") => {
            let message = format!("{} is the tenant's default policy for users.", text(other, "name"));
            Err(ApiError::field("is_default", message))
        }
        _ => Ok(()),
    }
}

/// Refuses to put a view under a policy that is not for views.
pub(super) fn check_for_view(state: &State, view: &Row) -> Result<(), ApiError> {
    let policy = number(view, "qos_policy_id").and_then(|id| state.vms.row(KIND, id));
    match policy.map(|p| text(p, "policy_type")) {
        Some(kind @ ("USER" | "VOLUME")) => {
            let message = format!("A policy of type {kind} cannot be attached to a view.");
            Err(ApiError::field("qos_policy_id", message))
        }
        _ => Ok(()),
    }
}

impl Resource for QosPolicies {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        check(&mut row)?;
        check_whole(state, &row, None)?;
        engine::refuse_duplicate(state, KIND, "name", &row, None)?;
        Ok(engine::insert(core, state, KIND, row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        check(&mut changes)?;
        let mut new = state.vms.row(KIND, id).cloned().ok_or_else(ApiError::not_found)?;
        new.extend(changes.clone());
        check_whole(state, &new, Some(id))?;
        state.vms.update(KIND, id, changes);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, _: &State, row: &mut Row) {
        if number(row, "io_size_bytes").is_none() {
            row.insert("io_size_bytes".to_owned(), json!(limits::IO_SIZE));
        }
    }
}
