//! The order of lists: by id, or as `ordering=-timestamp,name` asks; events are shown with the newest first.

use std::cmp::Ordering;

use serde_json::Value;

use super::tables::Table;
use crate::store::registry::Row;

/// Puts rows, which come by ascending id, in the order that a query asks for. Fields that there are not are ignored.
pub(crate) fn sort(table: &Table, rows: &mut [Row], query: &[(String, String)]) {
    if table.newest_first {
        rows.reverse();
    }
    let asked = query.iter().filter(|(name, _)| name == "ordering").flat_map(|(_, value)| value.split(','));
    let fields: Vec<(&str, bool)> = asked
        .map(str::trim)
        .map(|name| name.strip_prefix('-').map_or((name, false), |name| (name, true)))
        .filter(|(name, _)| table.field(name).is_some_and(|f| f.shown))
        .collect();
    rows.sort_by(|a, b| {
        let by = |(name, down): &(&str, bool)| {
            let order = compare(a.get(*name), b.get(*name));
            if *down { order.reverse() } else { order }
        };
        fields.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
}

/// Numbers by size, texts by letters, what is not set last.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (a, b) = (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null));
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tables;
    use super::*;

    fn ids(newest_first: bool, ordering: &str) -> Vec<u64> {
        let table = Table { newest_first, ..tables::of("quotas").clone() };
        let mut rows: Vec<Row> = [(1, "b", json!(10)), (2, "a", json!(9)), (3, "b", Value::Null)]
            .into_iter()
            .map(|(id, name, limit)| json!({ "id": id, "name": name, "hard_limit": limit }))
            .filter_map(|row| row.as_object().cloned())
            .collect();
        sort(&table, &mut rows, &[("ordering".to_owned(), ordering.to_owned())]);
        rows.iter().filter_map(|row| row["id"].as_u64()).collect()
    }

    #[test]
    fn lists_come_in_the_order_that_is_asked_for() {
        assert_eq!(ids(false, ""), [1, 2, 3]);
        assert_eq!(ids(true, "nothing"), [3, 2, 1]);
        assert_eq!(ids(false, "hard_limit"), [2, 1, 3]);
        assert_eq!(ids(false, "name,-id"), [2, 3, 1]);
        assert_eq!(ids(true, "-name"), [3, 1, 2]);
    }
}
