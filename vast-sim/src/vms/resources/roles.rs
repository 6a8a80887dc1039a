//! `/roles/`, `/realms/` and `/permissions/`: what managers may do. A permission is a verb and a realm (`edit_logical`), a
//! realm is a set of resources.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::store::registry::{Row, as_row, flag, number, text};
use crate::store::state::State;

pub(crate) struct Roles;
pub(crate) struct Realms;
pub(crate) struct Permissions;

const VERBS: &[&str] = &["view", "create", "edit", "delete"];

/// The realms of a fresh cluster and what is in them.
const REALMS: &[(&str, &str)] = &[
    ("events", "alarms events eventdefinitions eventdefinitionconfigs webhooks eventbrokers kafkabrokers"),
    (
        "hardware",
        "carriers cboxes cnodegroups cnodes dboxes dnodes dtrays eboxes fans hosts modules nicports nics nvrams ports psus \
         racks ssds switches",
    ),
    (
        "logical",
        "blockhosts encryptedpaths folders globalsnapstreams nativereplicationremotetargets protectedpaths \
         protectionpolicies qospolicies quotaentityinfos quotas replicationpolicies replicationrestorepoints \
         replicationstreams replicationtargets s3lifecyclerules snapshotpolicies snapshots userquotas viewpolicies views \
         volumes",
    ),
    ("monitoring", "analytics capacity metrics monitors prometheusmetrics"),
    (
        "security",
        "activedirectory certificates encryptiongroups groups iamroles indestructibility kerberos ldaps localproviders \
         locals3keys managers nis oidcs permissions realms roles s3keys s3policies tlscertificates users",
    ),
    ("settings", "bgpconfigs clusters dns tenants versions vippools vips vms vpntunnels vtasks"),
    ("support", "callhomeconfigs licenses supportbundles"),
];

/// Makes the realms, and the roles that always exist.
pub(crate) fn seed(core: &Arc<Core>, state: &mut State) {
    let mut add = |kind: &str, row: Value| {
        engine::insert(core, state, kind, as_row(row));
    };
    for (name, kinds) in REALMS {
        add("realms", json!({ "name": name, "object_types": kinds.split_whitespace().collect::<Vec<_>>() }));
    }
    let view: Vec<String> = REALMS.iter().map(|(realm, _)| format!("view_{realm}")).collect();
    add("roles", json!({ "name": "administrators", "is_admin": true, "is_default": true }));
    add("roles", json!({ "name": "viewers", "is_default": true, "permissions": view }));
}

/// Every permission that can be given.
pub(crate) fn codenames(state: &State) -> Vec<String> {
    let realms = state.vms.rows("realms");
    realms.flat_map(|(_, r)| VERBS.iter().map(move |verb| format!("{verb}_{}", text(r, "name")))).collect()
}

/// Refuses codenames that name no permission.
pub(crate) fn check_codenames(state: &State, row: &Row, field: &str) -> Result<(), ApiError> {
    let wanted = row.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let all = codenames(state);
    match wanted.into_iter().find(|name| !all.iter().any(|a| a == name)) {
        Some(strange) => Err(ApiError::field(field, format!("\"{strange}\" is not a valid choice."))),
        None => Ok(()),
    }
}

/// Brings the ways of naming permissions (a list of codenames, or verbs and perhaps a realm) to one list.
fn resolve(state: &State, row: &mut Row) -> Result<(), ApiError> {
    check_codenames(state, row, "permissions_list")?;
    let realm = text(row, "realm").to_owned();
    if !realm.is_empty() && state.vms.find("realms", "name", &realm).is_none() {
        return Err(ApiError::field("realm", format!("\"{realm}\" is not a valid choice.")));
    }
    let listed = row.remove("permissions_list").filter(|l| !l.is_null());
    let verbs = row.remove("permissions").filter(|l| !l.is_null());
    let chosen = match (listed, verbs) {
        (Some(list), _) => Some(list),
        (None, Some(verbs)) => {
            let verbs = verbs.as_array().cloned().unwrap_or_default();
            let wanted = |name: &String| {
                let (verb, of) = name.split_once('_').unwrap_or((name, ""));
                verbs.iter().any(|v| v.as_str() == Some(verb)) && (realm.is_empty() || realm == of)
            };
            Some(codenames(state).into_iter().filter(wanted).collect())
        }
        (None, None) => None,
    };
    if let Some(chosen) = chosen {
        row.insert("permissions".to_owned(), chosen);
    }
    Ok(())
}

/// Refuses to give rights that the caller lacks.
pub(crate) fn refuse_beyond<'n>(
    caller: &Caller,
    mut given: impl Iterator<Item = &'n str>,
) -> Result<(), ApiError> {
    let Some(own) = &caller.permissions else { return Ok(()) };
    match given.find(|name| !own.iter().any(|o| o == name)) {
        Some(name) => {
            Err(ApiError::permission_denied(&format!("You cannot give a right that you lack: {name}.")))
        }
        None => Ok(()),
    }
}

impl Resource for Roles {
    fn kind(&self) -> &'static str {
        "roles"
    }

    fn refuse_grant(&self, state: &State, caller: &Caller, fields: &Row) -> Result<(), ApiError> {
        let mut fields = fields.clone();
        resolve(state, &mut fields)?;
        let given = fields.get("permissions").and_then(Value::as_array).into_iter().flatten();
        refuse_beyond(caller, given.filter_map(Value::as_str))
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        engine::refuse_duplicate(state, "roles", "name", &row, None)?;
        resolve(state, &mut row)?;
        Ok(engine::insert(core, state, "roles", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        if state.vms.row("roles", id).is_some_and(|r| flag(r, "is_default")) {
            return Err(ApiError::bad_request("A default role cannot be changed."));
        }
        engine::refuse_duplicate(state, "roles", "name", &changes, Some(id))?;
        resolve(state, &mut changes)?;
        state.vms.update("roles", id, changes);
        Ok(())
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, _: &Call) -> Result<(), ApiError> {
        if state.vms.row("roles", id).is_some_and(|r| flag(r, "is_default")) {
            return Err(ApiError::bad_request("A default role cannot be deleted."));
        }
        engine::refuse_in_use(state, "roles", id)
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let has = |m: &Row| super::managers::roles_of(state, m).iter().any(|(role, _)| *role == id);
        let managers = state.vms.rows("managers").filter(|(_, m)| has(m));
        let managers = managers.map(|(id, m)| json!({ "id": id, "username": m.get("username") })).collect();
        row.insert("managers".to_owned(), managers);
        if flag(row, "is_admin") {
            row.insert("permissions".to_owned(), codenames(state).into());
        }
        let tenants: Vec<u64> = number(row, "tenant_id").into_iter().collect();
        let names: Vec<&str> =
            tenants.iter().filter_map(|t| state.vms.row("tenants", *t)).map(|t| text(t, "name")).collect();
        row.insert("tenant_names".to_owned(), names.join(", ").into());
        row.insert("tenants".to_owned(), tenants.into());
    }
}

impl Resource for Realms {
    fn kind(&self) -> &'static str {
        "realms"
    }

    fn action(
        &self,
        _: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        let add = match (name, &call.method) {
            ("assign", &Method::PATCH) => true,
            ("unassign", &Method::PATCH) => false,
            ("assign" | "unassign", _) => return Some(Err(ApiError::method_not_allowed(&call.method))),
            _ => return None,
        };
        let Some(kind) = call.body.get("object_type").and_then(Value::as_str) else {
            return Some(Err(ApiError::required("object_type")));
        };
        let types = state.vms.row("realms", id).and_then(|r| r.get("object_types")?.as_array().cloned());
        let mut types = types.unwrap_or_default();
        types.retain(|t| t.as_str() != Some(kind));
        if add {
            types.push(kind.into());
        }
        let change = Row::from_iter([("object_types".to_owned(), types.into())]);
        state.vms.update("realms", id, change);
        Some(Ok(Reply::ok(json!({}))))
    }
}

impl Resource for Permissions {
    fn kind(&self) -> &'static str {
        "permissions"
    }

    fn rows<'s>(&self, _: &Arc<Core>, state: &'s State) -> Vec<Cow<'s, Row>> {
        let row = |(n, codename): (usize, String)| {
            let (verb, realm) = codename.split_once('_').unwrap_or((&codename, ""));
            let resources =
                state.vms.find("realms", "name", realm).and_then(|(_, r)| r.get("object_types")?.as_array());
            let resources: Vec<&str> = resources.into_iter().flatten().filter_map(Value::as_str).collect();
            let row = json!({ "id": n + 1, "codename": codename, "name": format!("Can {verb} {realm}"),
                "permission_type": verb, "realm": realm, "resources": resources.join(",") });
            Cow::Owned(as_row(row))
        };
        codenames(state).into_iter().enumerate().map(row).collect()
    }

    fn row<'s>(&self, core: &Arc<Core>, state: &'s State, id: u64) -> Option<Cow<'s, Row>> {
        self.rows(core, state).into_iter().find(|row| number(row, "id") == Some(id))
    }
}
