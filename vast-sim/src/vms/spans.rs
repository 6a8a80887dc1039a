//! Spans of time as VMS and its clients write them, and points in time.
//!
//! A number with a unit (`90m`, `30d`), several of them (`1h30m`, `12 days 4 hours`), or a clock: `[DD [HH:[MM:]]]ss`.
//! Months have 30 days, years 365.

use std::time::Duration;

/// Seconds of one unit; none for an unknown one.
fn unit(name: &str) -> Option<u64> {
    const DAY: u64 = 86_400;
    Some(match name {
        "s" | "S" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "H" | "hour" | "hours" => 3_600,
        "d" | "D" | "day" | "days" => DAY,
        "w" | "W" | "week" | "weeks" => 7 * DAY,
        "M" | "month" | "months" => 30 * DAY,
        "y" | "Y" | "year" | "years" => 365 * DAY,
        _ => return None,
    })
}

/// Takes a number and the letters behind it off the front of a text, with what separates them from the rest.
fn counted(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
    let rest = text[digits..].trim_start();
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    Some((text[..digits].parse().ok()?, &rest[..letters], rest[letters..].trim_start_matches([' ', ','])))
}

/// Milliseconds of a span in any of the forms; none when it cannot be read. Plain numbers are seconds.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.contains(':') || text.chars().all(|c| c.is_ascii_digit() || c == ' ') {
        return u64::try_from(clock(text)?.as_millis()).ok();
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let (number, name, behind) = counted(rest)?;
        total = total.checked_add(number.checked_mul(unit(name)?)?)?;
        rest = behind;
    }
    total.checked_mul(1_000).filter(|_| !text.is_empty())
}

/// `[DD [HH:[MM:]]]ss`, such as `3600`, `45:00`, `12:00:00` or `7 00:00:00`: the only form of the lifetimes of tokens.
pub(crate) fn clock(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (days, clock) =
        text.split_once(' ').map_or((Some(0), text), |(d, rest)| (d.parse().ok(), rest.trim()));
    let parts: Vec<u64> = clock.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    if parts.is_empty() || parts.len() > 3 || (parts.len() > 1 && parts[1..].iter().any(|p| *p > 59)) {
        return None;
    }
    let clock = parts.iter().try_fold(0u64, |sum, part| sum.checked_mul(60)?.checked_add(*part))?;
    let seconds = u64::checked_mul(days?, 86_400)?.checked_add(clock)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// The inverse of [`clock`], in its longest form that is needed.
pub(crate) fn clock_text(span: Duration) -> String {
    let seconds = span.as_secs().max(1);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days} {clock}") }
}

/// One whole number and one of the units `Y M w W d D h H m s`: the only form of the expiry of API tokens.
pub(crate) fn single(text: &str) -> Option<Duration> {
    let (number, name, rest) = counted(text.trim())?;
    let known =
        name.len() == 1 && "YMwWdDhHms".contains(name) && rest.is_empty() && !text.contains([' ', ',']);
    let seconds = number.checked_mul(unit(name).filter(|_| known)?)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Milliseconds since 1970 of a point in time: RFC 3339, or without an offset, which means UTC.
pub(crate) fn moment(text: &str) -> Option<u64> {
    let text = text.trim();
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
    })?;
    u64::try_from(stamp.as_millisecond()).ok()
}

/// A span for people: `12 days 43 minutes`.
pub(crate) fn pretty(ms: u64) -> String {
    let mut seconds = ms / 1_000;
    let mut parts = Vec::new();
    for (name, size) in [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)] {
        let n = seconds / size;
        seconds %= size;
        if n > 0 {
            parts.push(format!("{n} {name}{}", if n == 1 { "" } else { "s" }));
        }
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_that_clients_use() {
        for (text, seconds) in [
            ("90", 90),
            ("90m", 5_400),
            ("30d", 2_592_000),
            ("1h30m", 5_400),
            ("2 days 1 hour", 176_400),
            ("12 days, 4 hours", 1_051_200),
            ("1D", 86_400),
            ("1W", 604_800),
            ("1M", 2_592_000),
            ("1Y", 31_536_000),
            ("01:30", 90),
            ("2 01:00:05", 176_405),
        ] {
            assert_eq!(parse(text), Some(seconds * 1_000), "{text}");
        }
        for bad in ["", "m", "5 parsecs", "1h30", "x:y", "99999999999999999999d", "é", "5é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(moment("2021-01-15T13:41:52Z"), Some(1_610_718_112_000));
        assert_eq!(moment("2021-01-15T13:41:52"), Some(1_610_718_112_000));
        assert_eq!(moment("2021-01-15 13:41:52"), Some(1_610_718_112_000));
        assert_eq!(moment("2021-01-15T14:41:52.000+01:00"), Some(1_610_718_112_000));
        assert_eq!(moment("yesterday"), None);
        assert_eq!(pretty(1_039_423_000), "12 days 43 minutes 43 seconds");
    }

    #[test]
    fn clocks() {
        let seconds = |t: &str| clock(t).map(|d| d.as_secs());
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("01:30"), Some(90));
        assert_eq!(seconds("1:00:00"), Some(3_600));
        assert_eq!(seconds("7 00:00:01"), Some(7 * 86_400 + 1));
        for bad in
            ["", "0", "x", "1:2:3:4", "1:60", "-1", "1 x", "99999999999999999999", "9999999999999999 00:00"]
        {
            assert_eq!(clock(bad), None, "{bad}");
        }
        for s in [1, 59, 3_600, 86_399, 86_400, 1_000_000] {
            assert_eq!(seconds(&clock_text(Duration::from_secs(s))), Some(s));
        }
    }

    #[test]
    fn single_units() {
        let days = |t: &str| single(t).map(|d| d.as_secs() / 86_400);
        assert_eq!((days("2Y"), days("1M"), days("1w"), days("2D")), (Some(730), Some(30), Some(7), Some(2)));
        assert_eq!((single("5m").unwrap().as_secs(), single("5s").unwrap().as_secs()), (300, 5));
        for bad in [
            "",
            "5",
            "5x",
            "m",
            "1.5h",
            "-1d",
            "0s",
            "5y",
            "5S",
            "1h30m",
            "5 m",
            "5min",
            "99999999999999999999Y",
            "é",
        ] {
            assert_eq!(single(bad), None, "{bad}");
        }
    }
}
