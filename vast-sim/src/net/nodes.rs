//! CNodes and VIPs as VMS knows them, between its rows and the data path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::placement::{self, Health, Node, Seat, Wanted};
use crate::core::Core;
use crate::faults::{Effect, Fault};
use crate::store::registry::{Row, number, text};
use crate::store::state::State;
use crate::vms::engine;
use crate::vms::events::{self, Happening, Severity};

/// Most VIPs of one pool.
pub(crate) const MAX_POOL: usize = 1024;
/// The CNode that a VIP returns to; on its row.
const HOME: &str = "__home";
/// Whether a CNode was switched off; on its row.
pub(crate) const OFF: &str = "__power_off";

/// What there is to be placed, and what stands in the way.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) nodes: Vec<Node>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) before: BTreeMap<IpAddr, Seat>,
    pub(crate) pool_names: BTreeMap<u64, String>,
    pub(crate) open_pools: BTreeSet<u64>,
    /// Faults on VIPs.
    pub(crate) conditions: BTreeMap<IpAddr, (u64, Effect)>,
}

impl Picture {
    pub(crate) fn seats(&self) -> BTreeMap<IpAddr, Seat> {
        placement::place(&self.nodes, &self.wanted, &self.before)
    }

    pub(crate) fn node(&self, id: Option<u64>) -> Option<&Node> {
        self.nodes.iter().find(|n| Some(n.id) == id)
    }

    /// A node's name; empty for none.
    pub(crate) fn name(&self, id: Option<u64>) -> String {
        self.node(id).map(|n| n.name.clone()).unwrap_or_default()
    }

    /// The fault that holds a VIP away from home.
    pub(crate) fn moved_by_fault(&self, ip: IpAddr) -> Option<u64> {
        self.wanted.iter().find(|w| w.ip == ip).and_then(|w| w.moved).map(|(fault, _)| fault)
    }
}

/// The `[first, last]` pairs of a pool's row.
pub(crate) fn ranges(row: &Row) -> Vec<(String, String)> {
    let pair = |r: &Value| {
        let end = |n: usize| r.get(n).and_then(Value::as_str).map(str::to_owned);
        end(0).zip(end(1).or_else(|| end(0)))
    };
    let listed: Vec<(String, String)> =
        row.get("ip_ranges").and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect();
    let (first, last) = (text(row, "start_ip"), text(row, "end_ip"));
    if listed.is_empty() && !first.is_empty() {
        let last = if last.is_empty() { first } else { last };
        return vec![(first.to_owned(), last.to_owned())];
    }
    listed
}

/// Looks at VMS and at the standing faults.
pub(crate) fn look(core: &Core) -> Picture {
    let standing = core.faults.standing();
    core.store.read(|state| {
        let mut picture = Picture { nodes: nodes(state, &standing), ..Picture::default() };
        for (id, pool) in state.vms.rows("vippools") {
            picture.pool_names.insert(id, text(pool, "name").to_owned());
            if pool.get("enabled").and_then(Value::as_bool).unwrap_or(true) {
                picture.open_pools.insert(id);
            }
            let listed = |v: &Value| v.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
            let chosen: Vec<u64> = pool.get("cnode_ids").map(listed).unwrap_or_default();
            // Checked when the pool was made.
            for ip in placement::expand(&ranges(pool), MAX_POOL).unwrap_or_default() {
                if picture.wanted.iter().all(|w| w.ip != ip) {
                    picture.wanted.push(Wanted { ip, pool: id, nodes: chosen.clone(), moved: None });
                }
            }
        }
        for (_, row) in state.vms.rows("vips") {
            if let Ok(ip) = text(row, "ip").parse() {
                let node = number(row, "_cnode_id");
                let home = number(row, HOME).or(node).unwrap_or(0);
                let pool = number(row, "_vippool_id").unwrap_or(0);
                picture.before.insert(ip, Seat { pool, home, node });
            }
        }
        conditions(&mut picture, &standing);
        picture
    })
}

fn nodes(state: &State, standing: &[(u64, Fault)]) -> Vec<Node> {
    let node = |(id, row): (u64, &Row)| {
        let name = text(row, "name").to_owned();
        let fault = |wanted: &Effect| {
            let hits = |f: &Fault| f.effect == *wanted && f.cnode.as_deref() == Some(name.as_str());
            standing.iter().find(|(_, f)| hits(f)).map(|(id, _)| *id)
        };
        let enabled = row.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        let off = row.get(OFF).and_then(Value::as_bool).unwrap_or(false);
        let (health, fault) = match (fault(&Effect::CnodeDown), fault(&Effect::CnodeDrained)) {
            (Some(down), _) => (Health::Failed, Some(down)),
            _ if off => (Health::Failed, None),
            (_, Some(drained)) => (Health::Drained, Some(drained)),
            _ if !enabled => (Health::Drained, None),
            _ => (Health::Active, None),
        };
        Node { id, name, health, fault }
    };
    state.vms.rows("cnodes").map(node).collect()
}

fn conditions(picture: &mut Picture, standing: &[(u64, Fault)]) {
    for (id, fault) in standing {
        let named = |ip: IpAddr, node: Option<u64>| {
            fault.vip.as_ref().is_none_or(|v| v.parse() == Ok(ip))
                && fault.cnode.as_ref().is_none_or(|c| *c == picture.name(node))
        };
        let hit: Vec<IpAddr> = picture
            .wanted
            .iter()
            .map(|w| w.ip)
            .filter(|ip| named(*ip, picture.before.get(ip).and_then(|s| s.node)))
            .collect();
        match &fault.effect {
            Effect::VipRefused | Effect::VipSilent => {
                for ip in hit {
                    picture.conditions.insert(ip, (*id, fault.effect.clone()));
                }
            }
            Effect::VipMoved { to } => {
                let node = picture.nodes.iter().find(|n| n.name == *to).map(|n| n.id);
                for wanted in picture.wanted.iter_mut().filter(|w| hit.contains(&w.ip)) {
                    wanted.moved = node.map(|node| (*id, node)).or(wanted.moved);
                }
            }
            _ => {}
        }
    }
}

/// Writes down where VIPs are and how nodes are, where that is news.
pub(crate) fn record(core: &Arc<Core>, picture: &Picture, seats: &BTreeMap<IpAddr, Seat>) {
    let news = |state: &State| {
        *seats != picture.before
            || picture
                .nodes
                .iter()
                .any(|n| state.vms.row("cnodes", n.id).is_some_and(|r| shown(r) != n.health))
    };
    if !core.store.read(news) {
        return;
    }
    core.store.write(|state| {
        // What a VIP did so far was done by the node that it leaves.
        core.metrics.cut_in(state, core.now_ms());
        let listed: Vec<(u64, Option<IpAddr>)> =
            state.vms.rows("vips").map(|(id, row)| (id, text(row, "ip").parse().ok())).collect();
        for (id, ip) in &listed {
            if ip.is_none_or(|ip| !seats.contains_key(&ip)) {
                state.vms.remove("vips", *id);
            }
        }
        for wanted in &picture.wanted {
            let seat = seats[&wanted.ip];
            let mut row = Row::new();
            row.insert("_vippool_id".to_owned(), seat.pool.into());
            row.insert("_cnode_id".to_owned(), seat.node.into());
            row.insert(HOME.to_owned(), seat.home.into());
            match listed.iter().find(|(_, ip)| *ip == Some(wanted.ip)) {
                Some((id, _)) if picture.before.get(&wanted.ip) == Some(&seat) => {
                    tracing::trace!(id, "unmoved");
                }
                Some((id, _)) => {
                    state.vms.update("vips", *id, row);
                    let moved = state.vms.row("vips", *id).cloned().unwrap_or_default();
                    let to = seat
                        .node
                        .and_then(|id| state.vms.row("cnodes", id))
                        .map_or("no CNode", |n| text(n, "name"));
                    let message = format!("VIP {} moved to {to}", wanted.ip);
                    let what = Happening::to("vips", *id, &moved, "VIP_MOVED", "OBJECT_MODIFIED", message);
                    events::record(core, state, &what);
                }
                None => {
                    let ip = wanted.ip.to_string();
                    row.insert("name".to_owned(), ip.as_str().into());
                    row.insert("ip".to_owned(), ip.as_str().into());
                    let id = engine::insert(core, state, "vips", row);
                    let hostname = json!({ "hostname": format!("vip-{id}") });
                    state.vms.update("vips", id, hostname.as_object().cloned().unwrap_or_default());
                }
            }
        }
        for node in &picture.nodes {
            if state.vms.row("cnodes", node.id).is_some_and(|r| shown(r) != node.health) {
                let name = state_name(node.health);
                let change = json!({ "state": name, "display_state": name });
                state.vms.update("cnodes", node.id, change.as_object().cloned().unwrap_or_default());
                announce(core, state, node.id, node.health);
            }
        }
    });
}

/// Makes known that a node's state has changed.
fn announce(core: &Core, state: &mut State, id: u64, health: Health) {
    let (event, severity) = match health {
        Health::Active => ("CNODE_ACTIVE", Severity::Info),
        Health::Drained => ("CNODE_INACTIVE", Severity::Minor),
        Health::Failed => ("CNODE_FAILED", Severity::Critical),
    };
    for other in ["CNODE_INACTIVE", "CNODE_FAILED"] {
        if other != event {
            events::resolve(state, other, "cnodes", id);
        }
    }
    let row = state.vms.row("cnodes", id).cloned().unwrap_or_default();
    let message = format!("CNode {} is now {}", text(&row, "name"), state_name(health));
    let what = Happening::to("cnodes", id, &row, event, "OBJECT_MODIFIED", message);
    events::record(core, state, &what.severity(severity));
}

fn state_name(health: Health) -> &'static str {
    match health {
        Health::Active => "ACTIVE",
        Health::Drained => "INACTIVE",
        Health::Failed => "FAILED",
    }
}

fn shown(row: &Row) -> Health {
    match text(row, "state") {
        "FAILED" => Health::Failed,
        "INACTIVE" => Health::Drained,
        _ => Health::Active,
    }
}
