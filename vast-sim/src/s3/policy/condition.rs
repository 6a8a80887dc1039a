//! Conditions of policy statements.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::pattern::{covers_address, matches};
use super::{Ask, with_variables};

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Text {
        fold_case: bool,
    },
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Address,
    /// Whether the key is missing.
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd + Copy>(self, a: T, b: T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

/// Which of several values of a key must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    Any,
    All,
}

/// One key and the values that it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    quantifier: Quantifier,
    key: String,
    values: Vec<String>,
}

/// The order behind the name of a number or date operator.
fn order(name: &str) -> Option<(Order, bool)> {
    Some(match name {
        "Equals" => (Order::Equal, false),
        "NotEquals" => (Order::Equal, true),
        "LessThan" => (Order::Less, false),
        "LessThanEquals" => (Order::LessOrEqual, false),
        "GreaterThan" => (Order::Greater, false),
        "GreaterThanEquals" => (Order::GreaterOrEqual, false),
        _ => return None,
    })
}

fn operator(name: &str) -> Option<(Comparison, bool)> {
    if let Some(order) = name.strip_prefix("Numeric").and_then(order) {
        return Some((Comparison::Number(order.0), order.1));
    }
    if let Some(order) = name.strip_prefix("Date").and_then(order) {
        return Some((Comparison::Date(order.0), order.1));
    }
    Some(match name {
        "StringEquals" => (Comparison::Text { fold_case: false }, false),
        "StringNotEquals" => (Comparison::Text { fold_case: false }, true),
        "StringEqualsIgnoreCase" => (Comparison::Text { fold_case: true }, false),
        "StringNotEqualsIgnoreCase" => (Comparison::Text { fold_case: true }, true),
        "StringLike" | "ArnLike" | "ArnEquals" => (Comparison::Like, false),
        "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (Comparison::Like, true),
        "Bool" => (Comparison::Bool, false),
        "IpAddress" => (Comparison::Address, false),
        "NotIpAddress" => (Comparison::Address, true),
        "Null" => (Comparison::Null, false),
        _ => return None,
    })
}

/// Reads the `Condition` of a statement.
pub(super) fn read(value: &Value) -> Result<Vec<Condition>, String> {
    let mut all = Vec::new();
    for (name, keys) in value.as_object().ok_or("Condition must be an object")? {
        let (quantifier, bare) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            _ => (Quantifier::Any, name.as_str()),
        };
        let (bare, if_exists) = match bare.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (bare, false),
        };
        let (comparison, negated) =
            operator(bare).ok_or_else(|| format!("Invalid Condition type : {name}"))?;
        for (key, values) in keys.as_object().ok_or("a Condition type must hold an object")? {
            let text = |v: &Value| match v {
                Value::String(s) => Ok(s.clone()),
                Value::Bool(_) | Value::Number(_) => Ok(v.to_string()),
                _ => Err(format!("the value of {key} must be text")),
            };
            let values = match values {
                Value::Array(many) => many.iter().map(text).collect::<Result<Vec<_>, _>>()?,
                one => vec![text(one)?],
            };
            if let Some(bad) = values.iter().find(|v| !comparison.takes(v)) {
                return Err(format!("Invalid value {bad} for {key} in {name}"));
            }
            all.push(Condition { comparison, negated, if_exists, quantifier, key: key.clone(), values });
        }
    }
    Ok(all)
}

fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    let stamp = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second).ok();
    let midnight = |day: jiff::civil::Date| {
        day.to_zoned(jiff::tz::TimeZone::UTC).map(|z| z.timestamp().as_second()).ok()
    };
    stamp.or_else(|| midnight(text.parse().ok()?))
}

impl Comparison {
    /// Whether a policy's value can be compared this way at all.
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Text { .. } | Self::Like => true,
            Self::Number(_) => value.parse::<f64>().is_ok(),
            Self::Date(_) => date(value).is_some(),
            Self::Bool | Self::Null => matches!(value.to_ascii_lowercase().as_str(), "true" | "false"),
            Self::Address => covers_address(value, IpAddr::V4(Ipv4Addr::LOCALHOST)).is_some(),
        }
    }

    fn holds(self, wanted: &str, found: &str) -> bool {
        match self {
            Self::Text { fold_case: false } => wanted == found,
            Self::Text { fold_case: true } => wanted.to_lowercase() == found.to_lowercase(),
            Self::Like => matches(wanted, found),
            Self::Number(order) => match (found.parse::<f64>(), wanted.parse::<f64>()) {
                (Ok(found), Ok(wanted)) => order.holds(found, wanted),
                _ => false,
            },
            Self::Date(order) => match (date(found), date(wanted)) {
                (Some(found), Some(wanted)) => order.holds(found, wanted),
                _ => false,
            },
            Self::Bool => wanted.eq_ignore_ascii_case(found),
            Self::Address => found.parse().ok().and_then(|ip| covers_address(wanted, ip)) == Some(true),
            Self::Null => false,
        }
    }
}

impl Condition {
    pub(super) fn holds(&self, ask: &Ask<'_>) -> bool {
        let found = (ask.keys)(&self.key);
        if self.comparison == Comparison::Null {
            return self.values.iter().any(|v| v.eq_ignore_ascii_case("true") == found.is_empty());
        }
        if found.is_empty() {
            return self.negated || self.if_exists || self.quantifier == Quantifier::All;
        }
        let wanted: Vec<String> = self.values.iter().map(|v| with_variables(v, ask)).collect();
        let one = |found: &String| wanted.iter().any(|w| self.comparison.holds(w, found)) != self.negated;
        match self.quantifier {
            Quantifier::Any => found.iter().any(one),
            Quantifier::All => found.iter().all(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(condition: &Value) -> bool {
        let keys = |key: &str| -> Vec<String> {
            let one: &[&str] = match key {
                "s3:prefix" => &["home/anna/"],
                "aws:SourceIp" => &["10.1.2.3"],
                "aws:SecureTransport" => &["false"],
                "s3:max-keys" => &["50"],
                "aws:CurrentTime" => &["2026-03-01T00:00:00Z"],
                "aws:EpochTime" => &["1772323200"],
                "s3:RequestObjectTagKeys" => &["a", "b"],
                _ => &[],
            };
            one.iter().map(|s| (*s).to_owned()).collect()
        };
        let ask = Ask { action: "s3:ListBucket", resource: "b", caller: None, keys: &keys };
        read(condition).unwrap().iter().all(|c| c.holds(&ask))
    }

    #[test]
    fn operators() {
        for (condition, expected) in [
            (json!({ "StringEquals": { "s3:prefix": ["x", "home/anna/"] } }), true),
            (json!({ "StringEquals": { "s3:prefix": "HOME/anna/" } }), false),
            (json!({ "StringEqualsIgnoreCase": { "s3:prefix": "HOME/anna/" } }), true),
            (json!({ "StringNotEquals": { "s3:prefix": "home/anna/" } }), false),
            (json!({ "StringLike": { "s3:prefix": "home/*" } }), true),
            (json!({ "StringNotLike": { "s3:prefix": "home/*" } }), false),
            (json!({ "StringLike": { "s3:delimiter": "*" } }), false),
            (json!({ "StringLikeIfExists": { "s3:delimiter": "/" } }), true),
            (json!({ "StringNotEquals": { "s3:delimiter": "/" } }), true),
            (json!({ "IpAddress": { "aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"] } }), true),
            (json!({ "NotIpAddress": { "aws:SourceIp": "10.1.2.3/32" } }), false),
            (json!({ "Bool": { "aws:SecureTransport": "false" } }), true),
            (json!({ "Bool": { "aws:SecureTransport": true } }), false),
            (json!({ "NumericLessThanEquals": { "s3:max-keys": "50" } }), true),
            (json!({ "NumericGreaterThan": { "s3:max-keys": 50 } }), false),
            (json!({ "NumericEquals": { "s3:max-keys": "50" } }), true),
            (json!({ "NumericEquals": { "s3:max-keys": "51" } }), false),
            (json!({ "NumericNotEquals": { "s3:max-keys": "50" } }), false),
            (json!({ "NumericNotEquals": { "s3:max-keys": "51" } }), true),
            (json!({ "NumericLessThan": { "s3:max-keys": "50" } }), false),
            (json!({ "NumericLessThan": { "s3:max-keys": "51" } }), true),
            (json!({ "NumericGreaterThanEquals": { "s3:max-keys": "50" } }), true),
            (json!({ "NumericGreaterThanEquals": { "s3:max-keys": "51" } }), false),
            (json!({ "DateEquals": { "aws:EpochTime": "2026-03-01T00:00:00Z" } }), true),
            (json!({ "DateEquals": { "aws:CurrentTime": "1772323200" } }), true),
            (json!({ "StringNotEqualsIgnoreCase": { "s3:prefix": "HOME/anna/" } }), false),
            (json!({ "StringNotEqualsIgnoreCase": { "s3:prefix": "home/berta/" } }), true),
            (json!({ "DateLessThan": { "aws:CurrentTime": "2026-03-02T00:00:00Z" } }), true),
            (json!({ "DateGreaterThan": { "aws:CurrentTime": "2026-03-02" } }), false),
            (json!({ "Null": { "s3:delimiter": "true" } }), true),
            (json!({ "Null": { "s3:prefix": "true" } }), false),
            (json!({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["a", "b", "c"] } }), true),
            (json!({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["a"] } }), false),
            // None of no values is another.
            (json!({ "ForAllValues:StringEquals": { "s3:delimiter": "/" } }), true),
            (json!({ "ForAnyValue:StringEquals": { "s3:delimiter": "/" } }), false),
            (json!({ "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": ["a"] } }), true),
            // All of several must hold.
            (
                json!({ "Bool": { "aws:SecureTransport": "false" }, "StringLike": { "s3:prefix": "x*" } }),
                false,
            ),
        ] {
            assert_eq!(holds(&condition), expected, "{condition}");
        }
    }
}
