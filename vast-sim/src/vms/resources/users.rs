//! `/users/` and their S3 key pairs, `/localproviders/`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Methods, Reply, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, any, int, list, text, yes_no};
use super::tenants;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, number, text as str_of};
use crate::store::state::{AccessKey, State};

pub(crate) struct Users;
pub(crate) struct LocalProviders;

/// Key pairs one user may have.
const MAX_KEYS: usize = 10;
/// First numeric user id given to users that ask for none.
const FIRST_UID: u64 = 10_000;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").required(),
    int("uid"),
    list("access_keys").read_only(),
    yes_no("allow_create_bucket"),
    yes_no("allow_delete_bucket"),
    list("gids"),
    int("group_count").read_only().or(Unset::Int(0)),
    list("groups").read_only(),
    yes_no("is_temporary_password").read_only(),
    int("leading_gid"),
    int("leading_group_gid").read_only(),
    text("leading_group_name").read_only(),
    yes_no("local").or(Unset::True),
    any("local_provider").read_only(),
    int("local_provider_id").or(Unset::Int(1)),
    yes_no("password_is_set").read_only(),
    text("primary_group_sid").read_only(),
    list("s3_policies").read_only(),
    list("s3_policies_ids"),
    yes_no("s3_superuser"),
    text("sid").read_only(),
    list("sids").read_only(),
    int("vid").read_only(),
];

static PROVIDER_FIELDS: &[Field] = &[
    int("id").read_only(),
    text("name").required(),
    text("description"),
    list("managed_by").read_only(),
    text("assigned_tenants_preview").read_only(),
];

impl Resource for LocalProviders {
    fn kind(&self) -> &'static str {
        "localproviders"
    }

    fn fields(&self) -> &'static [Field] {
        PROVIDER_FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
    }
}

fn keys_of(state: &State, user_id: u64) -> impl Iterator<Item = (&String, &AccessKey)> {
    state.keys().iter().filter(move |(_, k)| k.user_id == user_id)
}

impl Resource for Users {
    fn kind(&self) -> &'static str {
        "users"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        engine::require_row(state, "localproviders", "local_provider_id", &row)?;
        engine::refuse_duplicate(state, "users", "name", &row, None)?;
        let uids = |s: &State| s.vms.rows("users").filter_map(|(_, u)| number(u, "uid")).collect::<Vec<_>>();
        let uid = match number(&row, "uid") {
            Some(uid) if uids(state).contains(&uid) => {
                return Err(ApiError::field("uid", "user with this uid already exists."));
            }
            Some(uid) => uid,
            None => uids(state).into_iter().max().map_or(FIRST_UID, |m| m.max(FIRST_UID - 1) + 1),
        };
        row.insert("uid".to_owned(), uid.into());
        row.insert("vid".to_owned(), uid.into());
        Ok(engine::insert(core, state, "users", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        changes.remove("name"); // Buckets name their owner; VMS does not rename users either.
        engine::require_row(state, "localproviders", "local_provider_id", &changes)?;
        state.vms.update("users", id, changes);
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        let name = state.vms.row("users", id).map(|u| str_of(u, "name").to_owned()).unwrap_or_default();
        if let Some((bucket, _)) = state.buckets().iter().find(|(_, b)| b.owner == name) {
            return Err(ApiError::conflict(&format!("User {name} owns bucket {bucket}.")));
        }
        let keys: Vec<String> = keys_of(state, id).map(|(k, _)| k.clone()).collect();
        for key in keys {
            state.remove_key(&key);
        }
        state.vms.remove("users", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let shown = keys_of(state, id).map(|(access_key, k)| {
            json!({
                "access_key": access_key, "creation_time": env::rfc3339(k.created),
                "enabled": k.enabled, "tenant_id": k.tenant_id,
            })
        });
        row.insert("access_keys".to_owned(), shown.collect());
        let provider = number(row, "local_provider_id").and_then(|p| state.vms.row("localproviders", p));
        let provider = provider.map_or(Value::Null, |p| json!({ "id": p.get("id"), "name": p.get("name") }));
        row.insert("local_provider".to_owned(), provider);
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if name != "access_keys" {
            return None;
        }
        Some(match call.method {
            Method::POST => create_key(core, state, id, &call.body),
            Method::PATCH => existing_key(state, id, &call.body).and_then(|(access_key, key)| {
                match call.body.get("enabled") {
                    Some(Value::Bool(enabled)) => {
                        state.put_key(&access_key, AccessKey { enabled: *enabled, ..key });
                        Ok(Reply::no_content())
                    }
                    _ => Err(ApiError::field("enabled", "Must be a valid boolean.")),
                }
            }),
            Method::DELETE => existing_key(state, id, &call.body).map(|(access_key, _)| {
                state.remove_key(&access_key);
                Reply::no_content()
            }),
            _ => Err(ApiError::method_not_allowed(&call.method)),
        })
    }
}

fn existing_key(state: &State, user_id: u64, body: &Value) -> Result<(String, AccessKey), ApiError> {
    let access_key = body
        .get("access_key")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::field("access_key", "This field is required."))?;
    match state.keys().get(access_key).filter(|k| k.user_id == user_id) {
        Some(key) => Ok((access_key.to_owned(), key.clone())),
        None => Err(ApiError::not_found()),
    }
}

/// Makes a key pair. The secret is shown here and never again.
fn create_key(core: &Arc<Core>, state: &mut State, user_id: u64, body: &Value) -> Result<Reply, ApiError> {
    let row: Row = body.as_object().cloned().unwrap_or_default();
    engine::require_row(state, "tenants", "tenant_id", &row)?;
    if keys_of(state, user_id).count() >= MAX_KEYS {
        return Err(ApiError::bad_request(&format!("The user has {MAX_KEYS} access keys already.")));
    }
    let access_key = env::random_text(&*core.entropy, 20, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    let secret = env::random_text(
        &*core.entropy,
        40,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    );
    let key = AccessKey {
        user_id,
        secret: secret.clone(),
        enabled: true,
        tenant_id: number(&row, "tenant_id").unwrap_or(tenants::DEFAULT),
        created: core.now_ms(),
    };
    state.put_key(&access_key, key);
    Ok(Reply::ok(json!({ "access_key": access_key, "secret_key": secret })))
}
