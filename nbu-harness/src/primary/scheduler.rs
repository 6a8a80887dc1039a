//! nbpem's arithmetic: when a schedule is due, and until when it may begin.

use super::config::{Schedule, Window};

const DAY: u64 = 86_400;
/// The epoch was a Thursday.
const EPOCH_WEEKDAY: u64 = 4;
/// A window that opens on some day opens within a week.
const LOOK_AHEAD_DAYS: u64 = 8;

/// Policy, client and schedule.
pub(crate) type ScheduleOfClient = (String, String, String);

/// When `schedule` is due next, at `now` or later, and when its window closes then. `earliest` is when it may be due
/// at all: the last success and the frequency, or the end of the period of its tries.
pub(crate) fn next_due(schedule: &Schedule, earliest: u64, now: u64) -> Option<(u64, u64)> {
    let from = earliest.max(now);
    schedule.windows.iter().filter_map(|window| next_in(window, from)).min()
}

/// The first moment at `from` or later that is inside the window, and when that opening closes.
fn next_in(window: &Window, from: u64) -> Option<(u64, u64)> {
    // A window may be open past midnight, or longer than a day: openings of earlier days count too.
    let first = (from / DAY).saturating_sub(window.duration / DAY + 1);
    (first..=from / DAY + LOOK_AHEAD_DAYS)
        .filter(|day| window.days.iter().any(|weekday| (day + EPOCH_WEEKDAY) % 7 == u64::from(*weekday)))
        .map(|day| (day * DAY + window.opens, day * DAY + window.opens + window.duration))
        .filter(|(_, closes)| *closes > from)
        .map(|(opens, closes)| (opens.max(from), closes))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::ScheduleType;
    use proptest::prelude::*;

    /// Monday, 2026-01-05, midnight.
    const MONDAY: u64 = 1_767_571_200;

    fn nightly(days: &[u8]) -> Schedule {
        let window = Window { days: days.to_vec(), opens: 22 * 3600, duration: 6 * 3600 };
        Schedule {
            name: "full".into(),
            kind: ScheduleType::Full,
            frequency: DAY,
            windows: vec![window],
            media_multiplexing: 1,
            retention: None,
        }
    }

    #[test]
    fn a_window_opens_on_its_days_and_reaches_over_midnight() {
        let schedule = nightly(&[1]);
        let opens = MONDAY + 22 * 3600;
        assert_eq!(next_due(&schedule, 0, MONDAY), Some((opens, opens + 6 * 3600)));
        // Tuesday, 01:00: still Monday's window.
        let night = MONDAY + DAY + 3600;
        assert_eq!(next_due(&schedule, 0, night), Some((night, opens + 6 * 3600)));
        // Tuesday, 04:00: it has closed, the next is a week later.
        assert_eq!(
            next_due(&schedule, 0, opens + 6 * 3600),
            Some((opens + 7 * DAY, opens + 7 * DAY + 6 * 3600))
        );
        assert_eq!(next_due(&nightly(&[]), 0, MONDAY), None, "by hand only");
    }

    #[test]
    fn the_frequency_counts_from_the_last_success() {
        let every_day = nightly(&[0, 1, 2, 3, 4, 5, 6]);
        let last = MONDAY + 23 * 3600;
        let due = next_due(&every_day, last + DAY, MONDAY + DAY + 22 * 3600).unwrap();
        assert_eq!(due.0, last + DAY, "an hour into the next night's window");
    }

    proptest! {
        #[test]
        fn what_is_due_is_inside_a_window_and_nothing_earlier_would_be(
            days in proptest::collection::btree_set(0u8..7, 1..4),
            opens in 0..DAY,
            duration in 1..3 * DAY,
            from in MONDAY..MONDAY + 14 * DAY,
        ) {
            let window = Window { days: days.into_iter().collect(), opens, duration };
            let open_at = |at: u64| (0..=at / DAY).rev().take(5).any(|day| {
                let begins = day * DAY + opens;
                window.days.contains(&u8::try_from((day + 4) % 7).unwrap()) && begins <= at && at < begins + duration
            });
            let (due, closes) = next_in(&window, from).unwrap();
            prop_assert!(due >= from && open_at(due) && closes > due);
            prop_assert!(due == from || !open_at(due - 1));
            for step in 0..200 {
                let between = from + (due - from) * step / 200;
                prop_assert!(between == due || !open_at(between), "open at {between} already");
            }
        }
    }
}
