//! VMS objects as stored: rows of JSON fields in named collections, with ids that are never given twice.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::journal::{Change, Table};
use super::records::{decode, encode};

/// The stored fields of one VMS object.
pub(crate) type Row = Map<String, Value>;

#[derive(Debug, Default)]
struct Collection {
    next_id: u64,
    rows: BTreeMap<u64, Row>,
}

/// All VMS objects.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    collections: BTreeMap<String, Collection>,
    changes: Vec<Change>,
}

impl Registry {
    /// Names of the collections.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.collections.keys().map(String::as_str)
    }

    /// Rows of a collection by ascending id.
    pub(crate) fn rows(&self, kind: &str) -> impl DoubleEndedIterator<Item = (u64, &Row)> {
        self.collections.get(kind).into_iter().flat_map(|c| c.rows.iter().map(|(id, row)| (*id, row)))
    }

    /// How many rows a collection has.
    pub(crate) fn len(&self, kind: &str) -> usize {
        self.collections.get(kind).map_or(0, |c| c.rows.len())
    }

    pub(crate) fn row(&self, kind: &str, id: u64) -> Option<&Row> {
        self.collections.get(kind)?.rows.get(&id)
    }

    /// The first row whose `field` equals `value`.
    pub(crate) fn find(&self, kind: &str, field: &str, value: &str) -> Option<(u64, &Row)> {
        self.rows(kind).find(|(_, row)| row.get(field).and_then(Value::as_str) == Some(value))
    }

    /// Adds a row under the next free id, which is also put into its `id` field.
    pub(crate) fn insert(&mut self, kind: &str, mut row: Row) -> u64 {
        let collection = self.collections.entry(kind.to_owned()).or_default();
        let id = collection.next_id.max(1);
        collection.next_id = id + 1;
        row.insert("id".to_owned(), id.into());
        self.changes.push(change(kind, id, Some(&row)));
        // Ids must not come back after a restart, also when the newest row is gone by then.
        self.changes.push(Change {
            table: Table::Vms,
            key: encode(&(kind, "next_id")),
            value: Some(encode(&(id + 1))),
        });
        self.collections.entry(kind.to_owned()).or_default().rows.insert(id, row);
        id
    }

    /// Replaces fields of a row; false when there is no such row.
    pub(crate) fn update(&mut self, kind: &str, id: u64, fields: Row) -> bool {
        let Some(row) = self.collections.get_mut(kind).and_then(|c| c.rows.get_mut(&id)) else {
            return false;
        };
        row.extend(fields);
        let change = change(kind, id, Some(row));
        self.changes.push(change);
        true
    }

    /// Removes a row; false when there is no such row.
    pub(crate) fn remove(&mut self, kind: &str, id: u64) -> bool {
        self.changes.push(change(kind, id, None));
        self.collections.get_mut(kind).is_some_and(|c| c.rows.remove(&id).is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    /// Removes all rows of all collections. Ids start again.
    pub(super) fn forget_everything(&mut self) {
        for (kind, collection) in std::mem::take(&mut self.collections) {
            let gone = collection.rows.keys().map(|id| change(&kind, *id, None));
            self.changes.extend(gone);
            self.changes.push(Change { table: Table::Vms, key: encode(&(&kind, "next_id")), value: None });
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Forgets what would be recorded: for a state that nobody writes down.
    pub(super) fn drop_changes(&mut self) {
        self.changes.clear();
    }

    /// Takes one record back in at start.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), rmp_serde::decode::Error> {
        let (kind, id): (String, Value) = decode(key)?;
        let collection = self.collections.entry(kind).or_default();
        match id.as_u64() {
            Some(id) => {
                collection.rows.insert(id, decode(value)?);
            }
            None => collection.next_id = decode(value)?,
        }
        Ok(())
    }
}

fn change(kind: &str, id: u64, row: Option<&Row>) -> Change {
    Change { table: Table::Vms, key: encode(&(kind, id)), value: row.map(encode) }
}

/// The fields of a JSON object; none of anything else.
pub(crate) fn as_row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

/// A string field of a row; empty when absent.
pub(crate) fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A number field of a row.
pub(crate) fn number(row: &Row, field: &str) -> Option<u64> {
    row.get(field).and_then(Value::as_u64)
}

/// A yes/no field of a row; no when absent.
pub(crate) fn flag(row: &Row, field: &str) -> bool {
    row.get(field).and_then(Value::as_bool).unwrap_or_default()
}
