//! The paths below the cluster's object that can be answered truthfully: figures, settings that are kept, and the former
//! path to delete a directory.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{fields, tasks};
use super::clusters::Clusters;
use super::folders;
use crate::core::Core;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

/// Hidden fields of the cluster's row with what is kept.
const VSETTINGS: &str = "__vsettings";
const TRUE_IP: &str = "__s3_true_ip";
const AUDITING: &str = "__auditing";

/// What auditing consists of.
const AUDITED: &[&str] = &[
    "audit_dir_name",
    "enable_json_audit",
    "enable_vast_db_audit",
    "max_audit_dir_size",
    "max_file_size",
    "max_retention_period",
    "max_retention_timeunit",
    "protocols",
    "protocols_audit",
    "read_access_users",
    "read_access_users_groups",
];

fn kept(state: &State, id: u64, field: &str) -> Row {
    let row = state.vms.row("clusters", id);
    row.and_then(|row| row.get(field)?.as_object()).cloned().unwrap_or_default()
}

fn keep(state: &mut State, id: u64, field: &str, value: Row) {
    state.vms.update("clusters", id, Row::from_iter([(field.to_owned(), Value::Object(value))]));
}

/// A path below the cluster; none when it is not served here.
pub(super) fn action(
    core: &Arc<Core>,
    state: &mut State,
    id: u64,
    name: &str,
    call: &Call,
) -> Option<Result<Reply, ApiError>> {
    Some(match (name, &call.method) {
        ("advanced", &Method::GET) => advanced(core, state, id, call),
        ("vsettings", &Method::GET) => {
            let mut all = kept(state, id, VSETTINGS);
            if let Some(key) = call.param("key") {
                all.retain(|name, _| name == key);
            }
            Ok(Reply::ok(Value::Object(all)))
        }
        ("vsettings", &Method::PATCH) => set_vsettings(state, id, call),
        ("vsettings", &Method::DELETE) => call.required_text("key").and_then(|key| {
            let mut all = kept(state, id, VSETTINGS);
            all.remove(key).ok_or_else(ApiError::not_found)?;
            keep(state, id, VSETTINGS, all);
            Ok(Reply::no_content())
        }),
        ("s3_true_ip_config", &Method::GET) => {
            let mut shown = as_row(json!({ "included_addresses": [], "true_client_ip_header": null }));
            shown.extend(kept(state, id, TRUE_IP));
            Ok(Reply::ok(Value::Object(shown)))
        }
        ("s3_true_ip_config", &Method::PATCH) => call.required_text("true_client_ip_header").and_then(|_| {
            let mut body = call.object()?;
            if !body.get("included_addresses").is_some_and(Value::is_array) {
                return Err(ApiError::field("included_addresses", "Expected a list of items."));
            }
            body.retain(|name, _| ["included_addresses", "true_client_ip_header"].contains(&name.as_str()));
            keep(state, id, TRUE_IP, body);
            Ok(Reply::no_content())
        }),
        ("auditing", &Method::GET) => Ok(Reply::ok(Value::Object(auditing(state, id)))),
        ("auditing", &Method::PATCH) => set_auditing(core, state, id, call),
        ("delete_folder", &Method::DELETE) => folders::path_of(call).and_then(|path| {
            let tenant = call.tenant(state)?;
            folders::delete(core, state, tenant, &path, call).map(|_| Reply::no_content())
        }),
        _ => return None,
    })
}

fn set_vsettings(state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let given = call.body.get("vsettings").ok_or_else(|| ApiError::required("vsettings"))?;
    let given =
        given.as_object().ok_or_else(|| ApiError::field("vsettings", "Expected a dictionary of items."))?;
    let mut all = kept(state, id, VSETTINGS);
    for (key, value) in given {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        all.insert(key.clone(), text.into());
    }
    keep(state, id, VSETTINGS, all);
    Ok(Reply::no_content())
}

/// The cluster's figures once more, in other units.
fn advanced(core: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let shown = engine::shown(core, state, &Clusters, id, &call.origin)?;
    let field = |name: &str| shown.get(name).cloned().unwrap_or_default();
    let float = |name: &str| field(name).as_f64().unwrap_or(0.0);
    let gib = |name: &str| float(name) / f64::from(1 << 30);
    let tenants = state.vms.rows("tenants").map(|(id, _)| id);
    let mut objects = number(&as_row(shown.clone()), "logical_inodes_in_use_num").unwrap_or(0);
    objects += tenants.map(|tenant| state.files(tenant).usage("/").directories).sum::<u64>();
    let views: Vec<&Row> = state.vms.rows("views").map(|(_, view)| view).collect();
    let protected: Vec<(&str, Option<u64>)> = state
        .vms
        .rows("protectedpaths")
        .map(|(_, path)| (text(path, "source_dir"), number(path, "tenant_id")))
        .collect();
    let is_protected = |view: &&Row| protected.contains(&(text(view, "path"), number(view, "tenant_id")));
    let (all, safe) = (views.len(), views.into_iter().filter(is_protected).count());
    Ok(Reply::ok(json!({
        "number_of_files_and_directories": objects, "number_of_shares": all, "number_of_protected_shares": safe,
        "number_of_unprotected_shares": all - safe, "total_capacity_in_gib": gib("physical_space"),
        "used_capacity_in_gib": gib("physical_space_in_use"), "read_bandwidth_in_bytes_per_sec": field("rd_bw"),
        "write_bandwidth_in_bytes_per_sec": field("wr_bw"), "read_iops_per_sec": field("rd_iops"),
        "write_iops_per_sec": field("wr_iops"), "read_latency_in_millisec": float("rd_latency") / 1e3,
        "write_latency_in_millisec": float("wr_latency") / 1e3,
    })))
}

/// The settings of auditing: those that the cluster's object shows, and those that are only here.
fn auditing(state: &State, id: u64) -> Row {
    let stored = state.vms.row("clusters", id).cloned().unwrap_or_default();
    let own = kept(state, id, AUDITING);
    let value = |name: &str| stored.get(name).or_else(|| own.get(name)).cloned().unwrap_or_default();
    let mut shown: Row = AUDITED.iter().map(|name| ((*name).to_owned(), value(name))).collect();
    shown.insert("vast_audit_log_state".to_owned(), "NONE".into());
    shown
}

fn set_auditing(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let mut body = call.object()?;
    body.retain(|name, _| AUDITED.contains(&name.as_str()));
    let changes = fields::clean(&Clusters.table().fields, &body, false)?;
    let mut own = kept(state, id, AUDITING);
    own.extend(body.into_iter().filter(|(name, _)| !changes.contains_key(name)));
    keep(state, id, AUDITING, own);
    let task = tasks::modify(core, state, &Clusters, id, changes, &call.caller.name);
    let mut shown = auditing(state, id);
    shown.insert("async_task".to_owned(), task);
    Ok(Reply::ok(Value::Object(shown)))
}
