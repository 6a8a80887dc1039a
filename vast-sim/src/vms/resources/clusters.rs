//! `/clusters/`: the cluster itself, with its capacity figures.

use std::sync::Arc;

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{capacity, measures};
use super::cluster_paths;
use crate::core::Core;
use crate::qos::limits;
use crate::store::registry::Row;
use crate::store::state::State;

pub(crate) struct Clusters;

impl Resource for Clusters {
    fn kind(&self) -> &'static str {
        "clusters"
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        limits::tidy_own(&mut changes).map_err(|why| ApiError::field("qos", why))?;
        state.vms.update("clusters", id, changes);
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
        cluster_paths::action(core, state, id, name, call)
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        row.extend(capacity::cluster_fields(core, state));
        row.extend(measures::cluster_fields(core, state));
        row.insert("sw_version".to_owned(), core.config.sw_version.clone().into());
    }
}
