//! The generic resource layer: routing by method and path, lists, filters, paging, field checks, relations, ids, common
//! fields. What is special about a resource is in its file under `resources`, what its objects consist of in its table.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value};

use super::call::Content;
pub(crate) use super::call::{Call, Reply};
use super::caller::Caller;
use super::error::ApiError;
use super::events;
use super::fields;
use super::tables::{self, Removal, Table};
use super::{filter, ordering, paging, paths, tasks, visibility};
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// The name of the only cluster.
pub(crate) const CLUSTER_NAME: &str = "vast-sim";

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
    fn is_shown_to(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        let _ = (state, caller, row);
        true
    }
    /// Whether a caller who may see a row may change or delete it.
    fn may_change(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        caller.may_change(self.tenant(state, row))
    }
    /// The number of the object that a path segment names.
    fn locate(&self, state: &State, segment: &str) -> Option<u64> {
        let _ = state;
        segment.parse().ok()
    }
    /// Why a caller must not give an object these fields, be it new or not.
    fn refuse_grant(&self, state: &State, caller: &Caller, fields: &Row) -> Result<(), ApiError> {
        let _ = (state, caller, fields);
        Ok(())
    }
    /// Fills what follows from who makes an object, where the request does not say it.
    fn place(&self, state: &State, caller: &Caller, row: &mut Row) {
        let _ = (state, caller, row);
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
    /// Takes from a row that a caller may see what they may not.
    fn limit(&self, caller: &Caller, row: &mut Row) {
        let _ = (caller, row);
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
    let title = Some(fields::title(stored)).filter(|title| !title.is_empty()).map(str::to_owned);
    fill("title", title.unwrap_or_else(|| format!("{} {id}", events::type_name(resource.kind()))).into());
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

/// Carries out a call on a resource.
pub(crate) fn handle(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let rest: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    if rest.first().is_none_or(|first| first.parse::<u64>().is_err()) {
        if let Some(result) = resource.collection(core, &rest.join("/"), call) {
            return result.and_then(|reply| paged(reply, call));
        }
        if paths::is_of_collection(&call.segments) {
            return paths::rest(call);
        }
    }
    match rest[..] {
        [] => match call.method {
            Method::GET if resource.table().list => list(core, resource, call),
            Method::POST if resource.table().create.is_some() => create(core, resource, call),
            _ => paths::rest(call),
        },
        [segment, ref action @ ..] => {
            let found = core.store.read(|state| {
                let id = resource.locate(state, segment)?;
                let row = resource.row(core, state, id);
                let row = row.filter(|row| visibility::is_seen(resource, state, row, &call.caller))?;
                let changes = call.method != Method::GET;
                let check = || visibility::check_change(resource, state, &row, &call.caller);
                Some(if changes { check().map(|()| id) } else { Ok(id) })
            });
            let id = found.ok_or_else(ApiError::not_found)??;
            if action.is_empty() {
                return one(core, resource, id, call);
            }
            core.store.write(|state| {
                if resource.row(core, state, id).is_none() {
                    return Err(ApiError::not_found());
                }
                let done = resource.action(core, state, id, &action.join("/"), call);
                done.unwrap_or_else(|| paths::rest(call))
            })
        }
    }
}

/// The methods that a path takes.
pub(crate) fn allowed(segments: &[String]) -> Vec<&'static str> {
    let table = tables::of(segments.first().map_or("", String::as_str));
    let of_table: &[(&str, bool)] = match segments.len() {
        1 => &[("GET", table.list), ("POST", table.create.is_some())],
        2 if !paths::is_of_collection(segments) => &[
            ("GET", table.read),
            ("PUT", table.put.is_some()),
            ("PATCH", table.patch.is_some()),
            ("DELETE", table.delete.is_some()),
        ],
        _ => &[],
    };
    let known = paths::methods(segments).unwrap_or_default();
    let taken =
        |name: &&&str| known.contains(*name) || of_table.iter().any(|(method, on)| method == *name && *on);
    let mut methods: Vec<&str> =
        ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().filter(taken).copied().collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods
}

/// The answer to OPTIONS.
pub(crate) fn described(resource: &dyn Resource, call: &Call) -> Result<Value, ApiError> {
    if allowed(&call.segments).len() < 2 {
        return Err(ApiError::not_found());
    }
    Ok(serde_json::json!({
        "name": events::type_name(resource.kind()), "description": "", "renders": ["application/json"],
        "parses": ["application/json"],
    }))
}

/// Puts a list that a resource has made itself into an envelope when a page is asked for.
fn paged(reply: Reply, call: &Call) -> Result<Reply, ApiError> {
    match reply.content {
        Content::Json(Value::Array(rows)) if call.method == Method::GET => {
            paging::answer(rows, &call.query, false, |page| link(call, page)).map(Reply::ok)
        }
        content => Ok(Reply { content, ..reply }),
    }
}

fn list(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let table = resource.table();
    let related = filter::relations(table, &call.query);
    let rows: Vec<Row> = core.store.read(|state| {
        let rows = resource.rows(core, state);
        let seen = rows.iter().filter(|row| visibility::is_seen(resource, state, row, &call.caller));
        seen.map(|row| {
            let mut shown = show(core, state, resource, row, &call.origin);
            resource.limit(&call.caller, &mut shown);
            filter::attach(core, state, &related, &mut shown, &call.caller);
            shown
        })
        .collect()
    });
    let mut rows = filter::apply(table, rows, &call.query)?;
    ordering::sort(table, &mut rows, &call.query);
    let rows = rows.into_iter().map(|row| visible(table, row)).collect();
    paging::answer(rows, &call.query, table.enveloped, |page| link(call, page)).map(Reply::ok)
}

/// The same list at another page.
fn link(call: &Call, page: usize) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |s: &str| utf8_percent_encode(s, NON_ALPHANUMERIC).to_string();
    let kept = call.query.iter().filter(|(n, _)| n != "page").map(|(n, v)| format!("{n}={}", encode(v)));
    let query: Vec<String> = kept.chain([format!("page={page}")]).collect();
    format!("{}{}/{}/?{}", call.origin, call.prefix, call.segments.join("/"), query.join("&"))
}

fn create(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let table = resource.table();
    let status = table.create.unwrap_or(201);
    let mut row = fields::clean(&table.fields, &call.object()?, true)?;
    if let Some(tenant) = call.caller.tenant
        && table.field("tenant_id").is_some_and(|f| f.on_create)
        && row.get("tenant_id").is_none_or(Value::is_null)
    {
        row.insert("tenant_id".to_owned(), tenant.into());
    }
    call.caller.check_tenant(number(&row, "tenant_id"))?;
    core.store.write(|state| {
        resource.place(state, &call.caller, &mut row);
        fields::check_references(&table.fields, state, &row, &call.caller)?;
        visibility::check_change(resource, state, &row, &call.caller)?;
        resource.refuse_grant(state, &call.caller, &row)?;
        let id = resource.create(core, state, row)?;
        note(core, state, resource, id, "OBJECT_CREATED", call);
        Ok(Reply::json(status, shown_to(core, state, resource, id, call)?))
    })
}

/// The same as the caller may see it.
fn shown_to(
    core: &Arc<Core>,
    state: &State,
    resource: &dyn Resource,
    id: u64,
    call: &Call,
) -> Result<Value, ApiError> {
    let mut shown = shown(core, state, resource, id, &call.origin)?;
    if let Value::Object(row) = &mut shown {
        resource.limit(&call.caller, row);
    }
    Ok(shown)
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
            core.store.read(|state| shown_to(core, state, resource, id, call)).map(Reply::ok)
        }
        (&Method::PATCH, Some(status), _) => patch(core, resource, id, status, call),
        (&Method::PUT, Some(status), _) if table.put.is_some() => {
            call.required_text(table.put.unwrap_or_default())?;
            patch(core, resource, id, status, call)
        }
        (&Method::DELETE, _, Some(removal)) => core.store.write(|state| {
            resource.row(core, state, id).ok_or_else(ApiError::not_found)?;
            resource.refuse_delete(core, state, id, call)?;
            match removal {
                Removal::AtOnce(status) => {
                    let gone = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
                    resource.delete(core, state, id, call)?;
                    let by = &call.caller.name;
                    events::record_change(core, state, by, resource.kind(), id, &gone, "OBJECT_DELETED");
                    Ok(Reply::json(status, Value::Object(Map::new())))
                }
                Removal::Task => Ok(Reply::task(&tasks::delete(core, state, resource, id, call))),
            }
        }),
        _ => paths::rest(call),
    }
}

/// Makes an event of what a client did to an object.
fn note(
    core: &Arc<Core>,
    state: &mut State,
    resource: &dyn Resource,
    id: u64,
    kind: &'static str,
    call: &Call,
) {
    let row = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
    events::record_change(core, state, &call.caller.name, resource.kind(), id, &row, kind);
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
        fields::check_references(fields, state, &changes, &call.caller)?;
        let mut new = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
        new.extend(changes.clone());
        visibility::check_change(resource, state, &new, &call.caller)?;
        resource.refuse_grant(state, &call.caller, &changes)?;
        if resource.table().patch_by_task {
            let task = tasks::modify(core, state, resource, id, changes, &call.caller.name);
            let mut body = shown_to(core, state, resource, id, call)?;
            body["async_task"] = task;
            return Ok(Reply::ok(body));
        }
        resource.update(core, state, id, changes)?;
        note(core, state, resource, id, "OBJECT_MODIFIED", call);
        Ok(Reply::json(status, shown_to(core, state, resource, id, call)?))
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
    refuse_in_use_but(state, kind, id, "")
}

/// The same, where objects of the collection `but` go with what they refer to.
pub(crate) fn refuse_in_use_but(state: &State, kind: &str, id: u64, but: &str) -> Result<(), ApiError> {
    for (other, table) in tables::all().filter(|(other, _)| *other != but) {
        let binding = |r: fields::Relation| r.kind == kind && r.binding;
        for field in table.fields.iter().filter(|f| f.relation.is_some_and(binding)) {
            let uses = |(_, row): &(u64, &Row)| field.references_of_object(row).contains(&id);
            if let Some((_, user)) = state.vms.rows(other).find(uses) {
                let (this, user_kind, name) = (singular(kind), singular(other), fields::title(user));
                return Err(ApiError::conflict(&format!("The {this} is in use by {user_kind} {name}.")));
            }
        }
    }
    Ok(())
}
