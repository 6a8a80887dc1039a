//! GetObjectLockConfiguration: whether versions of the bucket can be locked, and for how long they are by default.

use http::Method;
use serde::Deserialize;

use super::{Action, Again, Flaw, Outgoing, bucket_path, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::lock::RetentionMode;

const DAY: u64 = 24 * 60 * 60;
/// As S3 counts them.
const YEAR: u64 = 365 * DAY;

/// A bucket's rules for object lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockConfiguration {
    /// The retention that a version gets if its writer asks for none: mode and seconds.
    pub default: Option<(RetentionMode, u64)>,
}

#[derive(Debug)]
pub(crate) struct GetObjectLockConfiguration;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectLockConfiguration {
    object_lock_enabled: Option<String>,
    rule: Option<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    default_retention: Option<DefaultRetention>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultRetention {
    mode: String,
    days: Option<u64>,
    years: Option<u64>,
}

impl Action for GetObjectLockConfiguration {
    /// `None` when the bucket has no object lock.
    type Output = Option<LockConfiguration>;

    const OPERATION: Operation = Operation::GetObjectLockConfiguration;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("GET object lock of {bucket}")
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        Ok(Outgoing::new(Method::GET, format!("{}?object-lock=", bucket_path(bucket))))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<Option<LockConfiguration>, Flaw> {
        let configuration: ObjectLockConfiguration = read_document(&answer, "the object lock")?;
        if configuration.object_lock_enabled.as_deref().map(str::trim) != Some("Enabled") {
            return Ok(None);
        }
        let Some(default) = configuration.rule.and_then(|rule| rule.default_retention) else {
            return Ok(Some(LockConfiguration { default: None }));
        };
        let mode = RetentionMode::from_name(default.mode.trim());
        let seconds = match (default.days, default.years) {
            (Some(days), None) => days.checked_mul(DAY),
            (None, Some(years)) => years.checked_mul(YEAR),
            _ => None,
        };
        let default = mode
            .zip(seconds)
            .ok_or_else(|| Flaw(format!("a default retention of mode {:?} makes no sense", default.mode)))?;
        Ok(Some(LockConfiguration { default: Some(default) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn the_rules_are_read() {
        assert_eq!(GetObjectLockConfiguration.build("lsu").unwrap().target, "/lsu?object-lock=");
        let of = |inner: &str| {
            let xml = format!("<ObjectLockConfiguration>{inner}</ObjectLockConfiguration>");
            GetObjectLockConfiguration.parse(answer(200, &[], &xml))
        };
        let on = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        let rule = |rule: &str| of(&format!("{on}<Rule><DefaultRetention>{rule}</DefaultRetention></Rule>"));
        assert_eq!(of(""), Ok(None));
        assert_eq!(of(on), Ok(Some(LockConfiguration { default: None })));
        assert_eq!(
            rule("<Mode>GOVERNANCE</Mode><Days>2</Days>"),
            Ok(Some(LockConfiguration { default: Some((RetentionMode::Governance, 172_800)) }))
        );
        assert_eq!(
            rule("<Mode>COMPLIANCE</Mode><Years>1</Years>"),
            Ok(Some(LockConfiguration { default: Some((RetentionMode::Compliance, 31_536_000)) }))
        );
        for strange in ["<Mode>X</Mode><Days>2</Days>", "<Mode>COMPLIANCE</Mode>", "<Mode/><Days>x</Days>"] {
            assert!(rule(strange).is_err(), "{strange}");
        }
    }
}
