//! `/groups/`: whose members share identity policies.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{fields, visibility};
use super::{keys, users};
use crate::core::Core;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

pub(crate) struct Groups;

/// The group with what is asked for.
fn find(state: &State, asked: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let named = [("gid", "gid"), ("groupname", "name"), ("sid", "sid"), ("vaid", "gid")];
    let (field, value) = named.iter().find_map(|(asks, field)| Some((*field, asked(asks)?)))?;
    let is = |row: &Row| match row.get(field) {
        Some(Value::Number(n)) => n.to_string() == value,
        Some(Value::String(s)) => *s == value,
        _ => false,
    };
    state.vms.rows("groups").find(|(_, row)| is(row)).map(|(id, _)| id)
}

fn queried(state: &State, id: u64) -> Value {
    let Some(row) = state.vms.row("groups", id) else { return Value::Null };
    let policies = keys::named_by(state, "s3policies", row, "s3_policies_ids");
    json!({
        "gid": row.get("gid"), "name": text(row, "name"), "sid": row.get("sid"), "provider_type": "LOCAL",
        "s3_policies": policies.iter().filter_map(|p| p.get("name").cloned()).collect::<Vec<_>>(),
        "s3_policies_ids": policies.iter().filter_map(|p| p.get("id").cloned()).collect::<Vec<_>>(),
    })
}

impl Resource for Groups {
    fn kind(&self) -> &'static str {
        "groups"
    }

    fn is_shown_to(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        users::is_shown(state, caller, row)
    }

    fn place(&self, state: &State, caller: &Caller, row: &mut Row) {
        users::place(state, caller, row);
    }

    fn may_change(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        users::may_change(state, caller, row)
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        engine::refuse_duplicate(state, "groups", "name", &row, None)?;
        keys::refuse_same_number(state, "groups", "gid", &row, None)?;
        Ok(engine::insert(core, state, "groups", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        engine::refuse_duplicate(state, "groups", "name", &changes, Some(id))?;
        keys::refuse_same_number(state, "groups", "gid", &changes, Some(id))?;
        state.vms.update("groups", id, changes);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let stored = state.vms.row("groups", id).cloned().unwrap_or_default();
        row.insert("local_provider".to_owned(), keys::provider_of(state, &stored));
        let policies = keys::named_by(state, "s3policies", &stored, "s3_policies_ids");
        row.insert("s3_policies".to_owned(), policies.into());
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if name == "names" && call.method == Method::GET {
            let prefix = call.param("prefix").unwrap_or_default();
            let found = core.store.read(|state| {
                let all = state.vms.rows("groups").filter(|(_, row)| {
                    text(row, "name").starts_with(prefix) && users::is_shown(state, &call.caller, row)
                });
                all.map(|(id, _)| queried(state, id)).collect::<Value>()
            });
            return Some(Ok(Reply::ok(found)));
        }
        if name != "query" {
            return None;
        }
        Some(match call.method {
            Method::GET => core.store.read(|state| {
                let id =
                    find(state, &|p| call.param(p).map(str::to_owned)).ok_or_else(ApiError::not_found)?;
                let row = state.vms.row("groups", id).ok_or_else(ApiError::not_found)?;
                if !users::is_shown(state, &call.caller, row) {
                    return Err(ApiError::not_found());
                }
                Ok(Reply::ok(queried(state, id)))
            }),
            Method::PATCH => core.store.write(|state| {
                let body = call.object()?;
                let text =
                    |v: &Value| v.as_str().map(str::to_owned).or_else(|| v.as_u64().map(|n| n.to_string()));
                let id = find(state, &|p| body.get(p).and_then(text)).ok_or_else(ApiError::not_found)?;
                let table = self.table();
                let mut changes = fields::clean(&table.fields, &body, false)?;
                changes.retain(|name, _| name == "s3_policies_ids");
                fields::check_references(&table.fields, state, &changes, &call.caller)?;
                let row = state.vms.row("groups", id).ok_or_else(ApiError::not_found)?;
                visibility::check_change(self, state, row, &call.caller)?;
                state.vms.update("groups", id, changes);
                Ok(Reply::ok(queried(state, id)))
            }),
            _ => Err(ApiError::method_not_allowed(&call.method)),
        })
    }
}
