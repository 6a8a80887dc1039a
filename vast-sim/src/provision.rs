//! Setting a cluster up from a test, by the same code that serves the REST API.

use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::error::ProvisionError;
use crate::vms::engine::{self, Call};
use crate::vms::error::ApiError;
use crate::vms::resources;

/// An S3 key pair.
#[derive(Clone, PartialEq, Eq)]
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

fn id_of(row: &Value) -> u64 {
    row.get("id").and_then(Value::as_u64).unwrap_or_default()
}

impl Cluster {
    /// Makes any VMS object: `create("quotas", &json!({...}))` does what `POST /api/quotas/` does.
    ///
    /// # Errors
    /// What VMS would refuse; an unknown resource is 404.
    pub fn create(&self, resource: &str, body: &Value) -> Result<Value, ProvisionError> {
        let known = resources::by_kind(resource).ok_or_else(ApiError::not_found)?;
        let body: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        Ok(engine::create_object(&self.core, known, &body, &self.vms_url())?)
    }

    /// Any VMS call: `vms("PATCH", "quotas/3", &json!({"hard_limit": 0}))`. Gives the body, null when there is none.
    ///
    /// # Errors
    /// What VMS would refuse; an unknown method or resource as well.
    pub fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, ProvisionError> {
        let method = http::Method::from_bytes(method.as_bytes())
            .map_err(|_| ProvisionError { status: 405, body: format!("{method:?} is not a method") })?;
        let call = Call {
            method,
            segments: path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
            query: Vec::new(),
            body: body.clone(),
            origin: self.vms_url(),
        };
        let known =
            call.segments.first().and_then(|k| resources::by_kind(k)).ok_or_else(ApiError::not_found)?;
        Ok(engine::handle(&self.core, known, &call)?.body.unwrap_or_default())
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
