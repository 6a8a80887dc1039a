//! Replication as far as it can be told truthfully: it is configured, and never happens, since there is no other cluster.
//!
//! A target is one that does not answer, in VMS's own words, and what would replicate to it is not in sync; the snapshots
//! that such a policy takes here are real. What can only be done with a peer is refused as VMS refuses it without one.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::call::{self, Call, Reply, id_in};
use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

/// `/nativereplicationremotetargets/`: other VAST clusters.
pub(crate) struct RemoteTargets;
/// `/replicationtargets/`: buckets elsewhere.
pub(crate) struct S3Targets;
/// `/replicationstreams/`
pub(crate) struct Streams;

const REMOTE: &str = "nativereplicationremotetargets";
const S3: &str = "replicationtargets";
const POLICIES: &str = "protectionpolicies";

/// The collection of the targets of a protection policy; none when it keeps its snapshots to itself.
fn targets_of(policy: &Row) -> Option<&'static str> {
    match text(policy, "clone_type") {
        "NATIVE_REPLICATION" => Some(REMOTE),
        "CLOUD_REPLICATION" => Some(S3),
        _ => None,
    }
}

/// Refuses a policy whose target does not exist.
pub(super) fn check_policy(state: &State, policy: &Row) -> Result<(), ApiError> {
    let (Some(kind), Some(id)) = (targets_of(policy), number(policy, "target_object_id")) else {
        return Ok(());
    };
    if id == 0 { Ok(()) } else { call::existing(state, kind, "target_object_id", id).map(|_| ()) }
}

/// State and health of a path under a policy.
pub(super) fn outlook(policy: Option<&Row>, enabled: bool) -> Row {
    let replicates = policy.and_then(targets_of).is_some();
    let state = match (replicates, enabled) {
        (_, false) => "Suspended",
        (true, true) => "Sync Failed",
        (false, true) => "Active",
    };
    let health = if replicates { "UNHEALTHY" } else { "HEALTHY" };
    let why = replicates.then_some("The target does not answer.");
    as_row(json!({
        "state": state, "role": "Source", "health": health, "is_local": !replicates, "state_description": why,
        "peer_connection_state": replicates.then_some("ERROR"),
    }))
}

/// The refusal of what a path under a policy cannot do because its target does not answer; none when nothing is in the way.
pub(super) fn refusal(policy: Option<&Row>) -> Option<ApiError> {
    policy.and_then(targets_of).map(|_| ApiError::bad_request("The remote target is not connected."))
}

/// Handles a path below a protected path that is about replication; none when it is about something else.
pub(super) fn action(state: &State, path: &Row, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
    let without_stream = || Err(ApiError::bad_request("The protected path has no stream that replicates."));
    Some(match (name, &call.method) {
        ("stop" | "commit" | "force_failover", &Method::PATCH) | ("prefetch_path", _) => without_stream(),
        ("add_stream", &Method::PATCH) => call.required_text("name").and_then(|_| {
            let id = call.body.get("remote_target_id").and_then(id_in);
            let id = id.ok_or_else(|| ApiError::required("remote_target_id"))?;
            call::existing(state, REMOTE, "remote_target_id", id)?;
            Err(ApiError::bad_request("The remote target is not connected."))
        }),
        ("remove_stream" | "reattach_stream" | "modify_member", &Method::PATCH) => {
            call.required_text("stream_id").and_then(|_| without_stream())
        }
        ("validate", &Method::GET) => {
            let tenants = state.vms.len("tenants");
            let dir = text(path, "source_dir");
            let versioned = state.vms.rows("views").map(|(_, view)| view).filter(|view| {
                text(view, "path") == dir && view.get("s3_versioning") == Some(&Value::Bool(true))
            });
            Ok(Reply::ok(json!({
                "has_gn_streams": false, "is_dest_ppath": false, "is_source_ppath": true,
                "is_multi_tenant_system": tenants > 1,
                "s3_versioning": versioned.map(|view| text(view, "path")).collect::<Vec<_>>(),
            })))
        }
        _ => return None,
    })
}

/// Refuses to take away the target of a policy.
fn refuse_target_of_policy(state: &State, kind: &str, id: u64) -> Result<(), ApiError> {
    engine::refuse_in_use(state, kind, id)?;
    let uses = |(_, policy): &(u64, &Row)| {
        targets_of(policy) == Some(kind) && number(policy, "target_object_id") == Some(id)
    };
    match state.vms.rows(POLICIES).find(uses) {
        Some((_, policy)) => {
            let name = text(policy, "name");
            Err(ApiError::conflict(&format!("The target is in use by protection policy {name}.")))
        }
        None => Ok(()),
    }
}

impl Resource for RemoteTargets {
    fn kind(&self) -> &'static str {
        REMOTE
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, _: &Call) -> Result<(), ApiError> {
        refuse_target_of_policy(state, REMOTE, id)
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let pool = number(row, "pool_id").and_then(|id| state.vms.row("vippools", id));
        let pool = pool.map_or(Value::Null, |pool| text(pool, "name").into());
        let why = format!("No VAST cluster answers at {}.", text(row, "leading_vip"));
        row.extend(as_row(json!({
            "state": "ERROR", "status": "ERROR", "health": "ERROR", "state_description": why, "is_local": false,
            "pool": pool, "pool_name": pool,
        })));
        if row.get("version").is_none_or(Value::is_null) {
            row.insert("version".to_owned(), core.config.sw_version.clone().into());
        }
    }
}

impl Resource for S3Targets {
    fn kind(&self) -> &'static str {
        S3
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, _: &Call) -> Result<(), ApiError> {
        refuse_target_of_policy(state, S3, id)
    }

    fn present(&self, _: &Arc<Core>, _: &State, row: &mut Row) {
        let why = format!("Bucket {} does not answer.", text(row, "bucket_name"));
        row.extend(as_row(json!({
            "state": "ERROR", "state_description": why, "decoded_access_key": row.get("access_key"),
        })));
    }
}

impl Resource for Streams {
    fn kind(&self) -> &'static str {
        "replicationstreams"
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let path = number(row, "protected_path_id").and_then(|id| state.vms.row("protectedpaths", id));
        let enabled = row.get("enabled") != Some(&Value::Bool(false));
        let state = if enabled { "Sync Failed" } else { "Suspended" };
        row.insert("state".to_owned(), state.into());
        row.insert("role".to_owned(), "Source".into());
        if let Some(path) = path {
            row.insert("protected_path_guid".to_owned(), path.get("guid").cloned().unwrap_or_default());
        }
    }
}
