//! `/snapshots/`: a path as it was at one moment, kept until it expires or is deleted.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events;
use super::super::spans;
use super::{globalsnapstreams, indestructibility, tenants, volume_clones};
use crate::background::Job;
use crate::core::Core;
use crate::env;
use crate::store::namespace::normal;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

pub(crate) struct Snapshots;

/// When a snapshot goes, in milliseconds since 1970; absent when it stays.
const EXPIRES: &str = "__expires";
/// Milliseconds since 1970.
const TAKEN: &str = "__taken";
/// Bytes of the volume that a snapshot is one of, as it was then.
const VOLUME_SIZE: &str = "__volume_size";
/// Most snapshots of a cluster.
const MAX_SNAPSHOTS: usize = 10_000;

fn fields(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

/// The moment in `expiration_time`, checked; none when there is none.
fn expiry(core: &Core, row: &Row) -> Result<Option<u64>, ApiError> {
    let wanted = text(row, "expiration_time");
    if wanted.is_empty() {
        return Ok(None);
    }
    let refused = |why: &str| ApiError::field("expiration_time", why);
    let at = spans::moment(wanted)
        .ok_or_else(|| refused("Not a date and time: 2026-01-31T12:00:00Z is needed."))?;
    if at <= core.now_ms() { Err(refused("The expiration time has passed.")) } else { Ok(Some(at)) }
}

/// A snapshot's directory with the trailing slash that VMS shows.
fn with_slash(path: &str) -> String {
    format!("{}/", normal(path))
}

fn refuse_duplicate(state: &State, row: &Row, except: Option<u64>) -> Result<(), ApiError> {
    let same = |(id, other): (u64, &Row)| {
        Some(id) != except
            && text(other, "name") == text(row, "name")
            && normal(text(other, "path")) == normal(text(row, "path"))
            && number(other, "tenant_id") == number(row, "tenant_id")
    };
    if state.vms.rows("snapshots").any(same) {
        return Err(ApiError::field("name", "snapshot with this name already exists."));
    }
    Ok(())
}

/// Takes a snapshot of a directory. `row` has a name, a path, a tenant and whatever else is to be shown.
pub(crate) fn take(core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
    let tenant = number(&row, "tenant_id").unwrap_or(tenants::DEFAULT);
    let name = text(&row, "name").to_owned();
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(ApiError::field("name", "A name without slashes is needed."));
    }
    let path = text(&row, "path").to_owned();
    if !path.starts_with('/') {
        return Err(ApiError::field("path", "A path starts with a slash."));
    }
    if !state.files(tenant).is_directory(&path) {
        return Err(ApiError::field("path", format!("{path}: no such directory.")));
    }
    if state.vms.len("snapshots") >= MAX_SNAPSHOTS {
        return Err(ApiError::bad_request(&format!("The cluster keeps {MAX_SNAPSHOTS} snapshots already.")));
    }
    let expires = expiry(core, &row)?;
    row.extend(fields(json!({
        "tenant_id": tenant, "path": with_slash(&path), EXPIRES: expires, TAKEN: core.now_ms(),
        VOLUME_SIZE: volume_clones::size_at(state, tenant, &path),
    })));
    refuse_duplicate(state, &row, None)?;
    let id = engine::insert(core, state, "snapshots", row);
    state.freeze(id, tenant, &path);
    core.background.wake();
    Ok(id)
}

/// How often each blob is referred to by a snapshot, with the blob's length.
fn references(state: &State, snapshot: u64, into: &mut HashMap<u64, (u64, u64, u64)>) {
    for object in state.frozen(snapshot).into_iter().flat_map(|f| f.objects.values()) {
        for extent in &object.extents {
            let blob = &extent.blob;
            into.entry(blob.id).or_insert((0, blob.references(), blob.len)).0 += 1;
        }
    }
}

/// Bytes that only the given snapshots hold.
fn held_only_by(state: &State, snapshots: impl Iterator<Item = u64>) -> u64 {
    let mut blobs = HashMap::new();
    for snapshot in snapshots {
        references(state, snapshot, &mut blobs);
    }
    blobs.values().filter(|(here, all, _)| here >= all).map(|(_, _, len)| len).sum()
}

/// Bytes that deleting all snapshots of a path up to one would free.
pub(crate) fn aggregate(state: &State, tenant: u64, path: &str, until: u64) -> u64 {
    let older = |(id, row): &(u64, &Row)| {
        *id <= until
            && number(row, "tenant_id").unwrap_or(1) == tenant
            && normal(text(row, "path")) == normal(path)
    };
    held_only_by(state, state.vms.rows("snapshots").filter(older).map(|(id, _)| id))
}

impl Resource for Snapshots {
    fn kind(&self) -> &'static str {
        "snapshots"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        take(core, state, row)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("snapshots", id).cloned().ok_or_else(ApiError::not_found)?;
        let guarded = flag(&old, "indestructible") && !indestructibility::is_unlocked(core, state);
        if guarded && changes.get("indestructible") == Some(&Value::Bool(false)) {
            let message = "Indestructibility can only be taken back while it is unlocked.";
            return Err(ApiError::field("indestructible", message));
        }
        if changes.contains_key("expiration_time") {
            let expires = expiry(core, &changes)?;
            if guarded && expires.is_some() && expires < number(&old, EXPIRES).or(Some(u64::MAX)) {
                let message = "An indestructible snapshot can only be kept longer.";
                return Err(ApiError::field("expiration_time", message));
            }
            changes.insert(EXPIRES.to_owned(), json!(expires));
        }
        let mut new = old;
        new.extend(changes.clone());
        refuse_duplicate(state, &new, Some(id))?;
        state.vms.update("snapshots", id, changes);
        core.background.wake();
        Ok(())
    }

    fn refuse_delete(&self, core: &Arc<Core>, state: &State, id: u64, _: &Call) -> Result<(), ApiError> {
        let row = state.vms.row("snapshots", id).ok_or_else(ApiError::not_found)?;
        if flag(row, "indestructible") && !indestructibility::is_unlocked(core, state) {
            let message = "The snapshot is indestructible; indestructibility must be unlocked first.";
            return Err(ApiError::detail(StatusCode::FORBIDDEN, message));
        }
        match globalsnapstreams::unfinished_of(state, id) {
            Some(name) => {
                Err(ApiError::conflict(&format!("The snapshot is in use by global snapshot clone {name}.")))
            }
            None => Ok(()),
        }
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        state.vms.remove("snapshots", id);
        state.thaw(id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let id = number(row, "id").unwrap_or(0);
        let tenant = number(row, "tenant_id").unwrap_or(tenants::DEFAULT);
        let all = aggregate(state, tenant, text(row, "path"), id);
        row.extend(fields(json!({
            "unique_phys_estimation": held_only_by(state, std::iter::once(id)),
            "aggr_phys_estimation": all,
            "state": "SUCCEED",
        })));
        if text(row, "type").is_empty() {
            row.insert("type".to_owned(), "MANUAL".into());
        }
        if let Some(at) = state.vms.row("snapshots", id).and_then(|stored| number(stored, EXPIRES)) {
            row.insert("expiration_time".to_owned(), env::rfc3339(at).into());
        }
    }

    /// `/snapshots/{id}/clone/` and `/snapshots/{id}/clone_volume/`, which OpenStack's driver calls.
    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if !["clone", "clone_volume"].contains(&name) {
            return None;
        }
        if call.method != Method::POST {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        if name == "clone_volume" {
            let size = state.vms.row("snapshots", id).and_then(|row| number(row, VOLUME_SIZE));
            return Some(volume_clones::clone_volume(core, state, (id, size), call));
        }
        Some(call.object().and_then(|mut body| {
            body.insert("loanee_snapshot_id".to_owned(), id.into());
            let shown = globalsnapstreams::begin(core, state, &body, call)?;
            Ok(Reply::ok(shown))
        }))
    }
}

/// Removes snapshots whose time has come.
pub(crate) struct Expiry;

fn expires(row: &Row) -> Option<u64> {
    number(row, EXPIRES).filter(|_| !flag(row, "locked"))
}

impl Job for Expiry {
    fn name(&self) -> &'static str {
        "snapshot expiry"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        core.store.read(|state| state.vms.rows("snapshots").filter_map(|(_, row)| expires(row)).min())
    }

    fn run(&self, core: &Arc<Core>, at: u64) {
        core.store.write(|state| {
            let due: Vec<(u64, Row)> = state
                .vms
                .rows("snapshots")
                .filter(|(_, row)| expires(row).is_some_and(|e| e <= at))
                .map(|(id, row)| (id, row.clone()))
                .collect();
            for (id, row) in due {
                if globalsnapstreams::unfinished_of(state, id).is_some() {
                    // The clone still reads from it; look again when that may be over.
                    let later = fields(json!({ EXPIRES: at + 1_000 }));
                    state.vms.update("snapshots", id, later);
                    continue;
                }
                state.vms.remove("snapshots", id);
                state.thaw(id);
                events::record_change(core, state, "", "snapshots", id, &row, "OBJECT_DELETED");
            }
        });
    }
}
