//! Volumes made of snapshots of volumes, as OpenStack's driver asks for them at `/snapshots/{id}/clone_volume`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{call, visibility};
use super::blocks::{Volumes, check, path_in, tenant_of_volume};
use super::globalsnapstreams;
use super::view_rules::tenant_of;
use crate::core::Core;
use crate::store::namespace::normal;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

/// The size of the volume at a path; none when none lies there.
pub(crate) fn size_at(state: &State, tenant: u64, path: &str) -> Option<u64> {
    let here =
        |row: &Row| text(row, "full_path") == normal(path) && tenant_of_volume(state, row) == Some(tenant);
    state.vms.rows("volumes").find(|(_, row)| here(row)).and_then(|(_, row)| number(row, "size"))
}

/// Makes a volume of a snapshot of one, with the stream of a clone behind it that carries the volume's name. Answers
/// with the volume.
pub(crate) fn clone_volume(
    core: &Arc<Core>,
    state: &mut State,
    (snapshot, size): (u64, Option<u64>),
    call: &Call,
) -> Result<Reply, ApiError> {
    let size = size.ok_or_else(|| ApiError::bad_request("The snapshot is not one of a volume."))?;
    let name = call.required_text("target_volume_path")?;
    let given = call.body.get("target_subsystem_id").filter(|v| !v.is_null());
    let given = given.ok_or_else(|| ApiError::required("target_subsystem_id"))?;
    let wrong = || ApiError::field("target_subsystem_id", "A valid integer is required.");
    let view_id = call::id_in(given).ok_or_else(wrong)?;
    if !visibility::is_known(state, "views", view_id, &call.caller) {
        return Err(ApiError::lost("target_subsystem_id", view_id));
    }
    let view = call::existing(state, "views", "target_subsystem_id", view_id)?;
    let tenant = tenant_of(view);
    let path = path_in(view, name);
    let row = as_row(json!({ "name": name, "view_id": view_id, "size": size }));
    check(state, &row)?;
    let stream = as_row(json!({
        "name": name, "loanee_snapshot_id": snapshot, "loanee_root_path": path, "loanee_tenant_id": tenant,
    }));
    globalsnapstreams::begin(core, state, &stream, call)?;
    let id = Volumes.create(core, state, row)?;
    let shown = engine::shown(core, state, &Volumes, id, &call.origin)?;
    Ok(Reply::json(StatusCode::CREATED.as_u16(), shown))
}
