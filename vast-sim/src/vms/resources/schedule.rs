//! The schedules of protection policies: when snapshots are due, and for how long they are kept.

use serde_json::Value;

use super::super::error::ApiError;
use super::super::spans;

/// Shortest time between two snapshots of a schedule, in milliseconds.
const SHORTEST: u64 = 60_000;

/// One line of a schedule: how often, from when on, and for how long snapshots are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) every: u64,
    pub(super) start_at: Option<u64>,
    pub(super) keep_local: Option<u64>,
}

impl Frame {
    /// Reads a frame as clients write it, with dashes in its names.
    pub(super) fn parse(frame: &Value) -> Result<Self, ApiError> {
        let refused = |field: &str, why: &str| ApiError::field("frames", format!("{field}: {why}"));
        let given = |field: &str| {
            let other = field.replace('-', "_");
            let value = frame.get(field).or_else(|| frame.get(&other));
            value.and_then(Value::as_str).map(str::trim).filter(|v| !v.is_empty())
        };
        let span = |field: &str| match given(field) {
            None => Ok(None),
            Some(text) => spans::parse(text)
                .filter(|s| *s > 0)
                .map(Some)
                .ok_or_else(|| refused(field, "a number with a unit is needed: 15m, 6h, 1D, 2W, 1M.")),
        };
        let every = span("every")?.ok_or_else(|| refused("every", "This field is required."))?;
        if every < SHORTEST {
            return Err(refused("every", "a minute at least."));
        }
        let start_at = match given("start-at") {
            None => None,
            Some(at) => Some(spans::moment(at).ok_or_else(|| refused("start-at", "not a date and time."))?),
        };
        span("keep-remote")?;
        Ok(Self { every, start_at, keep_local: span("keep-local")? })
    }

    /// The first time later than `seen`; `anchor` is when the schedule began.
    pub(super) fn next(&self, anchor: u64, seen: u64) -> u64 {
        match self.start_at {
            Some(start) if start > seen => start,
            start => {
                let from = start.unwrap_or(anchor);
                from + (seen.saturating_sub(from) / self.every + 1) * self.every
            }
        }
    }
}

/// How many due times a schedule catches up with in one jump of the clock in any case.
const EXACT: u64 = 1_000;
/// And at most.
const MOST: u64 = 10_000;

/// From when on the due times of a schedule are carried out when the clock jumps to `end`; none when all of them are.
/// What would be gone by then is not taken at all, and of what stays for ever the newest.
pub(super) fn worth_taking(frames: &[Frame], seen: u64, end: u64) -> Option<u64> {
    let every = frames.iter().map(|f| f.every).min()?;
    if end.saturating_sub(seen) / every <= EXACT {
        return None;
    }
    let longest = frames.iter().map(|f| f.keep_local).max_by_key(|keep| keep.unwrap_or(u64::MAX)).flatten();
    let in_bounds = end.saturating_sub(every.saturating_mul(MOST));
    let alive = longest.map_or(0, |keep| end.saturating_sub(keep.saturating_add(1)));
    Some(in_bounds.max(alive)).filter(|from| *from > seen)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_jump_leaves_out_what_would_be_gone() {
        let frame = |every: &str, keep: Option<&str>| {
            Frame::parse(&json!({ "every": every, "keep-local": keep })).unwrap()
        };
        let minute = 60_000;
        let end = 365 * DAY;
        assert_eq!(worth_taking(&[frame("1h", Some("2h"))], end - DAY, end), None);
        assert_eq!(worth_taking(&[frame("1m", Some("1h"))], 0, end), Some(end - 60 * minute - 1));
        let both = [frame("1m", Some("1h")), frame("1D", Some("2D"))];
        assert_eq!(worth_taking(&both, 0, end), Some(end - 2 * DAY - 1));
        assert_eq!(worth_taking(&[frame("1m", None)], 0, end), Some(end - 10_000 * minute));
        assert_eq!(
            worth_taking(&[frame("1m", None), frame("1m", Some("1h"))], 0, end),
            Some(end - 10_000 * minute)
        );
        assert_eq!(worth_taking(&[frame("1h", None)], 0, end), None);
        assert_eq!(worth_taking(&[], 0, end), None);
    }

    #[test]
    fn frames_say_when_the_next_snapshot_is_due() {
        let frame =
            Frame::parse(&json!({ "every": "1D", "keep-local": "2D", "start-at": "2026-01-01 06:00:00" }))
                .unwrap();
        let start = spans::moment("2026-01-01T06:00:00Z").unwrap();
        assert_eq!(frame, Frame { every: DAY, start_at: Some(start), keep_local: Some(2 * DAY) });
        assert_eq!(frame.next(0, 5), start);
        assert_eq!(frame.next(0, start - 1), start);
        assert_eq!(frame.next(0, start), start + DAY);
        assert_eq!(frame.next(0, start + DAY + 1), start + 2 * DAY);
        let frame = Frame::parse(&json!({ "every": "15m" })).unwrap();
        assert_eq!(frame.next(1_000, 1_000), 901_000);
        assert_eq!(frame.next(1_000, 901_000), 1_801_000);
        for bad in [
            json!({}),
            json!({ "every": "often" }),
            json!({ "every": "5s" }),
            json!({ "every": "1D", "start-at": "soon" }),
        ] {
            assert!(Frame::parse(&bad).is_err(), "{bad}");
        }
    }
}
