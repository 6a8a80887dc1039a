//! Lifecycle rules: what may go, and when.
//!
//! There is one kind of rule, the rows of `/s3lifecyclerules/`. A lifecycle configuration put over S3 becomes rows of the
//! bucket's view, and is made of them when it is read. Times end at midnight UTC, as AWS rounds them.

mod config;
mod job;

use std::collections::BTreeMap;

pub(crate) use config::{delete, get, put};
pub(crate) use job::{Expiry, LastRun};

use super::versions::Found;
use crate::env;
use crate::store::object::{Bucket, Object};
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

/// The collection of the rows.
pub(crate) const KIND: &str = "s3lifecyclerules";

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The last midnight that is not after a time, in milliseconds.
fn midnight(ms: u64) -> u64 {
    ms / DAY * DAY
}

/// When something of age `from` has lived for `days`.
fn after_days(from: u64, days: u64) -> u64 {
    midnight(from.saturating_add(days.saturating_mul(DAY))).saturating_add(DAY)
}

/// A rule as it is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Its name: the rule's ID in S3.
    pub(crate) id: String,
    pub(crate) view_id: u64,
    pub(crate) prefix: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// Bytes, inclusive.
    pub(crate) min_size: Option<u64>,
    /// Bytes, inclusive.
    pub(crate) max_size: Option<u64>,
    pub(crate) expiration_days: Option<u64>,
    /// Milliseconds since 1970.
    pub(crate) expiration_date: Option<u64>,
    pub(crate) expired_markers: bool,
    pub(crate) noncurrent_days: Option<u64>,
    /// Noncurrent versions that stay whatever their age.
    pub(crate) newer_noncurrent: u64,
    pub(crate) abort_days: Option<u64>,
}

/// A date as rows hold it: with a time, or a day alone.
pub(crate) fn date_of(text: &str) -> Option<u64> {
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let day: jiff::civil::Date = text.parse().ok()?;
        day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
    })?;
    u64::try_from(stamp.as_millisecond()).ok()
}

impl Rule {
    /// The rule of a row; none when it is switched off.
    pub(crate) fn of(row: &Row) -> Option<Self> {
        let enabled = row.get("enabled").is_none_or(serde_json::Value::is_null) || flag(row, "enabled");
        if !enabled {
            return None;
        }
        let count = |field| number(row, field).filter(|n| *n > 0);
        let tags = row.get("tags").and_then(serde_json::Value::as_object);
        Some(Self {
            id: text(row, "name").to_owned(),
            view_id: number(row, "view_id")?,
            prefix: text(row, "prefix").to_owned(),
            tags: tags
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            min_size: count("min_size"),
            max_size: number(row, "max_size"),
            expiration_days: count("expiration_days"),
            expiration_date: date_of(text(row, "expiration_date")),
            expired_markers: flag(row, "expired_obj_delete_marker"),
            noncurrent_days: count("noncurrent_days"),
            newer_noncurrent: number(row, "newer_noncurrent_versions").unwrap_or(0),
            abort_days: count("abort_mpu_days_after_initiation"),
        })
    }

    /// The rules of a view.
    pub(crate) fn of_view(state: &State, view_id: u64) -> impl Iterator<Item = Self> {
        state.vms.rows(KIND).filter_map(|(_, row)| Self::of(row)).filter(move |r| r.view_id == view_id)
    }

    fn covers_key(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
    }

    /// Whether the rule is about this object.
    fn covers(&self, key: &str, object: &Object) -> bool {
        self.covers_key(key)
            && self.min_size.is_none_or(|min| object.size >= min)
            && self.max_size.is_none_or(|max| object.size <= max)
            && self.tags.iter().all(|(name, value)| object.attributes.tags.get(name) == Some(value))
    }

    /// Whether the rule also speaks of what has neither tags nor size.
    fn covers_bare(&self, key: &str) -> bool {
        self.covers_key(key) && self.tags.is_empty() && self.min_size.is_none() && self.max_size.is_none()
    }

    /// When an object that is current expires by this rule.
    fn expires_at(&self, key: &str, object: &Object) -> Option<u64> {
        let due = match (self.expiration_days, self.expiration_date) {
            (Some(days), _) => after_days(object.modified, days),
            (None, Some(date)) => date,
            (None, None) => return None,
        };
        self.covers(key, object).then_some(due)
    }
}

/// When a current object expires, in milliseconds, and by which rule: the first that comes.
pub(crate) fn expiration_of(
    state: &State,
    bucket: &Bucket,
    key: &str,
    object: &Object,
) -> Option<(u64, String)> {
    Rule::of_view(state, bucket.view_id)
        .filter_map(|rule| Some((rule.expires_at(key, object)?, rule.id)))
        .min()
}

/// The `x-amz-expiration` header of an object that is being written.
pub(crate) fn expiration_of_write(
    state: &State,
    bucket: &Bucket,
    key: &str,
    object: &Object,
) -> Option<String> {
    let (due, id) = expiration_of(state, bucket, key, object)?;
    Some(format!("expiry-date=\"{}\", rule-id=\"{id}\"", env::http_date(due)))
}

/// The `x-amz-expiration` header of an object that is read; only current versions have one.
pub(crate) fn expiration_header(state: &State, bucket: &Bucket, key: &str, found: &Found) -> Option<String> {
    let newest = state.entry(bucket.tenant_id, &bucket.path_of(key)).and_then(|e| e.newest())?;
    if newest.id == found.id { expiration_of_write(state, bucket, key, &found.object) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_end_at_midnight() {
        let at = |text: &str| date_of(text).unwrap();
        assert_eq!(after_days(at("2014-01-15T10:30:00Z"), 3), at("2014-01-19"));
        assert_eq!(after_days(at("2014-01-15T00:00:00Z"), 1), at("2014-01-17"));
        assert_eq!(date_of("soon"), None);
    }

    #[test]
    fn rules_cover_what_their_filters_say() {
        let row = json!({ "name": "r", "view_id": 1, "prefix": "logs/", "min_size": 10, "max_size": 20,
            "tags": { "a": "1" }, "expiration_days": 1 });
        let rule = Rule::of(row.as_object().unwrap()).unwrap();
        let object = |size, tag: &str| Object {
            size,
            etag: String::new(),
            modified: 0,
            attributes: crate::store::object::Attributes {
                tags: [("a".to_owned(), tag.to_owned()), ("b".to_owned(), String::new())].into(),
                ..Default::default()
            },
            checksum: None,
            parts: Vec::new(),
            upload: None,
            extents: Vec::new(),
        };
        assert_eq!(rule.expires_at("logs/x", &object(10, "1")), Some(2 * DAY));
        for (key, object) in [
            ("log/x", object(10, "1")),
            ("logs/x", object(9, "1")),
            ("logs/x", object(21, "1")),
            ("logs/x", object(15, "2")),
        ] {
            assert_eq!(rule.expires_at(key, &object), None);
        }
        assert!(!rule.covers_bare("logs/x"));
        let off = json!({ "name": "r", "view_id": 1, "enabled": false });
        assert_eq!(Rule::of(off.as_object().unwrap()), None);
    }
}
