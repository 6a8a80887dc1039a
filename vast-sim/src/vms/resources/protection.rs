//! `/protectionpolicies/` and `/protectedpaths/`: snapshots that are taken by a schedule and go when their time is over.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events::{self, Happening, Severity};
use super::super::spans;
use super::schedule::{Frame, worth_taking};
use super::{globalsnapstreams, indestructibility, replication, snapshots, tenants};
use crate::background::Job;
use crate::core::Core;
use crate::env;
use crate::store::namespace::normal;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

pub(crate) struct ProtectionPolicies;
pub(crate) struct ProtectedPaths;

const POLICIES: &str = "protectionpolicies";
const PATHS: &str = "protectedpaths";
/// Until when a path's schedule has been carried out, in milliseconds since 1970.
const SEEN: &str = "__seen";

fn object(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

fn frames(policy: &Row) -> Vec<Frame> {
    let list = policy.get("frames").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|f| Frame::parse(f).ok()).collect()
}

fn check_policy(row: &Row) -> Result<(), ApiError> {
    if let Some(frames) = row.get("frames").and_then(Value::as_array) {
        for frame in frames {
            Frame::parse(frame)?;
        }
    }
    match row.get("prefix").and_then(Value::as_str) {
        Some(prefix) if prefix.contains('/') => Err(ApiError::field("prefix", "A prefix has no slashes.")),
        _ => Ok(()),
    }
}

/// Refuses to touch an indestructible policy while indestructibility is locked.
fn refuse_guarded(core: &Core, state: &State, id: u64) -> Result<(), ApiError> {
    let policy = state.vms.row(POLICIES, id).ok_or_else(ApiError::not_found)?;
    if flag(policy, "indestructible") && !indestructibility::is_unlocked(core, state) {
        let message = "The policy is indestructible; indestructibility must be unlocked first.";
        return Err(ApiError::detail(StatusCode::FORBIDDEN, message));
    }
    Ok(())
}

impl Resource for ProtectionPolicies {
    fn kind(&self) -> &'static str {
        POLICIES
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        check_policy(&row)?;
        replication::check_policy(state, &row)?;
        engine::refuse_duplicate(state, POLICIES, "name", &row, None)?;
        row.remove("id");
        Ok(engine::insert(core, state, POLICIES, row))
    }

    fn refuse_delete(&self, core: &Arc<Core>, state: &State, id: u64, _: &Call) -> Result<(), ApiError> {
        refuse_guarded(core, state, id)?;
        engine::refuse_in_use(state, POLICIES, id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        refuse_guarded(core, state, id)?;
        check_policy(&changes)?;
        let mut new = state.vms.row(POLICIES, id).cloned().unwrap_or_default();
        new.extend(changes.clone());
        replication::check_policy(state, &new)?;
        engine::refuse_duplicate(state, POLICIES, "name", &changes, Some(id))?;
        changes.remove("id");
        changes.remove("guid");
        state.vms.update(POLICIES, id, changes);
        core.background.wake();
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, _: &State, row: &mut Row) {
        let is_local = text(row, "clone_type") == "LOCAL";
        let pretty: Vec<String> = frames(row)
            .iter()
            .map(|f| {
                let keep = f.keep_local.map_or_else(|| "for ever".to_owned(), spans::pretty);
                format!("every {}, kept {keep}", spans::pretty(f.every))
            })
            .collect();
        let on_schedule = !pretty.is_empty();
        row.extend(object(json!({
            "is_local": is_local, "pretty_schedules": pretty, "is_on_schedule": on_schedule, "schedule_miss": 0,
            "state": "working",
        })));
    }
}

/// The policy of a protected path, whose id clients send as a number or as text.
fn policy_of<'s>(state: &'s State, path: &Row) -> Option<(u64, &'s Row)> {
    let id = match path.get("protection_policy_id")? {
        Value::String(text) => text.parse().ok()?,
        other => other.as_u64()?,
    };
    state.vms.row(POLICIES, id).map(|row| (id, row))
}

/// When the next snapshot of a protected path is due.
fn next_snapshot(state: &State, path: &Row) -> Option<u64> {
    if path.get("enabled") == Some(&Value::Bool(false)) {
        return None;
    }
    let (_, policy) = policy_of(state, path)?;
    let anchor = spans::moment(text(path, "created")).unwrap_or(0);
    let seen = number(path, SEEN).unwrap_or(anchor);
    frames(policy).iter().map(|f| f.next(anchor, seen)).min()
}

/// Takes a snapshot of a protected path that stays for `keep` milliseconds.
fn protect(
    core: &Arc<Core>,
    state: &mut State,
    path: &Row,
    at: u64,
    keep: Option<u64>,
) -> Result<u64, ApiError> {
    let (policy_id, policy) = policy_of(state, path).ok_or_else(ApiError::not_found)?;
    let stamp = env::rfc3339(at / 1_000 * 1_000).replace(".000Z", "Z");
    let row = json!({
        "name": format!("{}_{stamp}", text(policy, "prefix")), "path": text(path, "source_dir"),
        "tenant_id": number(path, "tenant_id").unwrap_or(tenants::DEFAULT), "type": "SCHEDULED",
        "protection_policy": text(policy, "name"), "protection_policy_id": policy_id, "policy": text(policy, "name"),
        "policy_id": policy_id, "indestructible": flag(policy, "indestructible"),
        "expiration_time": keep.map(|k| env::rfc3339(at.saturating_add(k))),
    });
    snapshots::take(core, state, object(row))
}

/// Carries out what of a path's schedule was due at a time.
fn carry_out(core: &Arc<Core>, state: &mut State, id: u64, at: u64) {
    let Some(path) = state.vms.row(PATHS, id).cloned() else { return };
    let Some((_, policy)) = policy_of(state, &path) else { return };
    let anchor = spans::moment(text(&path, "created")).unwrap_or(0);
    let seen = number(&path, SEEN).unwrap_or(anchor);
    let due: Vec<Frame> = frames(policy).into_iter().filter(|f| f.next(anchor, seen) <= at).collect();
    // Frames that fall together share one snapshot, kept as long as the longest of them says.
    let keep = if due.iter().any(|f| f.keep_local.is_none()) {
        None
    } else {
        due.iter().filter_map(|f| f.keep_local).max()
    };
    let now = core.now_ms();
    // What was missed while the cluster was down is made up for by one snapshot, now.
    let changes = object(json!({ SEEN: at.max(now) }));
    state.vms.update(PATHS, id, changes);
    if due.is_empty() {
        return;
    }
    let outcome = protect(core, state, &path, at.max(now), keep);
    let what = match outcome {
        Ok(_) => {
            let taken = object(json!({ "last_snapshot_creation_time": env::rfc3339(at.max(now)) }));
            state.vms.update(PATHS, id, taken);
            let message = format!("A snapshot of {} was taken by its schedule.", text(&path, "source_dir"));
            Happening::to(PATHS, id, &path, "SNAPSHOT_CREATED", "TASK", message)
        }
        Err(error) => {
            let message =
                format!("No snapshot of {} could be taken: {}", text(&path, "source_dir"), error.body);
            Happening::to(PATHS, id, &path, "SNAPSHOT_FAILED", "TASK", message).severity(Severity::Major)
        }
    };
    events::record(core, state, &what);
}

/// Takes the snapshots that are due.
pub(crate) struct Schedules;

impl Job for Schedules {
    fn name(&self) -> &'static str {
        "snapshot schedules"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        core.store.read(|state| state.vms.rows(PATHS).filter_map(|(_, p)| next_snapshot(state, p)).min())
    }

    fn run(&self, core: &Arc<Core>, at: u64) {
        core.store.write(|state| {
            let due = |(_, path): &(u64, &Row)| next_snapshot(state, path).is_some_and(|next| next <= at);
            let ids: Vec<u64> = state.vms.rows(PATHS).filter(due).map(|(id, _)| id).collect();
            for id in ids {
                carry_out(core, state, id, at);
            }
        });
    }

    fn before_jump(&self, core: &Core, end: u64) {
        let from = |state: &State, path: &Row| {
            next_snapshot(state, path)?;
            let (_, policy) = policy_of(state, path)?;
            worth_taking(&frames(policy), number(path, SEEN)?, end)
        };
        let skips: Vec<(u64, u64)> = core.store.read(|state| {
            state.vms.rows(PATHS).filter_map(|(id, path)| Some((id, from(state, path)?))).collect()
        });
        if !skips.is_empty() {
            core.store.write(|state| {
                for (id, from) in skips {
                    state.vms.update(PATHS, id, object(json!({ SEEN: from })));
                }
            });
        }
    }
}

fn check_path(state: &State, row: &Row) -> Result<(), ApiError> {
    let dir = text(row, "source_dir");
    if !dir.starts_with('/') {
        return Err(ApiError::field("source_dir", "A path starts with a slash."));
    }
    let tenant = number(row, "tenant_id").unwrap_or(tenants::DEFAULT);
    if !state.files(tenant).is_directory(dir) {
        return Err(ApiError::field("source_dir", format!("{dir}: no such directory.")));
    }
    if row.get("protection_policy_id").is_some_and(|id| !id.is_null()) && policy_of(state, row).is_none() {
        let id = &row["protection_policy_id"];
        return Err(ApiError::field(
            "protection_policy_id",
            format!("Invalid pk {id} - object does not exist."),
        ));
    }
    Ok(())
}

impl Resource for ProtectedPaths {
    fn kind(&self) -> &'static str {
        PATHS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        if !row.contains_key("protection_policy_id")
            && let Some(policy) = row.get("policy_id").cloned()
        {
            row.insert("protection_policy_id".to_owned(), policy);
        }
        check_path(state, &row)?;
        engine::refuse_duplicate(state, PATHS, "name", &row, None)?;
        row.entry("enabled").or_insert_with(|| true.into());
        row.insert(SEEN.to_owned(), core.now_ms().into());
        let id = engine::insert(core, state, PATHS, row);
        core.background.wake();
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let mut new = state.vms.row(PATHS, id).cloned().ok_or_else(ApiError::not_found)?;
        changes.remove("state");
        new.extend(changes.clone());
        check_path(state, &new)?;
        engine::refuse_duplicate(state, PATHS, "name", &changes, Some(id))?;
        if changes.contains_key("enabled") {
            // A schedule goes on from here; it does not make up for a pause.
            changes.insert(SEEN.to_owned(), core.now_ms().into());
        }
        state.vms.update(PATHS, id, changes);
        core.background.wake();
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let tenant = number(row, "tenant_id").unwrap_or(tenants::DEFAULT);
        let dir = text(row, "source_dir").to_owned();
        let enabled = row.get("enabled") != Some(&Value::Bool(false));
        let policy = policy_of(state, row).map(|(id, p)| (id, text(p, "name").to_owned()));
        let usage = state.usage(tenant, &dir);
        row.extend(replication::outlook(policy_of(state, row).map(|(_, p)| p), enabled));
        row.extend(object(json!({
            "protection_policy_name": policy.as_ref().map(|(_, name)| name), "logical_size": usage.bytes,
            "physical_size": usage.bytes, "inode_count": usage.objects.to_string(),
            "aggr_phys_estimation": snapshots::aggregate(state, tenant, &dir, u64::MAX),
        })));
        if let Some((id, _)) = policy {
            row.insert("protection_policy_id".to_owned(), id.to_string().into());
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
        let wanted = match name {
            "pause" | "resume" | "replicate_now" => Method::PATCH,
            "restore" => Method::POST,
            _ => {
                return state
                    .vms
                    .row(PATHS, id)
                    .and_then(|path| replication::action(state, path, name, call));
            }
        };
        if call.method != wanted {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        Some(match name {
            "replicate_now" => now(core, state, id, call),
            "restore" => restore(core, state, id, call),
            _ => {
                let changes = object(json!({ "enabled": name == "resume" }));
                self.update(core, state, id, changes)
                    .and_then(|()| engine::shown(core, state, self, id, &call.origin))
                    .map(Reply::ok)
            }
        })
    }
}

/// A snapshot out of turn.
fn now(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let path = state.vms.row(PATHS, id).cloned().ok_or_else(ApiError::not_found)?;
    if let Some(refusal) = replication::refusal(policy_of(state, &path).map(|(_, policy)| policy)) {
        return Err(refusal);
    }
    let at = core.now_ms();
    let keep = match call.body.get("time_expires_local").and_then(Value::as_str).filter(|t| !t.is_empty()) {
        None => None,
        Some(given) => {
            let span =
                spans::parse(given).or_else(|| spans::moment(given)?.checked_sub(at)).filter(|s| *s > 0);
            Some(span.ok_or_else(|| ApiError::field("time_expires_local", "Not a time."))?)
        }
    };
    let snapshot = protect(core, state, &path, at, keep)?;
    let taken = object(json!({ "last_snapshot_creation_time": env::rfc3339(at) }));
    state.vms.update(PATHS, id, taken);
    Ok(Reply::ok(json!({ "snapshot_id": snapshot })))
}

/// Puts the path back as a snapshot of it was.
fn restore(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let path = state.vms.row(PATHS, id).cloned().ok_or_else(ApiError::not_found)?;
    let snapshot = call.body.get("loanee_snapshot_id").and_then(Value::as_u64);
    let snapshot = snapshot.ok_or_else(|| ApiError::required("loanee_snapshot_id"))?;
    let kept = state.vms.row("snapshots", snapshot).ok_or_else(ApiError::not_found)?;
    if normal(text(kept, "path")) != normal(text(&path, "source_dir"))
        || number(kept, "tenant_id") != number(&path, "tenant_id").or(Some(tenants::DEFAULT))
    {
        return Err(ApiError::field("loanee_snapshot_id", "Not a snapshot of this path."));
    }
    let given = call.body.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
    let name = given.map_or_else(|| format!("restore-{id}-{}", core.now_ms()), str::to_owned);
    let shown = globalsnapstreams::restore(core, state, snapshot, &name, call)?;
    Ok(Reply::json(StatusCode::OK.as_u16(), shown))
}
