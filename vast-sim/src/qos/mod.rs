//! Quality of service: what views, users, tenants and the cluster may do per second, and the lines in which their
//! requests wait for it.
//!
//! Limits come from the `QoS` policy of the request's view, from those of the user of its key, and from the limits of
//! its tenant and of the cluster. They are read anew with every request, so that a change holds for the next one. All of
//! them hold at once. Waiting is on the cluster's clock.
//!
//! A request that moves data counts as so many IOs as its bytes make, one at least; any other as one.

pub(crate) mod limits;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::core::Core;
use crate::faults::Lane;
use crate::metrics::tally::Class;
use crate::store::lock;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;
pub(crate) use limits::Rate;
use limits::{Limits, Resource};

/// Who has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Cluster,
    Tenant(u64),
    View(u64),
    /// A user under a policy: each user has the whole of it.
    User(u64, u64),
}

/// The lines of all holders, and how many requests each has on the way.
#[derive(Debug, Default)]
pub(crate) struct Qos {
    lanes: Mutex<HashMap<(Holder, Resource), Arc<Lane>>>,
    active: Arc<Mutex<HashMap<Holder, u64>>>,
}

impl Qos {
    /// Empties all lines. Requests on the way stay counted until they are over.
    pub(crate) fn clear(&self) {
        lock(&self.lanes).clear();
    }
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

/// A line that the data of a request has to pass.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) lane: Arc<Lane>,
    pub(crate) rate: Rate,
    /// Bytes that pass beside the line: paid for before.
    pub(crate) free: u64,
}

/// What the limits mean for one request.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// More requests are on the way than the policy allows.
    pub(crate) refused: bool,
    /// Time to wait before it begins.
    pub(crate) wait: Duration,
    pub(crate) passages: Vec<Passage>,
    /// To be kept until the request is over.
    pub(crate) on_the_way: Vec<OnTheWay>,
}

/// What is known of a request when it is admitted.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) bucket: &'a str,
    /// The key that it is signed with.
    pub(crate) access_key: Option<&'a str>,
    pub(crate) class: Class,
}

/// Whether a policy names a user. Identifiers may be written as text or as numbers.
fn is_attached(policy: &Row, user: &Row) -> bool {
    let names = |entry: &Value| {
        let value = match entry.get("identifier_value") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return false,
        };
        match entry.get("identifier_type").and_then(Value::as_str) {
            Some("uid") => number(user, "uid").is_some_and(|uid| uid.to_string() == value),
            Some("sid_str") => !value.is_empty() && text(user, "sid") == value,
            Some("username") => text(user, "name") == value,
            _ => false,
        }
    };
    policy.get("attached_users").and_then(Value::as_array).into_iter().flatten().any(names)
}

/// The policies that limit a user in a tenant: those that name it, else the default one.
pub(crate) fn policies_of_user<'s>(state: &'s State, user: &Row, tenant: u64) -> Vec<(u64, &'s Row)> {
    let of_users = |(_, policy): &(u64, &Row)| {
        text(policy, "policy_type") == "USER" && number(policy, "tenant_id").unwrap_or(1) == tenant
    };
    let all = || state.vms.rows("qospolicies").filter(of_users);
    let named: Vec<_> = all().filter(|(_, policy)| is_attached(policy, user)).collect();
    if named.is_empty() { all().filter(|(_, policy)| flag(policy, "is_default")).collect() } else { named }
}

fn all_limits(state: &State, asking: &Asking<'_>) -> Vec<(Holder, Limits)> {
    let (bucket, class) = (state.bucket(asking.bucket), asking.class);
    let mut all = Vec::new();
    let key = asking.access_key.and_then(|id| state.keys().get(id)).filter(|k| k.enabled);
    let tenant = bucket.map(|b| b.tenant_id).or(key.map(|k| k.tenant_id));
    if state.vms.len("qospolicies") > 0 {
        let view = bucket.and_then(|b| Some((b.view_id, state.view_of(b)?)));
        let policy = view.and_then(|(_, v)| state.vms.row("qospolicies", number(v, "qos_policy_id")?));
        if let (Some((id, view)), Some(policy)) = (view, policy) {
            all.push((Holder::View(id), limits::of_policy(state, policy, Some(view), class)));
        }
        if let Some(key) = key
            && let Some(user) = state.vms.row("users", key.user_id)
        {
            for (id, policy) in policies_of_user(state, user, key.tenant_id) {
                all.push((Holder::User(key.user_id, id), limits::of_policy(state, policy, None, class)));
            }
        }
    }
    let own = |kind: &str, id| limits::own(state.vms.row(kind, id)?, class);
    all.extend(tenant.and_then(|id| Some((Holder::Tenant(id), own("tenants", id)?))));
    all.extend(own("clusters", 1).map(|limits| (Holder::Cluster, limits)));
    all.retain(|(_, limits)| limits.connections.is_some() || !limits.rates.is_empty());
    all
}

/// What the limits mean for a request.
pub(crate) fn admit(core: &Core, state: &State, asking: &Asking<'_>) -> Admission {
    let mut admission = Admission::default();
    let all = all_limits(state, asking);
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
    let moves_data = matches!(asking.class, Class::Read | Class::Write);
    for (holder, limits) in all {
        for (resource, rate) in limits.rates {
            let lane = Arc::clone(lock(&core.qos.lanes).entry((holder, resource)).or_default());
            if resource.is_bytes() {
                admission.passages.push(Passage { lane, rate, free: 0 });
                continue;
            }
            // Counted in the bytes of IOs: the first one now, the others as the data passes.
            let io = limits.io_size;
            let in_bytes = |n: u64| n.saturating_mul(io);
            let rate = Rate { per_second: in_bytes(rate.per_second), burst: in_bytes(rate.burst.max(1)) };
            let wait = lane.book(&*core.config.clock, io, rate.per_second, rate.burst);
            admission.wait = admission.wait.max(wait);
            if moves_data {
                admission.passages.push(Passage { lane, rate, free: io });
            }
        }
    }
    admission
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: &Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn users_are_found_by_each_kind_of_identifier_and_else_by_default() {
        let mut state = State::default();
        let mut policy = |name: &str, more: Value| {
            let mut all = row(&json!({ "name": name, "policy_type": "USER", "tenant_id": 1 }));
            all.extend(row(&more));
            state.vms.insert("qospolicies", all)
        };
        let by = |kind: &str, value: Value| json!({ "identifier_type": kind, "identifier_value": value });
        let uid = policy("uid", json!({ "attached_users": [by("uid", "7".into())] }));
        let number = policy("number", json!({ "attached_users": [by("uid", 7.into())] }));
        let name = policy("name", json!({ "attached_users": [by("username", "ann".into())] }));
        let sid = policy("sid", json!({ "attached_users": [by("sid_str", "S-1-5".into())] }));
        let fallback = policy("default", json!({ "is_default": true }));
        policy("of another tenant", json!({ "is_default": true, "tenant_id": 2 }));
        policy("for views", json!({ "policy_type": "VIEW", "is_default": true }));
        let found = |user: Value| {
            let all = policies_of_user(&state, &row(&user), 1);
            all.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({ "uid": 7, "name": "bob" })), [uid, number]);
        assert_eq!(found(json!({ "uid": 8, "name": "ann", "sid": "S-1-5" })), [name, sid]);
        assert_eq!(found(json!({ "uid": 9, "name": "eve" })), [fallback]);
    }
}
