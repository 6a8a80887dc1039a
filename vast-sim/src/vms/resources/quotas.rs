//! `/quotas/`: limits by path, with usage computed from what is stored.
//!
//! Limits are enforced where writes are checked, exactly and at once. What is here is how a quota looks: its figures,
//! which may lag, and its state, whose changes become events, alarms and, when a grace period runs out, a hard limit.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::events::{self, Happening, Severity};
use super::super::spans;
use super::{tenants, userquotas};
use crate::background::Job;
use crate::core::Core;
use crate::store::capacity::GRACE_EXPIRED;
use crate::store::namespace::Usage;
use crate::store::registry::{Row, flag, number, text as str_of};
use crate::store::state::State;

pub(crate) struct Quotas;

/// Since when a soft limit is exceeded, in milliseconds since 1970.
const SOFT_SINCE: &str = "__soft_since";
/// The state that was last made known.
const KNOWN_STATE: &str = "__state";
/// Bytes and objects as last counted, where figures lag.
const COUNTED: &str = "__counted";

fn fields(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

fn limit(row: &Row, field: &str) -> Option<u64> {
    number(row, field).filter(|l| *l > 0)
}

fn tenant_of(row: &Row) -> u64 {
    number(row, "tenant_id").unwrap_or(tenants::DEFAULT)
}

/// Milliseconds of grace; none when a soft limit never becomes a hard one.
fn grace(row: &Row) -> Option<u64> {
    spans::parse(str_of(row, "grace_period")).filter(|_| !str_of(row, "grace_period").is_empty())
}

pub(super) fn check(row: &Row) -> Result<(), ApiError> {
    for (soft, hard) in [("soft_limit", "hard_limit"), ("soft_limit_inodes", "hard_limit_inodes")] {
        for field in [soft, hard] {
            if row.get(field).and_then(Value::as_i64).is_some_and(|l| l < 0) {
                return Err(ApiError::field(field, "Ensure this value is greater than or equal to 0."));
            }
        }
        if let (Some(s), Some(h)) = (limit(row, soft), limit(row, hard))
            && s > h
        {
            return Err(ApiError::field(soft, "The soft limit must not be above the hard limit."));
        }
    }
    if !str_of(row, "grace_period").is_empty() && grace(row).is_none() {
        let message = "A number with a unit is needed: 90m, 12h, 30d; or [DD [HH:[MM:]]]ss.";
        return Err(ApiError::field("grace_period", message));
    }
    Ok(())
}

/// Share of a limit in whole percent.
pub(super) fn percent(used: u64, limit: Option<u64>) -> Value {
    limit.map_or(Value::Null, |l| {
        (u128::from(used) * 100 / u128::from(l)).to_string().parse::<u64>().unwrap_or(100).into()
    })
}

/// Bytes as terabytes, for the `_tb` fields.
pub(crate) fn terabytes(bytes: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a display figure")]
    let bytes = bytes as f64;
    bytes / 1e12
}

/// What a quota shows as used: what is stored, or what was when it was last counted.
fn shown_usage(core: &Core, state: &State, row: &Row) -> (u64, u64) {
    if core.config.monitoring.quota_lag.is_zero() {
        let Usage { bytes, objects, .. } = state.usage(tenant_of(row), str_of(row, "path"));
        return (bytes, objects);
    }
    let counted = |n: usize| row.get(COUNTED).and_then(|c| c.get(n)).and_then(Value::as_u64).unwrap_or(0);
    (counted(0), counted(1))
}

/// The state of a quota under some usage.
pub(super) fn state_of(row: &Row, (bytes, objects): (u64, u64), now: u64) -> &'static str {
    let over = |field: &str, used: u64| limit(row, field).is_some_and(|l| used >= l);
    match (over("hard_limit", bytes), over("hard_limit_inodes", objects)) {
        (true, true) => return "HARD_BOTH_EXCEEDED",
        (true, false) => return "HARD_EXCEEDED",
        (false, true) => return "INODE_HARD_EXCEEDED",
        (false, false) => {}
    }
    let soft = match (over("soft_limit", bytes), over("soft_limit_inodes", objects)) {
        (true, true) => "SOFT_BOTH_EXCEEDED",
        (true, false) => "SOFT_EXCEEDED",
        (false, true) => "INODE_SOFT_EXCEEDED",
        (false, false) => return "OK",
    };
    if grace_ends(row).is_some_and(|end| end <= now) { "GRACE_EXPIRED" } else { soft }
}

/// When the grace of an exceeded soft limit runs out.
fn grace_ends(row: &Row) -> Option<u64> {
    number(row, SOFT_SINCE)?.checked_add(grace(row)?)
}

/// How long until an exceeded soft limit becomes a hard one.
pub(super) fn time_to_block(row: &Row, condition: &str, now: u64) -> Option<String> {
    let left = grace_left(row, condition, now)?;
    Some(spans::clock_text(std::time::Duration::from_millis(left)))
}

fn grace_left(row: &Row, condition: &str, now: u64) -> Option<u64> {
    grace_ends(row).filter(|_| condition != "OK").map(|end| end.saturating_sub(now))
}

/// What changes in the row of a quota of a path or user because a soft limit is exceeded, or no longer.
pub(super) fn soft_changes(row: &Row, (bytes, objects): (u64, u64), now: u64) -> Row {
    let over = |field: &str, used: u64| limit(row, field).is_some_and(|l| used >= l);
    let soft = over("soft_limit", bytes) || over("soft_limit_inodes", objects);
    let mut changes = Row::new();
    match (soft, number(row, SOFT_SINCE)) {
        (true, None) => {
            changes.insert(SOFT_SINCE.to_owned(), now.into());
        }
        (false, Some(_)) => {
            changes.insert(SOFT_SINCE.to_owned(), Value::Null);
        }
        _ => {}
    }
    let mut new = row.clone();
    new.extend(changes.clone());
    let expired = soft && grace_ends(&new).is_some_and(|end| end <= now);
    if flag(row, GRACE_EXPIRED) != expired {
        changes.insert(GRACE_EXPIRED.to_owned(), expired.into());
    }
    changes
}

/// Counts what lies under a quota and makes known what has changed.
fn review(core: &Core, state: &mut State, id: u64) {
    let Some(row) = state.vms.row("quotas", id).cloned() else { return };
    let now = core.now_ms();
    userquotas::review(state, id, now);
    let Usage { bytes, objects, .. } = state.usage(tenant_of(&row), str_of(&row, "path"));
    let mut changes = Row::new();
    if !core.config.monitoring.quota_lag.is_zero() && row.get(COUNTED) != Some(&json!([bytes, objects])) {
        changes.insert(COUNTED.to_owned(), json!([bytes, objects]));
    }
    changes.extend(soft_changes(&row, (bytes, objects), now));
    let mut new = row.clone();
    new.extend(changes.clone());
    let before = row.get(KNOWN_STATE).and_then(Value::as_str).unwrap_or("OK").to_owned();
    let after = state_of(&new, (bytes, objects), now);
    if before != after {
        changes.insert(KNOWN_STATE.to_owned(), after.into());
    }
    if !changes.is_empty() {
        state.vms.update("quotas", id, changes);
    }
    if before != after {
        announce(core, state, id, &row, after);
    }
}

/// The event of a quota that is in a state.
fn event_of(state: &str) -> (&'static str, Severity) {
    match state {
        "OK" => ("QUOTA_OK", Severity::Info),
        "GRACE_EXPIRED" => ("QUOTA_GRACE_EXPIRED", Severity::Critical),
        hard if hard.contains("HARD") => ("QUOTA_HARD_EXCEEDED", Severity::Major),
        _ => ("QUOTA_SOFT_EXCEEDED", Severity::Minor),
    }
}

fn announce(core: &Core, state: &mut State, id: u64, row: &Row, after: &str) {
    let (name, severity) = event_of(after);
    for other in ["QUOTA_SOFT_EXCEEDED", "QUOTA_HARD_EXCEEDED", "QUOTA_GRACE_EXPIRED"] {
        if other != name {
            events::resolve(state, other, "quotas", id);
        }
    }
    // A quota that was told not to raise alarms still has events.
    let silent = row.get("enable_alarms") == Some(&Value::Bool(false));
    let message = format!("Quota {} on {} is now {after}", str_of(row, "name"), str_of(row, "path"));
    let what = Happening::to("quotas", id, row, name, "THRESHOLD", message)
        .metadata(json!({ "property": "state", "value": after }))
        .severity(if silent { Severity::Info } else { severity });
    events::record(core, state, &what);
}

/// Reviews quotas after writes, when figures are to be counted again, and when grace runs out.
pub(crate) struct Reviews;

impl Job for Reviews {
    fn name(&self) -> &'static str {
        "quotas"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        let ends = |(_, row): (u64, &Row)| grace_ends(row).filter(|_| !flag(row, GRACE_EXPIRED));
        let grace = core.store.read(|state| {
            let of_users = state.vms.rows("userquotas").filter(|(_, row)| number(row, "quota_id").is_some());
            state.vms.rows("quotas").chain(of_users).filter_map(ends).min()
        });
        core.metrics.review_due().into_iter().chain(grace).min()
    }

    fn run(&self, core: &Arc<Core>, _: u64) {
        core.metrics.reviewed();
        core.store.write(|state| {
            let ids: Vec<u64> = state.vms.rows("quotas").map(|(id, _)| id).collect();
            for id in ids {
                review(core, state, id);
            }
        });
    }
}

/// Takes in what was given for users.
fn set_users(core: &Arc<Core>, state: &mut State, id: u64, users: Option<Vec<Row>>) {
    let has_default = state
        .vms
        .row("quotas", id)
        .is_some_and(|q| q.get("default_user_quota").is_some_and(Value::is_object));
    if has_default || users.as_ref().is_some_and(|users| !users.is_empty()) {
        userquotas::turn_on(state, id);
    }
    if let Some(users) = users {
        userquotas::replace(core, state, id, users);
    }
}

impl Resource for Quotas {
    fn kind(&self) -> &'static str {
        "quotas"
    }

    /// Grace begins again for whoever is beyond the soft limit.
    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        (name == "reset_grace_period" && call.method == http::Method::PATCH).then(|| {
            state.vms.update("quotas", id, Row::from_iter([(SOFT_SINCE.to_owned(), Value::Null)]));
            review(core, state, id);
            core.background.wake();
            Ok(Reply::no_content())
        })
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        let path = str_of(&row, "path");
        if !path.starts_with('/') {
            return Err(ApiError::field("path", "A path starts with a slash."));
        }
        let path = if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.to_owned() };
        super::view_rules::check_path(&path)?;
        row.insert("path".to_owned(), path.into());
        row.entry("tenant_id").or_insert_with(|| tenants::DEFAULT.into());
        check(&row)?;
        let users = userquotas::take_given(&mut row)?;
        engine::refuse_duplicate(state, "quotas", "path", &row, None)?;
        if flag(&row, "create_dir") && !state.files(tenant_of(&row)).is_directory(str_of(&row, "path")) {
            let info =
                crate::store::namespace::DirectoryInfo { created: core.now_ms(), ..Default::default() };
            state.make_directory(tenant_of(&row), str_of(&row, "path"), info);
        }
        let id = engine::insert(core, state, "quotas", row);
        state.vms.update("quotas", id, fields(json!({ "system_id": id })));
        set_users(core, state, id, users);
        review(core, state, id);
        core.background.wake();
        Ok(id)
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("quotas", id).cloned().ok_or_else(ApiError::not_found)?;
        changes.remove("path");
        let users = userquotas::take_given(&mut changes)?;
        let mut new = old;
        new.extend(changes.clone());
        check(&new)?;
        state.vms.update("quotas", id, changes);
        set_users(core, state, id, users);
        review(core, state, id);
        core.background.wake();
        Ok(())
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        if let Some(row) = state.vms.row("quotas", id).cloned() {
            state.forget_owners(tenant_of(&row), str_of(&row, "path"));
        }
        state.vms.remove("quotas", id);
        userquotas::remove_of(state, id);
        for alarm in ["QUOTA_SOFT_EXCEEDED", "QUOTA_HARD_EXCEEDED", "QUOTA_GRACE_EXPIRED"] {
            events::resolve(state, alarm, "quotas", id);
        }
        Ok(())
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let now = core.now_ms();
        // What is shown has no hidden fields.
        let stored = number(row, "id").and_then(|id| state.vms.row("quotas", id)).unwrap_or(row);
        let (bytes, objects) = shown_usage(core, state, stored);
        let condition = state_of(stored, (bytes, objects), now);
        let left = grace_left(stored, condition, now);
        let users = number(row, "id").map(|id| userquotas::of_quota(core, state, id, stored));
        let block = time_to_block(stored, condition, now);
        let pretty = grace(row).map(spans::pretty);
        row.extend(users.unwrap_or_default());
        row.extend(fields(json!({
            "percent_capacity": percent(bytes, limit(row, "hard_limit")),
            "percent_inodes": percent(objects, limit(row, "hard_limit_inodes")),
            "pretty_state": condition, "state": condition,
            "used_capacity": bytes, "used_effective_capacity": bytes, "used_limited_capacity": bytes,
            "used_inodes": objects,
            "used_capacity_tb": terabytes(bytes), "used_effective_capacity_tb": terabytes(bytes),
            "pretty_grace_period": pretty, "pretty_grace_period_expiration": left.map(spans::pretty),
            "time_to_block": block,
        })));
    }
}
