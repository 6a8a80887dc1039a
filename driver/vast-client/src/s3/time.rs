//! The server's clock and its dates.

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::net::link::Answer;

/// Seconds since the epoch by the server's `Date` header; `None` when it does not send one.
pub type ServerTime = Option<u64>;

/// The server's clock when it sent an answer.
pub(crate) fn server_time(answer: &Answer) -> ServerTime {
    answer.header("date").and_then(http_date)
}

/// An HTTP date, `Wed, 21 Oct 2015 07:28:00 GMT`, in seconds since the epoch.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    u64::try_from(date.timestamp().as_second()).ok()
}

/// A date of an S3 document, `2009-10-12T17:50:30.000Z`, in seconds since the epoch.
pub(crate) fn timestamp(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.trim().parse().ok()?;
    u64::try_from(timestamp.as_second()).ok()
}

/// Seconds since the epoch in the form of S3's headers and documents, `2009-10-12T17:50:30Z`.
pub(crate) fn iso8601(seconds: u64) -> Result<String> {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map(|timestamp| timestamp.to_string()).ok_or_else(|| {
        Error::config(format!("the time {seconds}"), "it is beyond the year 9999", "give seconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_both_forms() {
        assert_eq!(http_date("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480));
        assert_eq!(timestamp("2009-10-12T17:50:30.000Z"), Some(1_255_369_830));
        assert_eq!(iso8601(1_255_369_830).unwrap(), "2009-10-12T17:50:30Z");
        assert!(iso8601(u64::MAX).is_err() && iso8601(1 << 60).is_err());
        assert_eq!(http_date("yesterday"), None);
        assert_eq!(timestamp("2009-10-12"), None);
    }
}
