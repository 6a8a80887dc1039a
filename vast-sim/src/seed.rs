//! What every cluster has from the start: one tenant, two policies, a view, a provider with users, managers and roles,
//! nodes, a VIP pool with its VIPs.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::Core;
use crate::describe::{self, ApplyError};
use crate::net::vips;
use crate::store::lock;
use crate::store::namespace::DirectoryInfo;
use crate::store::state::State;
use crate::vms::definitions;
use crate::vms::engine::{self, CLUSTER_NAME};
use crate::vms::resources::{indestructibility, managers, roles, vms};

/// Name of the VIP pool that holds all VIPs.
pub const VIP_POOL: &str = "vippool-1";
/// Domain name of that pool.
pub(crate) const VIP_POOL_DOMAIN: &str = "s3.vast-sim.test";

/// Local users of a fresh cluster.
const SEEDED_USERS: u64 = 5;
/// The view of a fresh cluster: NFS only.
const SEEDED_VIEW: &str = "/exports";

/// Fills an empty cluster; a loaded one gets its VIPs and version brought up to date.
pub(crate) fn apply(core: &Arc<Core>) {
    core.store.write(|state| {
        if state.vms.is_empty() {
            fresh(core, state);
        }
        managers::seed(core, state);
        definitions::seed(core, state);
        add_cnodes(core, state);
        add_pool(core, state);
    });
}

/// Back to a cluster that was just started, as it was described then. No job runs meanwhile.
pub(crate) fn start_over(core: &Arc<Core>) -> Result<(), ApplyError> {
    let _turn = core.background.pause();
    core.faults.start_over();
    core.tokens.revoke_all();
    core.config.clock.start_over();
    core.store.write(State::forget_everything);
    core.counting.reset();
    core.metrics.clear();
    core.qos.clear();
    core.lifecycle.clear();
    *lock(&core.features_off) = core.config.features_off.clone();
    apply(core);
    vips::follow(core);
    describe::again(core)?;
    core.background.wake();
    Ok(())
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
            "leader_cnode": "cnode-1", "protocols": ["S3"], "s3_enable_v2_authentication": true }),
    );
    add(
        core,
        state,
        "versions",
        &json!({ "name": version, "sys_version": version, "build": version, "status": "success" }),
    );
    vms::seed(core, state);
    roles::seed(core, state);
    indestructibility::seed(core, state);
    add(core, state, "localproviders", &json!({ "name": "local", "managed_by": ["SUPER_ADMIN"] }));
    add(core, state, "tenants", &json!({ "name": "default", "local_provider_id": 1 }));
    add(core, state, "viewpolicies", &json!({ "name": "default", "flavor": "NFS", "tenant_id": 1 }));
    add(
        core,
        state,
        "viewpolicies",
        &json!({ "name": "s3_default_policy", "flavor": "S3_NATIVE", "tenant_id": 1, "is_s3_default_policy": true }),
    );
    // Somebody to look at, and a view that has nothing to do with S3.
    for n in 1..=SEEDED_USERS {
        let uid = 1_000 + n;
        let user =
            json!({ "name": format!("local-user-{n}"), "uid": uid, "vid": uid, "local_provider_id": 1 });
        add(core, state, "users", &user);
    }
    let view = json!({ "path": SEEDED_VIEW, "policy_id": 1, "protocols": ["NFS"], "tenant_id": 1, "create_dir": true });
    add(core, state, "views", &view);
    state.make_directory(
        1,
        SEEDED_VIEW,
        DirectoryInfo { created: core.now_ms(), ..DirectoryInfo::default() },
    );
    add(core, state, "cboxes", &json!({ "name": "cbox-1", "state": "ACTIVE" }));
    add(core, state, "dboxes", &json!({ "name": "dbox-1", "state": "ACTIVE" }));
    for n in 1..=2 {
        let node = json!({ "name": format!("dnode-{n}"), "display_name": format!("dnode-{n}"), "hostname": format!("dnode-{n}"),
            "ip": format!("172.16.2.{n}"), "mgmt_ip": format!("10.0.2.{n}"), "state": "ACTIVE", "enabled": true,
            "is_primary": n == 1, "dbox": "dbox-1", "dbox_id": 1, "build": version, "os_version": "12.1" });
        add(core, state, "dnodes", &node);
    }
}

/// As many CNodes as the cluster is to have. Those that are there stay: VIPs and figures hang on them.
fn add_cnodes(core: &Arc<Core>, state: &mut State) {
    let version = &core.config.sw_version;
    let there = state.vms.rows("cnodes").count();
    if let Some(fewer) = core.config.cnodes.filter(|n| *n < there) {
        tracing::warn!("the data directory has {there} CNodes and keeps them; {fewer} were asked for");
    }
    for n in there + 1..=core.config.cnode_count() {
        let node = json!({ "name": format!("cnode-{n}"), "display_name": format!("cnode-{n}"), "hostname": format!("cnode-{n}"),
            "ip": format!("172.16.1.{n}"), "mgmt_ip": format!("10.0.1.{n}"), "state": "ACTIVE", "display_state": "ACTIVE",
            "enabled": true, "is_mgmt": n == 1, "cbox": "cbox-1", "cbox_id": 1, "build": version, "os_version": "12.1" });
        add(core, state, "cnodes", &node);
    }
}

/// The pool of the VIPs that the cluster was started with. The VIPs themselves follow from it.
fn add_pool(core: &Arc<Core>, state: &mut State) {
    let ranges: Vec<[String; 2]> =
        core.config.vips.iter().map(|ip| [ip.to_string(), ip.to_string()]).collect();
    match state.vms.find("vippools", "name", VIP_POOL).map(|(id, row)| (id, row.get("ip_ranges").cloned())) {
        Some((_, before)) if before == Some(json!(ranges)) => {}
        Some((id, _)) => {
            let row = json!({ "ip_ranges": ranges });
            state.vms.update("vippools", id, row.as_object().cloned().unwrap_or_default());
        }
        None => {
            let pool = json!({ "name": VIP_POOL, "ip_ranges": ranges, "subnet_cidr": 24, "role": "PROTOCOLS",
                "domain_name": VIP_POOL_DOMAIN, "state": "ACTIVE" });
            add(core, state, "vippools", &pool);
        }
    }
}
