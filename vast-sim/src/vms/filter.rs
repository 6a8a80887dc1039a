//! Django-style filters: any query parameter that names a field filters by it; unknown ones are ignored.
//!
//! `policy__name=x` follows the id in `policy_id` (or in `policy`) to the object it leads to, as far as field tables know
//! of relations; nested objects and lists of objects are followed by name.

use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::Value;

use super::caller::Caller;
use super::error::ApiError;
use super::tables::{self, Table};
use super::{engine, fields, resources, spans, visibility};
use crate::core::Core;
use crate::store::registry::Row;
use crate::store::state::State;

/// Parameters that never filter.
const RESERVED: &[&str] = &["page", "page_size", "ordering", "force", "force_remove"];
/// Largest compiled regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;
/// Where related objects are kept in a row while it is filtered.
const RELATED: &str = "_related";

/// A relation that some filter of a query follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed<'q> {
    name: &'q str,
    field: &'static fields::Field,
    kind: &'static str,
}

/// The relations that `query` follows.
pub(crate) fn relations<'q>(table: &'static Table, query: &'q [(String, String)]) -> Vec<Followed<'q>> {
    let followed = |name: &'q str| {
        let (first, _) = name.split_once("__")?;
        let field = relation(table, first)?;
        Some(Followed { name: first, field, kind: field.relation?.kind })
    };
    query.iter().filter_map(|(name, _)| followed(name)).collect()
}

/// Puts the related objects that filters ask about beside the fields of a row.
pub(crate) fn attach(
    core: &Arc<Core>,
    state: &State,
    related: &[Followed<'_>],
    row: &mut Row,
    caller: &Caller,
) {
    for relation in related {
        let Some(resource) = resources::by_kind(relation.kind) else { continue };
        let ids = relation.field.references(row).into_iter();
        let known = ids.filter(|id| visibility::is_known(state, relation.kind, *id, caller));
        let seen = |r: &Row| {
            let mut shown = engine::show(core, state, resource, r, "");
            resource.limit(caller, &mut shown);
            shown
        };
        let found = known.filter_map(|id| state.vms.row(relation.kind, id));
        let mut objects: Vec<Value> = found.map(|r| Value::Object(seen(r))).collect();
        let value = match objects.len() {
            0 => Value::Null,
            1 => objects.remove(0),
            _ => Value::Array(objects),
        };
        if let Value::Object(all) = row.entry(RELATED).or_insert_with(|| Value::Object(Row::new())) {
            all.insert(relation.name.to_owned(), value);
        }
    }
}

/// Keeps the rows that satisfy every filter in `query` (decoded name and value pairs).
pub(crate) fn apply(table: &Table, rows: Vec<Row>, query: &[(String, String)]) -> Result<Vec<Row>, ApiError> {
    let mut rows = rows;
    for (name, wanted) in query.iter().filter(|(n, _)| !RESERVED.contains(&n.as_str())) {
        let Some((path, test)) = parse(name, wanted)? else { continue };
        // A field that the table and all rows lack is unknown, and ignored.
        if is_known(table, &path) || rows.iter().any(|r| lookup(r, &path).is_some()) {
            rows.retain(|row| test.holds(&lookup(row, &path).unwrap_or_default()));
        }
    }
    Ok(rows)
}

/// Whether a table, and those to which its relations lead, say that there is such a path, whatever the rows hold.
fn is_known(table: &Table, path: &[&str]) -> bool {
    let shown = |name: &str| table.field(name).filter(|f| f.shown);
    match path {
        [name] => shown(name).is_some(),
        [first, rest @ ..] => {
            let related = relation(table, first).and_then(|field| field.relation);
            related.is_some_and(|r| is_known(tables::of(r.kind), rest))
                || shown(first).is_some_and(|f| f.kind.is_nested())
                || matches!(rest, ["name"] if shown(first).is_some() || shown(&format!("{first}_name")).is_some())
                || matches!(rest, [field] if shown(&format!("{first}_{field}")).is_some())
        }
        [] => false,
    }
}

/// The field that leads to the objects that filters call by a name: `policy` or `policy_id` for `policy__...`.
fn relation<'t>(table: &'t Table, first: &str) -> Option<&'t fields::Field> {
    let candidates =
        [first.to_owned(), format!("{first}_id"), format!("_{first}_id"), format!("{first}_ids")];
    candidates.iter().filter_map(|c| table.field(c)).find(|f| f.relation.is_some())
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
    // What begins with an underscore is not for clients.
    if path.iter().any(|p| p.is_empty() || p.starts_with('_')) {
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

/// What a path leads to: a field, a field of a nested or related object, or what is spelt with one underscore
/// (`cluster__name` -> `cluster_name`).
fn lookup(row: &Row, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return row.get(*first).cloned();
    }
    let related = row.get(RELATED).and_then(|r| r.get(first)).and_then(|value| inside(value, rest));
    if let Some(found) = related.or_else(|| row.get(*first).and_then(|value| inside(value, rest))) {
        return Some(found);
    }
    match rest {
        ["name"] => row.get(&format!("{first}_name")).or_else(|| row.get(*first)).cloned(),
        [field] => row.get(&format!("{first}_{field}")).cloned(),
        _ => None,
    }
}

fn inside(value: &Value, path: &[&str]) -> Option<Value> {
    match value {
        Value::Object(nested) => lookup(nested, path),
        Value::Array(items) => {
            let found: Vec<Value> = items.iter().filter_map(|item| inside(item, path)).collect();
            (!found.is_empty()).then_some(Value::Array(found))
        }
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

/// The point in time that a text names, if it looks like one: `2026-01-31`, with a time of day or without.
fn moment(text: &str) -> Option<u64> {
    let dated = text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[0].is_ascii_digit();
    dated.then(|| spans::moment(text)).flatten()
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
        Value::String(s) => s == wanted || moment(s).is_some_and(|at| moment(wanted) == Some(at)),
        Value::Object(_) => false,
    }
}

fn order(value: &Value, wanted: &str) -> Option<std::cmp::Ordering> {
    match value {
        Value::Number(n) => n.as_f64()?.partial_cmp(&wanted.trim().parse().ok()?),
        Value::String(s) => match (moment(s), moment(wanted)) {
            (Some(at), Some(limit)) => Some(at.cmp(&limit)),
            _ => Some(s.as_str().cmp(wanted)),
        },
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
        apply(&Table::default(), rows(), &query).unwrap().iter().map(|r| r["id"].as_u64().unwrap()).collect()
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
        assert!(apply(&Table::default(), rows(), &[("path__regex".to_owned(), "(".to_owned())]).is_err());
    }

    #[test]
    fn what_a_table_knows_filters_also_when_no_row_has_it() {
        let ids = |table: &Table, query: &str, row: &Value| {
            let (name, value) = query.split_once('=').unwrap();
            let rows = vec![row.as_object().unwrap().clone()];
            apply(table, rows, &[(name.to_owned(), value.to_owned())]).unwrap().len()
        };
        let view = json!({ "id": 1, "path": "/a", "qos_policy_id": null, "policy_id": 1 });
        let views = tables::of("views");
        assert_eq!(ids(views, "qos_policy__name=x", &view), 0);
        assert_eq!(ids(views, "qos_policy__id__isnull=true", &view), 1);
        assert_eq!(ids(views, "qos_policy__no_such=x", &view), 1);
        assert_eq!(ids(views, "nothing__name=x", &view), 1);
        let stream = json!({ "id": 1, "status": null });
        assert_eq!(ids(tables::of("globalsnapstreams"), "status__state=FINISHED", &stream), 0);
    }

    #[test]
    fn times_compare_as_times() {
        let at = json!("2026-11-21T03:00:00.500Z");
        for (later, wanted) in [
            (false, "2026-11-21T03:00:00.500Z"),
            (true, "2026-11-21T03:00:00Z"),
            (true, "2026-11-21 03:00:00"),
            (true, "2026-11-21"),
            (true, "2026-11-21T04:00:00+02:00"),
            (false, "2026-11-21T02:00:01-02:00"),
        ] {
            assert_eq!(order(&at, wanted) == Some(std::cmp::Ordering::Greater), later, "{wanted}");
        }
        assert!(equals(&at, "2026-11-21T05:00:00.5+02:00") && !equals(&at, "2026-11-21"));
        assert_eq!(order(&json!("b"), "2026-11-21"), Some(std::cmp::Ordering::Greater));
    }

    proptest! {
        #![proptest_config(crate::random::cases(256))]

        /// A filter keeps exactly the rows that the plain test keeps, in their order.
        #[test]
        fn numbers_compare_as_numbers(values in proptest::collection::vec(0u64..200, 0..20), limit in 0u64..200) {
            let rows: Vec<Row> = values.iter().map(|v| json!({"id": v}).as_object().unwrap().clone()).collect();
            let kept = apply(&Table::default(), rows, &[("id__lt".to_owned(), limit.to_string())]).unwrap();
            let kept: Vec<u64> = kept.iter().map(|r| r["id"].as_u64().unwrap()).collect();
            let expected: Vec<u64> = values.into_iter().filter(|v| *v < limit).collect();
            prop_assert_eq!(kept, expected);
        }

        #[test]
        fn no_query_panics(name in "[a-z_]{0,20}", value in ".{0,20}") {
            let _ = apply(&Table::default(), rows(), &[(name, value)]);
        }
    }
}
