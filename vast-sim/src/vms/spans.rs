//! Spans of time as clients write them: `90m`, `30d`, `1h30m`, `12 days 4 hours`, `[DD [HH:[MM:]]]ss`; and points in time.

/// Milliseconds of one unit; none for an unknown one. Months have 30 days, years 365.
fn unit(name: &str) -> Option<u64> {
    const SECOND: u64 = 1_000;
    const DAY: u64 = 86_400 * SECOND;
    Some(match name {
        "s" | "S" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * SECOND,
        "h" | "H" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "D" | "day" | "days" => DAY,
        "w" | "W" | "week" | "weeks" => 7 * DAY,
        "M" | "month" | "months" => 30 * DAY,
        "y" | "Y" | "year" | "years" => 365 * DAY,
        _ => return None,
    })
}

/// Milliseconds of a span; none when it cannot be read. Plain numbers are seconds.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.contains(':') || text.chars().all(|c| c.is_ascii_digit() || c == ' ') {
        let span = super::durations::lifetime(text)?;
        return u64::try_from(span.as_millis()).ok();
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total = total.checked_add(number.checked_mul(unit(&rest[..letters])?)?)?;
        rest = rest[letters..].trim_start_matches([' ', ',']);
    }
    (!text.is_empty()).then_some(total)
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
            ("1D", 86_400),
            ("1W", 604_800),
            ("1M", 2_592_000),
            ("01:30", 90),
            ("2 01:00:05", 176_405),
        ] {
            assert_eq!(parse(text), Some(seconds * 1_000), "{text}");
        }
        for bad in ["", "m", "5 parsecs", "1h30", "x:y", "99999999999999999999d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(moment("2021-01-15T13:41:52Z"), Some(1_610_718_112_000));
        assert_eq!(moment("2021-01-15T13:41:52"), Some(1_610_718_112_000));
        assert_eq!(moment("2021-01-15 13:41:52"), Some(1_610_718_112_000));
        assert_eq!(moment("yesterday"), None);
        assert_eq!(pretty(1_039_423_000), "12 days 43 minutes 43 seconds");
    }
}
