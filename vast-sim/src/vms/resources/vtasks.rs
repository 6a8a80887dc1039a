//! `/vtasks/`: asynchronous tasks.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::tasks;
use crate::core::Core;
use crate::store::registry::{Row, number};
use crate::store::state::State;

pub(crate) struct VTasks;

impl Resource for VTasks {
    fn kind(&self) -> &'static str {
        "vtasks"
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, tasks::TENANT)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        match changes.get("state").and_then(Value::as_str) {
            None | Some("RUNNING") => Ok(()),
            Some(outcome) => {
                tasks::settle(core, state, id, outcome);
                Ok(())
            }
        }
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        match (name, &call.method) {
            ("retry", &Method::PATCH) => {
                let again = tasks::retry(core, state, id).as_ref().map(Reply::task);
                Some(again.ok_or_else(|| ApiError::bad_request("Only a failed task can be retried.")))
            }
            ("retry", _) => Some(Err(ApiError::method_not_allowed(&call.method))),
            _ => None,
        }
    }
}
