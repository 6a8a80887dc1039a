//! The policy of a browser's form: until when it may be sent, and what may be in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::{S3Error, S3Result, s3_error};
use serde_json::Value;

use super::Fields;
use crate::s3::refusal::Detailed as _;

/// Fields that no policy has to allow.
const ALWAYS: [&str; 5] = ["awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"];

/// What a policy says of one field.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Equal(String, String),
    Prefix(String, String),
    Length(u64, u64),
}

/// A policy that can be read.
#[derive(Debug)]
pub(super) struct Policy {
    /// Milliseconds since 1970.
    expires: u64,
    conditions: Vec<(Condition, Value)>,
}

fn broken(why: impl std::fmt::Display) -> S3Error {
    s3_error!(InvalidPolicyDocument, "Invalid Policy: {why}")
}

fn violated(why: impl std::fmt::Display) -> S3Error {
    s3_error!(AccessDenied, "Invalid according to Policy: {why}")
}

impl Policy {
    /// Reads the base64 text of a form.
    pub(super) fn read(text: &str) -> S3Result<Self> {
        let bytes = STANDARD.decode(text.split_ascii_whitespace().collect::<String>());
        let bytes = bytes.map_err(|_| broken("the policy is not base64."))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| broken("Invalid JSON."))?;
        let expiration = value.get("expiration").and_then(Value::as_str);
        let expiration = expiration.ok_or_else(|| broken("Policy missing expiration."))?;
        let expires: jiff::Timestamp = expiration
            .parse()
            .map_err(|_| broken(format_args!("Invalid 'expiration' value: '{expiration}'")))?;
        let listed = value.get("conditions").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| broken("Policy missing conditions."))?;
        let mut conditions = Vec::new();
        for condition in listed {
            for read in read_condition(condition)? {
                conditions.push((read, condition.clone()));
            }
        }
        Ok(Self { expires: u64::try_from(expires.as_millisecond()).unwrap_or(0), conditions })
    }

    /// The longest file that it allows.
    pub(super) fn longest(&self) -> Option<u64> {
        let most = |(condition, _): &(Condition, Value)| match condition {
            Condition::Length(_, most) => Some(*most),
            _ => None,
        };
        self.conditions.iter().filter_map(most).min()
    }

    /// Judges a form by the cluster's time; none for clusters that take any date.
    pub(super) fn check(&self, fields: &Fields, bucket: &str, length: u64, now: Option<u64>) -> S3Result<()> {
        if now.is_some_and(|now| now > self.expires) {
            return Err(violated("Policy expired."));
        }
        let value = |name: &str| {
            let given = fields.get(name);
            if name == "bucket" { given.or(Some(bucket)) } else { given }.unwrap_or_default()
        };
        for (condition, source) in &self.conditions {
            let holds = match condition {
                Condition::Equal(name, wanted) => value(name) == wanted,
                Condition::Prefix(name, prefix) => value(name).starts_with(prefix.as_str()),
                Condition::Length(least, _) if length < *least => {
                    let error = s3_error!(
                        EntityTooSmall,
                        "Your proposed upload is smaller than the minimum allowed size"
                    );
                    return Err(error.detail("ProposedSize", length).detail("MinSizeAllowed", least));
                }
                Condition::Length(_, most) if length > *most => return Err(too_large(length, *most)),
                Condition::Length(..) => true,
            };
            if !holds {
                return Err(violated(format_args!("Policy Condition failed: {source}")));
            }
        }
        let allowed = |name: &str| {
            ALWAYS.contains(&name)
                || name.starts_with("x-ignore-")
                || self.conditions.iter().any(|(c, _)| match c {
                    Condition::Equal(field, _) | Condition::Prefix(field, _) => field == name,
                    Condition::Length(..) => false,
                })
        };
        match fields.names().find(|name| !allowed(name)) {
            Some(name) => Err(violated(format_args!("Extra input fields: {name}"))),
            None => Ok(()),
        }
    }
}

pub(super) fn too_large(length: u64, most: u64) -> S3Error {
    let error = s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size");
    error.detail("ProposedSize", length).detail("MaxSizeAllowed", most)
}

fn read_condition(condition: &Value) -> S3Result<Vec<Condition>> {
    let bad = || broken(format_args!("Invalid condition: {condition}"));
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(bad);
    if let Some(pairs) = condition.as_object() {
        let equal =
            |(name, value): (&String, &Value)| Ok(Condition::Equal(name.to_ascii_lowercase(), text(value)?));
        return pairs.iter().map(equal).collect();
    }
    let [operator, first, second] = condition.as_array().map(Vec::as_slice).ok_or_else(bad)? else {
        return Err(bad());
    };
    let field = || {
        let name = text(first)?;
        name.strip_prefix('$').map(str::to_ascii_lowercase).ok_or_else(bad)
    };
    let operator = text(operator)?.to_ascii_lowercase();
    Ok(vec![match operator.as_str() {
        "eq" => Condition::Equal(field()?, text(second)?),
        "starts-with" => Condition::Prefix(field()?, text(second)?),
        "content-length-range" => {
            let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok()).ok_or_else(bad);
            Condition::Length(number(first)?, number(second)?)
        }
        _ => return Err(bad()),
    }])
}
