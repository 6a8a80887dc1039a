//! `/viewpolicies/`

use std::sync::Arc;

use super::super::engine::Resource;
use crate::core::Core;
use crate::store::registry::{Row, flag, number};
use crate::store::state::State;

pub(crate) struct ViewPolicies;

fn views_of(state: &State, id: u64) -> u64 {
    state.vms.rows("views").filter(|(_, v)| number(v, "policy_id") == Some(id)).count() as u64
}

/// The policy of buckets that are created over S3.
pub(crate) fn s3_default(state: &State) -> u64 {
    state.vms.rows("viewpolicies").find(|(_, p)| flag(p, "is_s3_default_policy")).map_or(1, |(id, _)| id)
}

impl Resource for ViewPolicies {
    fn kind(&self) -> &'static str {
        "viewpolicies"
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        row.insert("count_views".to_owned(), views_of(state, id).into());
    }
}
