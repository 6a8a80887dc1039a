//! The generic resource layer: routing by method and path, lists, filters, paging, field checks, ids, common fields.
//! What is special about a resource is in its file under `resources`.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::{self, Field};
use super::{filter, paging};
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// The name of the only cluster.
pub(crate) const CLUSTER_NAME: &str = "vast-sim";

/// An answer: status and JSON body, if any.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body) }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None }
    }
}

/// A parsed request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path segments behind `/api/<version>/`: resource, id, action.
    pub(crate) segments: Vec<String>,
    /// Decoded query parameters in order.
    pub(crate) query: Vec<(String, String)>,
    /// JSON body; null when there is none.
    pub(crate) body: Value,
    /// `https://host:port` as the client knows it.
    pub(crate) origin: String,
}

impl Call {
    pub(crate) fn asks(&self, name: &str) -> bool {
        self.query.iter().any(|(n, v)| n == name && v.eq_ignore_ascii_case("true"))
    }

    fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match &self.body {
            Value::Object(map) => Ok(map.clone()),
            Value::Null => Ok(Map::new()),
            _ => Err(ApiError::bad_request("Invalid data. Expected a dictionary.")),
        }
    }
}

/// What may be done with the objects of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Methods {
    ReadOnly,
    ReadAndPatch,
    All,
}

/// One VMS resource.
///
/// Methods that take the state mutably are called under its lock; they refuse before they change anything.
pub(crate) trait Resource: Sync {
    /// URL segment and collection name.
    fn kind(&self) -> &'static str;
    /// All fields of its objects.
    fn fields(&self) -> &'static [Field];
    /// What clients may do.
    fn methods(&self) -> Methods {
        Methods::All
    }
    /// Whether PATCH answers 204 in place of the object.
    fn patches_silently(&self) -> bool {
        false
    }
    /// Makes an object of checked fields.
    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        Ok(insert(core, state, self.kind(), row))
    }
    /// Changes checked fields of an object that exists.
    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        let _ = core;
        state.vms.update(self.kind(), id, changes);
        Ok(())
    }
    /// Deletes an object that exists.
    fn delete(&self, core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<(), ApiError> {
        let _ = (core, call);
        state.vms.remove(self.kind(), id);
        Ok(())
    }
    /// Fills the computed fields of a row that is about to be shown.
    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let _ = (core, state, row);
    }
    /// Handles a path below an object (`/users/3/access_keys/`); none when there is no such path.
    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        let _ = (core, state, id, name, call);
        None
    }
}

/// Stores a new object with the fields that every object has.
pub(crate) fn insert(core: &Arc<Core>, state: &mut State, kind: &str, mut row: Row) -> u64 {
    row.entry("guid").or_insert_with(|| env::random_guid(&*core.entropy).into());
    row.entry("created").or_insert_with(|| env::rfc3339(core.now_ms()).into());
    state.vms.insert(kind, row)
}

/// An object as clients see it.
pub(crate) fn show(
    core: &Arc<Core>,
    state: &State,
    resource: &dyn Resource,
    stored: &Row,
    origin: &str,
) -> Row {
    let mut row = fields::complete(resource.fields(), stored);
    let has = |row: &Row, name: &str| row.contains_key(name);
    if has(&row, "url") {
        let id = number(stored, "id").unwrap_or(0);
        row.insert("url".to_owned(), format!("{origin}/api/{}/{id}/", resource.kind()).into());
    }
    if has(&row, "title") {
        let title = ["name", "path", "ip"].iter().map(|f| text(stored, f)).find(|t| !t.is_empty());
        row.insert("title".to_owned(), title.unwrap_or_default().into());
    }
    if has(&row, "tenant_name") {
        let tenant = number(&row, "tenant_id").and_then(|id| state.vms.row("tenants", id));
        row.insert("tenant_name".to_owned(), tenant.map_or(Value::Null, |t| text(t, "name").into()));
    }
    for (field, value) in [("cluster", Value::from(CLUSTER_NAME)), ("cluster_id", 1.into())] {
        if has(&row, field) && row[field].is_null() {
            row.insert(field.to_owned(), value);
        }
    }
    resource.present(core, state, &mut row);
    if !resource.fields().iter().any(|f| f.name == "created") {
        row.remove("created");
    }
    row
}

/// Removes the fields that exist only for filters.
fn visible(mut row: Row) -> Value {
    row.retain(|name, _| !name.starts_with('_'));
    Value::Object(row)
}

/// Carries out a call on a resource.
pub(crate) fn handle(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let rest: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    match rest[..] {
        [] => match call.method {
            Method::GET => list(core, resource, call),
            Method::POST if resource.methods() == Methods::All => create(core, resource, call),
            _ => Err(ApiError::method_not_allowed(&call.method)),
        },
        [id] => one(core, resource, parse_id(id)?, call),
        [id, ..] => {
            let id = parse_id(id)?;
            let name = rest[1..].join("/");
            core.store.write(|state| {
                if state.vms.row(resource.kind(), id).is_none() {
                    return Err(ApiError::not_found());
                }
                resource.action(core, state, id, &name, call).unwrap_or_else(|| Err(ApiError::not_found()))
            })
        }
    }
}

fn parse_id(id: &str) -> Result<u64, ApiError> {
    id.parse().map_err(|_| ApiError::not_found())
}

fn list(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let rows: Vec<Row> = core.store.read(|state| {
        state
            .vms
            .rows(resource.kind())
            .map(|(_, row)| show(core, state, resource, row, &call.origin))
            .collect()
    });
    let rows = filter::apply(rows, &call.query)?.into_iter().map(visible).collect();
    paging::answer(rows, &call.query, |page| link(call, page)).map(Reply::ok)
}

/// The same list at another page.
fn link(call: &Call, page: usize) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |s: &str| utf8_percent_encode(s, NON_ALPHANUMERIC).to_string();
    let kept = call.query.iter().filter(|(n, _)| n != "page").map(|(n, v)| format!("{n}={}", encode(v)));
    let query: Vec<String> = kept.chain([format!("page={page}")]).collect();
    format!("{}/api/{}/?{}", call.origin, call.segments.join("/"), query.join("&"))
}

fn create(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let row = create_object(core, resource, &call.object()?, &call.origin)?;
    Ok(Reply { status: StatusCode::CREATED, body: Some(row) })
}

/// Makes an object from a request body and shows it. Also the way in for provisioning from the library.
pub(crate) fn create_object(
    core: &Arc<Core>,
    resource: &dyn Resource,
    body: &Map<String, Value>,
    origin: &str,
) -> Result<Value, ApiError> {
    let row = fields::clean(resource.fields(), body, true)?;
    core.store.write(|state| {
        let id = resource.create(core, state, row)?;
        shown(core, state, resource, id, origin)
    })
}

fn shown(
    core: &Arc<Core>,
    state: &State,
    resource: &dyn Resource,
    id: u64,
    origin: &str,
) -> Result<Value, ApiError> {
    let stored = state.vms.row(resource.kind(), id).ok_or_else(ApiError::not_found)?;
    Ok(visible(show(core, state, resource, stored, origin)))
}

fn one(core: &Arc<Core>, resource: &dyn Resource, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let methods = resource.methods();
    match call.method {
        Method::GET => core.store.read(|state| shown(core, state, resource, id, &call.origin)).map(Reply::ok),
        Method::PATCH | Method::PUT if methods != Methods::ReadOnly => {
            let changes = fields::clean(resource.fields(), &call.object()?, false)?;
            core.store.write(|state| {
                if state.vms.row(resource.kind(), id).is_none() {
                    return Err(ApiError::not_found());
                }
                resource.update(core, state, id, changes)?;
                let row = shown(core, state, resource, id, &call.origin)?;
                Ok(if resource.patches_silently() { Reply::no_content() } else { Reply::ok(row) })
            })
        }
        Method::DELETE if methods == Methods::All => core.store.write(|state| {
            if state.vms.row(resource.kind(), id).is_none() {
                return Err(ApiError::not_found());
            }
            resource.delete(core, state, id, call)?;
            Ok(Reply::no_content())
        }),
        _ => Err(ApiError::method_not_allowed(&call.method)),
    }
}

/// Refuses a name that another object of the collection (in the same tenant, where it has one) has.
pub(crate) fn refuse_duplicate(
    state: &State,
    kind: &str,
    field: &str,
    row: &Row,
    except: Option<u64>,
) -> Result<(), ApiError> {
    let wanted = text(row, field);
    if wanted.is_empty() {
        return Ok(());
    }
    let tenant = number(row, "tenant_id");
    let same = |(id, other): (u64, &Row)| {
        Some(id) != except
            && text(other, field) == wanted
            && (tenant.is_none() || number(other, "tenant_id") == tenant)
    };
    if state.vms.rows(kind).any(same) {
        let singular = kind
            .strip_suffix("ies")
            .map_or_else(|| kind.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
        return Err(ApiError::field(field, format!("{singular} with this {field} already exists.")));
    }
    Ok(())
}

/// Refuses a reference to an object that is not there.
pub(crate) fn require_row(state: &State, kind: &str, field: &str, row: &Row) -> Result<(), ApiError> {
    match row.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => match number(row, field).filter(|id| state.vms.row(kind, *id).is_some()) {
            Some(_) => Ok(()),
            None => {
                Err(ApiError::field(field, format!("Invalid pk \"{}\" - object does not exist.", row[field])))
            }
        },
    }
}
