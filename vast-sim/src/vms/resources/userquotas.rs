//! `/userquotas/`: limits of single users below a quota's path, also given and shown as `user_quotas` of the quota.
//!
//! Writes are checked against them in [`crate::store::capacity`]; whose a file is and what holds for whom is there, too.
//! Those of groups and roles are kept without effect.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use super::{quotas, tenants};
use crate::core::Core;
use crate::store::registry::{Row, as_row, flag, number, text};
use crate::store::state::State;

pub(crate) struct UserQuotas;

const KIND: &str = "userquotas";

/// The field of a quota that lists its user quotas.
const LIST: &str = "user_quotas";

/// What an entry of that list says; all else in it is computed.
const GIVEN: &[&str] = &[
    "name",
    "email",
    "identifier",
    "identifier_type",
    "grace_period",
    "hard_limit",
    "hard_limit_inodes",
    "soft_limit",
    "soft_limit_inodes",
];

fn check(row: &Row) -> Result<(), ApiError> {
    for field in ["hard_limit", "hard_limit_inodes", "soft_limit", "soft_limit_inodes"] {
        if row.get(field).is_some_and(|v| !v.is_null() && v.as_i64().is_none()) {
            return Err(ApiError::field(field, "A valid integer is required."));
        }
    }
    if text(row, "name").is_empty() && text(row, "identifier").is_empty() {
        return Err(ApiError::required("name"));
    }
    quotas::check(row)
}

/// Takes the list of user quotas out of what is given for a quota; none when it is not there.
pub(super) fn take_given(row: &mut Row) -> Result<Option<Vec<Row>>, ApiError> {
    if let Some(Value::Object(default)) = row.get("default_user_quota") {
        quotas::check(default)?;
    }
    let Some(Value::Array(list)) = row.remove(LIST) else { return Ok(None) };
    let mut given = Vec::new();
    for mut entry in list.into_iter().map(as_row) {
        if flag(&entry, "is_group") || flag(&entry, "is_iam_role") {
            return Err(ApiError::field(LIST, "Only users have user quotas."));
        }
        entry.retain(|name, value| GIVEN.contains(&name.as_str()) && !value.is_null());
        check(&entry)?;
        given.push(entry);
    }
    Ok(Some(given))
}

/// Makes the given user quotas those of a quota. Who stays keeps the time since when a soft limit is exceeded.
pub(super) fn replace(core: &Arc<Core>, state: &mut State, quota: u64, given: Vec<Row>) {
    let mut before: Vec<(u64, String)> =
        state.user_quotas(quota).map(|(id, row)| (id, state.user_of_quota(row).to_owned())).collect();
    for mut row in given {
        row.insert("quota_id".to_owned(), quota.into());
        let user = state.user_of_quota(&row).to_owned();
        if let Some(at) = before.iter().position(|(_, name)| *name == user) {
            let (id, _) = before.swap_remove(at);
            for field in GIVEN {
                row.entry(*field).or_insert(Value::Null);
            }
            state.vms.update(KIND, id, row);
        } else {
            engine::insert(core, state, KIND, row);
        }
    }
    for (id, _) in before {
        state.vms.remove(KIND, id);
    }
}

/// Turns user quotas on where nobody said whether they are.
pub(super) fn turn_on(state: &mut State, quota: u64) {
    let silent = |row: &Row| !row.get("is_user_quota").is_some_and(Value::is_boolean);
    if state.vms.row("quotas", quota).is_some_and(silent) {
        state.vms.update("quotas", quota, as_row(json!({ "is_user_quota": true })));
    }
}

/// Bytes and objects that the user of a row has below the path of its quota.
fn used(state: &State, row: &Row) -> (u64, u64) {
    let quota = number(row, "quota_id").and_then(|id| state.vms.row("quotas", id));
    quota.map_or((0, 0), |quota| {
        let tenant = number(quota, "tenant_id").unwrap_or(tenants::DEFAULT);
        let usage = state.files(tenant).usage_of(text(quota, "path"), state.user_of_quota(row));
        (usage.bytes, usage.objects)
    })
}

/// Begins and ends the grace of users of a quota.
pub(super) fn review(state: &mut State, quota: u64, now: u64) {
    let change = |(id, row): (u64, &Row)| (id, quotas::soft_changes(row, used(state, row), now));
    let changes: Vec<_> = state.user_quotas(quota).map(change).collect();
    for (id, change) in changes.into_iter().filter(|(_, change)| !change.is_empty()) {
        state.vms.update(KIND, id, change);
    }
}

/// What a user quota shows beside what was given.
fn figures(core: &Core, state: &State, row: &Row) -> Row {
    let now = core.now_ms();
    let (bytes, objects) = used(state, row);
    let user = state.user_of_quota(row);
    let condition = quotas::state_of(row, (bytes, objects), now);
    let known = state.vms.rows("users").find(|(_, u)| text(u, "name") == user);
    as_row(json!({
        "name": user, "entity_identifier": user, "vast_id": known.and_then(|(_, u)| number(u, "vid")),
        "state": condition, "time_to_block": quotas::time_to_block(row, condition, now),
        "used_capacity": bytes, "used_inodes": objects,
        "percent_capacity": quotas::percent(bytes, number(row, "hard_limit").filter(|l| *l > 0)),
        "percent_inodes": quotas::percent(objects, number(row, "hard_limit_inodes").filter(|l| *l > 0)),
    }))
}

/// What a quota shows of its users: their quotas, how many are beyond a limit, and how many of those cannot write.
pub(super) fn of_quota(core: &Core, state: &State, id: u64, quota: &Row) -> Row {
    let entry = |(_, row): (u64, &Row)| {
        let mut entry = row.clone();
        entry.retain(|name, _| GIVEN.contains(&name.as_str()));
        entry.extend(as_row(json!({ "is_group": false })));
        entry.extend(figures(core, state, row));
        Value::Object(entry)
    };
    let entries: Vec<Value> = state.user_quotas(id).map(entry).collect();
    let (mut exceeded, mut blocked) = (0, 0);
    let has_default = quota.get("default_user_quota").is_some_and(Value::is_object);
    if flag(quota, "is_user_quota") && (has_default || !entries.is_empty()) {
        let tenant = number(quota, "tenant_id").unwrap_or(tenants::DEFAULT);
        for (user, usage) in state.files(tenant).owners(text(quota, "path")) {
            let Some(rule) = state.user_rule(id, quota, &user) else { continue };
            let condition = quotas::state_of(rule, (usage.bytes, usage.objects), core.now_ms());
            exceeded += u64::from(condition != "OK");
            blocked += u64::from(condition.contains("HARD") || condition == "GRACE_EXPIRED");
        }
    }
    as_row(json!({ LIST: entries, "num_exceeded_users": exceeded, "num_blocked_users": blocked }))
}

/// Refuses a second quota of a user below the same path.
fn refuse_second(state: &State, row: &Row) -> Result<(), ApiError> {
    let Some(quota) = number(row, "quota_id") else { return Ok(()) };
    let user = state.user_of_quota(row);
    if state.user_quotas(quota).any(|(_, other)| state.user_of_quota(other) == user) {
        return Err(ApiError::field("name", "The user has a quota there already."));
    }
    Ok(())
}

impl Resource for UserQuotas {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        let quota = number(row, "quota_id").and_then(|id| state.vms.row("quotas", id))?;
        Some(number(quota, "tenant_id").unwrap_or(tenants::DEFAULT))
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        check(&row)?;
        let of_user = !flag(&row, "is_group") && !flag(&row, "is_iam_role");
        if of_user {
            refuse_second(state, &row)?;
        }
        let quota = number(&row, "quota_id");
        let id = engine::insert(core, state, KIND, row);
        if let Some(quota) = quota.filter(|_| of_user) {
            turn_on(state, quota);
            review(state, quota, core.now_ms());
            core.background.wake();
        }
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        let mut new = state.vms.row(KIND, id).cloned().ok_or_else(ApiError::not_found)?;
        new.extend(changes.clone());
        check(&new)?;
        state.vms.update(KIND, id, changes);
        if let Some(quota) = number(&new, "quota_id") {
            review(state, quota, core.now_ms());
            core.background.wake();
        }
        Ok(())
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let stored = number(row, "id").and_then(|id| state.vms.row(KIND, id)).unwrap_or(row);
        let quota = number(stored, "quota_id").and_then(|id| state.vms.row("quotas", id));
        let path = quota.map_or(Value::Null, |q| text(q, "path").into());
        let of_user = !flag(stored, "is_group") && !flag(stored, "is_iam_role");
        let shown = if of_user && quota.is_some() { figures(core, state, stored) } else { Row::new() };
        row.extend(shown);
        row.insert("path".to_owned(), path);
    }
}

/// Takes the user quotas of a quota that is gone with it.
pub(super) fn remove_of(state: &mut State, quota: u64) {
    let of_quota = |(id, row): (u64, &Row)| (number(row, "quota_id") == Some(quota)).then_some(id);
    let gone: Vec<u64> = state.vms.rows(KIND).filter_map(of_quota).collect();
    for id in gone {
        state.vms.remove(KIND, id);
    }
}
