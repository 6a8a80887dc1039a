//! `/events/` and `/alarms/`: reading what was recorded, and acknowledging it.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events::{self, Happening};
use crate::core::Core;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

pub(crate) struct Events;
pub(crate) struct Alarms;

impl Resource for Events {
    fn kind(&self) -> &'static str {
        "events"
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, events::TENANT)
    }

    /// An event of the client's own making.
    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        let message = text(&row, "event_message");
        let said = if message.is_empty() { "A client recorded an event." } else { message };
        let mut what = Happening::to_cluster("NOTIFIER_EVENT", "NOTIFIER_EVENT", said);
        what.about(text(&row, "object_type"), number(&row, "object_id").unwrap_or(0));
        let refused = || ApiError::bad_request("Events of this kind are disabled by their definition.");
        let id = events::record(core, state, &what).ok_or_else(refused)?;
        if let Some(kind) = row.get("event_type") {
            let mut changes = Row::new();
            changes.insert("event_type".to_owned(), kind.clone());
            state.vms.update("events", id, changes);
        }
        Ok(id)
    }
}

impl Resource for Alarms {
    fn kind(&self) -> &'static str {
        "alarms"
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, events::TENANT)
    }

    /// `/alarms/clear/`: takes back the alarms listed in `ids`, or all of them.
    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if name != "clear" || call.method != Method::PATCH {
            return None;
        }
        let wanted = call.body.get("ids").and_then(Value::as_array).cloned();
        let matches = |id: u64| wanted.as_ref().is_none_or(|ids| ids.iter().any(|i| i.as_u64() == Some(id)));
        core.store.write(|state| {
            let ids: Vec<u64> =
                state.vms.rows("alarms").map(|(id, _)| id).filter(|id| matches(*id)).collect();
            for id in ids {
                state.vms.remove("alarms", id);
            }
        });
        Some(Ok(Reply::ok(Value::Object(Row::new()))))
    }
}
