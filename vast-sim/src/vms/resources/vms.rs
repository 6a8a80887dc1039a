//! `/vms/`: the management service's own settings. `/health/` and `/plugins/usage/`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::spans;
use super::quotas;
use crate::core::Core;
use crate::store::registry::{Row, as_row, number};
use crate::store::state::State;

pub(crate) struct Vms;
pub(crate) struct Health;
pub(crate) struct Plugins;

/// Password rules as far as they are kept; they bind nobody.
const PASSWORD_SETTINGS: &str = "__pwd_settings";

/// Makes the row from the configuration.
pub(crate) fn seed(core: &Arc<Core>, state: &mut State) {
    let config = &core.config;
    let mgmt = config.vms_listen.ip().to_string();
    let row = json!({
        "name": "VMS-1", "build": config.sw_version, "sw_version": config.sw_version, "ip": mgmt, "mgmt_vip": mgmt,
        "mgmt_cnode": "cnode-1", "access_token_lifetime": spans::clock_text(config.access_token_lifetime),
        "refresh_token_lifetime": spans::clock_text(config.refresh_token_lifetime),
    });
    engine::insert(core, state, "vms", as_row(row));
}

fn check(changes: &Row) -> Result<(), ApiError> {
    for field in ["access_token_lifetime", "refresh_token_lifetime"] {
        let bad = |v: &Value| v.as_str().is_none_or(|text| spans::clock(text).is_none());
        if changes.get(field).is_some_and(bad) {
            return Err(ApiError::field(field, "A duration of the form [DD [HH:[MM:]]]ss is required."));
        }
    }
    Ok(())
}

/// The network as VMS knows it: the machines of each box with their addresses. Nothing else of it is simulated.
fn network(core: &Core, state: &State) -> Value {
    let mut boxes: Vec<Value> = Vec::new();
    for (boxes_of, field, nodes) in [("cboxes", "cbox_id", "cnodes"), ("dboxes", "dbox_id", "dnodes")] {
        for (id, one) in state.vms.rows(boxes_of) {
            let mine = state.vms.rows(nodes).map(|(_, node)| node).filter(|n| number(n, field) == Some(id));
            let hosts: Vec<Value> =
                mine.map(|n| json!({ "id": n.get("id"), "hostname": n.get("hostname"), "mgmt_ip": n.get("mgmt_ip") })).collect();
            boxes.push(json!({ "box_name": one.get("name"), "hosts": hosts }));
        }
    }
    json!({
        "auto_ports_ext_iface": null, "b2b_ipmi": null, "boxes": boxes, "dns": [], "eth_mtu": null,
        "ext_netmask": null, "external_gateways": [], "ib_mtu": null, "ipmi_gateway": null, "ipmi_netmask": null,
        "management_vips": [core.config.vms_listen.ip().to_string()], "ntp": [],
    })
}

fn set_token_limit(state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let limit = call.body.get("max_api_tokens_per_user").and_then(Value::as_u64);
    let limit =
        limit.ok_or_else(|| ApiError::field("max_api_tokens_per_user", "A valid integer is required."))?;
    let change = Row::from_iter([("max_api_tokens_per_user".to_owned(), limit.into())]);
    state.vms.update("vms", id, change);
    Ok(Reply::ok(json!({ "max_api_tokens_per_user": limit })))
}

/// The rules for passwords of a fresh cluster.
fn default_password_settings() -> Value {
    json!({
        "min_pwd_length": 5, "max_failed_login_attempts": 5, "max_failed_login_attempts_enabled": false,
        "pwd_expiration_timeout": "180 00:00:00", "pwd_expiration_timeout_enabled": false,
        "pwd_change_timeout": "00:00:00", "pwd_change_timeout_enabled": false, "pwd_history_no_reuse_count": 0,
        "pwd_history_no_reuse_count_enabled": false, "pwd_requires_lowercase": false, "pwd_requires_numeric": false,
        "pwd_requires_special_chars": false, "pwd_requires_uppercase": false, "tmp_pwd_expiration_timeout": "7 00:00:00",
    })
}

fn password_settings(state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let row = state.vms.row("vms", id).and_then(|r| r.get(PASSWORD_SETTINGS)).cloned();
    let mut settings = row.unwrap_or_else(default_password_settings);
    if call.method == Method::PATCH {
        if let Value::Object(all) = &mut settings {
            all.extend(call.object()?);
        }
        let change = Row::from_iter([(PASSWORD_SETTINGS.to_owned(), settings.clone())]);
        state.vms.update("vms", id, change);
    }
    Ok(Reply::ok(settings))
}

impl Resource for Vms {
    fn kind(&self) -> &'static str {
        "vms"
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        check(&changes)?;
        state.vms.update("vms", id, changes);
        Ok(())
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let (total, used) = (core.config.capacity, state.cluster_usage().bytes);
        for (field, value) in
            [("total_active_capacity", total), ("total_remaining_capacity", total.saturating_sub(used))]
        {
            row.insert(field.to_owned(), value.into());
        }
        let percent = quotas::terabytes(used) / quotas::terabytes(total.max(1)) * 100.0;
        row.insert("total_usage_capacity_percentage".to_owned(), percent.into());
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        Some(match (name, &call.method) {
            ("set_max_api_tokens_per_user", &Method::PATCH) => set_token_limit(state, id, call),
            ("pwd_settings", &Method::GET | &Method::PATCH) => password_settings(state, id, call),
            ("network_settings", &Method::GET) => Ok(Reply::ok(network(core, state))),
            ("login_banner", &Method::GET) => {
                engine::shown(core, state, self, id, &call.origin).map(Reply::ok)
            }
            ("configured_idps", &Method::GET) => Ok(Reply::ok(json!([]))),
            _ => return None,
        })
    }
}

impl Resource for Health {
    fn kind(&self) -> &'static str {
        "health"
    }

    /// The database is the state behind this very answer: when it could not be read there would be no answer.
    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name.is_empty() && call.method == Method::GET).then(|| {
            let objects = core
                .store
                .read(|state| state.vms.rows("clusters").filter_map(|(_, c)| number(c, "id")).count());
            let (status, code) = if objects > 0 { ("ok", 200) } else { ("error", 503) };
            let entry = json!({ "status": status, "info": "" });
            Ok(Reply::json(code, json!({ "status": status, "db": entry, "cache": entry })))
        })
    }
}

impl Resource for Plugins {
    fn kind(&self) -> &'static str {
        "plugins"
    }

    /// Drivers tell VMS that they are there. It is logged, and asks for nothing.
    fn collection(&self, _: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name == "usage" && call.method == Method::POST).then(|| {
            tracing::info!(plugin = %call.body, "plug-in in use");
            Ok(Reply::ok(json!({})))
        })
    }
}
