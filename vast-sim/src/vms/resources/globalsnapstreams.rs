//! `/globalsnapstreams/`: clones of snapshots. The clone can be read at once, also while its stream is paused; the stream
//! behind it ends a little later.
//!
//! A stream has its state twice, in two vocabularies that clients compare with: `status.state` in capitals, `state` (and
//! `external_state`) in words.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{call, events, fields, tables, tasks};
use super::{folders, tenants};
use crate::core::Core;
use crate::store::capacity::{Delta, Full};
use crate::store::frozen::is_in_snapshot;
use crate::store::namespace::{DirectoryInfo, is_under, normal};
use crate::store::registry::{Row, as_row, flag, number, text};
use crate::store::state::State;

pub(crate) struct GlobalSnapStreams;

const KIND: &str = "globalsnapstreams";
/// What a clone is to put in place of what lies at its path: a restore.
const REPLACES: &str = "__replaces";

/// The name of a stream that still reads from a snapshot.
pub(crate) fn unfinished_of(state: &State, snapshot: u64) -> Option<&str> {
    let reads = |row: &Row| {
        number(row, "loanee_snapshot_id") == Some(snapshot)
            && !["FINISHED", "STOPPED", "FAILED"].contains(&state_of(row))
    };
    state.vms.rows(KIND).find(|(_, row)| reads(row)).map(|(_, row)| text(row, "name"))
}

/// Its state in capitals.
fn state_of(row: &Row) -> &str {
    row.get("status").and_then(|s| s.get("state")).and_then(Value::as_str).unwrap_or_default()
}

fn progress_of(row: &Row) -> u64 {
    number(row, "sync_progress").unwrap_or(0)
}

fn set_state(state: &mut State, id: u64, name: &str, progress: u64) {
    let word = match name {
        "IN_PROGRESS" => "Syncing",
        "FINISHED" => "Completed",
        // What clients that wait take for the end without success.
        _ => "Suspended",
    };
    let changes = as_row(json!({
        "state": word, "external_state": word, "sync_progress": progress,
        "health": if name == "FAILED" { "ERROR" } else { "OK" },
        "status": { "state": name, "progress": progress, "health": if name == "FAILED" { "ERROR" } else { "OK" } },
    }));
    state.vms.update(KIND, id, changes);
}

/// Makes a clone from a request body and starts its stream. Gives the stream with its task, as clients see it.
pub(crate) fn begin(
    core: &Arc<Core>,
    state: &mut State,
    body: &Map<String, Value>,
    call: &Call,
) -> Result<Value, ApiError> {
    let table = tables::of(KIND);
    let row = fields::clean(&table.fields, body, true)?;
    fields::check_references(&table.fields, state, &row, &call.caller)?;
    start(core, state, row, call)
}

/// Puts a snapshot back in place of what lies at its path now.
pub(crate) fn restore(
    core: &Arc<Core>,
    state: &mut State,
    snapshot: u64,
    name: &str,
    call: &Call,
) -> Result<Value, ApiError> {
    let kept = state.vms.row("snapshots", snapshot).cloned().ok_or_else(ApiError::not_found)?;
    let row = json!({
        "name": name, "loanee_snapshot_id": snapshot, "loanee_root_path": normal(text(&kept, "path")),
        "loanee_tenant_id": number(&kept, "tenant_id"), REPLACES: true,
    });
    start(core, state, as_row(row), call)
}

fn start(core: &Arc<Core>, state: &mut State, mut row: Row, call: &Call) -> Result<Value, ApiError> {
    let snapshot =
        number(&row, "loanee_snapshot_id").ok_or_else(|| ApiError::required("loanee_snapshot_id"))?;
    let kept = call::existing(state, "snapshots", "loanee_snapshot_id", snapshot)?.clone();
    let tenant =
        number(&row, "loanee_tenant_id").or_else(|| number(&kept, "tenant_id")).unwrap_or(tenants::DEFAULT);
    let to = normal(text(&row, "loanee_root_path")).to_owned();
    check_target(core, state, snapshot, tenant, &to, flag(&row, REPLACES))?;
    let name =
        if text(&row, "name").is_empty() { text(&kept, "name") } else { text(&row, "name") }.to_owned();
    let enabled = row.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    row.extend(as_row(json!({
        "name": name, "loanee_root_path": to, "loanee_tenant_id": tenant, "enabled": enabled, "direction": "SOURCE",
        "loanee_snapshot": text(&kept, "name"), "source_snapshot": text(&kept, "name"),
        "source_path": text(&kept, "path"), "source_cluster": engine::CLUSTER_NAME,
        "target_cluster": engine::CLUSTER_NAME, "health": "OK",
    })));
    engine::refuse_duplicate(state, KIND, "name", &row, None)?;
    let id = engine::insert(core, state, KIND, row);
    copy(core, state, id);
    let created = state.vms.row(KIND, id).cloned().unwrap_or_default();
    events::record_change(core, state, &call.caller.name, KIND, id, &created, "OBJECT_CREATED");
    let task = if enabled {
        Some(stream(core, state, id))
    } else {
        set_state(state, id, "PAUSED", 0);
        None
    };
    let mut shown = engine::shown(core, state, &GlobalSnapStreams, id, &call.origin)?;
    shown["async_task"] = task.unwrap_or_default();
    Ok(shown)
}

fn check_target(
    core: &Core,
    state: &State,
    snapshot: u64,
    tenant: u64,
    to: &str,
    replaces: bool,
) -> Result<(), ApiError> {
    if !to.starts_with('/') || is_in_snapshot(to) {
        return Err(ApiError::field("loanee_root_path", "A path that starts with a slash is needed."));
    }
    if replaces {
        folders::refuse_locked(core, state, tenant, to)?;
    }
    let usage = state.usage(tenant, to);
    if !replaces && !usage.has_no_data() {
        return Err(ApiError::field("loanee_root_path", format!("{to} exists already.")));
    }
    let Some(frozen) = state.frozen(snapshot) else { return Ok(()) };
    if replaces && frozen.tenant_id == tenant && !is_under(to, &frozen.path) && !is_under(&frozen.path, to) {
        return Err(ApiError::field("loanee_root_path", "Not the path of the snapshot."));
    }
    let replaced = if replaces { usage.bytes } else { 0 };
    let delta = Delta {
        added: frozen.bytes,
        replaced,
        new_objects: (frozen.objects.len() as u64).saturating_sub(if replaces { usage.objects } else { 0 }),
        ..Delta::default()
    };
    // A file right below the target stands for all of them.
    state.check_fit(tenant, &format!("{to}/x"), delta, core.config.capacity).map_err(|full| {
        let what = match full {
            Full::Quota(path) => format!("The quota on {path} does not leave room for the clone."),
            Full::Cluster => "The cluster does not have room for the clone.".to_owned(),
        };
        ApiError::detail(StatusCode::BAD_REQUEST, &what)
    })
}

/// Puts the snapshot's objects in place; no bytes move.
fn copy(core: &Core, state: &mut State, id: u64) {
    let Some(row) = state.vms.row(KIND, id).cloned() else { return };
    let (to, tenant) = (text(&row, "loanee_root_path"), number(&row, "loanee_tenant_id").unwrap_or(1));
    let snapshot = number(&row, "loanee_snapshot_id").unwrap_or(0);
    let from = state.frozen(snapshot).map(|f| f.path.clone()).unwrap_or_default();
    if flag(&row, REPLACES) {
        state.remove_tree(tenant, to);
    }
    let info = DirectoryInfo { created: core.now_ms(), ..DirectoryInfo::default() };
    state.make_directory(tenant, to, info);
    state.copy_frozen(snapshot, &from, tenant, to);
}

/// Starts the task that ends the stream.
fn stream(core: &Arc<Core>, state: &mut State, id: u64) -> Value {
    set_state(state, id, "IN_PROGRESS", 0);
    tasks::start(core, state, "globalsnapstream_create", "end_stream", as_row(json!({ "stream": id })))
}

/// What the task of [`stream`] does.
pub(crate) fn end_stream(_: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let id = number(arguments, "stream").unwrap_or(0);
    match state.vms.row(KIND, id) {
        None => Err("The global snapshot clone is gone.".to_owned()),
        Some(row) if state_of(row) == "IN_PROGRESS" => {
            set_state(state, id, "FINISHED", 100);
            Ok("The clone is complete.".to_owned())
        }
        Some(row) => Ok(format!("The clone is {}.", state_of(row).to_lowercase())),
    }
}

/// Follows the task of [`stream`]: when it has failed or was given up, and when it is tried again.
pub(crate) fn follow_task(state: &mut State, arguments: &Row, task_runs: bool) {
    let id = number(arguments, "stream").unwrap_or(0);
    let Some(row) = state.vms.row(KIND, id) else { return };
    let progress = progress_of(row);
    match (state_of(row), task_runs) {
        ("IN_PROGRESS", false) => set_state(state, id, "FAILED", progress),
        ("FAILED", true) => set_state(state, id, "IN_PROGRESS", progress),
        _ => {}
    }
}

/// What the task behind `/stop` does.
pub(crate) fn stop_stream(_: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let id = number(arguments, "stream").unwrap_or(0);
    let row = state.vms.row(KIND, id).ok_or("The global snapshot clone is gone.")?;
    if state_of(row) != "FINISHED" {
        let progress = progress_of(row);
        set_state(state, id, "STOPPED", progress);
    }
    Ok("The clone is stopped.".to_owned())
}

impl Resource for GlobalSnapStreams {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn tenant(&self, _: &State, row: &Row) -> Option<u64> {
        number(row, "loanee_tenant_id")
    }

    /// POST answers with the object and its task.
    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if !name.is_empty() || call.method != Method::POST {
            return None;
        }
        Some(call.object().and_then(|body| {
            let shown = core.store.write(|state| begin(core, state, &body, call))?;
            Ok(Reply::json(StatusCode::CREATED.as_u16(), shown))
        }))
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        engine::refuse_duplicate(state, KIND, "name", &changes, Some(id))?;
        if let Some(enabled) = changes.get("enabled").and_then(Value::as_bool) {
            switch(core, state, id, enabled);
        }
        state.vms.update(KIND, id, changes);
        Ok(())
    }

    fn refuse_delete(&self, core: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        let row = state.vms.row(KIND, id).ok_or_else(ApiError::not_found)?;
        if !call.asks("remove_dir") {
            return Ok(());
        }
        let tenant = number(row, "loanee_tenant_id").unwrap_or(tenants::DEFAULT);
        folders::refuse_locked(core, state, tenant, text(row, "loanee_root_path"))
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<(), ApiError> {
        let row = state.vms.row(KIND, id).cloned().ok_or_else(ApiError::not_found)?;
        if call.asks("remove_dir") {
            let tenant = number(&row, "loanee_tenant_id").unwrap_or(tenants::DEFAULT);
            state.remove_tree(tenant, text(&row, "loanee_root_path"));
        }
        state.vms.remove(KIND, id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let of = |id: Option<u64>| {
            let tenant = id.and_then(|id| state.vms.row("tenants", id));
            tenant.map_or(Value::Null, |t| json!({ "guid": t.get("guid"), "name": t.get("name") }))
        };
        let loanee = number(row, "loanee_tenant_id");
        let owner = number(row, "loanee_snapshot_id")
            .and_then(|id| state.vms.row("snapshots", id))
            .and_then(|s| number(s, "tenant_id"));
        let (loanee_tenant, owner_tenant) = (of(loanee), of(owner.or(loanee)));
        row.insert("loanee_tenant".to_owned(), loanee_tenant);
        row.insert("owner_tenant".to_owned(), owner_tenant);
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if !["stop", "pause", "resume"].contains(&name) || call.method != Method::PATCH {
            return None;
        }
        if name == "stop" {
            let arguments = as_row(json!({ "stream": id }));
            let task = tasks::start(core, state, "globalsnapstream_stop", "stop_stream", arguments);
            return Some(Ok(Reply::task(&task)));
        }
        switch(core, state, id, name == "resume");
        let enabled = as_row(json!({ "enabled": name == "resume" }));
        state.vms.update(KIND, id, enabled);
        Some(engine::shown(core, state, self, id, &call.origin).map(Reply::ok))
    }
}

/// Pauses a stream or lets it go on.
fn switch(core: &Arc<Core>, state: &mut State, id: u64, on: bool) {
    let Some(row) = state.vms.row(KIND, id).cloned() else { return };
    match (state_of(&row), on) {
        ("PAUSED" | "FAILED", true) => {
            stream(core, state, id);
        }
        ("IN_PROGRESS", false) => set_state(state, id, "PAUSED", progress_of(&row)),
        _ => {}
    }
}
