//! Dates of signed requests, in milliseconds since 1970.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

fn millis(time: Timestamp) -> Option<u64> {
    u64::try_from(time.as_millisecond()).ok()
}

/// `20130524T000000Z`.
pub(super) fn basic(text: &str) -> Option<u64> {
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    millis(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// `Fri, 24 May 2013 00:00:00 GMT`.
pub(super) fn of_header(text: &str) -> Option<u64> {
    basic(text).or_else(|| millis(rfc2822::parse(text).ok()?.timestamp()))
}

/// The form of [`basic`].
pub(super) fn to_basic(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        let ms = 1_369_353_600_000;
        assert_eq!(basic("20130524T000000Z"), Some(ms));
        assert_eq!(of_header("Fri, 24 May 2013 00:00:00 GMT"), Some(ms));
        assert_eq!(of_header("Fri, 24 May 2013 02:00:00 +0200"), Some(ms));
        assert_eq!(to_basic(ms), "20130524T000000Z");
        assert_eq!(basic("2013-05-24"), None);
    }
}
