//! The ways in which VMS writes spans of time.

use std::time::Duration;

/// `[DD [HH:[MM:]]]ss`, such as `3600`, `45:00`, `12:00:00` or `7 00:00:00`.
pub(crate) fn lifetime(text: &str) -> Option<Duration> {
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

/// The inverse of [`lifetime`], in its longest form that is needed.
pub(crate) fn lifetime_text(span: Duration) -> String {
    let seconds = span.as_secs().max(1);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days} {clock}") }
}

/// A whole number and a unit: `Y` (365 days), `M` (30 days), `w`, `d`, `h`, `m`, `s`; weeks, days and hours also in
/// capitals.
pub(crate) fn expiry(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().last()?;
    let seconds = match unit {
        'Y' => 365 * 86_400,
        'M' => 30 * 86_400,
        'w' | 'W' => 7 * 86_400,
        'd' | 'D' => 86_400,
        'h' | 'H' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds).filter(|s| *s > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let seconds = |t: &str| lifetime(t).map(|d| d.as_secs());
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("01:30"), Some(90));
        assert_eq!(seconds("1:00:00"), Some(3_600));
        assert_eq!(seconds("7 00:00:01"), Some(7 * 86_400 + 1));
        for bad in
            ["", "0", "x", "1:2:3:4", "1:60", "-1", "1 x", "99999999999999999999", "9999999999999999 00:00"]
        {
            assert_eq!(lifetime(bad), None, "{bad}");
        }
        for s in [1, 59, 3_600, 86_399, 86_400, 1_000_000] {
            assert_eq!(seconds(&lifetime_text(Duration::from_secs(s))), Some(s));
        }
    }

    #[test]
    fn expiries() {
        let days = |t: &str| expiry(t).map(|d| d.as_secs() / 86_400);
        assert_eq!((days("2Y"), days("1M"), days("1w"), days("2D")), (Some(730), Some(30), Some(7), Some(2)));
        assert_eq!((expiry("5m").unwrap().as_secs(), expiry("5s").unwrap().as_secs()), (300, 5));
        for bad in ["", "5", "5x", "m", "1.5h", "-1d", "0s", "5y", "5S", "99999999999999999999Y", "é"] {
            assert_eq!(expiry(bad), None, "{bad}");
        }
    }
}
