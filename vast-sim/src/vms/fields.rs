//! Field tables: what a resource's objects consist of, what may be written, and the checks that follow from that.

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::store::registry::Row;

/// JSON type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    List,
    /// Nested object, or of no fixed type.
    Any,
}

/// Who sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Required,
    CreateOnly,
    ReadOnly,
}

/// The value of a field that nobody set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unset {
    Null,
    True,
    False,
    Int(i64),
    Text(&'static str),
    EmptyList,
}

/// One field of a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    kind: Kind,
    access: Access,
    unset: Unset,
}

const fn field(name: &'static str, kind: Kind, unset: Unset) -> Field {
    Field { name, kind, access: Access::Write, unset }
}

/// A string, null unless set.
pub(crate) const fn text(name: &'static str) -> Field {
    field(name, Kind::Text, Unset::Null)
}

/// A whole number, null unless set.
pub(crate) const fn int(name: &'static str) -> Field {
    field(name, Kind::Int, Unset::Null)
}

/// A number, null unless set.
pub(crate) const fn float(name: &'static str) -> Field {
    field(name, Kind::Float, Unset::Null)
}

/// Yes or no, no unless set.
pub(crate) const fn yes_no(name: &'static str) -> Field {
    field(name, Kind::Bool, Unset::False)
}

/// An array, empty unless set.
pub(crate) const fn list(name: &'static str) -> Field {
    field(name, Kind::List, Unset::EmptyList)
}

/// A nested object, null unless set.
pub(crate) const fn any(name: &'static str) -> Field {
    field(name, Kind::Any, Unset::Null)
}

impl Field {
    pub(crate) const fn required(mut self) -> Self {
        self.access = Access::Required;
        self
    }

    pub(crate) const fn create_only(mut self) -> Self {
        self.access = Access::CreateOnly;
        self
    }

    pub(crate) const fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    pub(crate) const fn or(mut self, unset: Unset) -> Self {
        self.unset = unset;
        self
    }

    fn accepts(&self, value: &Value) -> bool {
        match self.kind {
            _ if value.is_null() => self.access != Access::Required,
            Kind::Text => value.is_string(),
            // Clients send numbers as strings too (form habits); `clean` turns them into numbers.
            Kind::Int => value.is_i64() || value.is_u64() || as_int(value).is_some(),
            Kind::Float => value.is_number(),
            Kind::Bool => value.is_boolean(),
            Kind::List => value.is_array(),
            Kind::Any => true,
        }
    }

    fn complaint(&self) -> &'static str {
        match self.kind {
            Kind::Text => "Not a valid string.",
            Kind::Int => "A valid integer is required.",
            Kind::Float => "A valid number is required.",
            Kind::Bool => "Must be a valid boolean.",
            Kind::List => "Expected a list of items.",
            Kind::Any => "This field may not be null.",
        }
    }

    fn unset_value(&self) -> Value {
        match self.unset {
            Unset::Null => Value::Null,
            Unset::True => Value::Bool(true),
            Unset::False => Value::Bool(false),
            Unset::Int(n) => n.into(),
            Unset::Text(t) => t.into(),
            Unset::EmptyList => Value::Array(Vec::new()),
        }
    }
}

fn as_int(value: &Value) -> Option<i64> {
    value.as_str()?.trim().parse().ok()
}

/// The writable fields of a request body, checked; unknown ones are ignored, as VMS does.
pub(crate) fn clean(fields: &[Field], body: &Map<String, Value>, creating: bool) -> Result<Row, ApiError> {
    let mut row = Row::new();
    let mut complaints = Map::new();
    for field in fields {
        let writable = match field.access {
            Access::ReadOnly => false,
            Access::CreateOnly => creating,
            Access::Write | Access::Required => true,
        };
        match body.get(field.name) {
            None if creating && field.access == Access::Required => {
                complaints.insert(field.name.to_owned(), serde_json::json!(["This field is required."]));
            }
            Some(value) if writable && !field.accepts(value) => {
                complaints.insert(field.name.to_owned(), serde_json::json!([field.complaint()]));
            }
            Some(value) if writable => {
                let value = match as_int(value) {
                    Some(number) if field.kind == Kind::Int => number.into(),
                    _ => value.clone(),
                };
                row.insert(field.name.to_owned(), value);
            }
            _ => {}
        }
    }
    if complaints.is_empty() {
        Ok(row)
    } else {
        Err(ApiError { status: http::StatusCode::BAD_REQUEST, body: Value::Object(complaints) })
    }
}

/// A row with every field of the table, those that nobody set at their resting value.
pub(crate) fn complete(fields: &[Field], stored: &Row) -> Row {
    let mut row: Row = fields.iter().map(|f| (f.name.to_owned(), f.unset_value())).collect();
    row.extend(stored.iter().map(|(k, v)| (k.clone(), v.clone())));
    row
}
