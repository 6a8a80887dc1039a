//! What differs between two JSON documents whose lists are sets of things with names.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Fields that tell the members of a list apart, the first that all of them have.
const IDENTITY: [&str; 6] = ["version_id", "upload_id", "key", "number", "id", "name"];

/// One place where two documents differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// Where: names and fields from the outside in.
    place: String,
    /// What the first document has there; none for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Value>,
    /// What the second document has there; none for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<Value>,
}

/// Longest value in a line, in characters.
const SHOWN: usize = 120;

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.first, &self.second) {
            (Some(first), Some(second)) => {
                write!(f, "~ {}: {} -> {}", self.place, short(first), short(second))
            }
            (Some(first), None) => write!(f, "- {}: {}", self.place, short(first)),
            (None, Some(second)) => write!(f, "+ {}: {}", self.place, short(second)),
            (None, None) => write!(f, "  {}", self.place),
        }
    }
}

/// All differences, in the order of the documents. Fields named in `ignore` may differ.
pub(crate) fn compare(first: &Value, second: &Value, ignore: &[String]) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(first), Some(second), ignore, &mut found);
    found
}

/// The members of a list by what tells them apart; none when nothing does.
fn members(list: &[Value]) -> Option<BTreeMap<String, &Value>> {
    let name_of = |field: &str, v: &Value| match v.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(format!("{n:0>20}")),
        _ => None,
    };
    IDENTITY.iter().find_map(|field| {
        let named: Option<Vec<_>> = list.iter().map(|v| Some((name_of(field, v)?, v))).collect();
        let map: BTreeMap<_, _> = named?.into_iter().collect();
        (map.len() == list.len()).then_some(map)
    })
}

fn walk(
    place: &str,
    first: Option<&Value>,
    second: Option<&Value>,
    ignore: &[String],
    found: &mut Vec<Difference>,
) {
    let inside = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place} / {name}") };
    match (first, second) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let fields = a.keys().chain(b.keys().filter(|f| !a.contains_key(*f)));
            for field in fields.filter(|f| !ignore.contains(f)) {
                walk(&inside(field), a.get(field), b.get(field), ignore, found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => match (members(a), members(b)) {
            (Some(a), Some(b)) => {
                let names = a.keys().chain(b.keys().filter(|n| !a.contains_key(*n)));
                for name in names {
                    let shown = name.trim_start_matches('0');
                    let shown = if shown.is_empty() { name } else { shown };
                    walk(&inside(shown), a.get(name).copied(), b.get(name).copied(), ignore, found);
                }
            }
            _ => found.push(difference(place, first, second)),
        },
        _ => found.push(difference(place, first, second)),
    }
}

fn difference(place: &str, first: Option<&Value>, second: Option<&Value>) -> Difference {
    Difference { place: place.to_owned(), first: first.cloned(), second: second.cloned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(first: &Value, second: &Value, ignore: &[&str]) -> Vec<String> {
        let ignore: Vec<String> = ignore.iter().map(|s| (*s).to_owned()).collect();
        compare(first, second, &ignore).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn members_are_compared_by_name_and_not_by_place() {
        let first = json!({ "buckets": [{ "name": "a", "bytes": 1 }, { "name": "b", "bytes": 2 }] });
        let second = json!({ "buckets": [{ "name": "b", "bytes": 3 }, { "name": "c", "bytes": 2 }] });
        assert_eq!(
            lines(&first, &second, &[]),
            [
                r#"- buckets / a: {"bytes":1,"name":"a"}"#,
                "~ buckets / b / bytes: 2 -> 3",
                r#"+ buckets / c: {"bytes":2,"name":"c"}"#,
            ]
        );
        assert!(lines(&first, &first, &[]).is_empty());
    }

    #[test]
    fn ignored_fields_may_differ_anywhere() {
        let first = json!({ "vms": { "views": [{ "id": 1, "guid": "x", "path": "/a" }] } });
        let second = json!({ "vms": { "views": [{ "id": 1, "guid": "y", "path": "/b" }] } });
        assert_eq!(lines(&first, &second, &["guid"]), [r#"~ vms / views / 1 / path: "/a" -> "/b""#]);
        assert_eq!(lines(&first, &second, &["guid", "path"]), Vec::<String>::new());
    }

    #[test]
    fn lists_without_names_are_compared_as_a_whole() {
        let lines = lines(&json!({ "a": [1, 2] }), &json!({ "a": [2, 1] }), &[]);
        assert_eq!(lines, ["~ a: [1,2] -> [2,1]"]);
    }
}
