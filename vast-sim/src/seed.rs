//! What every cluster has from the start: one tenant, two policies, a provider, nodes, a VIP pool with its VIPs.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::Core;
use crate::store::state::State;
use crate::vms::engine::{self, CLUSTER_NAME};

/// Name of the VIP pool that holds all VIPs.
pub const VIP_POOL: &str = "vippool-1";

/// Fills an empty cluster; a loaded one gets its VIPs and version brought up to date.
pub(crate) fn apply(core: &Arc<Core>) {
    core.store.write(|state| {
        if state.vms.is_empty() {
            fresh(core, state);
        }
        let vips: Vec<u64> = state.vms.rows("vips").map(|(id, _)| id).collect();
        let listed = |state: &State| -> Vec<String> {
            let ip = |(_, r): (u64, &crate::store::registry::Row)| {
                crate::store::registry::text(r, "ip").to_owned()
            };
            state.vms.rows("vips").map(ip).collect()
        };
        let wanted: Vec<String> = core.config.vips.iter().map(IpAddr::to_string).collect();
        if listed(state) != wanted {
            for id in vips {
                state.vms.remove("vips", id);
            }
            add_vips(core, state);
        }
    });
}

fn add(core: &Arc<Core>, state: &mut State, kind: &str, row: &Value) -> u64 {
    engine::insert(core, state, kind, row.as_object().cloned().unwrap_or_default())
}

fn fresh(core: &Arc<Core>, state: &mut State) {
    let version = &core.config.sw_version;
    let mgmt = core.config.vms_listen.ip().to_string();
    add(
        core,
        state,
        "clusters",
        &json!({ "name": CLUSTER_NAME, "build": version, "mgmt_vip": mgmt, "ip": mgmt, "mgmt_cnode": "cnode-1",
            "leader_cnode": "cnode-1", "protocols": ["S3"] }),
    );
    add(
        core,
        state,
        "versions",
        &json!({ "name": version, "sys_version": version, "build": version, "status": "success" }),
    );
    add(core, state, "localproviders", &json!({ "name": "local", "managed_by": ["SUPER_ADMIN"] }));
    add(core, state, "tenants", &json!({ "name": "default", "local_provider_id": 1 }));
    add(core, state, "viewpolicies", &json!({ "name": "default", "flavor": "NFS", "tenant_id": 1 }));
    add(
        core,
        state,
        "viewpolicies",
        &json!({ "name": "s3_default_policy", "flavor": "S3_NATIVE", "tenant_id": 1, "is_s3_default_policy": true }),
    );
    for n in 1..=core.config.vips.len().div_ceil(2) {
        let node = json!({ "name": format!("cnode-{n}"), "display_name": format!("cnode-{n}"), "hostname": format!("cnode-{n}"),
            "ip": format!("172.16.1.{n}"), "mgmt_ip": format!("10.0.1.{n}"), "state": "ACTIVE", "display_state": "ACTIVE",
            "enabled": true, "is_mgmt": n == 1, "cbox": "cbox-1", "cbox_id": 1, "build": version, "os_version": "12.1" });
        add(core, state, "cnodes", &node);
    }
    for n in 1..=2 {
        let node = json!({ "name": format!("dnode-{n}"), "display_name": format!("dnode-{n}"), "hostname": format!("dnode-{n}"),
            "ip": format!("172.16.2.{n}"), "mgmt_ip": format!("10.0.2.{n}"), "state": "ACTIVE", "enabled": true,
            "is_primary": n == 1, "dbox": "dbox-1", "dbox_id": 1, "build": version, "os_version": "12.1" });
        add(core, state, "dnodes", &node);
    }
}

/// The pool and one row per VIP, spread over the CNodes in turn.
fn add_vips(core: &Arc<Core>, state: &mut State) {
    let ranges: Vec<[String; 2]> =
        core.config.vips.iter().map(|ip| [ip.to_string(), ip.to_string()]).collect();
    let pool = match state.vms.find("vippools", "name", VIP_POOL).map(|(id, _)| id) {
        Some(id) => {
            let row = json!({ "ip_ranges": ranges });
            state.vms.update("vippools", id, row.as_object().cloned().unwrap_or_default());
            id
        }
        None => add(
            core,
            state,
            "vippools",
            &json!({ "name": VIP_POOL, "ip_ranges": ranges, "subnet_cidr": 24, "role": "PROTOCOLS",
                "domain_name": "s3.vast-sim.test", "state": "ACTIVE" }),
        ),
    };
    let cnodes: Vec<u64> = state.vms.rows("cnodes").map(|(id, _)| id).collect();
    for (n, ip) in core.config.vips.iter().enumerate() {
        let cnode = cnodes.get(n % cnodes.len().max(1)).copied().unwrap_or(1);
        let row = json!({ "ip": ip.to_string(), "name": ip.to_string(), "hostname": format!("vip-{}", n + 1),
            "_vippool_id": pool, "_cnode_id": cnode });
        add(core, state, "vips", &row);
    }
}
