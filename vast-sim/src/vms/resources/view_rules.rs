//! What holds for a view, whether it is being made or changed.

use serde_json::Value;

use super::super::error::ApiError;
use super::tenants;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

/// The tenant of a view.
pub(crate) fn tenant_of(row: &Row) -> u64 {
    number(row, "tenant_id").unwrap_or(tenants::DEFAULT)
}

fn speaks(row: &Row, protocol: &str) -> bool {
    let protocols = row.get("protocols").and_then(Value::as_array);
    protocols.is_some_and(|p| p.iter().any(|v| v.as_str() == Some(protocol)))
}

/// Whether a view's row makes a bucket.
pub(crate) fn is_bucket(row: &Row) -> bool {
    speaks(row, "S3")
}

/// Whether buckets made over S3 take after the view.
pub(crate) fn is_template(row: &Row) -> bool {
    speaks(row, "ENDPOINT")
}

/// An absolute path without a slash at the end and without empty, `.` or `..` steps.
pub(crate) fn check_path(path: &str) -> Result<(), ApiError> {
    let bad = |step: &str| step.is_empty() || step == "." || step == "..";
    match path.strip_prefix('/') {
        Some(rest) if rest.is_empty() || !rest.split('/').any(bad) => Ok(()),
        _ => Err(ApiError::field("path", "A path starts with a slash and does not end with one.")),
    }
}

/// Everything that must hold for the whole row; `own` is the view's id when it exists.
pub(crate) fn check(state: &State, row: &Row, own: Option<u64>) -> Result<(), ApiError> {
    let tenant = tenant_of(row);
    let policy = number(row, "policy_id").and_then(|id| state.vms.row("viewpolicies", id));
    // The policies of the default tenant serve tenants that have none of their own.
    let serves =
        |p: &Row| [tenant, tenants::DEFAULT].contains(&number(p, "tenant_id").unwrap_or(tenants::DEFAULT));
    if policy.is_some_and(|p| !serves(p)) {
        return Err(ApiError::field("policy_id", "The policy belongs to another tenant."));
    }
    check_indestructible(row)?;
    check_retention(row)?;
    for field in ["alias", "share"] {
        let taken = |(id, other): (u64, &Row)| {
            Some(id) != own && tenant_of(other) == tenant && text(other, field) == text(row, field)
        };
        if !text(row, field).is_empty() && state.vms.rows("views").any(taken) {
            return Err(ApiError::field(field, format!("view with this {field} already exists.")));
        }
    }
    check_creators(state, row, own)?;
    if is_bucket(row) { check_bucket(state, row, own) } else { Ok(()) }
}

/// `^[1-9][0-9]*[hmdy]$`, with the units in hours so that periods can be compared; minutes count as none.
fn period(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    if number.starts_with('0') || number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'm' => 30 * 24,
        'y' => 365 * 24,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(hours)
}

/// Whether a field names a mode that keeps anything.
fn is_mode(row: &Row, field: &str) -> bool {
    !text(row, field).is_empty() && !text(row, field).eq_ignore_ascii_case("NONE")
}

const MODES: &[&str] = &["NONE", "GOVERNANCE", "COMPLIANCE"];

fn check_retention(row: &Row) -> Result<(), ApiError> {
    for field in ["default_retention_period", "min_retention_period", "max_retention_period", "auto_commit"] {
        let value = text(row, field);
        if !value.is_empty() && period(value).is_none() {
            return Err(ApiError::field(
                field,
                "A whole number and one of h, d, m, y is required, such as 30d.",
            ));
        }
    }
    let of = |field: &str| period(text(row, field));
    let (min, default, max) =
        (of("min_retention_period"), of("default_retention_period"), of("max_retention_period"));
    let above = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a > b);
    if above(min, max) {
        return Err(ApiError::field("min_retention_period", "The minimum must not be above the maximum."));
    }
    if above(min, default) || above(default, max) {
        let message = "The default must lie between the minimum and the maximum.";
        return Err(ApiError::field("default_retention_period", message));
    }
    for field in ["s3_locks_retention_mode", "files_retention_mode"] {
        let mode = text(row, field);
        if !mode.is_empty() && !MODES.iter().any(|m| m.eq_ignore_ascii_case(mode)) {
            return Err(ApiError::field(field, format!("\"{mode}\" is not a valid choice.")));
        }
    }
    if is_mode(row, "s3_locks_retention_mode") && text(row, "default_retention_period").is_empty() {
        return Err(ApiError::field("default_retention_period", "A retention mode needs a default period."));
    }
    let files = ["NFS", "NFS4", "SMB"].iter().any(|p| speaks(row, p));
    if flag(row, "locking") && files && !is_mode(row, "files_retention_mode") {
        let message = "A view that locks files of NFS or SMB needs GOVERNANCE or COMPLIANCE.";
        return Err(ApiError::field("files_retention_mode", message));
    }
    Ok(())
}

/// The indestructible object mode: for S3 alone, for 1 to 400 days, without versions and locks.
fn check_indestructible(row: &Row) -> Result<(), ApiError> {
    const MODE: &str = "is_indestructible_object_enabled";
    if !flag(row, MODE) {
        return Ok(());
    }
    let protocols = row.get("protocols").and_then(Value::as_array).map_or(0, Vec::len);
    if !is_bucket(row) || protocols != 1 {
        return Err(ApiError::field(
            MODE,
            "Indestructible object mode needs a view with S3 and nothing else.",
        ));
    }
    if flag(row, "s3_versioning") || flag(row, "locking") {
        let message = "Indestructible object mode does not go together with versioning or locking.";
        return Err(ApiError::field(MODE, message));
    }
    if !number(row, "indestructible_object_duration").is_some_and(|days| (1..=400).contains(&days)) {
        return Err(ApiError::field("indestructible_object_duration", "1 to 400 days are required."));
    }
    Ok(())
}

/// Whether a change would let objects go earlier than the indestructible object mode of the view promised.
pub(crate) fn weakens_indestructible(old: &Row, new: &Row) -> bool {
    let days = |row: &Row| {
        let days = number(row, "indestructible_object_duration").unwrap_or(0);
        if flag(row, "is_indestructible_object_enabled") { days } else { 0 }
    };
    days(new) < days(old)
}

/// Nobody may be a creator of buckets in two templates.
fn check_creators(state: &State, row: &Row, own: Option<u64>) -> Result<(), ApiError> {
    let creators = |v: &Row| v.get("bucket_creators").and_then(Value::as_array).cloned().unwrap_or_default();
    let mine = creators(row);
    let others = state
        .vms
        .rows("views")
        .filter(|(id, v)| Some(*id) != own && is_template(v) && tenant_of(v) == tenant_of(row));
    let taken: Vec<Value> = others.flat_map(|(_, v)| creators(v)).collect();
    match mine.iter().find(|c| taken.contains(c)).filter(|_| is_template(row)) {
        Some(twice) => {
            Err(ApiError::field("bucket_creators", format!("{twice} is a creator in another endpoint view.")))
        }
        None => Ok(()),
    }
}

/// What cannot be undone.
pub(crate) fn check_change(old: &Row, changes: &Row) -> Result<(), ApiError> {
    if changes.get("path").is_some_and(|p| Some(p) != old.get("path")) {
        return Err(ApiError::field("path", "The path of a view cannot be changed."));
    }
    for field in ["s3_versioning", "locking"] {
        if flag(old, field) && changes.contains_key(field) && !flag(changes, field) {
            return Err(ApiError::field(field, "This cannot be switched off once it is on."));
        }
    }
    Ok(())
}

fn check_bucket(state: &State, row: &Row, own: Option<u64>) -> Result<(), ApiError> {
    let (bucket, owner) = (text(row, "bucket"), text(row, "bucket_owner"));
    if !is_bucket_name(bucket) {
        let message =
            "A bucket name of 3 to 63 lower-case letters, digits, dots and hyphens is required for S3.";
        return Err(ApiError::field("bucket", message));
    }
    if owner.is_empty() {
        return Err(ApiError::field("bucket_owner", "A bucket owner is required for S3."));
    }
    if state.vms.find("users", "name", owner).is_none() {
        return Err(ApiError::field("bucket_owner", format!("User {owner} does not exist.")));
    }
    match state.bucket(bucket) {
        Some(b) if Some(b.view_id) != own => {
            Err(ApiError::field("bucket", format!("Bucket {bucket} already exists.")))
        }
        _ => Ok(()),
    }
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn periods_and_their_order() {
        assert_eq!(
            (period("3h"), period("2d"), period("1m"), period("1y")),
            (Some(3), Some(48), Some(720), Some(8_760))
        );
        for bad in ["", "h", "0d", "01d", "1.5d", "-1d", "1w", "1D", "99999999999999999999y"] {
            assert_eq!(period(bad), None, "{bad}");
        }
        let row = |min: &str, default: &str, max: &str| {
            let row = json!({ "min_retention_period": min, "default_retention_period": default, "max_retention_period": max });
            check_retention(row.as_object().unwrap()).is_ok()
        };
        assert!(row("1d", "2d", "1m") && row("", "2d", "") && row("2d", "2d", "2d"));
        assert!(!row("3d", "2d", "1m") && !row("1d", "2m", "1m") && !row("2d", "", "1d"));
    }

    #[test]
    fn paths() {
        for good in ["/", "/a", "/a/b c/d"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "/a/", "//a", "/a//b", "/a/../b", "/."] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
