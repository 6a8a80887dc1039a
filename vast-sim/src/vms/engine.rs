//! The generic resource layer: routing by method and path, lists, filters, paging, field checks, relations, ids, common
//! fields. What is special about a resource is in its file under `resources`, what its objects consist of in its table.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::error::ApiError;
use super::events;
use super::fields;
use super::tables::{self, Removal, Table};
use super::{filter, paging, tasks};
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// The name of the only cluster.
pub(crate) const CLUSTER_NAME: &str = "vast-sim";

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    /// Plain text, as monitoring systems read it.
    Text(String),
}

/// An answer: status and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
}

impl Reply {
    /// JSON with a status; 200 for a status that is none.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            content: if status == 204 { Content::Nothing } else { Content::Json(body) },
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::json(201, body)
    }

    pub(crate) fn no_content() -> Self {
        Self::json(204, Value::Null)
    }

    pub(crate) fn text(text: String) -> Self {
        Self { status: StatusCode::OK, content: Content::Text(text) }
    }

    /// 200 with the task that does what was asked.
    pub(crate) fn task(task: &Value) -> Self {
        Self::ok(serde_json::json!({ "async_task": task }))
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
    /// Who asks.
    pub(crate) caller: Caller,
}

impl Call {
    /// The last value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on, in the query or in the body.
    pub(crate) fn asks(&self, name: &str) -> bool {
        let on = |v: &str| v.eq_ignore_ascii_case("true") || v == "1";
        self.param(name).map_or_else(|| self.body.get(name).and_then(Value::as_bool).unwrap_or(false), on)
    }

    /// The body as an object; empty when there is none.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match &self.body {
            Value::Object(map) => Ok(map.clone()),
            Value::Null => Ok(Map::new()),
            _ => Err(ApiError::bad_request("Invalid data. Expected a dictionary.")),
        }
    }

    /// The tenant that the call is about: the one that it names in query or body, else the caller's, else the default
    /// one. Refuses one that does not exist or is not the caller's.
    pub(crate) fn tenant(&self, state: &State) -> Result<u64, ApiError> {
        let refused = || ApiError::field("tenant_id", "A valid integer is required.");
        let named = match (self.param("tenant_id"), self.body.get("tenant_id")) {
            (Some(id), _) => Some(id.parse().map_err(|_| refused())?),
            (None, None | Some(Value::Null)) => None,
            (None, Some(id)) => Some(id.as_u64().ok_or_else(refused)?),
        };
        let tenant = named.or(self.caller.tenant).unwrap_or(super::resources::tenants::DEFAULT);
        self.caller.check_tenant(Some(tenant))?;
        match state.vms.row("tenants", tenant) {
            Some(_) => Ok(tenant),
            None => {
                Err(ApiError::field("tenant_id", format!("Invalid pk \"{tenant}\" - object does not exist.")))
            }
        }
    }
}

/// One VMS resource.
///
/// Methods that take the state mutably are called under its lock; they refuse before they change anything.
pub(crate) trait Resource: Sync {
    /// URL segment, collection name and name of its field table.
    fn kind(&self) -> &'static str;
    /// Its fields and methods.
    fn table(&self) -> &'static Table {
        tables::of(self.kind())
    }
    /// The rows behind the list, by ascending id: those of the registry, unless they are computed.
    fn rows<'s>(&self, core: &Arc<Core>, state: &'s State) -> Vec<Cow<'s, Row>> {
        let _ = core;
        state.vms.rows(self.kind()).map(|(_, row)| Cow::Borrowed(row)).collect()
    }
    /// One of them.
    fn row<'s>(&self, core: &Arc<Core>, state: &'s State, id: u64) -> Option<Cow<'s, Row>> {
        let _ = core;
        state.vms.row(self.kind(), id).map(Cow::Borrowed)
    }
    /// The tenant that a row belongs to, if any.
    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        let _ = state;
        fields::tenant_of(&self.table().fields, row)
    }
    /// Whether a caller who may see the tenant of a row may see the row.
    fn is_shown_to(&self, caller: &Caller, row: &Row) -> bool {
        let _ = (caller, row);
        true
    }
    /// The number of the object that a path segment names.
    fn locate(&self, state: &State, segment: &str) -> Option<u64> {
        let _ = state;
        segment.parse().ok()
    }
    /// Makes an object of checked fields whose references exist.
    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        refuse_duplicate(state, self.kind(), "name", &row, None)?;
        Ok(insert(core, state, self.kind(), row))
    }
    /// Changes checked fields, whose references exist, of an object that exists.
    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        let _ = core;
        refuse_duplicate(state, self.kind(), "name", &changes, Some(id))?;
        state.vms.update(self.kind(), id, changes);
        Ok(())
    }
    /// Why an object that exists must not be deleted. Asked when the call arrives, and again when a task carries it out.
    fn refuse_delete(&self, core: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        let _ = (core, call);
        refuse_in_use(state, self.kind(), id)
    }
    /// Deletes an object that exists and may go.
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
    /// Handles a path below the collection that names no object (`/users/query/`), or the collection itself (an empty
    /// `name`), before anything else does; none leaves it to the engine. Called without a lock.
    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        let _ = (core, name, call);
        None
    }
}

/// Stores a new object with the fields that every object has.
pub(crate) fn insert(core: &Arc<Core>, state: &mut State, kind: &str, mut row: Row) -> u64 {
    row.entry("guid").or_insert_with(|| env::random_guid(&*core.entropy).into());
    row.entry("created").or_insert_with(|| env::rfc3339(core.now_ms()).into());
    state.vms.insert(kind, row)
}

/// An object as clients see it, beside hidden ids (`_x_id`) for filters.
pub(crate) fn show(
    core: &Arc<Core>,
    state: &State,
    resource: &dyn Resource,
    stored: &Row,
    origin: &str,
) -> Row {
    let table = resource.table();
    let mut row = fields::complete(&table.fields, stored);
    let has = |name: &str| table.field(name).is_some_and(|f| f.shown);
    let mut fill = |name: &str, value: Value| {
        if has(name) && row.get(name).is_none_or(Value::is_null) {
            row.insert(name.to_owned(), value);
        }
    };
    let id = number(stored, "id").unwrap_or(0);
    fill("url", format!("{origin}/api/{}/{id}/", resource.kind()).into());
    fill("title", fields::title(stored).into());
    fill("cluster", CLUSTER_NAME.into());
    let text_id = table.field("cluster_id").is_some_and(|f| f.kind == fields::Kind::Text);
    fill("cluster_id", if text_id { "1".into() } else { 1.into() });
    if let Some(tenant) = fields::tenant_of(&table.fields, stored) {
        let found = state.vms.row("tenants", tenant);
        let name = found.map_or(Value::Null, |t| text(t, "name").into());
        fill("tenant_name", name.clone());
        fill("tenant_id", tenant.into());
        fill("tenant", serde_json::json!({ "id": tenant, "name": name }));
    }
    resource.present(core, state, &mut row);
    row
}

/// What of a row may leave.
fn visible(table: &Table, mut row: Row) -> Value {
    row.retain(|name, _| table.field(name).is_some_and(|f| f.shown));
    Value::Object(row)
}

/// Whether the caller may know of a row.
fn is_seen(resource: &dyn Resource, state: &State, row: &Row, call: &Call) -> bool {
    call.caller.sees(resource.tenant(state, row)) && resource.is_shown_to(&call.caller, row)
}

/// Carries out a call on a resource.
pub(crate) fn handle(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let rest: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    if rest.first().is_none_or(|first| first.parse::<u64>().is_err())
        && let Some(result) = resource.collection(core, &rest.join("/"), call)
    {
        return result;
    }
    match rest[..] {
        [] => match call.method {
            Method::GET if resource.table().list => list(core, resource, call),
            Method::POST => create(core, resource, call),
            _ => Err(not_allowed(resource, call)),
        },
        [segment, ref action @ ..] => {
            let found = core.store.read(|state| {
                let id = resource.locate(state, segment)?;
                resource.row(core, state, id).filter(|row| is_seen(resource, state, row, call)).map(|_| id)
            });
            let id = found.ok_or_else(ApiError::not_found)?;
            if action.is_empty() {
                return one(core, resource, id, call);
            }
            core.store.write(|state| {
                if resource.row(core, state, id).is_none() {
                    return Err(ApiError::not_found());
                }
                let done = resource.action(core, state, id, &action.join("/"), call);
                done.unwrap_or_else(|| Err(ApiError::not_found()))
            })
        }
    }
}

/// 405, or 404 where the path itself means nothing.
fn not_allowed(resource: &dyn Resource, call: &Call) -> ApiError {
    let table = resource.table();
    if table.list || table.read { ApiError::method_not_allowed(&call.method) } else { ApiError::not_found() }
}

fn list(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let table = resource.table();
    let related = filter::relations(table, &call.query);
    let rows: Vec<Row> = core.store.read(|state| {
        let rows = resource.rows(core, state);
        let seen = rows.iter().filter(|row| is_seen(resource, state, row, call));
        seen.map(|row| {
            let mut shown = show(core, state, resource, row, &call.origin);
            filter::attach(state, &related, &mut shown);
            shown
        })
        .collect()
    });
    let rows = filter::apply(table, rows, &call.query)?.into_iter().map(|row| visible(table, row)).collect();
    paging::answer(rows, &call.query, table.enveloped, |page| link(call, page)).map(Reply::ok)
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
    let table = resource.table();
    let status = table.create.ok_or_else(|| not_allowed(resource, call))?;
    let mut row = fields::clean(&table.fields, &call.object()?, true)?;
    if let Some(tenant) = call.caller.tenant
        && table.field("tenant_id").is_some_and(|f| f.on_create)
    {
        row.entry("tenant_id").or_insert_with(|| tenant.into());
    }
    call.caller.check_tenant(number(&row, "tenant_id"))?;
    core.store.write(|state| {
        fields::check_references(&table.fields, state, &row)?;
        let id = resource.create(core, state, row)?;
        note(core, state, resource, id, "OBJECT_CREATED");
        Ok(Reply::json(status, shown(core, state, resource, id, &call.origin)?))
    })
}

/// An object that exists, as clients see it.
pub(crate) fn shown(
    core: &Arc<Core>,
    state: &State,
    resource: &dyn Resource,
    id: u64,
    origin: &str,
) -> Result<Value, ApiError> {
    let stored = resource.row(core, state, id).ok_or_else(ApiError::not_found)?;
    Ok(visible(resource.table(), show(core, state, resource, &stored, origin)))
}

fn one(core: &Arc<Core>, resource: &dyn Resource, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let table = resource.table();
    match (&call.method, table.patch, table.delete) {
        (&Method::GET, ..) if table.read => {
            core.store.read(|state| shown(core, state, resource, id, &call.origin)).map(Reply::ok)
        }
        (&Method::PATCH | &Method::PUT, Some(status), _) => patch(core, resource, id, status, call),
        (&Method::DELETE, _, Some(removal)) => core.store.write(|state| {
            resource.row(core, state, id).ok_or_else(ApiError::not_found)?;
            resource.refuse_delete(core, state, id, call)?;
            match removal {
                Removal::AtOnce(status) => {
                    let gone = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
                    resource.delete(core, state, id, call)?;
                    events::record_change(core, state, resource.kind(), id, &gone, "OBJECT_DELETED");
                    Ok(Reply::json(status, Value::Object(Map::new())))
                }
                Removal::Task => Ok(Reply::task(&tasks::delete(core, state, resource, id, call))),
            }
        }),
        _ => Err(ApiError::method_not_allowed(&call.method)),
    }
}

/// Makes an event of what a client did to an object.
fn note(core: &Arc<Core>, state: &mut State, resource: &dyn Resource, id: u64, kind: &'static str) {
    let row = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
    events::record_change(core, state, resource.kind(), id, &row, kind);
}

fn patch(
    core: &Arc<Core>,
    resource: &dyn Resource,
    id: u64,
    status: u16,
    call: &Call,
) -> Result<Reply, ApiError> {
    let fields = &resource.table().fields;
    let changes = fields::clean(fields, &call.object()?, false)?;
    call.caller.check_tenant(number(&changes, "tenant_id"))?;
    core.store.write(|state| {
        resource.row(core, state, id).ok_or_else(ApiError::not_found)?;
        fields::check_references(fields, state, &changes)?;
        if resource.table().patch_by_task {
            let task = tasks::modify(core, state, resource, id, changes);
            let mut body = shown(core, state, resource, id, &call.origin)?;
            body["async_task"] = task;
            return Ok(Reply::ok(body));
        }
        resource.update(core, state, id, changes)?;
        note(core, state, resource, id, "OBJECT_MODIFIED");
        Ok(Reply::json(status, shown(core, state, resource, id, &call.origin)?))
    })
}

/// `view` of `views`.
pub(crate) fn singular(kind: &str) -> String {
    let stem = |ending| kind.strip_suffix(ending);
    stem("ies").map_or_else(|| stem("s").unwrap_or(kind).to_owned(), |stem| format!("{stem}y"))
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
    let fields = &tables::of(kind).fields;
    // A change does not repeat the tenant: the object has it.
    let own = except.and_then(|id| state.vms.row(kind, id)).filter(|_| !row.contains_key("tenant_id"));
    let tenant = fields::tenant_of(fields, own.unwrap_or(row));
    let same = |(id, other): (u64, &Row)| {
        Some(id) != except && text(other, field) == wanted && fields::tenant_of(fields, other) == tenant
    };
    if state.vms.rows(kind).any(same) {
        let message = format!("{} with this {field} already exists.", singular(kind));
        return Err(ApiError::field(field, message));
    }
    Ok(())
}

/// Refuses to delete what other objects refer to.
pub(crate) fn refuse_in_use(state: &State, kind: &str, id: u64) -> Result<(), ApiError> {
    for (other, table) in tables::all() {
        let binding = |r: fields::Relation| r.kind == kind && r.binding;
        for field in table.fields.iter().filter(|f| f.relation.is_some_and(binding)) {
            let uses = |(_, row): &(u64, &Row)| field.references(row).contains(&id);
            if let Some((_, user)) = state.vms.rows(other).find(uses) {
                let (this, user_kind, name) = (singular(kind), singular(other), fields::title(user));
                return Err(ApiError::conflict(&format!("The {this} is in use by {user_kind} {name}.")));
            }
        }
    }
    Ok(())
}
