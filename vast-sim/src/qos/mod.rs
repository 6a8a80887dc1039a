//! Quality of service: what a view or a tenant may do per second, and the lines in which its requests wait for it.
//!
//! Limits come from the `QoS` policy of the request's view and from the limits of its tenant, read anew with every
//! request, so that a change holds for the next one. Waiting is on the cluster's clock. A megabyte is 10^6 bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::Core;
use crate::faults::Lane;
use crate::metrics::tally::Class;
use crate::store::lock;
use crate::store::object::Bucket;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

const MEGABYTE: u64 = 1_000_000;
const GIGABYTE: u64 = 1_000_000_000;

/// Who has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    View(u64),
    Tenant(u64),
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Resource {
    ReadBytes,
    WriteBytes,
    Bytes,
    Reads,
    Writes,
    Requests,
}

/// So many a second, and so many at once before that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
}

/// The limits of one holder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Limits {
    rates: Vec<(Resource, Rate)>,
    connections: Option<u64>,
}

/// The lines of all holders, and how many requests each has on the way.
#[derive(Debug, Default)]
pub(crate) struct Qos {
    lanes: Mutex<HashMap<(Holder, Resource), Arc<Lane>>>,
    active: Arc<Mutex<HashMap<Holder, u64>>>,
}

/// One request on the way; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    active: Arc<Mutex<HashMap<Holder, u64>>>,
    holder: Holder,
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        let mut active = lock(&self.active);
        if let Some(n) = active.get_mut(&self.holder) {
            *n -= 1;
            if *n == 0 {
                active.remove(&self.holder);
            }
        }
    }
}

/// What the limits mean for one request.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// More requests are on the way than the policy allows.
    pub(crate) refused: bool,
    /// Time to wait before it begins.
    pub(crate) wait: Duration,
    /// Lines that its data has to pass.
    pub(crate) lanes: Vec<(Arc<Lane>, Rate)>,
    /// To be kept until the request is over.
    pub(crate) on_the_way: Vec<OnTheWay>,
}

fn rates(limits: &Row, named: &[(Resource, &str, &str, u64)]) -> Vec<(Resource, Rate)> {
    let rate = |(resource, most, burst, unit): &(Resource, &str, &str, u64)| {
        let per_second = number(limits, most).filter(|n| *n > 0)?.saturating_mul(*unit);
        let burst = number(limits, burst).unwrap_or(0).saturating_mul(*unit);
        Some((*resource, Rate { per_second, burst }))
    };
    named.iter().filter_map(rate).collect()
}

const STATIC: &[(Resource, &str, &str, u64)] = &[
    (Resource::ReadBytes, "max_reads_bw_mbps", "burst_reads_bw_mb", MEGABYTE),
    (Resource::WriteBytes, "max_writes_bw_mbps", "burst_writes_bw_mb", MEGABYTE),
    (Resource::Reads, "max_reads_iops", "burst_reads_iops", 1),
    (Resource::Writes, "max_writes_iops", "burst_writes_iops", 1),
];
const TOTAL: &[(Resource, &str, &str, u64)] = &[
    (Resource::Bytes, "max_bw_mbps", "burst_bw_mb", MEGABYTE),
    (Resource::Requests, "max_iops", "burst_iops", 1),
];

/// Limits that grow with capacity: so many per gigabyte.
fn by_capacity(limits: &Row, bytes: u64) -> Vec<(Resource, Rate)> {
    let named = [
        (Resource::ReadBytes, "max_reads_bw_mbps_per_gb_capacity", MEGABYTE),
        (Resource::WriteBytes, "max_writes_bw_mbps_per_gb_capacity", MEGABYTE),
        (Resource::Reads, "max_reads_iops_per_gb_capacity", 1),
        (Resource::Writes, "max_writes_iops_per_gb_capacity", 1),
        (Resource::Bytes, "max_bw_mbps_per_gb_capacity", MEGABYTE),
        (Resource::Requests, "max_iops_per_gb_capacity", 1),
    ];
    // The first gigabyte counts in full, or an empty view could never be filled.
    let gigabytes = bytes.div_ceil(GIGABYTE).max(1);
    named
        .iter()
        .filter_map(|(resource, name, unit)| {
            let per_gigabyte = number(limits, name).filter(|n| *n > 0)?;
            let per_second = per_gigabyte.saturating_mul(*unit).saturating_mul(gigabytes);
            Some((*resource, Rate { per_second, burst: 0 }))
        })
        .collect()
}

/// The limits of a policy for a view.
fn of_policy(state: &State, policy: &Row, view: &Row) -> Limits {
    let part = |name: &str| policy.get(name).and_then(|l| l.as_object()).cloned().unwrap_or_default();
    let totals = flag(policy, "use_total_limits");
    let tenant = number(view, "tenant_id").unwrap_or(1);
    let path = text(view, "path");
    let limits = part(if totals { "capacity_total_limits" } else { "capacity_limits" });
    let mut all = match text(policy, "mode") {
        "USED_CAPACITY" => by_capacity(&limits, state.usage(tenant, path).bytes),
        "PROVISIONED_CAPACITY" => {
            let of_view = |(_, q): &(u64, &Row)| {
                text(q, "path") == path && number(q, "tenant_id").unwrap_or(1) == tenant
            };
            let quota = state.vms.rows("quotas").find(of_view).and_then(|(_, q)| number(q, "hard_limit"));
            by_capacity(&limits, quota.unwrap_or(0))
        }
        _ if totals => rates(&part("static_total_limits"), TOTAL),
        _ => rates(&part("static_limits"), STATIC),
    };
    let is_bytes = |r: Resource| matches!(r, Resource::ReadBytes | Resource::WriteBytes | Resource::Bytes);
    match text(policy, "limit_by") {
        "BW" => all.retain(|(r, _)| is_bytes(*r)),
        "IOPS" => all.retain(|(r, _)| !is_bytes(*r)),
        _ => {}
    }
    Limits { rates: all, connections: number(policy, "s3_connections_limit").filter(|n| *n > 0) }
}

/// The limits of a tenant: of its own, or of the policy that it names.
fn of_tenant(state: &State, id: u64) -> Option<Limits> {
    let tenant = state.vms.row("tenants", id)?;
    let own = tenant.get("qos")?.as_object()?.get("static_limits")?.as_object()?;
    Some(Limits { rates: rates(own, STATIC), connections: None })
}

fn all_limits(state: &State, bucket: &Bucket) -> Vec<(Holder, Limits)> {
    let mut all = Vec::new();
    let view = state.view_of(bucket);
    let policy =
        view.and_then(|v| number(v, "qos_policy_id")).and_then(|id| state.vms.row("qospolicies", id));
    if let (Some(view), Some(policy)) = (view, policy) {
        all.push((Holder::View(bucket.view_id), of_policy(state, policy, view)));
    }
    if let Some(limits) = of_tenant(state, bucket.tenant_id) {
        all.push((Holder::Tenant(bucket.tenant_id), limits));
    }
    all.retain(|(_, limits)| *limits != Limits::default());
    all
}

/// What the limits mean for a request to a bucket.
pub(crate) fn admit(core: &Core, state: &State, bucket: &Bucket, class: Class) -> Admission {
    let mut admission = Admission::default();
    let all = all_limits(state, bucket);
    if all.is_empty() {
        return admission;
    }
    for (holder, limits) in &all {
        if let Some(most) = limits.connections {
            let mut active = lock(&core.qos.active);
            let now = active.entry(*holder).or_default();
            if *now >= most {
                return Admission { refused: true, ..Admission::default() };
            }
            *now += 1;
            drop(active);
            admission.on_the_way.push(OnTheWay { active: Arc::clone(&core.qos.active), holder: *holder });
        }
    }
    let (bytes, requests) = match class {
        Class::Read => (Resource::ReadBytes, Resource::Reads),
        Class::Write => (Resource::WriteBytes, Resource::Writes),
        Class::ReadMd => (Resource::Bytes, Resource::Reads),
        Class::WriteMd => (Resource::Bytes, Resource::Writes),
    };
    for (holder, limits) in all {
        for (resource, rate) in limits.rates {
            let lane = Arc::clone(lock(&core.qos.lanes).entry((holder, resource)).or_default());
            if resource == bytes || resource == Resource::Bytes {
                admission.lanes.push((lane, rate));
            } else if resource == requests || resource == Resource::Requests {
                let wait = lane.book(&*core.config.clock, 1, rate.per_second, rate.burst.max(1));
                admission.wait = admission.wait.max(wait);
            }
        }
    }
    admission
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: &serde_json::Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn policies_become_rates() {
        let state = State::default();
        let view = row(&serde_json::json!({ "path": "/v", "tenant_id": 1 }));
        let limits = |policy: &serde_json::Value| of_policy(&state, &row(policy), &view);
        let fixed = serde_json::json!({ "mode": "STATIC", "s3_connections_limit": 3, "static_limits": {
            "max_reads_bw_mbps": 2, "burst_reads_bw_mb": 1, "max_writes_iops": 7, "max_writes_bw_mbps": 0 } });
        let read = (Resource::ReadBytes, Rate { per_second: 2_000_000, burst: 1_000_000 });
        let writes = (Resource::Writes, Rate { per_second: 7, burst: 0 });
        assert_eq!(limits(&fixed), Limits { rates: vec![read, writes], connections: Some(3) });
        let mut only = fixed;
        only["limit_by"] = "IOPS".into();
        assert_eq!(limits(&only).rates, [writes]);
        let total = serde_json::json!({ "use_total_limits": true, "static_total_limits": { "max_iops": 5 } });
        assert_eq!(limits(&total).rates, [(Resource::Requests, Rate { per_second: 5, burst: 0 })]);
        let grown = serde_json::json!({ "mode": "USED_CAPACITY",
            "capacity_limits": { "max_reads_bw_mbps_per_gb_capacity": 3 } });
        assert_eq!(limits(&grown).rates, [(Resource::ReadBytes, Rate { per_second: 3_000_000, burst: 0 })]);
    }
}
