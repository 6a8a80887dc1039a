//! `/qospolicies/`: limits for views. What they do to requests is in [`crate::qos`].

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::store::registry::Row;
use crate::store::state::State;

pub(crate) struct QosPolicies;

/// Limits that an answer always has once any is set; those that nobody set are 0, which limits nothing.
const STATIC_LIMITS: [&str; 16] = [
    "min_reads_bw_mbps",
    "max_reads_bw_mbps",
    "min_writes_bw_mbps",
    "max_writes_bw_mbps",
    "min_reads_iops",
    "max_reads_iops",
    "min_writes_iops",
    "max_writes_iops",
    "burst_reads_bw_mb",
    "burst_reads_loan_mb",
    "burst_writes_bw_mb",
    "burst_writes_loan_mb",
    "burst_reads_iops",
    "burst_reads_loan_iops",
    "burst_writes_iops",
    "burst_writes_loan_iops",
];

fn check(row: &Row) -> Result<(), ApiError> {
    for part in ["static_limits", "static_total_limits", "capacity_limits", "capacity_total_limits"] {
        let limits = row.get(part).and_then(Value::as_object);
        if let Some((name, _)) =
            limits.into_iter().flatten().find(|(_, v)| !v.is_null() && v.as_u64().is_none())
        {
            return Err(ApiError::field(part, format!("{name}: a whole number of 0 or more is needed.")));
        }
    }
    match row.get("s3_connections_limit").and_then(Value::as_i64) {
        Some(n) if n < 0 => {
            Err(ApiError::field("s3_connections_limit", "Ensure this value is greater than or equal to 0."))
        }
        _ => Ok(()),
    }
}

impl Resource for QosPolicies {
    fn kind(&self) -> &'static str {
        "qospolicies"
    }

    fn present(&self, _: &Arc<Core>, _: &State, row: &mut Row) {
        if let Some(limits) = row.get_mut("static_limits").and_then(Value::as_object_mut) {
            for name in STATIC_LIMITS {
                limits.entry(name).or_insert_with(|| 0.into());
            }
        }
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        check(&row)?;
        engine::refuse_duplicate(state, "qospolicies", "name", &row, None)?;
        Ok(engine::insert(core, state, "qospolicies", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        check(&changes)?;
        state.vms.update("qospolicies", id, changes);
        Ok(())
    }
}
