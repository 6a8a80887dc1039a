//! `/views/`: exported paths. A view with the S3 protocol is a bucket.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events;
use super::view_rules::{is_bucket, tenant_of};
use super::{blocks, indestructibility, qospolicies, view_paths, view_rules, viewpolicies};
use crate::core::Core;
use crate::s3::lock::indestructible_for;
use crate::store::frozen::is_in_snapshot;
use crate::store::namespace::DirectoryInfo;
use crate::store::object::Bucket;
use crate::store::registry::{Row, as_row, flag, number, text as str_of};
use crate::store::state::State;

pub(crate) struct Views;

/// The facts about a directory that is made for a view.
fn directory_info(core: &Core, row: &Row) -> DirectoryInfo {
    let kept = ["create_dir_mode", "create_dir_acl", "owner", "owner_type", "owner_is_group", "owning_group"];
    let attributes = kept.iter().filter_map(|f| Some(((*f).to_owned(), row.get(*f)?.clone())));
    DirectoryInfo { created: core.now_ms(), attributes: attributes.collect() }
}

/// Turns names that stand for ids into ids.
fn resolve_names(state: &State, row: &mut Row) -> Result<(), ApiError> {
    let name = str_of(row, "qos_policy").to_owned();
    row.remove("qos_policy");
    if name.is_empty() || row.contains_key("qos_policy_id") {
        return Ok(());
    }
    match state.vms.find("qospolicies", "name", &name) {
        Some((id, _)) => {
            row.insert("qos_policy_id".to_owned(), id.into());
            Ok(())
        }
        None => Err(ApiError::field("qos_policy", format!("QoS policy {name} does not exist."))),
    }
}

/// Refuses one view more than the tenant may have.
fn check_limit(state: &State, tenant: u64) -> Result<(), ApiError> {
    let limit = state.vms.row("tenants", tenant).and_then(|t| number(t, "max_views")).filter(|l| *l > 0);
    let views = || state.vms.rows("views").filter(|(_, v)| tenant_of(v) == tenant).count() as u64;
    match limit {
        Some(limit) if views() >= limit => {
            Err(ApiError::bad_request(&format!("The tenant has its maximum of {limit} views.")))
        }
        _ => Ok(()),
    }
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
    state.put_bucket(str_of(row, "bucket"), bucket);
}

/// What a bucket that is made over S3 takes from the view that is its template.
const INHERITED: &[&str] = &[
    "policy_id",
    "qos_policy_id",
    "s3_versioning",
    "s3_object_ownership_rule",
    "s3_unverified_lookup",
    "locking",
    "s3_locks_retention_mode",
    "default_retention_period",
    "min_retention_period",
    "max_retention_period",
];

/// The view after which buckets of a user are made: one with the ENDPOINT protocol that names the user among its
/// creators, else one that names nobody.
fn template<'s>(state: &'s State, tenant: u64, owner: &str) -> Option<&'s Row> {
    let creators = |v: &Row| v.get("bucket_creators").and_then(Value::as_array).cloned().unwrap_or_default();
    let templates = || {
        let of_tenant = state.vms.rows("views").map(|(_, v)| v).filter(|v| tenant_of(v) == tenant);
        of_tenant.filter(|v| view_rules::is_template(v))
    };
    let named = templates().find(|v| creators(v).iter().any(|c| c.as_str() == Some(owner)));
    named.or_else(|| templates().find(|v| creators(v).is_empty()))
}

/// Makes the view behind a bucket that was created over S3; `more` are fields beside those that follow from the
/// bucket. The caller knows that the name is free.
pub(crate) fn create_for_bucket(
    core: &Arc<Core>,
    state: &mut State,
    bucket: &str,
    owner: &str,
    tenant_id: u64,
    more: Row,
) {
    let template = template(state, tenant_id, owner);
    let parent = template.map_or("", |t| str_of(t, "path").trim_end_matches('/'));
    let path = format!("{parent}/{bucket}");
    let policy = viewpolicies::s3_default(state);
    let row = json!({
        "path": path, "policy_id": policy, "protocols": ["S3"], "bucket": bucket,
        "bucket_owner": owner, "tenant_id": tenant_id, "create_dir": true,
    });
    let mut row: Row = as_row(row);
    let inherited = INHERITED.iter().filter_map(|f| Some(((*f).to_owned(), template?.get(*f)?.clone())));
    row.extend(inherited);
    if !state.files(tenant_id).is_directory(&path) {
        state.make_directory(tenant_id, &path, directory_info(core, &row));
    }
    row.extend(more);
    let id = engine::insert(core, state, "views", row.clone());
    make_bucket(core, state, id, &row);
    events::record_change(core, state, owner, "views", id, &row, "OBJECT_CREATED");
}

/// Refuses to weaken a view in indestructible object mode before that has been unlocked.
fn refuse_while_locked(core: &Core, state: &State) -> Result<(), ApiError> {
    if indestructibility::is_unlocked(core, state) {
        return Ok(());
    }
    Err(ApiError::bad_request("The view is indestructible; indestructibility must be unlocked first."))
}

impl Resource for Views {
    fn kind(&self) -> &'static str {
        "views"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        let path = str_of(&row, "path").to_owned();
        let tenant = tenant_of(&row);
        view_rules::check_path(&path)?;
        row.insert("tenant_id".to_owned(), tenant.into());
        resolve_names(state, &mut row)?;
        view_rules::check(state, &row, None)?;
        qospolicies::check_for_view(state, &row)?;
        engine::refuse_duplicate(state, "views", "path", &row, None)?;
        check_limit(state, tenant)?;
        if !state.has_directory(tenant, &path) {
            if !flag(&row, "create_dir") || is_in_snapshot(&path) {
                return Err(ApiError::field(
                    "path",
                    format!("{path}: no such directory; create_dir makes it."),
                ));
            }
            state.make_directory(tenant, &path, directory_info(core, &row));
        }
        let id = engine::insert(core, state, "views", row.clone());
        if is_bucket(&row) {
            make_bucket(core, state, id, &row);
        }
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("views", id).cloned().ok_or_else(ApiError::not_found)?;
        view_rules::check_change(&old, &changes)?;
        changes.remove("path");
        resolve_names(state, &mut changes)?;
        let mut new = old.clone();
        new.extend(changes.clone());
        view_rules::check(state, &new, Some(id))?;
        if view_rules::weakens_indestructible(&old, &new) {
            refuse_while_locked(core, state)?;
        }
        qospolicies::check_for_view(state, &new)?;
        let (was, is) = (is_bucket(&old), is_bucket(&new));
        if was && is && str_of(&old, "bucket") != str_of(&new, "bucket") {
            return Err(ApiError::field("bucket", "The name of a bucket cannot be changed."));
        }
        let name = str_of(&old, "bucket").to_owned();
        if was && !is && state.bucket(&name).is_some_and(|b| !state.is_empty_bucket(b)) {
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

    fn refuse_delete(&self, core: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        engine::refuse_in_use_but(state, "views", id, "volumes")?;
        let row = state.vms.row("views", id).ok_or_else(ApiError::not_found)?;
        let indestructible = indestructible_for(row).is_some();
        if indestructible {
            refuse_while_locked(core, state)?;
        }
        let name = str_of(row, "bucket");
        let full = is_bucket(row) && state.bucket(name).is_some_and(|b| !state.is_empty_bucket(b));
        if full && (indestructible || !call.asks("force")) {
            return Err(ApiError::bad_request(&format!(
                "Bucket {name} is not empty; delete its objects and uploads first, or pass force=true."
            )));
        }
        let volumes = blocks::volumes_of(state, id).len();
        if volumes > 0 && !call.asks("force") {
            return Err(ApiError::bad_request(&format!(
                "The view has volumes ({volumes}); delete them first, or pass force=true."
            )));
        }
        Ok(())
    }

    /// What lies under the path stays: the view was a window onto it. Only volumes are nothing without their view.
    fn delete(&self, core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<(), ApiError> {
        let row = state.vms.row("views", id).cloned().ok_or_else(ApiError::not_found)?;
        for volume in blocks::volumes_of(state, id) {
            blocks::Volumes.delete(core, state, volume, call)?;
        }
        if is_bucket(&row) {
            state.remove_bucket(str_of(&row, "bucket"));
        }
        let of_view = |(_, rule): &(u64, &Row)| number(rule, "view_id") == Some(id);
        let rules: Vec<u64> = state.vms.rows("s3lifecyclerules").filter(of_view).map(|(id, _)| id).collect();
        for rule in rules {
            state.vms.remove("s3lifecyclerules", rule);
        }
        state.vms.remove("views", id);
        Ok(())
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        view_paths::action(core, state, id, name, call)
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let policy = number(row, "policy_id").and_then(|id| state.vms.row("viewpolicies", id));
        row.insert("policy".to_owned(), policy.map_or(Value::Null, |p| str_of(p, "name").into()));
        let qos = number(row, "qos_policy_id").and_then(|id| state.vms.row("qospolicies", id));
        row.insert("qos_policy".to_owned(), qos.map_or(Value::Null, |q| str_of(q, "name").into()));
        if str_of(row, "allowed_delegations") != "USE_TENANT_ALLOWED_DELEG" {
            let own = row.get("allowed_delegations").cloned().unwrap_or_default();
            row.insert("effective_allowed_delegations".to_owned(), own);
        }
        let destination =
            row.get("bucket_logging").and_then(|l| l.get("destination_id")).is_some_and(|d| !d.is_null());
        row.insert("has_bucket_logging_destination".to_owned(), destination.into());
        let used = state.usage(tenant_of(row), str_of(row, "path")).bytes;
        row.insert("logical_capacity".to_owned(), used.into());
        row.insert("physical_capacity".to_owned(), used.into());
        if row.get("protocols").and_then(Value::as_array).is_some_and(|p| p.contains(&"BLOCK".into())) {
            let subsystem = format!("nqn.2024-08.com.vastdata:{}", str_of(row, "guid"));
            row.insert("nqn".to_owned(), subsystem.into());
        }
        if str_of(row, "name").is_empty() {
            let name = str_of(row, "path").to_owned();
            row.insert("name".to_owned(), name.into());
        }
    }
}
