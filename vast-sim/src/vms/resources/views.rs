//! `/views/`: exported paths. A view with the S3 protocol is a bucket.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Call, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, any, int, list, text, yes_no};
use super::{tenants, viewpolicies};
use crate::core::Core;
use crate::store::object::Bucket;
use crate::store::registry::{Row, flag, number, text as str_of};
use crate::store::state::State;

pub(crate) struct Views;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("path").required(),
    int("policy_id").required(),
    text("policy").read_only(),
    text("name"),
    text("alias"),
    text("bucket"),
    text("bucket_owner"),
    text("bucket_owner_type").or(Unset::Text("USER")),
    list("protocols"),
    int("tenant_id").create_only().or(Unset::Int(1)),
    text("tenant_name").read_only(),
    text("cluster").read_only(),
    int("cluster_id").create_only(),
    yes_no("create_dir"),
    text("created").read_only(),
    int("logical_capacity").read_only(),
    int("physical_capacity").read_only(),
    yes_no("internal").read_only(),
    text("sync").read_only(),
    text("sync_time").read_only(),
    yes_no("directory").read_only().or(Unset::True),
    list("abac_tags").create_only(),
    int("abe_max_depth"),
    list("abe_protocols"),
    yes_no("allow_anonymous_access"),
    yes_no("allow_s3_anonymous_access"),
    text("allowed_delegations").or(Unset::Text("USE_TENANT_ALLOWED_DELEG")),
    text("effective_allowed_delegations").read_only().or(Unset::Text("NONE")),
    text("auto_commit"),
    list("bucket_creators"),
    list("bucket_creators_groups"),
    any("bucket_logging"),
    int("bulk_permission_update_progress").read_only(),
    text("bulk_permission_update_state").read_only(),
    text("default_retention_period"),
    text("min_retention_period"),
    text("max_retention_period"),
    list("event_notifications"),
    text("files_retention_mode").or(Unset::Text("NONE")),
    yes_no("has_bucket_logging_destination").read_only(),
    yes_no("has_bucket_logging_sources").read_only(),
    yes_no("has_nfs4_triggers").read_only(),
    yes_no("ignore_oos").read_only(),
    int("indestructible_object_duration"),
    yes_no("is_default_subsystem"),
    yes_no("is_indestructible_object_enabled"),
    yes_no("is_kafka_encrypted_conn_allowed"),
    yes_no("is_kafka_unencrypted_conn_allowed"),
    yes_no("is_remote").read_only(),
    yes_no("is_seamless"),
    text("kafka_encrypted_auth_mechanism").or(Unset::Text("NONE")),
    int("kafka_first_join_group_timeout_sec"),
    yes_no("kafka_is_authorization_required"),
    int("kafka_rejoin_group_timeout_sec"),
    text("kafka_unencrypted_auth_mechanism").or(Unset::Text("NONE")),
    list("kafka_vip_pools").create_only(),
    yes_no("locking"),
    text("nfs_interop_flags").or(Unset::Text("BOTH_NFS3_AND_NFS4_INTEROP_DISABLED")),
    text("nqn").read_only(),
    text("qos_policy"),
    int("qos_policy_id"),
    text("s3_locks_retention_mode").or(Unset::Text("NONE")),
    text("s3_object_ownership_rule").or(Unset::Text("None")),
    yes_no("s3_unverified_lookup"),
    yes_no("s3_versioning"),
    yes_no("select_for_live_monitoring"),
    text("share"),
    any("share_acl"),
    text("smb_encryption_state"),
    any("user_impersonation"),
];

/// Whether a view's row makes a bucket.
fn is_bucket(row: &Row) -> bool {
    let protocols = row.get("protocols").and_then(Value::as_array);
    protocols.is_some_and(|p| p.iter().any(|v| v.as_str() == Some("S3")))
}

fn tenant_of(row: &Row) -> u64 {
    number(row, "tenant_id").unwrap_or(tenants::DEFAULT)
}

const PROTOCOLS: &[&str] = &["NFS", "NFS4", "SMB", "S3", "ENDPOINT", "DATABASE", "KAFKA", "BLOCK"];

/// Checks what holds for a view whether it is being made or changed.
fn check(state: &State, row: &Row, own: Option<u64>) -> Result<(), ApiError> {
    engine::require_row(state, "tenants", "tenant_id", row)?;
    engine::require_row(state, "viewpolicies", "policy_id", row)?;
    let unknown = |v: &&Value| !v.as_str().is_some_and(|p| PROTOCOLS.contains(&p));
    if let Some(bad) = row.get("protocols").and_then(Value::as_array).and_then(|p| p.iter().find(unknown)) {
        return Err(ApiError::field("protocols", format!("{bad} is not a valid choice.")));
    }
    for feature in ["s3_versioning", "locking", "is_indestructible_object_enabled"] {
        if flag(row, feature) {
            return Err(ApiError::not_implemented(feature));
        }
    }
    if !is_bucket(row) {
        return Ok(());
    }
    let (bucket, owner) = (str_of(row, "bucket"), str_of(row, "bucket_owner"));
    if !is_bucket_name(bucket) {
        let message =
            "A bucket name of 3 to 63 lower-case letters, digits, dots and hyphens is required for S3.";
        return Err(ApiError::field("bucket", message));
    }
    if owner.is_empty() {
        return Err(ApiError::field("bucket_owner", "A bucket owner is required for S3."));
    }
    if state.vms.find("users", "name", owner).is_none() {
        return Err(ApiError::field("bucket_owner", format!("User {owner} does not exist.")));
    }
    match state.bucket(bucket) {
        Some(b) if Some(b.view_id) != own => {
            Err(ApiError::field("bucket", format!("Bucket {bucket} already exists.")))
        }
        _ => Ok(()),
    }
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn make_bucket(core: &Arc<Core>, state: &mut State, view_id: u64, row: &Row) {
    let bucket = Bucket {
        owner: str_of(row, "bucket_owner").to_owned(),
        view_id,
        tenant_id: tenant_of(row),
        path: str_of(row, "path").to_owned(),
        created: core.now_ms(),
        ..Bucket::default()
    };
    state.create_bucket(str_of(row, "bucket"), bucket);
}

/// Makes the view behind a bucket that was created over S3. The caller knows that the name is free.
pub(crate) fn create_for_bucket(
    core: &Arc<Core>,
    state: &mut State,
    bucket: &str,
    owner: &str,
    tenant_id: u64,
) {
    let policy = viewpolicies::s3_default(state);
    let row = json!({
        "path": format!("/{bucket}"), "policy_id": policy, "protocols": ["S3"], "bucket": bucket,
        "bucket_owner": owner, "tenant_id": tenant_id, "create_dir": true,
    });
    let row: Row = row.as_object().cloned().unwrap_or_default();
    let id = engine::insert(core, state, "views", row.clone());
    make_bucket(core, state, id, &row);
}

impl Resource for Views {
    fn kind(&self) -> &'static str {
        "views"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        let path = str_of(&row, "path");
        if !path.starts_with('/') || (path.len() > 1 && path.ends_with('/')) {
            return Err(ApiError::field("path", "A path starts with a slash and does not end with one."));
        }
        row.insert("tenant_id".to_owned(), tenant_of(&row).into());
        check(state, &row, None)?;
        engine::refuse_duplicate(state, "views", "path", &row, None)?;
        let id = engine::insert(core, state, "views", row.clone());
        if is_bucket(&row) {
            make_bucket(core, state, id, &row);
        }
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("views", id).cloned().ok_or_else(ApiError::not_found)?;
        if changes.get("path").is_some_and(|p| Some(p) != old.get("path")) {
            return Err(ApiError::field("path", "The path of a view cannot be changed."));
        }
        changes.remove("path");
        let mut new = old.clone();
        new.extend(changes.clone());
        check(state, &new, Some(id))?;
        let (was, is) = (is_bucket(&old), is_bucket(&new));
        if was && is && str_of(&old, "bucket") != str_of(&new, "bucket") {
            return Err(ApiError::field("bucket", "The name of a bucket cannot be changed."));
        }
        let name = str_of(&old, "bucket").to_owned();
        if was && !is && state.bucket(&name).is_some_and(|b| !b.is_empty()) {
            return Err(ApiError::field("protocols", "S3 cannot be removed: the bucket is not empty."));
        }
        match (was, is) {
            (false, true) => make_bucket(core, state, id, &new),
            (true, true) => state.set_bucket_owner(&name, str_of(&new, "bucket_owner")),
            (true, false) => state.remove_bucket(&name),
            (false, false) => {}
        }
        state.vms.update("views", id, changes);
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<(), ApiError> {
        let row = state.vms.row("views", id).cloned().ok_or_else(ApiError::not_found)?;
        if is_bucket(&row) {
            let name = str_of(&row, "bucket");
            if !call.asks("force") && state.bucket(name).is_some_and(|b| !b.is_empty()) {
                return Err(ApiError::bad_request(&format!(
                    "Bucket {name} is not empty; delete its objects and uploads first, or pass force=true."
                )));
            }
            state.remove_bucket(name);
        }
        state.vms.remove("views", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let policy = number(row, "policy_id").and_then(|id| state.vms.row("viewpolicies", id));
        row.insert("policy".to_owned(), policy.map_or(Value::Null, |p| str_of(p, "name").into()));
        let used = state.usage_under(tenant_of(row), str_of(row, "path")).bytes;
        row.insert("logical_capacity".to_owned(), used.into());
        row.insert("physical_capacity".to_owned(), used.into());
        if str_of(row, "name").is_empty() {
            let name = str_of(row, "path").to_owned();
            row.insert("name".to_owned(), name.into());
        }
    }
}
