//! Object lock as requests and answers carry it: until when a version is kept, and how strictly.

use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::actions::Outgoing;
use crate::s3::time::{iso8601, timestamp};

/// How strictly a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetentionMode {
    /// Users with a special right may lift it. This client never asks for that.
    Governance,
    /// Nobody may lift it.
    Compliance,
}

/// A retention of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retention {
    /// Until when the version is kept, in seconds since the epoch by the server's clock.
    pub until: u64,
    /// How strictly.
    pub mode: RetentionMode,
}

impl RetentionMode {
    /// The word for it in S3 and in VMS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// The mode of this name, in any case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| name.eq_ignore_ascii_case(mode.name()))
    }
}

/// Asks for a retention on the version that a request makes.
pub(crate) fn with_retention(request: Outgoing, retention: Option<Retention>) -> Result<Outgoing> {
    let Some(retention) = retention else { return Ok(request) };
    request
        .header("x-amz-object-lock-mode", retention.mode.name())?
        .header("x-amz-object-lock-retain-until-date", &iso8601(retention.until)?)
}

/// The retention that an answer tells of.
pub(crate) fn retention_of(answer: &Answer) -> Option<Retention> {
    let until = answer.header("x-amz-object-lock-retain-until-date").and_then(timestamp)?;
    // An unknown mode is taken as the strict one: what might be kept must not be promised to go.
    let mode = answer.header("x-amz-object-lock-mode").and_then(RetentionMode::from_name);
    Some(Retention { until, mode: mode.unwrap_or(RetentionMode::Compliance) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;
    use http::Method;

    #[test]
    fn a_retention_goes_out_and_comes_back_in_headers() {
        let retention = Retention { until: 1_255_369_830, mode: RetentionMode::Governance };
        let request = with_retention(Outgoing::new(Method::PUT, "/b/k".into()), Some(retention)).unwrap();
        assert_eq!(request.headers["x-amz-object-lock-mode"], "GOVERNANCE");
        assert_eq!(request.headers["x-amz-object-lock-retain-until-date"], "2009-10-12T17:50:30Z");
        let headers = [
            ("x-amz-object-lock-mode", "governance"),
            ("x-amz-object-lock-retain-until-date", "2009-10-12T17:50:30.000Z"),
        ];
        assert_eq!(retention_of(&answer(200, &headers, "")), Some(retention));
        let plain = with_retention(Outgoing::new(Method::PUT, "/b/k".into()), None).unwrap();
        assert!(plain.headers.is_empty());
    }

    #[test]
    fn a_mode_that_is_not_known_keeps_strictly() {
        let until = ("x-amz-object-lock-retain-until-date", "2009-10-12T17:50:30Z");
        let mode = |headers: &[(&'static str, &str)]| {
            retention_of(&answer(200, headers, "")).map(|retention| retention.mode)
        };
        assert_eq!(mode(&[until]), Some(RetentionMode::Compliance));
        assert_eq!(mode(&[until, ("x-amz-object-lock-mode", "NEW")]), Some(RetentionMode::Compliance));
        assert_eq!(mode(&[("x-amz-object-lock-mode", "GOVERNANCE")]), None);
    }
}
