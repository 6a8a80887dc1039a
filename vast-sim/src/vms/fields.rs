//! Fields: what a resource's objects consist of, what may be written, and the checks that follow from that.

use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::error::ApiError;
use super::visibility;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// JSON type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    /// A nested object.
    Object,
    /// Of no fixed type.
    Any,
    /// An array; the kind is that of its items.
    List(&'static Kind),
}

/// Where the ids in a field lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The collection.
    pub(crate) kind: &'static str,
    /// Whether an object that is referred to cannot be deleted.
    pub(crate) binding: bool,
}

/// One field of a resource, as its table says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether clients ever see it.
    pub(crate) shown: bool,
    /// Whether POST takes it.
    pub(crate) on_create: bool,
    /// Whether PATCH takes it.
    pub(crate) on_patch: bool,
    /// Whether POST must have it.
    pub(crate) required: bool,
    /// The only values it takes (for a list: that its items take); empty for any.
    pub(crate) choices: Vec<&'static str>,
    pub(crate) relation: Option<Relation>,
    /// Its value while nobody has set it.
    pub(crate) unset: Value,
}

impl Kind {
    /// A value as this kind takes it, with the conversions that VMS makes for sloppy clients; none when it is not one.
    fn take(self, value: &Value) -> Option<Value> {
        match self {
            Self::Any => Some(value.clone()),
            Self::Object => value.is_object().then(|| value.clone()),
            Self::Text => match value {
                Value::String(_) => Some(value.clone()),
                Value::Number(n) => Some(n.to_string().into()),
                _ => None,
            },
            Self::Int => match value {
                Value::Number(n) if n.is_i64() || n.is_u64() => Some(value.clone()),
                Value::Number(n) => whole(n.as_f64()?),
                Value::String(s) => s.trim().parse::<i64>().ok().map(Value::from),
                _ => None,
            },
            Self::Float => match value {
                Value::Number(_) => Some(value.clone()),
                Value::String(s) => s.trim().parse::<f64>().ok().map(Value::from),
                _ => None,
            },
            Self::Bool => match value {
                Value::Bool(_) => Some(value.clone()),
                Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true.into()),
                Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false.into()),
                Value::Number(n) => match n.as_u64() {
                    Some(0) => Some(false.into()),
                    Some(1) => Some(true.into()),
                    _ => None,
                },
                _ => None,
            },
            Self::List(item) => {
                value.as_array()?.iter().map(|v| item.take(v)).collect::<Option<Vec<_>>>().map(Value::Array)
            }
        }
    }

    /// Whether a value has named parts.
    pub(crate) fn is_nested(self) -> bool {
        match self {
            Self::Object | Self::Any => true,
            Self::List(item) => item.is_nested(),
            _ => false,
        }
    }

    fn complaint(self) -> &'static str {
        match self {
            Self::Text => "Not a valid string.",
            Self::Int => "A valid integer is required.",
            Self::Float => "A valid number is required.",
            Self::Bool => "Must be a valid boolean.",
            Self::Object => "Invalid data. Expected a dictionary.",
            Self::Any => "Invalid data.",
            Self::List(Self::Int) => "Expected a list of integers.",
            Self::List(Self::Text) => "Expected a list of strings.",
            Self::List(Self::List(_)) => "Expected a list of lists.",
            Self::List(_) => "Expected a list of items.",
        }
    }
}

fn whole(number: f64) -> Option<Value> {
    // Beyond 2^53 a float names no single integer.
    let fits = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    fits.then(|| format!("{number:.0}").parse::<i64>().ok()).flatten().map(Value::from)
}

impl Field {
    /// The checked value of this field, or why it is refused.
    fn take(&self, value: &Value) -> Result<Value, String> {
        if value.is_null() {
            return if self.required {
                Err("This field may not be null.".to_owned())
            } else {
                Ok(Value::Null)
            };
        }
        let taken = self.kind.take(value).ok_or_else(|| self.kind.complaint().to_owned())?;
        if self.required && taken.as_str().is_some_and(str::is_empty) {
            return Err("This field may not be blank.".to_owned());
        }
        let items = taken.as_array().map_or(std::slice::from_ref(&taken), Vec::as_slice);
        let strange = |v: &&Value| v.as_str().is_some_and(|s| !s.is_empty() && !self.choices.contains(&s));
        match items.iter().find(strange) {
            Some(odd) if !self.choices.is_empty() => Err(format!("{odd} is not a valid choice.")),
            _ => Ok(taken),
        }
    }

    /// The ids of other objects that `row`, a whole object, has in this field, be it because nobody has set it.
    pub(crate) fn references_of_object(&self, row: &Row) -> Vec<u64> {
        let set = row.get(self.name).is_some_and(|value| !value.is_null());
        if set { self.references(row) } else { self.unset.as_u64().into_iter().collect() }
    }

    /// The ids of other objects that `row` has in this field.
    pub(crate) fn references(&self, row: &Row) -> Vec<u64> {
        let id = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
        match row.get(self.name) {
            Some(Value::Array(items)) => items.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// The writable fields of a request body, checked; unknown ones are ignored, as VMS does.
pub(crate) fn clean(fields: &[Field], body: &Map<String, Value>, creating: bool) -> Result<Row, ApiError> {
    let mut row = Row::new();
    let mut complaints = Map::new();
    for field in fields {
        let writable = field.name != "id" && if creating { field.on_create } else { field.on_patch };
        match body.get(field.name).map(|value| field.take(value)) {
            None if creating && field.required => {
                complaints.insert(field.name.to_owned(), json!(["This field is required."]));
            }
            Some(Err(complaint)) if writable => {
                complaints.insert(field.name.to_owned(), json!([complaint]));
            }
            Some(Ok(value)) if writable => {
                row.insert(field.name.to_owned(), value);
            }
            _ => {}
        }
    }
    if complaints.is_empty() { Ok(row) } else { Err(ApiError::fields(complaints)) }
}

/// Refuses ids that lead nowhere, or to what the caller may not know of, in every field of the table that refers to other
/// objects.
pub(crate) fn check_references(
    fields: &[Field],
    state: &State,
    row: &Row,
    caller: &Caller,
) -> Result<(), ApiError> {
    let mut complaints = Map::new();
    for (field, relation) in fields.iter().filter_map(|f| Some((f, f.relation?))) {
        // A zero is how several clients write "none".
        let lost = |id: &u64| *id != 0 && !visibility::is_known(state, relation.kind, *id, caller);
        if let Some(id) = field.references(row).into_iter().find(lost)
            && let Value::Object(complaint) = ApiError::lost(field.name, id).body
        {
            complaints.extend(complaint);
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(ApiError::fields(complaints)) }
}

/// A row with every field of the table, those that nobody set at their resting value.
pub(crate) fn complete(fields: &[Field], stored: &Row) -> Row {
    let mut row: Row = fields
        .iter()
        .filter(|f| f.shown)
        .map(|f| (f.name.to_owned(), stored.get(f.name).filter(|v| !v.is_null()).unwrap_or(&f.unset).clone()))
        .collect();
    // What is stored beside the table: ids that only filters use. Secrets have two underscores and stay away.
    let hidden = stored.iter().filter(|(name, _)| name.starts_with('_') && !name.starts_with("__"));
    row.extend(hidden.map(|(name, value)| (name.clone(), value.clone())));
    row
}

/// The display name of an object: the first field that objects are called by.
pub(crate) fn title(row: &Row) -> &str {
    ["name", "username", "path", "ip", "domain_name", "machine_account_name"]
        .iter()
        .map(|f| text(row, f))
        .find(|t| !t.is_empty())
        .unwrap_or("")
}

/// The tenant that a row belongs to, if any.
pub(crate) fn tenant_of(fields: &[Field], row: &Row) -> Option<u64> {
    let field = fields.iter().find(|f| f.name == "tenant_id")?;
    number(row, "tenant_id").or_else(|| field.unset.as_u64())
}
