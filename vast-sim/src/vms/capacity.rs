//! How much space there is and what uses it: of the cluster, a tenant, a path.

use std::sync::Arc;

use serde_json::{Value, json};

use super::engine::{Call, Reply, Resource};
use super::error::ApiError;
use super::resources::quotas::terabytes;
use crate::core::Core;
use crate::env;
use crate::store::registry::Row;
use crate::store::state::State;

/// Space in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// What the cluster can hold.
    pub(crate) capacity: u64,
    /// What clients see stored.
    pub(crate) logical: u64,
    /// What that takes: bytes that several objects share count once.
    pub(crate) physical: u64,
    pub(crate) objects: u64,
}

impl Space {
    /// The cluster as a whole.
    pub(crate) fn of_cluster(core: &Core, state: &State) -> Self {
        let usage = state.cluster_usage();
        Self {
            capacity: core.config.capacity,
            logical: usage.bytes,
            physical: state.physical_bytes(),
            objects: usage.objects,
        }
    }

    pub(crate) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.logical)
    }

    /// Bytes seen per byte stored.
    pub(crate) fn drr(&self) -> f64 {
        reduction(self.logical, self.physical)
    }
}

/// Bytes seen per byte stored.
pub(crate) fn reduction(logical: u64, physical: u64) -> f64 {
    if physical == 0 { 1.0 } else { ratio(logical, physical) }
}

#[allow(clippy::cast_precision_loss, reason = "display figures")]
pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// The fields of the cluster's row that are about space.
pub(crate) fn cluster_fields(core: &Core, state: &State) -> Row {
    let space = Space::of_cluster(core, state);
    let mut row = Row::new();
    for (name, bytes) in [
        ("physical_space", space.capacity),
        ("logical_space", space.capacity),
        ("physical_space_in_use", space.physical),
        ("logical_space_in_use", space.logical),
        ("free_physical_space", space.capacity.saturating_sub(space.physical)),
        ("free_logical_space", space.free()),
        ("free_usable_capacity", space.capacity.saturating_sub(space.physical)),
    ] {
        row.insert(name.to_owned(), bytes.into());
        row.insert(format!("{name}_tb"), terabytes(bytes).into());
    }
    let percent = |used| ratio(used, space.capacity) * 100.0;
    let rest = [
        ("usable_capacity_bytes", Value::from(space.capacity)),
        ("usable_capacity_tb", terabytes(space.capacity).into()),
        ("physical_space_in_use_percent", percent(space.physical).into()),
        ("logical_space_in_use_percent", percent(space.logical).into()),
        ("drr", space.drr().into()),
        ("drr_text", format!("{:.1}:1", space.drr()).into()),
        ("auxiliary_space_in_use", 0.0.into()),
        ("auxiliary_space_in_use_tb", 0.0.into()),
        ("logical_auxiliary_space_in_use", 0.0.into()),
        ("logical_inodes_in_use_num", space.objects.into()),
    ];
    row.extend(rest.map(|(name, value)| (name.to_owned(), value)));
    row
}

/// `/capacity/`.
pub(crate) struct Capacity;

/// What `sort_key` may be, in the order of the figures.
const KEYS: [&str; 3] = ["usable", "unique", "logical"];

impl Resource for Capacity {
    fn kind(&self) -> &'static str {
        "capacity"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if !name.is_empty() {
            return None;
        }
        if call.method != http::Method::GET {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        Some(core.store.read(|state| answer(core, state, call)).map(Reply::ok))
    }
}

fn answer(core: &Core, state: &State, call: &Call) -> Result<Value, ApiError> {
    let tenant = call.tenant(state)?;
    let sort_key = call.param("type").unwrap_or(KEYS[0]);
    let Some(key) = KEYS.iter().position(|k| *k == sort_key) else {
        return Err(ApiError::field("type", format!("\"{sort_key}\" is not a valid choice.")));
    };
    let path = call.param("path").filter(|p| !p.is_empty()).unwrap_or("/");
    if !path.starts_with('/') {
        return Err(ApiError::field("path", "A path starts with a slash."));
    }
    let figures = |path: &str| {
        let bytes = state.usage(tenant, path).bytes;
        [bytes, bytes, bytes]
    };
    let root = figures(path);
    let mut children: Vec<(String, [u64; 3])> =
        children(state, tenant, path).into_iter().map(|child| (child.clone(), figures(&child))).collect();
    children.sort_by(|(a, x), (b, y)| y[key].cmp(&x[key]).then_with(|| a.cmp(b)));
    let now = env::rfc3339(core.now_ms());
    let details: Vec<Value> = children
        .iter()
        .map(|(child, data)| {
            let percent = ratio(data[key], root[key]) * 100.0;
            json!([child, { "data": data, "parent": path, "percent": percent, "average_atime": now }])
        })
        .collect();
    Ok(json!({
        "path": path, "keys": KEYS, "sort_key": sort_key, "time": now, "root_data": root, "details": details,
        "small_folders": [],
    }))
}

/// The directories right below a path, those with views included.
fn children(state: &State, tenant: u64, path: &str) -> std::collections::BTreeSet<String> {
    let base = path.trim_end_matches('/');
    let child = |full: &str| {
        let rest = full.strip_prefix(base)?.strip_prefix('/')?;
        let first = rest.split('/').next()?;
        (!first.is_empty()).then(|| format!("{base}/{first}"))
    };
    let of_tenant = |row: &Row| crate::store::registry::number(row, "tenant_id").unwrap_or(1) == tenant;
    let views = state.vms.rows("views").filter(|(_, row)| of_tenant(row));
    let mut found: std::collections::BTreeSet<String> =
        views.filter_map(|(_, row)| child(crate::store::registry::text(row, "path"))).collect();
    let files = state.files(tenant);
    found.extend(files.child_directories(path).map(|name| format!("{base}/{name}")));
    found
}
