//! `/clusters/`: the cluster itself, with its capacity figures.

use std::sync::Arc;

use super::super::engine::Resource;
use super::super::{capacity, measures};
use crate::core::Core;
use crate::store::registry::Row;
use crate::store::state::State;

pub(crate) struct Clusters;

impl Resource for Clusters {
    fn kind(&self) -> &'static str {
        "clusters"
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        row.extend(capacity::cluster_fields(core, state));
        row.extend(measures::cluster_fields(core, state));
        row.insert("sw_version".to_owned(), core.config.sw_version.clone().into());
    }
}
