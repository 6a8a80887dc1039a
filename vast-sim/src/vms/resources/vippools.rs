//! `/vippools/` and `/vips/`: the addresses of the data path.

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::net::nodes::{MAX_POOL, ranges};
use crate::net::placement::expand;
use crate::store::registry::{Row, number, text as str_of};
use crate::store::state::State;

pub(crate) struct VipPools;
pub(crate) struct Vips;

/// Refuses ranges that are none, or that hold addresses of another pool.
fn refuse_addresses(state: &State, row: &Row, except: Option<u64>) -> Result<(), ApiError> {
    let is_range = |range: &Value| {
        range.as_array().is_some_and(|r| (1..=2).contains(&r.len()) && r.iter().all(Value::is_string))
    };
    let listed = row.get("ip_ranges").and_then(Value::as_array).into_iter().flatten();
    if let Some(odd) = listed.into_iter().find(|range| !is_range(range)) {
        return Err(ApiError::field("ip_ranges", format!("{odd} is not a pair of addresses.")));
    }
    if row.get("subnet_cidr").and_then(Value::as_i64).is_some_and(|bits| !(0..=128).contains(&bits)) {
        return Err(ApiError::field("subnet_cidr", "Ensure this value lies between 0 and 128."));
    }
    let ips = expand(&ranges(row), MAX_POOL).map_err(|e| ApiError::field("ip_ranges", e))?;
    for (id, other) in state.vms.rows("vippools").filter(|(id, _)| Some(*id) != except) {
        let taken = expand(&ranges(other), MAX_POOL).unwrap_or_default();
        if let Some(ip) = ips.iter().find(|ip| taken.contains(ip)) {
            let name = str_of(other, "name");
            let text = format!("{ip} belongs to VIP pool {name} (id {id}) already.");
            return Err(ApiError::field("ip_ranges", text));
        }
    }
    Ok(())
}

impl Resource for VipPools {
    fn kind(&self) -> &'static str {
        "vippools"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        engine::refuse_duplicate(state, "vippools", "name", &row, None)?;
        refuse_addresses(state, &row, None)?;
        Ok(engine::insert(core, state, "vippools", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        engine::refuse_duplicate(state, "vippools", "name", &changes, Some(id))?;
        refuse_addresses(state, &changes, Some(id))?;
        state.vms.update("vippools", id, changes);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let mut ranges = row.get("ip_ranges").cloned().unwrap_or_default();
        if ranges.as_array().is_none_or(Vec::is_empty) && !str_of(row, "start_ip").is_empty() {
            ranges = serde_json::json!([[row["start_ip"], row["end_ip"]]]);
        }
        let one = |r: &Value| {
            let ends: Vec<&str> = r.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            ends.join("-")
        };
        let summary: Vec<String> = ranges.as_array().into_iter().flatten().map(one).collect();
        row.insert("ranges_summary".to_owned(), summary.join(", ").into());
        let first = ranges.get(0).and_then(Value::as_array);
        for (field, end) in [("start_ip", 0), ("end_ip", 1)] {
            if let Some(ip) = first.and_then(|r| r.get(end)) {
                row.insert(field.to_owned(), ip.clone());
            }
        }
        row.insert("ip_ranges".to_owned(), ranges);
        let ids = row.get("cnode_ids").and_then(Value::as_array).cloned().unwrap_or_default();
        let chosen = |(id, node): &(u64, &Row)| {
            let named = ids.is_empty() || ids.iter().any(|i| i.as_u64() == Some(*id));
            named && str_of(node, "state") == "ACTIVE"
        };
        let nodes: Vec<(u64, &Row)> = state.vms.rows("cnodes").filter(chosen).collect();
        row.insert("active_cnode_ids".to_owned(), nodes.iter().map(|(id, _)| *id).collect());
        row.insert("cnodes".to_owned(), nodes.iter().map(|(_, n)| str_of(n, "name")).collect());
        row.insert("active_interfaces".to_owned(), nodes.len().into());
    }
}

impl Resource for Vips {
    fn kind(&self) -> &'static str {
        "vips"
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        let pool = number(row, "_vippool_id").and_then(|id| state.vms.row("vippools", id));
        pool.and_then(|pool| number(pool, "tenant_id"))
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let name = |kind: &str, field: &str| {
            let other = number(row, field).and_then(|id| state.vms.row(kind, id));
            other.map_or(Value::Null, |r| str_of(r, "name").into())
        };
        let (pool, cnode) = (name("vippools", "_vippool_id"), name("cnodes", "_cnode_id"));
        row.insert("vippool".to_owned(), pool);
        row.insert("cnode".to_owned(), cnode);
        row.insert("_cluster_id".to_owned(), 1.into());
    }
}
