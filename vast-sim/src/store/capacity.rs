//! Whether a write still fits: quotas by path, and the cluster as a whole.

use super::namespace::{Usage, is_under};
use super::registry::{Row, flag, number, text};
use super::state::State;

/// A write that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Full {
    /// The hard limit of this quota would be exceeded.
    Quota(String),
    /// The cluster itself is full.
    Cluster,
}

/// Marks the row of a quota whose soft limit has become a hard one, because its grace period is over.
pub(crate) const GRACE_EXPIRED: &str = "__grace_expired";

/// What a write adds and what it replaces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta<'a> {
    pub(crate) added: u64,
    pub(crate) replaced: u64,
    pub(crate) new_objects: u64,
    /// Whose the new data is; nobody's has no user quota.
    pub(crate) owner: &'a str,
    /// What is replaced of what that user has.
    pub(crate) own_replaced: u64,
    /// How many objects that user has more of then.
    pub(crate) own_new_objects: u64,
}

/// Whether what is used, and a change of it, go beyond the limits of a row. Writes that add nothing always may.
fn overruns(rule: &Row, used: Usage, added: u64, replaced: u64, new_objects: u64) -> bool {
    let bytes = lowest(rule, "hard_limit", "soft_limit");
    let inodes = lowest(rule, "hard_limit_inodes", "soft_limit_inodes");
    let grows = added > replaced;
    let bytes_then = used.bytes.saturating_sub(replaced).saturating_add(added);
    bytes.is_some_and(|l| grows && bytes_then > l)
        || inodes.is_some_and(|l| new_objects > 0 && used.objects + new_objects > l)
}

/// The limit that holds for writes now.
fn lowest(row: &Row, hard: &str, soft: &str) -> Option<u64> {
    let set = |field: &str| number(row, field).filter(|l| *l > 0);
    let soft = if flag(row, GRACE_EXPIRED) { set(soft) } else { None };
    set(hard).into_iter().chain(soft).min()
}

impl State {
    /// What the whole cluster holds.
    pub(crate) fn cluster_usage(&self) -> Usage {
        self.namespaces.values().fold(Usage::default(), |mut total, files| {
            total += files.usage("");
            total
        })
    }

    /// The quotas that count a file.
    fn quotas_over(&self, tenant: u64, path: &str) -> impl Iterator<Item = (u64, &Row)> {
        self.vms.rows("quotas").filter(move |(_, row)| {
            number(row, "tenant_id").unwrap_or(1) == tenant && is_under(path, text(row, "path"))
        })
    }

    /// Whether a write to a path fits into every quota over it and into a cluster of `capacity` bytes.
    pub(crate) fn check_fit(
        &self,
        tenant: u64,
        path: &str,
        delta: Delta<'_>,
        capacity: u64,
    ) -> Result<(), Full> {
        let exceeds = |used: u64, limit: u64| {
            delta.added > delta.replaced
                && used.saturating_sub(delta.replaced).saturating_add(delta.added) > limit
        };
        for (id, row) in self.quotas_over(tenant, path) {
            let path = text(row, "path");
            let of_all =
                overruns(row, self.usage(tenant, path), delta.added, delta.replaced, delta.new_objects);
            let of_user = || {
                let rule = self.user_rule(id, row, delta.owner)?;
                let used = self.files(tenant).usage_of(path, delta.owner);
                Some(overruns(rule, used, delta.added, delta.own_replaced, delta.own_new_objects))
            };
            if of_all || of_user().unwrap_or(false) {
                return Err(Full::Quota(path.to_owned()));
            }
        }
        let rules = self.vms.row("tenants", tenant).and_then(|t| t.get("capacity_rules")?.as_object());
        if let Some(rules) = rules {
            let used = self.usage(tenant, "/");
            let over = |name: &str| number(rules, name).filter(|l| *l > 0);
            let too_many = |l| delta.new_objects > 0 && used.objects + delta.new_objects > l;
            if over("hard_limit").is_some_and(|l| exceeds(used.bytes, l))
                || over("hard_limit_inodes").is_some_and(too_many)
            {
                return Err(Full::Quota("/".to_owned()));
            }
        }
        if exceeds(self.cluster_usage().bytes, capacity) { Err(Full::Cluster) } else { Ok(()) }
    }
}
