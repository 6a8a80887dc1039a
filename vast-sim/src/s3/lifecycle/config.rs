//! Lifecycle configurations over S3: read and written as rows of the view's rules.

use std::collections::BTreeSet;

use s3s::dto::{
    AbortIncompleteMultipartUpload, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    ExpirationStatus, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter,
    NoncurrentVersionExpiration, PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput,
    Tag,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use serde_json::{Map, Value};

use super::{DAY, KIND, date_of};
use crate::env;
use crate::s3::caller::Caller;
use crate::s3::conditions::stamp_millis;
use crate::s3::reply::{self, CoreRef};
use crate::s3::tagging;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;
use crate::vms::engine;

/// Most rules of one configuration.
const MAX_RULES: usize = 1000;
/// Longest rule ID in characters.
const MAX_ID: usize = 255;

fn malformed() -> S3Error {
    s3_error!(
        MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
}

/// A count that must be positive.
fn positive(n: Option<i32>, what: &str) -> S3Result<Value> {
    match n {
        None => Ok(Value::Null),
        Some(n) if n > 0 => Ok(n.into()),
        Some(_) => Err(s3_error!(InvalidArgument, "'{what}' must be a positive integer")),
    }
}

/// What a filter selects, whichever way it is written.
fn filter_fields(prefix: Option<String>, filter: Option<LifecycleRuleFilter>, row: &mut Row) -> S3Result<()> {
    let filter = match (&prefix, filter) {
        (Some(_), Some(_)) => return Err(malformed()),
        (_, filter) => filter.unwrap_or_default(),
    };
    let and = filter.and.unwrap_or_default();
    let alone = filter.tag.into_iter().collect::<Vec<Tag>>();
    let tags = tagging::of_set(and.tags.unwrap_or(alone))?;
    let greater = filter.object_size_greater_than.or(and.object_size_greater_than);
    let less = filter.object_size_less_than.or(and.object_size_less_than);
    let bytes = |n: i64| u64::try_from(n).map_err(|_| malformed());
    let prefix = prefix.or(filter.prefix).or(and.prefix).unwrap_or_default();
    row.insert("prefix".to_owned(), prefix.into());
    // Rows name the sizes that are covered, S3 those beside them.
    let min = greater.map(bytes).transpose()?.map(|n| n.saturating_add(1));
    let max = less.map(bytes).transpose()?.map(|n| n.saturating_sub(1));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(s3_error!(
            InvalidRequest,
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"
        ));
    }
    row.insert("min_size".to_owned(), min.map_or(Value::Null, Into::into));
    row.insert("max_size".to_owned(), max.map_or(Value::Null, Into::into));
    let tags: Map<String, Value> = tags.into_iter().map(|(k, v)| (k, v.into())).collect();
    row.insert("tags".to_owned(), if tags.is_empty() { Value::Null } else { tags.into() });
    Ok(())
}

fn expiration_fields(expiration: LifecycleExpiration, row: &mut Row) -> S3Result<()> {
    let marker = expiration.expired_object_delete_marker;
    let ways = usize::from(expiration.days.is_some())
        + usize::from(expiration.date.is_some())
        + usize::from(marker.is_some());
    if ways != 1 {
        return Err(malformed());
    }
    row.insert("expiration_days".to_owned(), positive(expiration.days, "Days' for Expiration action")?);
    if let Some(date) = expiration.date {
        let ms = stamp_millis(&date);
        if !ms.is_multiple_of(DAY) {
            return Err(s3_error!(InvalidArgument, "'Date' must be at midnight GMT"));
        }
        row.insert("expiration_date".to_owned(), env::rfc3339(ms)[..10].into());
    }
    row.insert("expired_obj_delete_marker".to_owned(), marker.unwrap_or(false).into());
    Ok(())
}

/// A rule of a configuration as a row.
fn row_of(rule: LifecycleRule, view_id: u64, number: usize) -> S3Result<Row> {
    if rule.transitions.is_some_and(|t| !t.is_empty())
        || rule.noncurrent_version_transitions.is_some_and(|t| !t.is_empty())
    {
        return Err(s3_error!(NotImplemented, "There is one storage class: transitions are not available."));
    }
    let enabled = match rule.status.as_str() {
        ExpirationStatus::ENABLED => true,
        ExpirationStatus::DISABLED => false,
        _ => return Err(malformed()),
    };
    let mut row = Row::new();
    let id = rule.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("rule-{number}"));
    if id.chars().count() > MAX_ID {
        return Err(s3_error!(InvalidArgument, "ID length should not exceed allowed limit of {MAX_ID}"));
    }
    if rule.expiration.is_none()
        && rule.noncurrent_version_expiration.is_none()
        && rule.abort_incomplete_multipart_upload.is_none()
    {
        return Err(s3_error!(InvalidRequest, "At least one action needs to be specified in a rule"));
    }
    filter_fields(rule.prefix, rule.filter, &mut row)?;
    if let Some(expiration) = rule.expiration {
        expiration_fields(expiration, &mut row)?;
    }
    if let Some(noncurrent) = rule.noncurrent_version_expiration {
        let days =
            positive(noncurrent.noncurrent_days, "NoncurrentDays' for NoncurrentVersionExpiration action")?;
        if days.is_null() {
            return Err(malformed());
        }
        row.insert("noncurrent_days".to_owned(), days);
        let newer = positive(noncurrent.newer_noncurrent_versions, "NewerNoncurrentVersions")?;
        row.insert("newer_noncurrent_versions".to_owned(), newer);
    }
    if let Some(abort) = rule.abort_incomplete_multipart_upload {
        let covers_all = row["tags"].is_null() && row["min_size"].is_null() && row["max_size"].is_null();
        if !covers_all {
            return Err(s3_error!(
                InvalidRequest,
                "AbortIncompleteMultipartUpload cannot be specified with Tags or ObjectSize."
            ));
        }
        let days = positive(abort.days_after_initiation, "DaysAfterInitiation")?;
        if days.is_null() {
            return Err(malformed());
        }
        row.insert("abort_mpu_days_after_initiation".to_owned(), days);
    }
    row.insert("name".to_owned(), id.into());
    row.insert("view_id".to_owned(), view_id.into());
    row.insert("enabled".to_owned(), enabled.into());
    Ok(row)
}

fn rows_of_view(state: &State, view_id: u64) -> Vec<(u64, Row)> {
    let of_view = |row: &Row| number(row, "view_id") == Some(view_id);
    state.vms.rows(KIND).filter(|(_, row)| of_view(row)).map(|(id, row)| (id, row.clone())).collect()
}

fn clear(state: &mut State, view_id: u64) {
    for (id, _) in rows_of_view(state, view_id) {
        state.vms.remove(KIND, id);
    }
}

pub(crate) async fn put(
    core: CoreRef<'_>,
    req: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let caller = Caller::of(&req)?;
    let rules = req.input.lifecycle_configuration.map(|c| c.rules).unwrap_or_default();
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(malformed());
    }
    core.store.write(|state| {
        let view_id = caller.open(state, &req.input.bucket)?.view_id;
        let mut rows = Vec::new();
        let mut ids = BTreeSet::new();
        for (n, rule) in rules.into_iter().enumerate() {
            let row = row_of(rule, view_id, n + 1)?;
            if !ids.insert(text(&row, "name").to_owned()) {
                return Err(s3_error!(
                    InvalidArgument,
                    "Rule ID must be unique. Found same ID for more than one rule"
                ));
            }
            rows.push(row);
        }
        clear(state, view_id);
        for row in rows {
            engine::insert(core, state, KIND, row);
        }
        Ok(())
    })?;
    core.background.wake();
    Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
}

/// A row as a rule of a configuration.
fn dto_of(row: &Row) -> LifecycleRule {
    let int = |field: &str| number(row, field).filter(|n| *n > 0).and_then(|n| i32::try_from(n).ok());
    let size = |n: u64| i64::try_from(n).ok();
    let tags: Vec<Tag> = row
        .get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| Tag { key: Some(k.clone()), value: v.as_str().map(str::to_owned) })
        .collect();
    let prefix = Some(text(row, "prefix").to_owned());
    let greater = number(row, "min_size").filter(|n| *n > 0).and_then(|n| size(n - 1));
    let less = number(row, "max_size").and_then(|n| size(n.saturating_add(1)));
    let filter = if tags.is_empty() && greater.is_none() && less.is_none() {
        LifecycleRuleFilter { prefix, ..LifecycleRuleFilter::default() }
    } else {
        let and = LifecycleRuleAndOperator {
            object_size_greater_than: greater,
            object_size_less_than: less,
            prefix,
            tags: (!tags.is_empty()).then_some(tags),
        };
        LifecycleRuleFilter { and: Some(and), ..LifecycleRuleFilter::default() }
    };
    let (days, date) = (int("expiration_days"), date_of(text(row, "expiration_date")));
    let marker = flag(row, "expired_obj_delete_marker").then_some(true);
    let expires = days.is_some() || date.is_some() || marker.is_some();
    let enabled = row.get("enabled").is_none_or(Value::is_null) || flag(row, "enabled");
    LifecycleRule {
        id: Some(text(row, "name").to_owned()),
        status: ExpirationStatus::from_static(if enabled {
            ExpirationStatus::ENABLED
        } else {
            ExpirationStatus::DISABLED
        }),
        filter: Some(filter),
        expiration: expires.then(|| LifecycleExpiration {
            days,
            date: date.and_then(reply::stamp),
            expired_object_delete_marker: marker,
        }),
        noncurrent_version_expiration: int("noncurrent_days").map(|days| NoncurrentVersionExpiration {
            noncurrent_days: Some(days),
            newer_noncurrent_versions: int("newer_noncurrent_versions"),
        }),
        abort_incomplete_multipart_upload: int("abort_mpu_days_after_initiation")
            .map(|days| AbortIncompleteMultipartUpload { days_after_initiation: Some(days) }),
        noncurrent_version_transitions: None,
        prefix: None,
        transitions: None,
    }
}

pub(crate) async fn get(
    core: CoreRef<'_>,
    req: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let caller = Caller::of(&req)?;
    let rows = core.store.read(|state| {
        let view_id = caller.open(state, &req.input.bucket)?.view_id;
        Ok::<_, S3Error>(rows_of_view(state, view_id))
    })?;
    if rows.is_empty() {
        return Err(s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"));
    }
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(rows.iter().map(|(_, row)| dto_of(row)).collect()),
        ..GetBucketLifecycleConfigurationOutput::default()
    }))
}

pub(crate) async fn delete(
    core: CoreRef<'_>,
    req: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    let caller = Caller::of(&req)?;
    core.store.write(|state| {
        let view_id = caller.open(state, &req.input.bucket)?.view_id;
        clear(state, view_id);
        Ok::<_, S3Error>(())
    })?;
    Ok(reply::with_status(DeleteBucketLifecycleOutput {}, http::StatusCode::NO_CONTENT))
}
