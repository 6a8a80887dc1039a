//! Dates in headers: answers are dated by the cluster's clock, and a request can be judged by a clock that is off.

use http::{HeaderMap, HeaderValue, Uri, header};

use crate::core::Core;
use crate::env::from_millis;

/// How far a request's date may be from the cluster's clock, in milliseconds.
const MAX_SKEW: u64 = 15 * 60 * 1_000;

/// The cluster's time, off by `skew` milliseconds.
fn judged(core: &Core, skew: i64) -> u64 {
    core.now_ms().saturating_add_signed(skew)
}

/// Dates an answer.
pub(crate) fn stamp(core: &Core, headers: &mut HeaderMap, skew: i64) {
    let now = jiff::Timestamp::try_from(from_millis(judged(core, skew))).unwrap_or_default();
    let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(header::DATE, value);
    }
}

/// Milliseconds since 1970 of `20260131T235959Z`.
fn compact(text: &str) -> Option<u64> {
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    u64::try_from(parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()).ok()
}

/// When a request says that it was signed, and for how many milliseconds that is good if it says so.
fn signed_at(uri: &Uri, headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let query = |name: &str| {
        let pairs = uri.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
        pairs.clone().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned())
    };
    if let Some(date) = query("X-Amz-Date") {
        let good_for = query("X-Amz-Expires").and_then(|s| s.parse::<u64>().ok());
        return Some((compact(&date)?, good_for.map(|s| s.saturating_mul(1_000))));
    }
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(date) = text("x-amz-date").and_then(compact) {
        return Some((date, None));
    }
    let parsed = jiff::fmt::rfc2822::parse(text("date")?).ok()?;
    Some((u64::try_from(parsed.timestamp().as_millisecond()).ok()?, None))
}

/// Why a clock that is off by `skew` milliseconds refuses this request: code and message.
pub(crate) fn refuse(
    core: &Core,
    uri: &Uri,
    headers: &HeaderMap,
    skew: i64,
) -> Option<(&'static str, &'static str)> {
    let now = judged(core, skew);
    match signed_at(uri, headers)? {
        (signed, Some(good_for)) if now > signed.saturating_add(good_for) => {
            Some(("AccessDenied", "Request has expired"))
        }
        (signed, None) if now.abs_diff(signed) > MAX_SKEW => Some((
            "RequestTimeTooSkewed",
            "The difference between the request time and the server's time is too large.",
        )),
        _ => None,
    }
}
