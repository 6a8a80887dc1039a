//! The figures behind the live page: small at any size of the cluster, and nothing secret in them.

use serde::Serialize;
use serde_json::Value;

use crate::core::Core;
use crate::counters::{Counters, OperationCounters, VipCounters};
use crate::env::rfc3339;
use crate::faults::FaultStatus;
use crate::net::vips::{VipState, VipStatus};
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// Most rows of a kind; the number of all of them is told beside.
const ROWS: usize = 100;
/// Newest events shown.
const EVENTS: usize = 20;

#[derive(Debug, Serialize)]
struct Capacity {
    total: u64,
    used: u64,
    free: u64,
}

#[derive(Debug, Serialize)]
struct Totals {
    objects: u64,
    s3_requests: u64,
    s3_errors: u64,
    vms_requests: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Debug, Serialize)]
struct Vip {
    ip: String,
    cnode: String,
    state: VipState,
    connections: u64,
    requests: u64,
    errors: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Debug, Serialize)]
struct View {
    id: u64,
    path: String,
    tenant: String,
    bucket: String,
    bytes: u64,
    objects: u64,
    uploads: u64,
    /// The hard limit on exactly this path, in bytes.
    quota: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Upload {
    id: String,
    path: String,
    parts: u64,
    bytes: u64,
    since: String,
}

#[derive(Debug, Serialize)]
struct Fault {
    id: u64,
    effect: String,
    scope: String,
    hits: u64,
}

#[derive(Debug, Serialize)]
struct Event {
    id: u64,
    time: String,
    severity: String,
    message: String,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    name: String,
    version: String,
    now: String,
    capacity: Capacity,
    totals: Totals,
    vips: Vec<Vip>,
    views: Vec<View>,
    views_total: usize,
    uploads: Vec<Upload>,
    uploads_total: u64,
    faults: Vec<Fault>,
    faults_total: usize,
    events: Vec<Event>,
}

impl Overview {
    pub(super) fn of(core: &Core) -> Self {
        let counters = core.counting.snapshot();
        let faults = core.faults.list();
        let standing = core.data_path.status();
        core.store.read(|state| {
            let cluster = state.vms.rows("clusters").next().map(|(_, row)| row);
            let field = |f: &str| cluster.map_or("", |row| text(row, f)).to_owned();
            let held = state.cluster_usage();
            let used = held.bytes;
            let total = core.config.capacity;
            let vms = sum(counters.vms.values());
            let s3 = counters.s3_total();
            Self {
                name: field("name"),
                version: core.config.sw_version.clone(),
                now: rfc3339(core.now_ms()),
                capacity: Capacity { total, used, free: total.saturating_sub(used) },
                totals: Totals {
                    objects: held.objects,
                    s3_requests: s3.requests,
                    s3_errors: s3.errors,
                    vms_requests: vms.requests,
                    bytes_in: s3.bytes_in,
                    bytes_out: s3.bytes_out,
                },
                vips: vips(standing, &counters),
                views: state.vms.rows("views").take(ROWS).map(|(id, row)| view(state, id, row)).collect(),
                views_total: state.vms.rows("views").count(),
                uploads: uploads(state),
                uploads_total: held.uploads,
                faults: faults.iter().take(ROWS).map(fault).collect(),
                faults_total: faults.len(),
                events: events(state),
            }
        })
    }
}

fn sum<'a>(all: impl Iterator<Item = &'a OperationCounters>) -> OperationCounters {
    all.copied().fold(OperationCounters::default(), OperationCounters::plus)
}

fn vips(standing: Vec<VipStatus>, counters: &Counters) -> Vec<Vip> {
    let nothing = VipCounters::default();
    let of = |vip: VipStatus| {
        let ip = vip.ip.to_string();
        let counted = counters.vips.get(&ip).unwrap_or(&nothing);
        let all = sum(counted.operations.values());
        Vip {
            cnode: vip.cnode,
            state: vip.state,
            connections: counted.connections,
            requests: all.requests,
            errors: all.errors,
            bytes_in: all.bytes_in,
            bytes_out: all.bytes_out,
            ip,
        }
    };
    standing.into_iter().map(of).collect()
}

fn view(state: &State, id: u64, row: &Row) -> View {
    let (path, tenant_id) = (text(row, "path"), number(row, "tenant_id").unwrap_or(1));
    let usage = state.usage(tenant_id, path);
    let quota = state.vms.rows("quotas").find(|(_, q)| {
        text(q, "path").trim_end_matches('/') == path && number(q, "tenant_id").unwrap_or(1) == tenant_id
    });
    View {
        id,
        path: path.to_owned(),
        tenant: state.vms.row("tenants", tenant_id).map_or("", |t| text(t, "name")).to_owned(),
        bucket: text(row, "bucket").to_owned(),
        bytes: usage.bytes,
        objects: usage.objects,
        uploads: usage.uploads,
        quota: quota.and_then(|(_, q)| number(q, "hard_limit")).filter(|limit| *limit > 0),
    }
}

fn uploads(state: &State) -> Vec<Upload> {
    let tenants = state.vms.rows("tenants").map(|(id, _)| id);
    let all = tenants.flat_map(|tenant| {
        state.files(tenant).walk_uploads("").map(|(path, id, upload)| Upload {
            id: id.to_owned(),
            path: path.to_owned(),
            parts: upload.parts.len() as u64,
            bytes: upload.parts.values().map(|p| p.size).sum(),
            since: rfc3339(upload.initiated),
        })
    });
    all.take(ROWS).collect()
}

/// An object of JSON as words: `operations=PutObject count=2`, without what is left open.
fn words(value: &Value, leave_out: &[&str]) -> String {
    let said = |v: &Value| {
        !v.is_null() && *v != Value::Array(Vec::new()) && v.as_u64() != Some(0) && v.as_str() != Some("")
    };
    let word = |v: &Value| match v {
        Value::String(text) => text.clone(),
        Value::Array(list) => list
            .iter()
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    };
    let fields = value.as_object().into_iter().flatten();
    let shown = fields.filter(|(f, v)| said(v) && !leave_out.contains(&f.as_str()));
    shown.map(|(f, v)| format!("{f}={}", word(v))).collect::<Vec<_>>().join(" ")
}

fn fault(status: &FaultStatus) -> Fault {
    let fault = serde_json::to_value(&status.fault).unwrap_or_default();
    let effect = fault.get("effect").cloned().unwrap_or_default();
    let name = effect.get("type").and_then(Value::as_str).unwrap_or_default();
    let parameters = words(&effect, &["type"]);
    Fault {
        id: status.id,
        effect: format!("{name} {parameters}").trim_end().to_owned(),
        scope: words(&fault, &["effect"]),
        hits: status.hits,
    }
}

fn events(state: &State) -> Vec<Event> {
    let mut newest: Vec<Event> = Vec::new();
    for (id, row) in state.vms.rows("events").rev().take(EVENTS) {
        newest.push(Event {
            id,
            time: text(row, "timestamp").to_owned(),
            severity: text(row, "severity").to_owned(),
            message: text(row, "event_message").to_owned(),
        });
    }
    newest
}
