//! `/managers/`: who may log in to VMS. `/login/` and `/logout/` show the manager that asks.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::auth;
use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::secrets;
use super::roles;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, as_row, flag, number, text};
use crate::store::state::State;

pub(crate) struct Managers;
pub(crate) struct Login;
pub(crate) struct Logout;

/// The hidden field with the sealed password.
pub(crate) const PASSWORD: &str = "__password";
/// The hidden field with the password of the configuration, sealed, at the last start.
const CONFIGURED: &str = "__configured";

/// Whether a manager may log in.
pub(crate) fn is_active(row: &Row) -> bool {
    row.get("is_active").and_then(Value::as_bool).unwrap_or(true)
}

/// Makes the manager of the configuration, or brings their password up to date when the configuration has another one
/// than at the last start.
pub(crate) fn seed(core: &Arc<Core>, state: &mut State) {
    let (user, password) = (&core.config.user, &core.config.password);
    let existing =
        state.vms.rows("managers").find(|(_, m)| flag(m, "is_default")).map(|(id, m)| (id, m.clone()));
    let sealed = secrets::seal(&*core.entropy, password);
    match existing {
        Some((_, row))
            if text(&row, "username") == user && secrets::opens(text(&row, CONFIGURED), password) => {}
        Some((id, _)) => {
            let row = json!({ "username": user, PASSWORD: sealed, CONFIGURED: sealed });
            state.vms.update("managers", id, as_row(row));
        }
        None => {
            let row = json!({ "username": user, "first_name": user, "roles": [1], "is_default": true, PASSWORD: sealed,
                CONFIGURED: sealed });
            engine::insert(core, state, "managers", as_row(row));
        }
    }
}

/// The roles that a manager has.
pub(crate) fn roles_of<'s>(state: &'s State, manager: &Row) -> Vec<(u64, &'s Row)> {
    let ids = manager.get("roles").and_then(Value::as_array).into_iter().flatten();
    let id = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    ids.filter_map(id).filter_map(|id| Some((id, state.vms.row("roles", id)?))).collect()
}

/// The codenames of everything that a manager may do, by role or directly.
pub(crate) fn permissions_of(state: &State, manager: &Row) -> Vec<String> {
    let names = |row: &Row, field: &str| -> Vec<String> {
        let list = row.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut all = names(manager, "permissions_list");
    for (_, role) in roles_of(state, manager) {
        all.extend(if flag(role, "is_admin") { roles::codenames(state) } else { names(role, "permissions") });
    }
    all.sort();
    all.dedup();
    all
}

pub(crate) fn note_failed_login(state: &mut State, name: &str) {
    if let Some((id, row)) = state.vms.find("managers", "username", name) {
        let failed = number(row, "failed_logins").unwrap_or(0) + 1;
        let change = Row::from_iter([("failed_logins".to_owned(), failed.into())]);
        state.vms.update("managers", id, change);
    }
}

pub(crate) fn note_login(core: &Core, state: &mut State, id: u64) {
    let change = Row::from_iter([
        ("failed_logins".to_owned(), 0.into()),
        ("last_login".to_owned(), env::rfc3339(core.now_ms()).into()),
    ]);
    state.vms.update("managers", id, change);
}

/// Replaces a password in a row by its seal.
fn seal(core: &Core, row: &mut Row) -> Result<(), ApiError> {
    match row.remove("password") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(password)) if !password.is_empty() => {
            row.insert(PASSWORD.to_owned(), secrets::seal(&*core.entropy, &password).into());
            Ok(())
        }
        Some(_) => Err(ApiError::field("password", "This field may not be blank.")),
    }
}

fn check(state: &State, row: &Row) -> Result<(), ApiError> {
    if text(row, "user_type") == "TENANT_ADMIN" && number(row, "tenant_id").is_none() {
        return Err(ApiError::field("tenant_id", "An administrator of a tenant needs one."));
    }
    if text(row, "username").contains(':') {
        return Err(ApiError::field("username", "A user name cannot contain a colon."));
    }
    roles::check_codenames(state, row, "permissions_list")
}

fn set_password(
    core: &Core,
    state: &mut State,
    id: u64,
    body: &Value,
    mut row: Row,
) -> Result<Reply, ApiError> {
    row.insert("password".to_owned(), body.get("password").cloned().unwrap_or_default());
    row.insert(
        "is_temporary_password".to_owned(),
        body.get("is_temporary_password").cloned().unwrap_or(false.into()),
    );
    seal(core, &mut row)?;
    state.vms.update("managers", id, row);
    core.tokens.revoke_manager(id);
    Ok(Reply::no_content())
}

impl Resource for Managers {
    fn kind(&self) -> &'static str {
        "managers"
    }

    fn refuse_grant(&self, state: &State, caller: &Caller, fields: &Row) -> Result<(), ApiError> {
        // All rights are more than each of today's.
        let gives_all = roles_of(state, fields).iter().any(|(_, role)| flag(role, "is_admin"));
        if gives_all && caller.permissions.is_some() {
            return Err(ApiError::permission_denied("Only administrators can make administrators."));
        }
        roles::refuse_beyond(caller, permissions_of(state, fields).iter().map(String::as_str))
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        check(state, &row)?;
        // Names are unique in the whole cluster: a login does not say which tenant it is for.
        if state.vms.find("managers", "username", text(&row, "username")).is_some() {
            return Err(ApiError::field("username", "manager with this username already exists."));
        }
        seal(core, &mut row)?;
        Ok(engine::insert(core, state, "managers", row))
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let mut new = state.vms.row("managers", id).cloned().ok_or_else(ApiError::not_found)?;
        new.extend(changes.clone());
        check(state, &new)?;
        let taken = state.vms.find("managers", "username", text(&changes, "username"));
        if taken.is_some_and(|(other, _)| other != id) {
            return Err(ApiError::field("username", "manager with this username already exists."));
        }
        seal(core, &mut changes)?;
        if changes.contains_key(PASSWORD) {
            core.tokens.revoke_manager(id);
        }
        state.vms.update("managers", id, changes);
        Ok(())
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        if state.vms.row("managers", id).is_some_and(|m| flag(m, "is_default")) {
            return Err(ApiError::bad_request("The default manager cannot be deleted."));
        }
        if call.caller.manager == id {
            return Err(ApiError::bad_request("You cannot delete yourself."));
        }
        Ok(())
    }

    fn delete(&self, core: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        core.tokens.revoke_manager(id);
        state.vms.remove("managers", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let permissions = permissions_of(state, row);
        let roles = roles_of(state, row).into_iter();
        let roles: Value = roles.map(|(id, r)| json!({ "id": id, "name": r.get("name") })).collect();
        let full = format!("{} {}", text(row, "first_name"), text(row, "last_name"));
        row.insert("roles".to_owned(), roles);
        row.insert("permissions".to_owned(), permissions.into());
        row.insert("full_name".to_owned(), full.trim().into());
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        match (name, &call.method) {
            ("unlock", &Method::PATCH) => {
                let row = Row::from_iter([("failed_logins".to_owned(), 0.into())]);
                Some(if call.body.get("password").is_some_and(|p| !p.is_null()) {
                    set_password(core, state, id, &call.body, row)
                } else {
                    state.vms.update("managers", id, row);
                    Ok(Reply::no_content())
                })
            }
            ("unlock", _) => Some(Err(ApiError::method_not_allowed(&call.method))),
            _ => None,
        }
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        match (name, &call.method) {
            ("password", &Method::PATCH) => Some(
                core.store
                    .write(|state| set_password(core, state, call.caller.manager, &call.body, Row::new())),
            ),
            _ => None,
        }
    }
}

fn shown(core: &Arc<Core>, call: &Call) -> Result<Value, ApiError> {
    core.store.read(|state| engine::shown(core, state, &Managers, call.caller.manager, &call.origin))
}

impl Resource for Login {
    fn kind(&self) -> &'static str {
        "login"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name.is_empty() && call.method == Method::GET).then(|| shown(core, call).map(Reply::ok))
    }
}

impl Resource for Logout {
    fn kind(&self) -> &'static str {
        "logout"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name.is_empty() && call.method == Method::POST).then(|| {
            auth::logout(core, &call.caller);
            shown(core, call).map(Reply::created)
        })
    }
}
