//! `/cnodes/` and `/dnodes/`: the machines of the cluster. A CNode that is switched off or disabled loses its VIPs to the
//! others: at once, or after the requests in flight.

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::Resource;
use super::super::error::ApiError;
use crate::core::Core;
use crate::net::nodes::OFF;
use crate::store::registry::{Row, as_row};
use crate::store::state::State;

pub(crate) struct CNodes;
pub(crate) struct DNodes;

impl Resource for CNodes {
    fn kind(&self) -> &'static str {
        "cnodes"
    }

    fn create(&self, _: &Arc<Core>, _: &mut State, _: Row) -> Result<u64, ApiError> {
        Err(ApiError::bad_request(
            "The number of CNodes follows from the VIPs that the cluster was started with.",
        ))
    }

    /// The data path follows afterwards: state and VIPs are its business.
    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let asked = |name: &str| changes.get(name).and_then(Value::as_bool).unwrap_or(false);
        let power = match (asked("power_off"), asked("power_on") || asked("power_cycle")) {
            (true, true) => return Err(ApiError::bad_request("power_off and power_on exclude each other.")),
            (true, false) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        for order in
            ["power_off", "power_on", "power_cycle", "replace", "skip_network_validation", "skip_position"]
        {
            changes.remove(order);
        }
        if let Some(off) = power {
            changes.insert(OFF.to_owned(), off.into());
        }
        state.vms.update("cnodes", id, changes);
        Ok(())
    }

    fn refuse_delete(
        &self,
        _: &Arc<Core>,
        _: &State,
        _: u64,
        _: &super::super::engine::Call,
    ) -> Result<(), ApiError> {
        Err(ApiError::bad_request("CNodes of this cluster cannot be removed; disable them instead."))
    }
}

impl Resource for DNodes {
    fn kind(&self) -> &'static str {
        "dnodes"
    }

    /// DNodes are on or off; no data depends on it.
    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        if let Some(enabled) = changes.get("enabled").and_then(Value::as_bool) {
            let name = if enabled { "ACTIVE" } else { "INACTIVE" };
            let row = serde_json::json!({ "enabled": enabled, "state": name });
            state.vms.update("dnodes", id, as_row(row));
        }
        Ok(())
    }
}
