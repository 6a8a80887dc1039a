//! `/quotas/`: limits by path, with usage computed from what is stored.

use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use super::super::fields::{Field, Unset, any, float, int, list, text, yes_no};
use super::tenants;
use crate::core::Core;
use crate::store::registry::{Row, number, text as str_of};
use crate::store::state::State;

pub(crate) struct Quotas;

static FIELDS: &[Field] = &[
    int("id").read_only(),
    text("guid").read_only(),
    text("url").read_only(),
    text("title").read_only(),
    text("name").required(),
    text("path").required(),
    int("tenant_id").create_only().or(Unset::Int(1)),
    text("tenant_name").read_only(),
    text("cluster").read_only(),
    int("cluster_id").read_only(),
    int("system_id").read_only(),
    yes_no("create_dir").create_only(),
    int("create_dir_mode").create_only(),
    text("default_email"),
    any("default_group_quota"),
    any("default_user_quota"),
    yes_no("enable_alarms").create_only(),
    yes_no("enable_email_providers").create_only(),
    text("grace_period"),
    list("group_quotas"),
    int("hard_limit"),
    int("hard_limit_inodes"),
    yes_no("internal").read_only(),
    yes_no("is_user_quota"),
    text("last_user_quotas_update").read_only(),
    int("num_blocked_users").read_only().or(Unset::Int(0)),
    int("num_exceeded_users").read_only().or(Unset::Int(0)),
    int("percent_capacity").read_only(),
    int("percent_inodes").read_only(),
    text("pretty_grace_period").read_only(),
    text("pretty_grace_period_expiration").read_only(),
    text("pretty_state").read_only(),
    int("soft_limit"),
    int("soft_limit_inodes"),
    text("state").read_only(),
    text("sync_state").read_only(),
    text("time_to_block").read_only(),
    int("used_capacity").read_only(),
    float("used_capacity_tb").read_only(),
    int("used_effective_capacity").read_only(),
    float("used_effective_capacity_tb").read_only(),
    int("used_inodes").read_only(),
    int("used_limited_capacity").read_only(),
    list("user_quotas"),
];

fn limit(row: &Row, field: &str) -> Option<u64> {
    number(row, field).filter(|l| *l > 0)
}

fn check(row: &Row) -> Result<(), ApiError> {
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
    Ok(())
}

/// Share of a limit in whole percent.
fn percent(used: u64, limit: Option<u64>) -> Value {
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

impl Resource for Quotas {
    fn kind(&self) -> &'static str {
        "quotas"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        let path = str_of(&row, "path");
        if !path.starts_with('/') {
            return Err(ApiError::field("path", "A path starts with a slash."));
        }
        let path = if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.to_owned() };
        row.insert("path".to_owned(), path.into());
        row.entry("tenant_id").or_insert_with(|| tenants::DEFAULT.into());
        engine::require_row(state, "tenants", "tenant_id", &row)?;
        check(&row)?;
        engine::refuse_duplicate(state, "quotas", "path", &row, None)?;
        let id = engine::insert(core, state, "quotas", row);
        let mut system_id = Row::new();
        system_id.insert("system_id".to_owned(), id.into());
        state.vms.update("quotas", id, system_id);
        Ok(id)
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("quotas", id).cloned().ok_or_else(ApiError::not_found)?;
        changes.remove("path");
        let mut new = old;
        new.extend(changes.clone());
        check(&new)?;
        state.vms.update("quotas", id, changes);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let used =
            state.usage_under(number(row, "tenant_id").unwrap_or(tenants::DEFAULT), str_of(row, "path"));
        let over = |field: &str, used: u64| limit(row, field).is_some_and(|l| used >= l);
        let exceeded = |kind: &str, bytes: bool, inodes: bool| match (bytes, inodes) {
            (true, true) => Some(format!("{kind}_BOTH_EXCEEDED")),
            (true, false) => Some(format!("{kind}_EXCEEDED")),
            (false, true) => Some(format!("INODE_{kind}_EXCEEDED")),
            (false, false) => None,
        };
        let condition =
            exceeded("HARD", over("hard_limit", used.bytes), over("hard_limit_inodes", used.objects))
                .or_else(|| {
                    exceeded("SOFT", over("soft_limit", used.bytes), over("soft_limit_inodes", used.objects))
                })
                .unwrap_or_else(|| "OK".to_owned());
        let fields: [(&str, Value); 10] = [
            ("percent_capacity", percent(used.bytes, limit(row, "hard_limit"))),
            ("percent_inodes", percent(used.objects, limit(row, "hard_limit_inodes"))),
            ("pretty_state", condition.clone().into()),
            ("state", condition.into()),
            ("used_capacity", used.bytes.into()),
            ("used_effective_capacity", used.bytes.into()),
            ("used_limited_capacity", used.bytes.into()),
            ("used_inodes", used.objects.into()),
            ("used_capacity_tb", terabytes(used.bytes).into()),
            ("used_effective_capacity_tb", terabytes(used.bytes).into()),
        ];
        row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
}
