//! `/eventdefinitions/`: which events are recorded, and how bad they are.

use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events::{self, Happening};
use super::super::tasks;
use crate::core::Core;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

pub(crate) struct EventDefinitions;

/// The task that tries a definition.
pub(crate) const WORK: &str = "try_definition";

/// Records an event of a definition, marked as a trial.
pub(crate) fn carry_out(core: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let id = number(arguments, "definition").unwrap_or(0);
    let row = state.vms.row("eventdefinitions", id).cloned().ok_or("The definition is gone.")?;
    let said = format!("A trial: {}", text(&row, "event_message"));
    let mut what = Happening::to_cluster("NOTIFIER_EVENT", "NOTIFIER_EVENT", said);
    what.about(text(&row, "object_type"), 0);
    events::record(core, state, &what.metadata(json!({ "tries": text(&row, "name") })));
    Ok("An event was recorded.".to_owned())
}

impl Resource for EventDefinitions {
    fn kind(&self) -> &'static str {
        "eventdefinitions"
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        changes.insert("user_modified".to_owned(), true.into());
        state.vms.update("eventdefinitions", id, changes);
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
        (name == "test" && call.method == Method::PATCH).then(|| {
            let arguments = as_row(json!({ "definition": id }));
            Ok(Reply::task(&tasks::start(core, state, "eventdefinition_test", WORK, arguments)))
        })
    }
}
