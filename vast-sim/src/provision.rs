//! Setting a cluster up from a test, by the same code that serves the REST API.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::core::Core;
use crate::error::ProvisionError;
use crate::net::vips;
use crate::store::state::AccessKey;
use crate::vms::call::{Call, Content};
use crate::vms::caller::Caller;
use crate::vms::engine;
use crate::vms::error::ApiError;
use crate::vms::{query_pairs, resources};

/// An S3 key pair.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct KeyPair {
    /// Access key id.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A user with a key pair and a bucket: what an S3 client needs to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// Id of the VMS user.
    pub user_id: u64,
    /// Their key pair.
    pub keys: KeyPair,
    /// Id of the view.
    pub view_id: u64,
    /// Name of its bucket.
    pub bucket: String,
    /// Path of the view.
    pub path: String,
}

impl From<ApiError> for ProvisionError {
    fn from(e: ApiError) -> Self {
        Self { status: e.status.as_u16(), body: e.body.to_string() }
    }
}

/// Length of an access key and of a secret key, in characters.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 3..=128;

/// Stores a key pair that somebody chose.
pub(crate) fn put_keys(core: &Core, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), ApiError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if !KEY_LENGTH.contains(&keys.access_key.len()) || !keys.access_key.bytes().all(plain) {
        return Err(ApiError::field("access_key", "3 to 128 letters, digits, dots, dashes or underscores."));
    }
    if !KEY_LENGTH.contains(&keys.secret_key.len()) || !keys.secret_key.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(ApiError::field("secret_key", "3 to 128 ASCII characters without spaces."));
    }
    core.store.write(|state| {
        if state.vms.row("users", user_id).is_none() {
            return Err(ApiError::field("user_id", "There is no such user."));
        }
        if state.vms.row("tenants", tenant_id).is_none() {
            return Err(ApiError::field("tenant_id", "There is no such tenant."));
        }
        let old = state.keys().get(&keys.access_key);
        if old.is_some_and(|old| old.user_id != user_id) {
            return Err(ApiError::conflict("This access key belongs to somebody else."));
        }
        let created = old.map_or_else(|| core.now_ms(), |old| old.created);
        let key = AccessKey { user_id, secret: keys.secret_key.clone(), enabled: true, tenant_id, created };
        state.put_key(&keys.access_key, key);
        Ok(())
    })
}

/// [`Cluster::vms`]; `origin` is what URLs in the answer begin with.
pub(crate) fn vms(
    core: &Arc<Core>,
    origin: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, ProvisionError> {
    let method = http::Method::from_bytes(method.as_bytes())
        .map_err(|_| ProvisionError { status: 405, body: format!("{method:?} is not a method") })?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let call = Call {
        method,
        segments: path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
        query: query_pairs(query),
        body: body.clone(),
        origin: origin.to_owned(),
        prefix: crate::vms::PREFIX.to_owned(),
        caller: Caller::itself(),
    };
    let known = call.segments.first().and_then(|k| resources::by_kind(k)).ok_or_else(ApiError::not_found)?;
    let reply = engine::handle(core, known, &call)?;
    vips::follow(core);
    core.metrics.touch(core);
    Ok(match reply.content {
        Content::Json(body) => body,
        Content::Text(text) => text.into(),
        Content::Nothing => Value::Null,
    })
}

fn id_of(row: &Value) -> u64 {
    row.get("id").and_then(Value::as_u64).unwrap_or_default()
}

impl Cluster {
    /// Makes any VMS object: `create("quotas", &json!({...}))` does what `POST /api/quotas/` does.
    ///
    /// # Errors
    /// What VMS would refuse; an unknown resource is 404.
    pub fn create(&self, resource: &str, body: &Value) -> Result<Value, ProvisionError> {
        self.vms("POST", resource, body)
    }

    /// Any VMS call: `vms("PATCH", "quotas/3", &json!({"hard_limit": 0}))` or `vms("GET", "views/?bucket=b", ...)`.
    /// Gives the body, null when there is none.
    ///
    /// # Errors
    /// What VMS would refuse; an unknown method or resource as well.
    pub fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, ProvisionError> {
        vms(&self.core, &self.vms_url(), method, path, body)
    }

    /// Makes a user with one key pair. Gives the user's id and the keys.
    ///
    /// # Errors
    /// A name that is taken, among others.
    pub fn create_user(&self, name: &str) -> Result<(u64, KeyPair), ProvisionError> {
        let user = id_of(&self.create("users", &json!({ "name": name, "local_provider_id": 1 }))?);
        Ok((user, self.create_keys(user)?))
    }

    /// Makes another key pair for a user.
    ///
    /// # Errors
    /// An unknown user, or one with too many keys.
    pub fn create_keys(&self, user_id: u64) -> Result<KeyPair, ProvisionError> {
        let keys = self.vms("POST", &format!("users/{user_id}/access_keys"), &Value::Null)?;
        let text = |f: &str| keys.get(f).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(KeyPair { access_key: text("access_key"), secret_key: text("secret_key") })
    }

    /// Gives a user a key pair of the caller's choice, in place of the user's own of that id. Enabled.
    ///
    /// # Errors
    /// An unknown user, a malformed pair, an access key of somebody else.
    pub fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), ProvisionError> {
        Ok(put_keys(&self.core, user_id, tenant_id, keys)?)
    }

    /// Makes an S3 view `/<bucket>` with the bucket of that name for a user. Gives the view's id.
    ///
    /// # Errors
    /// A bucket name that is taken or malformed, an unknown owner.
    pub fn create_bucket(&self, bucket: &str, owner: &str) -> Result<u64, ProvisionError> {
        let view = json!({
            "path": format!("/{bucket}"), "policy_id": 2, "protocols": ["S3"], "bucket": bucket,
            "bucket_owner": owner, "create_dir": true,
        });
        Ok(id_of(&self.create("views", &view)?))
    }

    /// Limits a path to `hard_limit` bytes. Gives the quota's id.
    ///
    /// # Errors
    /// A path that has a quota already.
    pub fn create_quota(&self, path: &str, hard_limit: u64) -> Result<u64, ProvisionError> {
        let quota = json!({ "name": format!("quota on {path}"), "path": path, "hard_limit": hard_limit });
        Ok(id_of(&self.create("quotas", &quota)?))
    }

    /// A user named `<bucket>-owner` with keys, an S3 view with that bucket, and a quota if a hard limit is given.
    ///
    /// # Errors
    /// As those of the steps; nothing is taken back.
    pub fn provision(&self, bucket: &str, hard_limit: Option<u64>) -> Result<Provisioned, ProvisionError> {
        let owner = format!("{bucket}-owner");
        let (user_id, keys) = self.create_user(&owner)?;
        let view_id = self.create_bucket(bucket, &owner)?;
        let path = format!("/{bucket}");
        if let Some(limit) = hard_limit {
            self.create_quota(&path, limit)?;
        }
        Ok(Provisioned { user_id, keys, view_id, bucket: bucket.to_owned(), path })
    }
}
