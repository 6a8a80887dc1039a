//! `/tenants/`

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::view_rules;
use crate::core::Core;
use crate::qos::limits;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

pub(crate) struct Tenants;

/// The tenant that always exists.
pub(crate) const DEFAULT: u64 = 1;

/// Fields with the id of a provider, where its objects are, and the field with its name.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("ad_provider_id", "activedirectory", "ad_title"),
    ("krb_provider_id", "kerberos", "krb_provider_title"),
    ("ldap_provider_id", "ldaps", "ldap_title"),
    ("local_provider_id", "localproviders", "local_provider_title"),
    ("nis_provider_id", "nis", "nis_title"),
    ("oidc_provider_id", "oidcs", "oidc_provider_title"),
];

/// Refuses ranges that are no pairs of addresses in order.
fn check_ranges(row: &Row) -> Result<(), ApiError> {
    let address = |v: &Value| v.as_str()?.parse::<std::net::IpAddr>().ok();
    let ranges = row.get("client_ip_ranges").and_then(Value::as_array).into_iter().flatten();
    for range in ranges {
        let ends: Option<Vec<_>> = range.as_array().map(|r| r.iter().filter_map(address).collect());
        match ends.as_deref() {
            Some([from, to]) if from <= to => {}
            _ => {
                return Err(ApiError::field(
                    "client_ip_ranges",
                    format!("{range} is not a pair of addresses."),
                ));
            }
        }
    }
    Ok(())
}

/// The VIP pools that serve a tenant: its own, and those of all tenants.
fn pools(state: &State, tenant: u64) -> impl Iterator<Item = (u64, &Row)> {
    state.vms.rows("vippools").filter(move |(_, p)| number(p, "tenant_id").is_none_or(|t| t == tenant))
}

fn change_ranges(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let body = call.object()?;
    let list = |row: &Row, field: &str| row.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ranges = state.vms.row("tenants", id).map(|t| list(t, "client_ip_ranges")).unwrap_or_default();
    let gone = list(&body, "client_ip_ranges_to_remove");
    ranges.retain(|range| !gone.contains(range));
    for range in list(&body, "client_ip_ranges_to_add") {
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    let change = Row::from_iter([("client_ip_ranges".to_owned(), ranges.into())]);
    check_ranges(&change)?;
    state.vms.update("tenants", id, change);
    engine::shown(core, state, &Tenants, id, &call.origin).map(Reply::ok)
}

/// The metrics of a tenant's clients as far as they are kept: their configuration. None are gathered.
fn client_metrics(state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    const KEPT: &str = "__client_metrics";
    let mut kept =
        state.vms.row("tenants", id).and_then(|t| t.get(KEPT)?.as_object().cloned()).unwrap_or_else(|| {
            let fresh =
                json!({ "config": { "enabled": false }, "default_columns": [], "user_defined_columns": [] });
            as_row(fresh)
        });
    if call.method == Method::PATCH {
        let known = ["config", "user_defined_columns"];
        kept.extend(call.object()?.into_iter().filter(|(name, _)| known.contains(&name.as_str())));
        let change = Row::from_iter([(KEPT.to_owned(), Value::Object(kept.clone()))]);
        state.vms.update("tenants", id, change);
    }
    Ok(Reply::ok(Value::Object(kept)))
}

impl Resource for Tenants {
    fn kind(&self) -> &'static str {
        "tenants"
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, "id")
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        check_ranges(&row)?;
        limits::tidy_own(&mut row).map_err(|why| ApiError::field("qos", why))?;
        engine::refuse_duplicate(state, "tenants", "name", &row, None)?;
        Ok(engine::insert(core, state, "tenants", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        check_ranges(&changes)?;
        limits::tidy_own(&mut changes).map_err(|why| ApiError::field("qos", why))?;
        state.vms.update("tenants", id, changes);
        Ok(())
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        if id == DEFAULT {
            return Err(ApiError::bad_request("The default tenant cannot be deleted."));
        }
        engine::refuse_in_use(state, "tenants", id)?;
        if !state.files(id).usage("/").has_no_data() && !call.asks("force_remove") {
            let message =
                "The tenant's directory is not empty; delete its files first, or pass force_remove=true.";
            return Err(ApiError::conflict(message));
        }
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        state.remove_tree(id, "/");
        state.vms.remove("tenants", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let (mut names, mut all) = (Vec::new(), Vec::new());
        for (pool, p) in pools(state, id) {
            names.push(p.get("name").cloned().unwrap_or_default());
            all.push(json!({ "id": pool, "name": p.get("name") }));
        }
        row.insert("vippool_names".to_owned(), names.into());
        row.insert("vippools".to_owned(), all.into());
        for (field, kind, title) in PROVIDERS {
            let provider = number(row, field).and_then(|p| state.vms.row(kind, p));
            let name = provider.map_or(Value::Null, |p| text(p, "name").into());
            if *kind == "localproviders" {
                let local =
                    provider.map_or(Value::Null, |p| json!({ "id": p.get("id"), "name": p.get("name") }));
                row.insert("local_provider".to_owned(), local);
            }
            row.insert((*title).to_owned(), name);
        }
        let ranges = row.get("client_ip_ranges").and_then(Value::as_array).into_iter().flatten();
        let ends = |r: &Value| {
            r.as_array().map(|r| r.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("-"))
        };
        let summary: Vec<String> = ranges.filter_map(ends).collect();
        row.insert("client_ip_ranges_summary".to_owned(), summary.join(", ").into());
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
            ("client_ip_ranges", &Method::PATCH) => change_ranges(core, state, id, call),
            ("client_metrics", &Method::GET | &Method::PATCH) => client_metrics(state, id, call),
            ("views_count", &Method::GET) => {
                let views = state.vms.rows("views").filter(|(_, v)| view_rules::tenant_of(v) == id).count();
                let limit = state.vms.row("tenants", id).and_then(|t| number(t, "max_views"));
                Ok(Reply::ok(json!({ "current_views_count": views, "max_views": limit })))
            }
            ("vippool_ip_ranges", &Method::GET) => {
                let ranges = pools(state, id).filter_map(|(_, p)| p.get("ip_ranges")?.as_array().cloned());
                let ends = |r: Value| {
                    let ends: Vec<&str> = r.as_array()?.iter().filter_map(Value::as_str).collect();
                    Some(ends.join(" - "))
                };
                let all: Vec<String> = ranges.flatten().filter_map(ends).collect();
                Ok(Reply::ok(json!({ "vippool_ip_ranges": all })))
            }
            _ => return None,
        })
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name == "configured_idp" && call.method == Method::GET).then(|| {
            core.store.read(|state| {
                let tenant = state.vms.find("tenants", "name", call.param("name").unwrap_or_default());
                let (_, tenant) = tenant.ok_or_else(ApiError::not_found)?;
                Ok(Reply::ok(json!({ "identity_provider_name": tenant.get("identity_provider_name") })))
            })
        })
    }
}
