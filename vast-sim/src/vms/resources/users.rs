//! `/users/`: local users, those that other providers know, what they are in each tenant; `/localproviders/`.
//!
//! Users of other providers (a directory, say) and managers with S3 keys are rows of the same collection, marked and
//! not listed: S3 treats them alike.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{fields, visibility};
use super::keys;
use crate::core::Core;
use crate::qos;
use crate::s3::caller::groups_of;
use crate::store::registry::{Row, as_row, flag, number, text as str_of};
use crate::store::state::State;

pub(crate) struct Users;
pub(crate) struct LocalProviders;

/// First numeric user id given to users that ask for none.
const FIRST_UID: u64 = 10_000;
/// Marks users that another provider knows.
const ELSEWHERE: &str = "_elsewhere";
/// Marks the user that holds a manager's keys.
const MANAGER: &str = "_manager_id";
/// What a user may be in one tenant.
const TENANT_FIELDS: &[&str] =
    &["allow_create_bucket", "allow_delete_bucket", "s3_superuser", "s3_policies_ids"];

impl Resource for LocalProviders {
    fn kind(&self) -> &'static str {
        "localproviders"
    }

    fn is_shown_to(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        serves(state, caller, number(row, "id").unwrap_or(0))
    }
}

/// The local provider of a user or group.
fn provider(row: &Row) -> u64 {
    number(row, "local_provider_id").unwrap_or(1)
}

/// Whether a local provider is that of the tenant to which a caller is limited.
fn serves(state: &State, caller: &Caller, provider: u64) -> bool {
    let tenant = caller.tenant.and_then(|id| state.vms.row("tenants", id));
    tenant.is_none_or(|tenant| self::provider(tenant) == provider)
}

/// Puts what is made within a tenant into its provider.
pub(super) fn place(state: &State, caller: &Caller, row: &mut Row) {
    let tenant = caller.tenant.and_then(|id| state.vms.row("tenants", id));
    if let Some(tenant) = tenant.filter(|_| number(row, "local_provider_id").is_none()) {
        row.insert("local_provider_id".to_owned(), provider(tenant).into());
    }
}

/// Whether a caller may know of a user or group.
pub(super) fn is_shown(state: &State, caller: &Caller, row: &Row) -> bool {
    is_known_elsewhere(row) || serves(state, caller, provider(row))
}

/// Whether a caller may change a user or group: their provider says whether that is for administrators of the cluster,
/// of the tenant, or both.
pub(super) fn may_change(state: &State, caller: &Caller, row: &Row) -> bool {
    if caller.manager == 0 {
        return true;
    }
    let needed = if caller.is_of_tenant { "TENANT_ADMIN" } else { "SUPER_ADMIN" };
    let provider = state.vms.row("localproviders", provider(row));
    let managed_by = provider.and_then(|p| p.get("managed_by")?.as_array()).filter(|m| !m.is_empty());
    is_shown(state, caller, row) && managed_by.is_none_or(|m| m.iter().any(|v| v.as_str() == Some(needed)))
}

pub(super) fn is_known_elsewhere(row: &Row) -> bool {
    flag(row, ELSEWHERE)
}

pub(super) fn is_local(row: &Row) -> bool {
    !is_known_elsewhere(row) && number(row, MANAGER).is_none()
}

/// The user that holds a manager's keys.
pub(super) fn of_manager(state: &State, manager: u64) -> Option<u64> {
    state.vms.rows("users").find(|(_, u)| number(u, MANAGER) == Some(manager)).map(|(id, _)| id)
}

/// The same, made when there is none.
pub(super) fn make_for_manager(core: &Arc<Core>, state: &mut State, manager: u64, name: &str) -> u64 {
    of_manager(state, manager).unwrap_or_else(|| {
        let row = json!({ "name": name, MANAGER: manager });
        engine::insert(core, state, "users", as_row(row))
    })
}

fn next_uid(state: &State) -> u64 {
    let highest = state.vms.rows("users").filter_map(|(_, u)| number(u, "uid")).max();
    highest.map_or(FIRST_UID, |m| m.max(FIRST_UID - 1) + 1)
}

/// The user of another provider that a body names. The simulator's other providers know everybody: a user that nobody
/// has named before is made.
pub(super) fn known_elsewhere(core: &Arc<Core>, state: &mut State, body: &Value) -> Result<u64, ApiError> {
    let number_of = |field: &str| body.get(field).and_then(Value::as_u64);
    let text_of = |field: &str| body.get(field).and_then(Value::as_str).filter(|t| !t.is_empty());
    if let Some(id) = find(state, &|field| {
        body.get(field)
            .and_then(|v| v.as_str().map(str::to_owned).or_else(|| v.as_u64().map(|n| n.to_string())))
    }) {
        return Ok(id);
    }
    let name = text_of("username").or(text_of("login_name"));
    if number_of("uid").is_none() && text_of("sid").is_none() && name.is_none() {
        return Err(ApiError::bad_request("Either uid or sid must be given."));
    }
    let uid = number_of("uid").unwrap_or_else(|| next_uid(state));
    let name = name.map_or_else(|| text_of("sid").map_or(format!("uid-{uid}"), str::to_owned), str::to_owned);
    let row = json!({ "name": name, "uid": uid, "vid": uid, "sid": text_of("sid"), "local": false, ELSEWHERE: true });
    Ok(engine::insert(core, state, "users", as_row(row)))
}

/// The user with what is asked for: a number, a name or an identifier.
fn find(state: &State, asked: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let named =
        [("uid", "uid"), ("vid", "vid"), ("sid", "sid"), ("username", "name"), ("login_name", "name")];
    let (field, value) = named.iter().find_map(|(asks, field)| Some((*field, asked(asks)?)))?;
    let is = |row: &Row| match row.get(field) {
        Some(Value::Number(n)) => n.to_string() == value,
        Some(Value::String(s)) => *s == value,
        _ => false,
    };
    state.vms.rows("users").find(|(_, row)| number(row, MANAGER).is_none() && is(row)).map(|(id, _)| id)
}

/// What `/users/query/` says about a user.
fn queried(state: &State, id: u64, caller: &Caller) -> Value {
    let Some(row) = state.vms.row("users", id) else { return Value::Null };
    let in_tenant = caller.tenant.map(|tenant| {
        let mut whole = row.clone();
        whole.extend(in_tenant(state, row, tenant));
        whole
    });
    let row = in_tenant.as_ref().unwrap_or(row);
    let groups = groups_of(state, row);
    let policies = keys::named_by(state, "s3policies", row, "s3_policies_ids");
    let name = str_of(row, "name");
    let origin = if is_known_elsewhere(row) { "LDAP" } else { "LOCAL" };
    json!({
        "name": name, "login_name": name, "uid": row.get("uid"), "vid": row.get("vid"), "s3_vid": row.get("vid"),
        "sid": row.get("sid"), "vids": [row.get("vid")], "object_type": "USER",
        "origins": { "name": origin },
        "access_keys": keys::shown(state, id, caller.tenant),
        "allow_create_bucket": flag(row, "allow_create_bucket"),
        "allow_delete_bucket": flag(row, "allow_delete_bucket"),
        "s3_superuser": flag(row, "s3_superuser"),
        "s3_policies": policies.iter().filter_map(|p| p.get("name").cloned()).collect::<Vec<_>>(),
        "s3_policies_ids": policies.iter().filter_map(|p| p.get("id").cloned()).collect::<Vec<_>>(),
        "s3_remote_policies": [], "s3_connections_count": 0,
        "groups": groups.iter().map(|(_, g)| str_of(g, "name")).collect::<Vec<_>>(),
        "group_count": groups.len(), "leading_group": null, "leading_group_gid": row.get("leading_gid"),
        "leading_group_name": leading_group(state, row), "primary_group_name": leading_group(state, row),
        "primary_group_sid": null, "historical_sids": [], "quotas": [], "user_qos_policies": qos_policies(state, row),
    })
}

/// The `QoS` policies that limit a user in the tenants of its keys, or in the default one.
fn qos_policies(state: &State, row: &Row) -> Value {
    let id = number(row, "id");
    let mut tenants: Vec<u64> =
        state.keys().values().filter(|k| Some(k.user_id) == id).map(|k| k.tenant_id).collect();
    tenants.push(super::tenants::DEFAULT);
    tenants.sort_unstable();
    tenants.dedup();
    let policies = tenants.into_iter().flat_map(|tenant| qos::policies_of_user(state, row, tenant));
    policies.map(|(id, policy)| json!({ "id": id, "name": policy.get("name") })).collect()
}

fn leading_group(state: &State, row: &Row) -> Value {
    let gid = number(row, "leading_gid");
    let group = state.vms.rows("groups").find(|(_, g)| gid.is_some() && number(g, "gid") == gid);
    group.map_or(Value::Null, |(_, g)| str_of(g, "name").into())
}

/// `/users/names/`: the users whose names begin so.
fn names(state: &State, prefix: &str, caller: &Caller) -> Value {
    let all = state.vms.rows("users").filter(|(_, row)| {
        number(row, MANAGER).is_none()
            && str_of(row, "name").starts_with(prefix)
            && is_shown(state, caller, row)
    });
    let shown = |(_, row): (u64, &Row)| {
        let provider = if is_known_elsewhere(row) { "LDAP" } else { "LOCAL" };
        json!({ "name": row.get("name"), "uid": row.get("uid"), "sid": row.get("sid"), "provider_type": provider })
    };
    all.map(shown).collect()
}

/// `/users/query/`
fn query(core: &Arc<Core>, call: &Call) -> Result<Reply, ApiError> {
    match call.method {
        Method::GET => core.store.read(|state| {
            let id =
                find(state, &|name| call.param(name).map(str::to_owned)).ok_or_else(ApiError::not_found)?;
            let shown = state.vms.row("users", id).is_some_and(|row| is_shown(state, &call.caller, row));
            if shown { Ok(Reply::ok(queried(state, id, &call.caller))) } else { Err(ApiError::not_found()) }
        }),
        Method::PATCH => {
            let table = Users.table();
            let changes = fields::clean(&table.fields, &call.object()?, false)?;
            core.store.write(|state| {
                fields::check_references(&table.fields, state, &changes, &call.caller)?;
                let id = known_elsewhere(core, state, &call.body)?;
                let row = state.vms.row("users", id).cloned().ok_or_else(ApiError::not_found)?;
                visibility::check_change(&Users, state, &row, &call.caller)?;
                let mut kept: Row =
                    changes.into_iter().filter(|(name, _)| TENANT_FIELDS.contains(&name.as_str())).collect();
                if let Some(tenant) = call.caller.tenant {
                    kept = with_tenant_data(&row, tenant, kept);
                }
                state.vms.update("users", id, kept);
                Ok(Reply::ok(queried(state, id, &call.caller)))
            })
        }
        _ => Err(ApiError::method_not_allowed(&call.method)),
    }
}

/// What a user is in a tenant: what was set for that tenant, else what holds for all.
fn in_tenant(state: &State, row: &Row, tenant: u64) -> Row {
    let own = row.get("_tenant_data").and_then(|d| d.get(tenant.to_string())?.as_object());
    let value = |field: &str| own.and_then(|d| d.get(field)).or_else(|| row.get(field)).cloned();
    let resting = |field: &str| if field == "s3_policies_ids" { json!([]) } else { json!(false) };
    let set = TENANT_FIELDS.iter().map(|f| ((*f).to_owned(), value(f).unwrap_or_else(|| resting(f))));
    let mut shown: Row = set.collect();
    let policies = keys::named_by(state, "s3policies", &shown, "s3_policies_ids");
    shown.insert("s3_policies".to_owned(), policies.into());
    shown
}

/// The change of a user's row that sets what they are in one tenant.
fn with_tenant_data(row: &Row, tenant: u64, changes: Row) -> Row {
    let mut data = row.get("_tenant_data").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut own = data.get(&tenant.to_string()).and_then(Value::as_object).cloned().unwrap_or_default();
    own.extend(changes);
    data.insert(tenant.to_string(), own.into());
    Row::from_iter([("_tenant_data".to_owned(), Value::Object(data))])
}

/// `/users/{id}/tenant_data/`
fn tenant_data(state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let tenant = call.tenant(state)?;
    let row = state.vms.row("users", id).cloned().ok_or_else(ApiError::not_found)?;
    if call.method == Method::PATCH {
        let table = Users.table();
        let changes = fields::clean(&table.fields, &call.object()?, false)?;
        fields::check_references(&table.fields, state, &changes, &call.caller)?;
        let kept = changes.into_iter().filter(|(name, _)| TENANT_FIELDS.contains(&name.as_str())).collect();
        state.vms.update("users", id, with_tenant_data(&row, tenant, kept));
    } else if call.method != Method::GET {
        return Err(ApiError::method_not_allowed(&call.method));
    }
    let row = state.vms.row("users", id).ok_or_else(ApiError::not_found)?;
    Ok(Reply::ok(Value::Object(in_tenant(state, row, tenant))))
}

/// Never keeps a password: only that there is one.
fn keep_no_password(row: &mut Row) {
    if row.remove("password").is_some_and(|p| !p.is_null()) {
        row.insert("password_is_set".to_owned(), true.into());
    }
}

impl Resource for Users {
    fn kind(&self) -> &'static str {
        "users"
    }

    fn rows<'s>(&self, _: &Arc<Core>, state: &'s State) -> Vec<Cow<'s, Row>> {
        state.vms.rows("users").filter(|(_, row)| is_local(row)).map(|(_, row)| Cow::Borrowed(row)).collect()
    }

    fn is_shown_to(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        is_shown(state, caller, row)
    }

    fn place(&self, state: &State, caller: &Caller, row: &mut Row) {
        place(state, caller, row);
    }

    fn may_change(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        may_change(state, caller, row)
    }

    /// Within a tenant only its own key pairs are shown.
    fn limit(&self, caller: &Caller, row: &mut Row) {
        if let (Some(tenant), Some(Value::Array(keys))) = (caller.tenant, row.get_mut("access_keys")) {
            keys.retain(|key| key.get("tenant_id").and_then(Value::as_u64) == Some(tenant));
        }
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        engine::refuse_duplicate(state, "users", "name", &row, None)?;
        keys::refuse_same_number(state, "users", "uid", &row, None)?;
        let uid = number(&row, "uid").unwrap_or_else(|| next_uid(state));
        row.insert("uid".to_owned(), uid.into());
        row.insert("vid".to_owned(), uid.into());
        keep_no_password(&mut row);
        Ok(engine::insert(core, state, "users", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        changes.remove("name"); // Buckets name their owner; VMS does not rename users either.
        keys::refuse_same_number(state, "users", "uid", &changes, Some(id))?;
        keep_no_password(&mut changes);
        state.vms.update("users", id, changes);
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        let name = state.vms.row("users", id).map(|u| str_of(u, "name").to_owned()).unwrap_or_default();
        if let Some((bucket, _)) = state.buckets().iter().find(|(_, b)| b.owner == name) {
            return Err(ApiError::conflict(&format!("User {name} owns bucket {bucket}.")));
        }
        let owned: Vec<String> = keys::of_user(state, id).map(|(k, _)| k.clone()).collect();
        for key in owned {
            state.remove_key(&key);
        }
        state.vms.remove("users", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let stored = state.vms.row("users", id).cloned().unwrap_or_default();
        let groups = groups_of(state, &stored);
        let names: Vec<&str> = groups.iter().map(|(_, g)| str_of(g, "name")).collect();
        for (field, value) in [
            ("access_keys", keys::shown(state, id, None)),
            ("local_provider", keys::provider_of(state, &stored)),
            ("group_count", names.len().into()),
            ("groups", json!(names)),
            ("leading_group_gid", stored.get("leading_gid").cloned().unwrap_or_default()),
            ("leading_group_name", leading_group(state, &stored)),
            ("s3_policies", keys::named_by(state, "s3policies", &stored, "s3_policies_ids").into()),
        ] {
            row.insert(field.to_owned(), value);
        }
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        match name {
            "access_keys" => Some(keys::call(core, state, id, call)),
            "tenant_data" => Some(tenant_data(state, id, call)),
            _ => None,
        }
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        match name {
            "query" => Some(query(core, call)),
            "non_local_keys" => Some(keys::non_local(core, call)),
            // There is nothing cached to be refreshed.
            "names" if call.method == Method::GET => {
                let prefix = call.param("prefix").unwrap_or_default();
                Some(Ok(Reply::ok(core.store.read(|state| names(state, prefix, &call.caller)))))
            }
            "refresh" if call.method == Method::PATCH => Some(Ok(Reply::ok(json!({})))),
            _ => None,
        }
    }
}
