//! `/vippools/` and `/vips/`: the addresses of the data path.

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{self, Methods, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, int, list, text, yes_no};
use crate::core::Core;
use crate::store::registry::{Row, number, text as str_of};
use crate::store::state::State;

pub(crate) struct VipPools;
pub(crate) struct Vips;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name"),
    list("active_cnode_ids").read_only(),
    int("active_interfaces").read_only(),
    text("bgp_config_guid").read_only(),
    int("bgp_config_id"),
    text("bgp_config_name").read_only(),
    list("client_monitoring_ips"),
    text("cluster").read_only(),
    int("cluster_id").create_only(),
    list("cnode_ids"),
    list("cnodes").read_only(),
    text("domain_name"),
    yes_no("enable_l3"),
    yes_no("enable_weighted_balancing"),
    yes_no("enabled").or(Unset::True),
    text("start_ip"),
    text("end_ip"),
    text("gw_ip"),
    text("gw_ipv6"),
    list("ip_ranges"),
    int("peer_asn"),
    text("port_membership").or(Unset::Text("ALL")),
    text("ranges_summary").read_only(),
    text("role").or(Unset::Text("PROTOCOLS")),
    text("state").read_only().or(Unset::Text("ACTIVE")),
    int("subnet_cidr"),
    int("subnet_cidr_ipv6"),
    text("sync").read_only(),
    text("sync_time").read_only(),
    int("tenant_id"),
    text("tenant_name").read_only(),
    int("vast_asn"),
    text("vip_allocation").read_only(),
    int("vlan"),
    yes_no("vms_preferred"),
];

static VIP_FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").read_only(),
    text("ip").read_only(),
    text("hostname").read_only(),
    text("cluster").read_only(),
    text("cnode").read_only(),
    text("vippool").read_only(),
];

impl Resource for VipPools {
    fn kind(&self) -> &'static str {
        "vippools"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn patches_silently(&self) -> bool {
        true
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        engine::require_row(state, "tenants", "tenant_id", &row)?;
        engine::refuse_duplicate(state, "vippools", "name", &row, None)?;
        // The pool exists on paper only: listeners belong to the addresses that the cluster was started with.
        Ok(engine::insert(core, state, "vippools", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        engine::require_row(state, "tenants", "tenant_id", &changes)?;
        engine::refuse_duplicate(state, "vippools", "name", &changes, Some(id))?;
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
        let chosen = |(id, _): &(u64, &Row)| ids.is_empty() || ids.iter().any(|i| i.as_u64() == Some(*id));
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

    fn fields(&self) -> &'static [Field] {
        VIP_FIELDS
    }

    fn methods(&self) -> Methods {
        Methods::ReadOnly
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
