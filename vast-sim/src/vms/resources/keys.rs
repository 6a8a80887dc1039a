//! S3 key pairs: of local users, of users of other providers, of managers; `/locals3keys/` and `/s3keys/`.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::secrets;
use super::users;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, number, text};
use crate::store::state::{AccessKey, State};

pub(crate) struct LocalS3Keys;
pub(crate) struct S3Keys;

/// The key pairs of a user.
pub(super) fn of_user(state: &State, user_id: u64) -> impl Iterator<Item = (&String, &AccessKey)> {
    state.keys().iter().filter(move |(_, k)| k.user_id == user_id)
}

/// As users show them: never with the secret; only those for one tenant, if one is given.
pub(super) fn shown(state: &State, user_id: u64, tenant: Option<u64>) -> Value {
    let one = |(access_key, k): (&String, &AccessKey)| {
        json!({
            "access_key": access_key, "creation_time": env::rfc3339(k.created),
            "enabled": k.enabled, "tenant_id": k.tenant_id,
        })
    };
    of_user(state, user_id).filter(|(_, k)| tenant.is_none_or(|t| t == k.tenant_id)).map(one).collect()
}

/// Makes a key pair. The secret is shown here and never again.
pub(super) fn create(
    core: &Arc<Core>,
    state: &mut State,
    user_id: u64,
    tenant_id: u64,
) -> Result<Value, ApiError> {
    let most = core.config.max_keys_per_user;
    if of_user(state, user_id).count() >= most {
        return Err(ApiError::bad_request(&format!("The user has {most} access keys already.")));
    }
    let access_key = env::random_text(&*core.entropy, 20, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    let secret = env::random_text(
        &*core.entropy,
        40,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    );
    let key = AccessKey { user_id, secret: secret.clone(), enabled: true, tenant_id, created: core.now_ms() };
    state.put_key(&access_key, key);
    Ok(json!({ "access_key": access_key, "secret_key": secret }))
}

/// The key pair that a body names, if it is one of this user's.
fn named(
    state: &State,
    user_id: u64,
    body: &Value,
    caller: &Caller,
) -> Result<(String, AccessKey), ApiError> {
    let access_key =
        body.get("access_key").and_then(Value::as_str).ok_or_else(|| ApiError::required("access_key"))?;
    match state.keys().get(access_key).filter(|k| k.user_id == user_id && caller.sees(Some(k.tenant_id))) {
        Some(key) => Ok((access_key.to_owned(), key.clone())),
        None => Err(ApiError::not_found()),
    }
}

/// Turns a key pair on or off.
fn enable(state: &mut State, user_id: u64, body: &Value, caller: &Caller) -> Result<Reply, ApiError> {
    let (access_key, key) = named(state, user_id, body, caller)?;
    match body.get("enabled") {
        Some(Value::Bool(enabled)) => {
            state.put_key(&access_key, AccessKey { enabled: *enabled, ..key });
            Ok(Reply::no_content())
        }
        None => Err(ApiError::required("enabled")),
        Some(_) => Err(ApiError::field("enabled", "Must be a valid boolean.")),
    }
}

/// Removes a key pair.
fn remove(state: &mut State, user_id: u64, body: &Value, caller: &Caller) -> Result<Reply, ApiError> {
    let (access_key, _) = named(state, user_id, body, caller)?;
    state.remove_key(&access_key);
    Ok(Reply::no_content())
}

/// Calls on the key pairs of one user.
pub(super) fn call(
    core: &Arc<Core>,
    state: &mut State,
    user_id: u64,
    call: &Call,
) -> Result<Reply, ApiError> {
    match call.method {
        Method::POST => {
            let tenant = call.tenant(state)?;
            create(core, state, user_id, tenant).map(Reply::ok)
        }
        Method::PATCH => enable(state, user_id, &call.body, &call.caller),
        Method::DELETE => remove(state, user_id, &call.body, &call.caller),
        _ => Err(ApiError::method_not_allowed(&call.method)),
    }
}

/// Calls on the key pairs of users that other providers know: the body says whose.
pub(super) fn non_local(core: &Arc<Core>, call: &Call) -> Result<Reply, ApiError> {
    core.store.write(|state| {
        let tenant = call.tenant(state)?;
        match call.method {
            Method::POST => {
                let user = users::known_elsewhere(core, state, &call.body)?;
                create(core, state, user, tenant).map(Reply::ok)
            }
            Method::PATCH | Method::DELETE => {
                // The key says whose it is; what the body says beside that must agree.
                let access_key = call.required_text("access_key")?;
                let user = state.keys().get(access_key).map(|k| k.user_id).ok_or_else(ApiError::not_found)?;
                let row = state.vms.row("users", user).ok_or_else(ApiError::not_found)?;
                let asked = call.body.get("uid").and_then(Value::as_u64);
                if !users::is_known_elsewhere(row) || asked.is_some_and(|uid| number(row, "uid") != Some(uid))
                {
                    return Err(ApiError::not_found());
                }
                if call.method == Method::PATCH {
                    enable(state, user, &call.body, &call.caller)
                } else {
                    remove(state, user, &call.body, &call.caller)
                }
            }
            _ => Err(ApiError::method_not_allowed(&call.method)),
        }
    })
}

/// The id of a key pair, which stays when others come and go.
fn number_of(access_key: &str) -> u32 {
    let [a, b, c, d, ..] = secrets::fingerprint(access_key);
    u32::from_be_bytes([a & 0x7f, b, c, d])
}

/// Key pairs as rows, the oldest first; `whose` chooses among their users.
fn rows(state: &State, whose: impl Fn(&Row) -> bool) -> Vec<Row> {
    let mut keys: Vec<(&String, &AccessKey)> = state.keys().iter().collect();
    keys.sort_by_key(|(name, key)| (key.created, *name));
    let named = |kind: &str, id: u64| {
        let name = state.vms.row(kind, id).map(|row| text(row, "name")).unwrap_or_default();
        json!({ "id": id, "name": name })
    };
    let row = |(access_key, key): (&String, &AccessKey)| {
        let owner = state.vms.row("users", key.user_id).filter(|user| whose(user))?;
        json!({
            "id": number_of(access_key), "access_key": access_key, "enabled": key.enabled,
            "creation_time": env::rfc3339(key.created), "tenant": named("tenants", key.tenant_id),
            "user": { "id": key.user_id, "name": text(owner, "name") },
            "_tenant_id": key.tenant_id, "_user_id": key.user_id,
        })
        .as_object()
        .cloned()
    };
    keys.into_iter().filter_map(row).collect()
}

impl Resource for LocalS3Keys {
    fn kind(&self) -> &'static str {
        "locals3keys"
    }

    fn rows<'s>(&self, _: &Arc<Core>, state: &'s State) -> Vec<Cow<'s, Row>> {
        rows(state, users::is_local).into_iter().map(Cow::Owned).collect()
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, "_tenant_id")
    }

    fn row<'s>(&self, _: &Arc<Core>, state: &'s State, id: u64) -> Option<Cow<'s, Row>> {
        rows(state, users::is_local).into_iter().find(|r| number(r, "id") == Some(id)).map(Cow::Owned)
    }
}

impl Resource for S3Keys {
    fn kind(&self) -> &'static str {
        "s3keys"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        let manager = call.caller.manager;
        Some(match (&call.method, name) {
            (&Method::GET, "") => core.store.read(|state| {
                let own = users::of_manager(state, manager);
                let mut keys = own.map_or_else(|| json!([]), |user| shown(state, user, None));
                // A manager's keys are shown without the tenant.
                for key in keys.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                    key.remove("tenant_id");
                }
                Ok(Reply::ok(keys))
            }),
            (&Method::POST, "") => core.store.write(|state| {
                let tenant = call.tenant(state)?;
                let user = users::make_for_manager(core, state, manager, &call.caller.name);
                create(core, state, user, tenant).map(Reply::created)
            }),
            (&Method::DELETE, access_key) if !access_key.is_empty() => core.store.write(|state| {
                let user = users::of_manager(state, manager).ok_or_else(ApiError::not_found)?;
                remove(state, user, &json!({ "access_key": access_key }), &call.caller)
            }),
            _ => Err(ApiError::method_not_allowed(&call.method)),
        })
    }
}

/// Names of rows with an id in a list field.
pub(super) fn named_by(state: &State, kind: &str, ids: &Row, field: &str) -> Vec<Value> {
    let ids = ids.get(field).and_then(Value::as_array);
    let one = |id: u64| state.vms.row(kind, id).map(|row| json!({ "id": id, "name": text(row, "name") }));
    ids.into_iter().flatten().filter_map(Value::as_u64).filter_map(one).collect()
}

/// The local provider of a row as clients see it.
pub(super) fn provider_of(state: &State, row: &Row) -> Value {
    let id = number(row, "local_provider_id").unwrap_or(1);
    let provider = state.vms.row("localproviders", id);
    provider.map_or(Value::Null, |p| json!({ "id": id, "name": text(p, "name") }))
}

/// Refuses a number that another row of the collection has, or that is none for a user or group.
pub(super) fn refuse_same_number(
    state: &State,
    kind: &str,
    field: &str,
    row: &Row,
    except: Option<u64>,
) -> Result<(), ApiError> {
    if row.get(field).and_then(Value::as_i64).is_some_and(|n| !(0..=i64::from(u32::MAX)).contains(&n)) {
        return Err(ApiError::field(field, "Ensure this value lies between 0 and 4294967295."));
    }
    let Some(wanted) = number(row, field) else { return Ok(()) };
    let taken = |(id, other): (u64, &Row)| Some(id) != except && number(other, field) == Some(wanted);
    if state.vms.rows(kind).any(taken) {
        let message = format!("{} with this {field} already exists.", engine::singular(kind));
        return Err(ApiError::field(field, message));
    }
    Ok(())
}
