//! Django-style filters: any query parameter that names a field filters by it; unknown ones are ignored.

use regex::RegexBuilder;
use serde_json::Value;

use super::error::ApiError;
use crate::store::registry::Row;

/// Parameters that never filter.
const RESERVED: &[&str] = &["page", "page_size", "ordering", "force", "force_remove"];
/// Largest compiled regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// Keeps the rows that satisfy every filter in `query` (decoded name and value pairs).
pub(crate) fn apply(rows: Vec<Row>, query: &[(String, String)]) -> Result<Vec<Row>, ApiError> {
    let mut rows = rows;
    for (name, wanted) in query.iter().filter(|(n, _)| !RESERVED.contains(&n.as_str())) {
        let Some((path, test)) = parse(name, wanted)? else { continue };
        // A field that no row has is unknown, and ignored.
        if rows.iter().any(|r| lookup(r, &path).is_some()) {
            rows.retain(|row| lookup(row, &path).is_some_and(|value| test.holds(value)));
        }
    }
    Ok(rows)
}

#[derive(Debug)]
enum Compare {
    Exact(String),
    IExact(String),
    Contains(String, bool),
    StartsWith(String, bool),
    EndsWith(String, bool),
    In(Vec<String>),
    Gt(String),
    Gte(String),
    Lt(String),
    Lte(String),
    Regex(regex::Regex),
    IsNull(bool),
}

#[derive(Debug)]
struct Test {
    compare: Compare,
    negate: bool,
}

/// Splits `a__b__icontains` into the path and the comparison. None when a suffix is unknown in an unknown way.
fn parse<'n>(name: &'n str, wanted: &str) -> Result<Option<(Vec<&'n str>, Test)>, ApiError> {
    let mut path: Vec<&str> = name.split("__").collect();
    let mut compare = None;
    let mut negate = false;
    if path.len() > 1
        && let Some(last) = path.last().copied()
    {
        let (suffix, not) = last.strip_prefix("not_").map_or((last, false), |s| (s, true));
        if last == "not" {
            (compare, negate) = (Some(Compare::Exact(wanted.to_owned())), true);
        } else if let Some(found) = suffix_compare(suffix, wanted)? {
            (compare, negate) = (Some(found), not);
        }
        if compare.is_some() {
            path.pop();
        }
    }
    if path.iter().any(|p| p.is_empty()) {
        return Ok(None);
    }
    let compare = compare.unwrap_or_else(|| Compare::Exact(wanted.to_owned()));
    Ok(Some((path, Test { compare, negate })))
}

fn suffix_compare(suffix: &str, wanted: &str) -> Result<Option<Compare>, ApiError> {
    let text = || wanted.to_owned();
    let lower = || wanted.to_lowercase();
    Ok(Some(match suffix {
        "exact" => Compare::Exact(text()),
        "iexact" => Compare::IExact(lower()),
        "contains" => Compare::Contains(text(), false),
        "icontains" => Compare::Contains(lower(), true),
        "startswith" => Compare::StartsWith(text(), false),
        "istartswith" => Compare::StartsWith(lower(), true),
        "endswith" => Compare::EndsWith(text(), false),
        "iendswith" => Compare::EndsWith(lower(), true),
        "in" => Compare::In(wanted.split(',').map(|s| s.trim().to_owned()).collect()),
        "gt" => Compare::Gt(text()),
        "gte" => Compare::Gte(text()),
        "lt" => Compare::Lt(text()),
        "lte" => Compare::Lte(text()),
        "isnull" => Compare::IsNull(wanted.eq_ignore_ascii_case("true") || wanted == "1"),
        "regex" | "iregex" => {
            let built = RegexBuilder::new(wanted)
                .case_insensitive(suffix == "iregex")
                .size_limit(REGEX_LIMIT)
                .build();
            Compare::Regex(
                built.map_err(|e| ApiError::bad_request(&format!("Invalid regular expression: {e}")))?,
            )
        }
        _ => return Ok(None),
    }))
}

/// The field a path leads to: nested objects, or `policy__name` -> `policy`, `cnode__id` -> `cnode_id`.
fn lookup<'r>(row: &'r Row, path: &[&str]) -> Option<&'r Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return row.get(*first);
    }
    if let Some(Value::Object(nested)) = row.get(*first) {
        return lookup(nested, rest);
    }
    match rest {
        ["name"] => row.get(&format!("{first}_name")).or_else(|| row.get(*first)),
        [field] => row.get(&format!("{first}_{field}")).or_else(|| row.get(&format!("_{first}_{field}"))),
        _ => None,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn equals(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Bool(b) => match wanted.to_ascii_lowercase().as_str() {
            "true" | "1" => *b,
            "false" | "0" => !*b,
            _ => false,
        },
        Value::Number(n) => wanted.trim().parse::<f64>().ok() == n.as_f64(),
        Value::Null => matches!(wanted, "" | "null" | "None"),
        Value::Array(items) => items.iter().any(|i| equals(i, wanted)),
        Value::String(s) => s == wanted,
        Value::Object(_) => false,
    }
}

fn order(value: &Value, wanted: &str) -> Option<std::cmp::Ordering> {
    match value {
        Value::Number(n) => n.as_f64()?.partial_cmp(&wanted.trim().parse().ok()?),
        Value::String(s) => Some(s.as_str().cmp(wanted)),
        _ => None,
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        self.compare.holds(value) != self.negate
    }
}

impl Compare {
    fn holds(&self, value: &Value) -> bool {
        if let (Value::Array(items), false) = (value, matches!(self, Self::IsNull(_))) {
            return items.iter().any(|i| self.holds(i));
        }
        let fold = |ignore_case: bool| {
            let text = plain(value);
            if ignore_case { text.to_lowercase() } else { text }
        };
        match self {
            Self::Exact(w) => equals(value, w),
            Self::IExact(w) => fold(true) == *w,
            Self::Contains(w, i) => fold(*i).contains(w.as_str()),
            Self::StartsWith(w, i) => fold(*i).starts_with(w.as_str()),
            Self::EndsWith(w, i) => fold(*i).ends_with(w.as_str()),
            Self::In(all) => all.iter().any(|w| equals(value, w)),
            Self::Gt(w) => order(value, w).is_some_and(std::cmp::Ordering::is_gt),
            Self::Gte(w) => order(value, w).is_some_and(std::cmp::Ordering::is_ge),
            Self::Lt(w) => order(value, w).is_some_and(std::cmp::Ordering::is_lt),
            Self::Lte(w) => order(value, w).is_some_and(std::cmp::Ordering::is_le),
            Self::Regex(r) => r.is_match(&plain(value)),
            Self::IsNull(wanted) => value.is_null() == *wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Row> {
        let all = json!([
            {"id": 1, "name": "alpha", "path": "/a", "policy": "default", "policy_id": 1, "protocols": ["S3"], "on": true, "note": null},
            {"id": 2, "name": "Beta", "path": "/b", "policy": "s3", "policy_id": 2, "protocols": ["NFS", "S3"], "on": false, "note": "x"},
            {"id": 3, "name": "gamma", "path": "/c/d", "policy": "s3", "policy_id": 2, "protocols": [], "on": true, "note": null},
        ]);
        all.as_array().unwrap().iter().map(|r| r.as_object().unwrap().clone()).collect()
    }

    fn ids(query: &[(&str, &str)]) -> Vec<u64> {
        let query: Vec<_> = query.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        apply(rows(), &query).unwrap().iter().map(|r| r["id"].as_u64().unwrap()).collect()
    }

    #[test]
    fn filters_like_django() {
        assert_eq!(ids(&[("name", "alpha")]), [1]);
        assert_eq!(ids(&[("name__icontains", "BET")]), [2]);
        assert_eq!(ids(&[("name__contains", "BET")]), [0; 0]);
        assert_eq!(ids(&[("id__in", "1,3")]), [1, 3]);
        assert_eq!(ids(&[("id__gte", "2"), ("on", "true")]), [3]);
        assert_eq!(ids(&[("policy__name", "s3")]), [2, 3]);
        assert_eq!(ids(&[("policy__id", "1")]), [1]);
        assert_eq!(ids(&[("policy__name__startswith", "def")]), [1]);
        assert_eq!(ids(&[("protocols", "NFS")]), [2]);
        assert_eq!(ids(&[("note__isnull", "true")]), [1, 3]);
        assert_eq!(ids(&[("name__not_contains", "a")]), [0; 0]);
        assert_eq!(ids(&[("path__regex", "^/[ab]$")]), [1, 2]);
        assert_eq!(ids(&[("path__not_regex", "^/[ab]$")]), [3]);
        assert_eq!(ids(&[("tentant_id", "7"), ("page_size", "1"), ("nope__icontains", "x")]), [1, 2, 3]);
        assert!(apply(rows(), &[("path__regex".to_owned(), "(".to_owned())]).is_err());
    }

    proptest! {
        /// A filter keeps exactly the rows that the plain test keeps, in their order.
        #[test]
        fn numbers_compare_as_numbers(values in proptest::collection::vec(0u64..200, 0..20), limit in 0u64..200) {
            let rows: Vec<Row> = values.iter().map(|v| json!({"id": v}).as_object().unwrap().clone()).collect();
            let kept = apply(rows, &[("id__lt".to_owned(), limit.to_string())]).unwrap();
            let kept: Vec<u64> = kept.iter().map(|r| r["id"].as_u64().unwrap()).collect();
            let expected: Vec<u64> = values.into_iter().filter(|v| *v < limit).collect();
            prop_assert_eq!(kept, expected);
        }

        #[test]
        fn no_query_panics(name in "[a-z_]{0,20}", value in ".{0,20}") {
            let _ = apply(rows(), &[(name, value)]);
        }
    }
}
