//! Conditional requests: when a read, a write or a copy may go ahead.

use std::time::SystemTime;

use http::HeaderMap;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::operation::not_implemented;
use super::refusal::Detailed as _;
use crate::core::Core;
use crate::env::{from_millis, millis};
use crate::store::object::Object;

/// The conditions of a read, or of the source of a copy.
#[derive(Debug, Default)]
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn failed(which: &str) -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
        .detail("Condition", which)
}

/// Whether the object was written after a time given to the second.
fn modified_after(object: &Object, since: &Timestamp) -> bool {
    Timestamp::from(from_millis(object.modified / 1000 * 1000)) > *since
}

/// The protocol library's timestamp as system time.
fn time_of(stamp: &Timestamp) -> SystemTime {
    let mut text = Vec::new();
    let formatted = stamp.format(s3s::dto::TimestampFormat::EpochSeconds, &mut text);
    let seconds: f64 = match formatted {
        Ok(()) => std::str::from_utf8(&text).ok().and_then(|t| t.parse().ok()).unwrap_or(0.0),
        Err(_) => 0.0,
    };
    from_millis(0) + std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

/// The time as milliseconds since 1970.
pub(crate) fn stamp_millis(stamp: &Timestamp) -> u64 {
    millis(time_of(stamp))
}

/// The conditions among an input's fields.
macro_rules! read_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            if_match: $input.if_match.take(),
            if_none_match: $input.if_none_match.take(),
            if_modified_since: $input.if_modified_since.take(),
            if_unmodified_since: $input.if_unmodified_since.take(),
        }
    };
}
pub(crate) use read_conditions;

/// The conditions on a copy's source among an input's fields.
macro_rules! source_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}
pub(crate) use source_conditions;

/// The first release that takes weak ETags in `If-None-Match`.
const WEAK_ETAGS_SINCE: [u64; 3] = [5, 4, 4];

/// Whether a release takes weak ETags in `If-None-Match`.
fn takes_weak_etags(sw_version: &str) -> bool {
    let numbers: Vec<u64> = sw_version.split('.').take(3).map(|n| n.parse().unwrap_or(0)).collect();
    numbers.as_slice() >= WEAK_ETAGS_SINCE.as_slice()
}

impl ReadConditions {
    /// Decides in the order of the HTTP standard. `not_modified` is what an unchanged object answers: 304 for reads.
    pub(crate) fn check(self, core: &Core, object: &Object, for_copy: bool) -> S3Result<()> {
        if let Some(ETagCondition::ETag(ETag::Weak(_))) = &self.if_none_match
            && !takes_weak_etags(&core.config.sw_version)
        {
            return Err(s3_error!(
                InvalidArgument,
                "Weak ETags in If-None-Match are not supported by this release."
            ));
        }
        let unchanged = |which: &str| if for_copy { failed(which) } else { not_modified(object) };
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(c), _) if !matches(c, &object.etag) => return Err(failed("If-Match")),
            (None, Some(since)) if modified_after(object, since) => {
                return Err(failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(c), _) if matches(c, &object.etag) => Err(unchanged("If-None-Match")),
            (None, Some(since)) if !modified_after(object, since) => Err(unchanged("If-Modified-Since")),
            _ => Ok(()),
        }
    }
}

/// 304 with the headers a cache needs.
fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(value) = ETag::Strong(object.etag.clone()).to_http_header() {
        headers.insert(http::header::ETAG, value);
    }
    error.set_headers(headers);
    error
}

/// The conditions of a write among its headers, for operations whose inputs have no fields for them.
pub(crate) fn write_conditions(
    headers: &HeaderMap,
) -> S3Result<(Option<ETagCondition>, Option<ETagCondition>)> {
    let read = |name: http::HeaderName| {
        let Some(value) = headers.get(&name) else { return Ok(None) };
        let condition = ETagCondition::parse_http_header(value.as_bytes());
        condition.map(Some).map_err(|_| {
            s3_error!(InvalidArgument, "The {name} header cannot be read.").detail("ArgumentName", name)
        })
    };
    Ok((read(http::header::IF_MATCH)?, read(http::header::IF_NONE_MATCH)?))
}

/// Decides whether a write may replace `existing`.
pub(crate) fn check_write(
    existing: Option<&Object>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some() && if_none_match.is_some() {
        return Err(not_implemented().detail("Header", "If-None-Match"));
    }
    if let Some(condition) = if_match {
        match existing {
            None => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            Some(object) if !matches(condition, &object.etag) => return Err(failed("If-Match")),
            Some(_) => {}
        }
    }
    match (if_none_match, existing) {
        (Some(ETagCondition::ETag(_)), _) => Err(not_implemented().detail("Header", "If-None-Match")),
        (Some(ETagCondition::Any), Some(_)) => Err(failed("If-None-Match")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_etags_came_with_a_release() {
        for (version, takes) in [
            ("5.4.3.99.1", false),
            ("5.4.4", true),
            ("5.4.4.0.1", true),
            ("5.4.10", true),
            ("5.5.0", true),
            ("5.4", false),
            ("4.9.9", false),
        ] {
            assert_eq!(takes_weak_etags(version), takes, "{version}");
        }
    }
}
