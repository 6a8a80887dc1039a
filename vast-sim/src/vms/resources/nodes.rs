//! `/cnodes/` and `/dnodes/`: the machines of the cluster. A CNode that is switched off or disabled loses its VIPs to the
//! others: at once, or after the requests in flight.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::tasks;
use crate::core::Core;
use crate::net::nodes::OFF;
use crate::store::registry::{Row, as_row};
use crate::store::state::State;

pub(crate) struct CNodes;
pub(crate) struct DNodes;

/// The field that says whether a node's light is on.
const LED: &str = "led_status";

/// Switches the light by which people find a machine, at once or by a task.
fn lights(
    core: &Arc<Core>,
    state: &mut State,
    resource: &dyn Resource,
    id: u64,
    name: &str,
    call: &Call,
) -> Option<Result<Reply, ApiError>> {
    let lit = |how: &str| Row::from_iter([(LED.to_owned(), how.into())]);
    match (name, &call.method) {
        ("control_led", &Method::PATCH) => {
            let how =
                call.body.get("control").map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let how = how.unwrap_or_default();
            if !["blink", "true", "false"].contains(&how.to_ascii_lowercase().as_str()) {
                return Some(Err(ApiError::field("control", format!("\"{how}\" is not a valid choice."))));
            }
            let on = !how.eq_ignore_ascii_case("false");
            state.vms.update(resource.kind(), id, lit(if on { "BLINK" } else { "OFF" }));
            Some(Ok(Reply::no_content()))
        }
        ("highlight", &Method::PATCH) => {
            Some(Ok(Reply::task(&tasks::modify(core, state, resource, id, lit("BLINK"), &call.caller.name))))
        }
        _ => None,
    }
}

impl Resource for CNodes {
    fn kind(&self) -> &'static str {
        "cnodes"
    }

    fn create(&self, _: &Arc<Core>, _: &mut State, _: Row) -> Result<u64, ApiError> {
        Err(ApiError::bad_request("The number of CNodes is a setting that the cluster is started with."))
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

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        lights(core, state, self, id, name, call)
    }

    fn refuse_delete(&self, _: &Arc<Core>, _: &State, _: u64, _: &Call) -> Result<(), ApiError> {
        Err(ApiError::bad_request("CNodes of this cluster cannot be removed; disable them instead."))
    }
}

impl Resource for DNodes {
    fn kind(&self) -> &'static str {
        "dnodes"
    }

    /// DNodes are on or off; no data depends on it.
    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        let mut row = Row::new();
        if let Some(enabled) = changes.get("enabled").and_then(Value::as_bool) {
            let name = if enabled { "ACTIVE" } else { "INACTIVE" };
            row = as_row(serde_json::json!({ "enabled": enabled, "state": name }));
        }
        row.extend(changes.into_iter().filter(|(name, _)| name == LED));
        state.vms.update("dnodes", id, row);
        Ok(())
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if (name, &call.method) == ("rename", &Method::PATCH) {
            return Some(call.required_text("name").map(|new| {
                state.vms.update(
                    "dnodes",
                    id,
                    as_row(serde_json::json!({ "name": new, "display_name": new })),
                );
                Reply::no_content()
            }));
        }
        lights(core, state, self, id, name, call)
    }
}
