//! Policies: JSON documents that allow or deny, attached to users and groups, or to buckets.

mod actions;
mod condition;
mod pattern;

use serde_json::{Map, Value};

use condition::Condition;
pub(crate) use pattern::{covers_address, matches};

/// Longest document, in bytes.
const MAX_LEN: usize = 20 << 10;

/// Where a policy hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attached<'a> {
    /// To a user or a group: statements have no principal.
    Identity,
    /// To this bucket: statements have principals, and resources in the bucket.
    Bucket(&'a str),
}

/// A policy that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Debug, Clone, PartialEq)]
struct Statement {
    allows: bool,
    principals: Option<Patterns>,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

/// Patterns of which one must match, or none.
#[derive(Debug, Clone, PartialEq)]
struct Patterns {
    negated: bool,
    patterns: Vec<String>,
}

/// What is asked of a policy.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// `s3:GetObject`.
    pub(crate) action: &'a str,
    /// Bucket, or bucket, slash and key; empty for actions on no bucket.
    pub(crate) resource: &'a str,
    /// Names of the caller; none for an unsigned request.
    pub(crate) caller: Option<&'a Names>,
    /// Values of a condition key; empty when the request has none.
    pub(crate) keys: &'a dyn Fn(&str) -> Vec<String>,
}

/// What a user goes by in the principals of policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) name: String,
    /// Numbers and security identifiers.
    pub(crate) ids: Vec<String>,
    pub(crate) groups: Vec<String>,
}

/// What a policy, or several, say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) denies: bool,
    pub(crate) allows: bool,
}

impl Says {
    pub(crate) fn and(self, other: Self) -> Self {
        Self { denies: self.denies || other.denies, allows: self.allows || other.allows }
    }
}

fn strings(value: &Value, what: &str) -> Result<Vec<String>, String> {
    let text = |v: &Value| v.as_str().map(str::to_owned).ok_or_else(|| format!("{what} must be text"));
    let all = match value {
        Value::Array(items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        one => vec![text(one)?],
    };
    if all.is_empty() { Err(format!("{what} must not be empty")) } else { Ok(all) }
}

impl Patterns {
    /// The field, or its negation.
    fn read(statement: &Map<String, Value>, field: &str) -> Result<Option<Self>, String> {
        let negation = format!("Not{field}");
        let (negated, value) = match (statement.get(field), statement.get(&negation)) {
            (Some(_), Some(_)) => return Err(format!("{field} and {negation} exclude each other")),
            (None, None) => return Ok(None),
            (Some(value), None) => (false, value),
            (None, Some(value)) => (true, value),
        };
        let patterns = match value {
            Value::Object(kinds) if field == "Principal" => {
                let mut all = Vec::new();
                for (kind, names) in kinds {
                    if !matches!(kind.as_str(), "AWS" | "CanonicalUser" | "VAST") {
                        return Err(format!("Invalid principal in policy: {kind}"));
                    }
                    all.extend(strings(names, "Principal")?);
                }
                all
            }
            Value::String(s) if field == "Principal" && s != "*" => {
                return Err("Invalid principal in policy".to_owned());
            }
            value => strings(value, field)?,
        };
        Ok(Some(Self { negated, patterns }))
    }

    fn match_with(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|p| matches(p)) != self.negated
    }
}

/// Whether a principal of a policy stands for this caller.
fn is_principal(pattern: &str, caller: Option<&Names>) -> bool {
    if pattern == "*" {
        return true;
    }
    let Some(names) = caller else { return false };
    let last =
        if pattern.starts_with("arn:") { pattern.rsplit(':').next().unwrap_or_default() } else { pattern };
    // A whole account: everybody who signs.
    if last == "root" || (last.len() == 12 && last.bytes().all(|b| b.is_ascii_digit())) {
        return true;
    }
    match last.split_once('/') {
        Some(("user", name)) => name.rsplit('/').next() == Some(names.name.as_str()),
        Some(("group", name)) => names.groups.iter().any(|g| g == name),
        _ => last == names.name || names.ids.iter().any(|id| id == last),
    }
}

const ARN: &str = "arn:aws:s3:::";

impl Statement {
    fn read(value: &Value, attached: Attached<'_>) -> Result<Self, String> {
        let statement = value.as_object().ok_or("a statement must be an object")?;
        let known = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        if let Some(other) = statement.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(format!("Unknown field {other}"));
        }
        let allows = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("Effect must be Allow or Deny".to_owned()),
        };
        let principals = Patterns::read(statement, "Principal")?;
        let actions = Patterns::read(statement, "Action")?.ok_or("Missing required field Action")?;
        let resources = Patterns::read(statement, "Resource")?.ok_or("Missing required field Resource")?;
        let of_buckets = matches!(attached, Attached::Bucket(_));
        let is_action = |a: &str| {
            let name = a.get(3..).filter(|_| a.to_ascii_lowercase().starts_with("s3:"));
            a == "*" || name.is_some_and(|name| !of_buckets || actions::is_known(name))
        };
        if let Some(bad) = actions.patterns.iter().find(|a| !is_action(a)) {
            return Err(format!("Policy has invalid action {bad}"));
        }
        match (attached, &principals) {
            (Attached::Identity, Some(_)) => return Err("An identity policy has no Principal".to_owned()),
            (Attached::Bucket(_), None) => return Err("Missing required field Principal".to_owned()),
            _ => {}
        }
        for resource in &resources.patterns {
            let within = match (resource.strip_prefix(ARN), attached) {
                (None, Attached::Bucket(_)) => false,
                (None, Attached::Identity) => resource == "*",
                (Some(_), Attached::Identity) => true,
                (Some(name), Attached::Bucket(bucket)) => {
                    let own = name.split('/').next().unwrap_or_default();
                    matches(own.trim_end_matches('*'), bucket) || matches(own, bucket)
                }
            };
            if !within {
                return Err(format!("Policy has invalid resource {resource}"));
            }
        }
        let conditions = match statement.get("Condition") {
            None => Vec::new(),
            Some(value) => condition::read(value)?,
        };
        Ok(Self { allows, principals, actions, resources, conditions })
    }

    fn applies(&self, ask: &Ask<'_>) -> bool {
        let action = ask.action.to_ascii_lowercase();
        let resource = |pattern: &str| {
            let pattern = with_variables(pattern, ask);
            let pattern = pattern.strip_prefix(ARN).unwrap_or(&pattern);
            matches(pattern, ask.resource)
        };
        self.actions.match_with(|p| matches(&p.to_ascii_lowercase(), &action))
            && self.resources.match_with(resource)
            && self.principals.as_ref().is_none_or(|p| p.match_with(|p| is_principal(p, ask.caller)))
            && self.conditions.iter().all(|c| c.holds(ask))
    }
}

/// A pattern with the variables of the request filled in.
fn with_variables(pattern: &str, ask: &Ask<'_>) -> String {
    let mut filled = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        match (ask.keys)(name).first() {
            Some(value) => filled.push_str(value),
            // Matches nothing that a bucket or key could be called.
            None => filled.push('\0'),
        }
        rest = after;
    }
    filled + rest
}

impl Policy {
    /// Reads a document.
    ///
    /// The error says what is wrong with it.
    pub(crate) fn read(text: &str, attached: Attached<'_>) -> Result<Self, String> {
        if text.len() > MAX_LEN {
            return Err(format!("Policy exceeds the maximum allowed document size of {MAX_LEN} bytes"));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|e| format!("Policies must be valid JSON: {e}"))?;
        let document = value.as_object().ok_or("Policies must be JSON objects")?;
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2012-10-17" | "2008-10-17")) => {}
            Some(_) => return Err("The policy must contain a valid version string".to_owned()),
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(all)) if !all.is_empty() => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err("Missing required field Statement".to_owned()),
        };
        let read = statements.into_iter().map(|s| Statement::read(s, attached));
        read.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn says(&self, ask: &Ask<'_>) -> Says {
        let mut says = Says::default();
        for statement in self.0.iter().filter(|s| s.applies(ask)) {
            says = says.and(Says { denies: !statement.allows, allows: statement.allows });
        }
        says
    }

    /// Whether everybody is allowed something without a condition.
    pub(crate) fn is_public(&self) -> bool {
        let everybody = |p: &Patterns| !p.negated && p.patterns.iter().any(|p| p == "*");
        self.0
            .iter()
            .any(|s| s.allows && s.conditions.is_empty() && s.principals.as_ref().is_some_and(everybody))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(name: &str) -> Names {
        Names { name: name.to_owned(), ids: vec!["1001".to_owned()], groups: vec!["ops".to_owned()] }
    }

    fn ask(policy: &Value, caller: Option<&Names>, action: &str, resource: &str) -> Says {
        let keys = |key: &str| match key {
            "aws:username" => caller.map(|c| c.name.clone()).into_iter().collect(),
            _ => Vec::new(),
        };
        let attached = if policy["Statement"][0].get("Principal").is_some() {
            Attached::Bucket("b")
        } else {
            Attached::Identity
        };
        let policy = Policy::read(&policy.to_string(), attached).unwrap();
        policy.says(&Ask { action, resource, caller, keys: &keys })
    }

    fn statement(effect: &str, principal: &Value, action: &str, resource: &str) -> Value {
        json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "x", "Effect": effect, "Principal": principal,
            "Action": action, "Resource": resource }] })
    }

    #[test]
    fn principals_name_users_groups_and_everybody() {
        let anna = names("anna");
        for (principal, anna_is_in, nobody_is_in) in [
            (json!("*"), true, true),
            (json!({ "AWS": "*" }), true, true),
            (json!({ "AWS": ["arn:aws:iam::123456789012:user/anna"] }), true, false),
            (json!({ "AWS": ["arn:aws:iam::123456789012:user/berta"] }), false, false),
            (json!({ "AWS": "arn:aws:iam::1:group/ops" }), true, false),
            (json!({ "AWS": "arn:aws:iam::1:root" }), true, false),
            // An account, whole: its number has twelve digits.
            (json!({ "AWS": "123456789012" }), true, false),
            (json!({ "AWS": "12345678901" }), false, false),
            (json!({ "AWS": "twelveletter" }), false, false),
            (json!({ "AWS": "anna" }), true, false),
            (json!({ "AWS": "1001" }), true, false),
            (json!({ "CanonicalUser": "berta" }), false, false),
        ] {
            let policy = statement("Allow", &principal, "s3:GetObject", "arn:aws:s3:::b/*");
            let allowed = |who| ask(&policy, who, "s3:GetObject", "b/k").allows;
            assert_eq!((allowed(Some(&anna)), allowed(None)), (anna_is_in, nobody_is_in), "{principal}");
        }
    }

    #[test]
    fn actions_and_resources_have_wildcards() {
        for (pattern, action, resource, within, applies) in [
            ("s3:*", "s3:GetObject", "arn:aws:s3:::b/*", "b/k", true),
            ("s3:Get*", "s3:GetObject", "arn:aws:s3:::b/dir/*", "b/dir/k", true),
            ("s3:get?bject", "s3:GetObject", "arn:aws:s3:::b/*", "b/k", true),
            ("s3:Get*", "s3:PutObject", "arn:aws:s3:::b/*", "b/k", false),
            ("s3:Get*", "s3:GetObject", "arn:aws:s3:::b/dir/*", "b/other/k", false),
            ("s3:ListBucket", "s3:ListBucket", "arn:aws:s3:::b", "b", true),
            ("s3:ListBucket", "s3:ListBucket", "arn:aws:s3:::b/*", "b", false),
        ] {
            let policy = statement("Deny", &json!("*"), pattern, resource);
            let says = ask(&policy, None, action, within);
            assert_eq!(says, Says { denies: applies, allows: false }, "{pattern} {resource}");
        }
    }

    #[test]
    fn negations_and_variables() {
        let anna = names("anna");
        let own = json!({ "Statement": [
            { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::home/${aws:username}/*" },
            { "Effect": "Deny", "NotAction": ["s3:GetObject", "s3:PutObject"], "Resource": "*" },
        ] });
        let says = |action, resource| ask(&own, Some(&anna), action, resource);
        assert_eq!(says("s3:GetObject", "home/anna/x"), Says { denies: false, allows: true });
        assert_eq!(says("s3:GetObject", "home/berta/x"), Says::default());
        assert_eq!(says("s3:DeleteObject", "home/anna/x"), Says { denies: true, allows: true });
    }

    #[test]
    fn documents_that_say_nothing_clear_are_refused() {
        let wrong = |text: &str, attached| Policy::read(text, attached).unwrap_err();
        assert!(wrong("{", Attached::Identity).contains("valid JSON"));
        assert!(wrong("{}", Attached::Identity).contains("Statement"));
        let bucket = Attached::Bucket("b");
        let of = |s: Value| json!({ "Statement": [s] }).to_string();
        let good =
            json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*" });
        Policy::read(&of(good.clone()), bucket).unwrap();
        let with = |field: &str, value: Value| {
            let mut other = good.clone();
            other[field] = value;
            Policy::read(&of(other), bucket)
        };
        with("Action", json!("*")).unwrap();
        for resource in ["arn:aws:s3:::b*", "arn:aws:s3:::b", "arn:aws:s3:::?/k"] {
            with("Resource", json!(resource)).unwrap();
        }
        let mut nobody = good.clone();
        nobody.as_object_mut().unwrap().remove("Principal");
        assert!(wrong(&of(nobody), bucket).contains("Principal"));
        let padded = |len: usize| {
            let text = of(good.clone());
            text.clone() + &" ".repeat(len - text.len())
        };
        Policy::read(&padded(MAX_LEN), bucket).unwrap();
        assert!(wrong(&padded(MAX_LEN + 1), bucket).contains("maximum"));
        for (field, value, complaint) in [
            ("Effect", json!("Maybe"), "Effect"),
            ("Action", json!("ec2:*"), "action"),
            ("Resource", json!("arn:aws:s3:::other/*"), "resource"),
            ("Resource", json!([]), "empty"),
            ("Principal", json!("anna"), "principal"),
            ("Unknown", json!(1), "Unknown"),
            ("Condition", json!({ "NoSuchOperator": { "aws:SourceIp": "1.2.3.4" } }), "NoSuchOperator"),
            ("Condition", json!({ "IpAddress": { "aws:SourceIp": "here" } }), "here"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let error = wrong(&of(bad), bucket);
            assert!(error.contains(complaint), "{field}: {error}");
        }
        assert!(wrong(&of(good), Attached::Identity).contains("Principal"));
    }
}
