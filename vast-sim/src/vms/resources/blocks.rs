//! Block storage as it is managed: `/volumes/`, `/blockhosts/`, and which host sees which volume. No block is ever served:
//! this is what a driver needs that makes volumes and attaches them by name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::tables::{self, Table};
use super::super::{tasks, visibility};
use super::tenants;
use super::view_rules::tenant_of;
use crate::core::Core;
use crate::env;
use crate::store::namespace::{DirectoryInfo, is_under, normal};
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

pub(crate) struct Volumes;
pub(crate) struct BlockHosts;
/// The mappings, under the name that a path has for them.
pub(crate) struct Mappings(pub(crate) &'static str);

/// Where mappings are kept, and their newer path; [`FORMER`] is what drivers for older clusters call.
pub(crate) const MAPPINGS: &str = "blockmappings";
pub(crate) const FORMER: &str = "blockhostvolumes";
/// The task that changes mappings.
pub(crate) const WORK: &str = "map_blocks";

const VOLUME: &str = "_volume";
const HOST: &str = "_host";

/// A volume and a host.
type Pair = (u64, u64);

/// Whose mappings a path changes: the object in the path is one half of each pair.
#[derive(Clone, Copy)]
enum Half {
    Volume(u64),
    Host(u64),
}

impl Half {
    fn field(self) -> (&'static str, u64) {
        match self {
            Self::Volume(id) => (VOLUME, id),
            Self::Host(id) => (HOST, id),
        }
    }

    fn with(self, other: u64) -> Pair {
        match self {
            Self::Volume(id) => (id, other),
            Self::Host(id) => (other, id),
        }
    }
}

fn pair_of(row: &Row) -> Pair {
    (number(row, VOLUME).unwrap_or(0), number(row, HOST).unwrap_or(0))
}

fn mappings(state: &State, half: Half) -> Vec<(u64, Pair)> {
    let (field, id) = half.field();
    let mine = |(_, row): &(u64, &Row)| number(row, field) == Some(id);
    state.vms.rows(MAPPINGS).filter(mine).map(|(id, row)| (id, pair_of(row))).collect()
}

/// Removes what is mapped with an object that goes.
fn forget(state: &mut State, half: Half) {
    for (id, _) in mappings(state, half) {
        state.vms.remove(MAPPINGS, id);
    }
}

/// Refuses to take away what a host uses, unless it is asked with `force`.
fn refuse_mapped(state: &State, half: Half, what: &str, call: &Call) -> Result<(), ApiError> {
    if mappings(state, half).is_empty() || call.asks("force") {
        return Ok(());
    }
    Err(ApiError::conflict(&format!("The {what} is mapped; unmap it first, or pass force=true.")))
}

/// Fills how many others an object is mapped with, and the first of their names.
fn preview(state: &State, row: &mut Row, half: fn(u64) -> Half, others: &str, count: &str, names: &str) {
    let mapped = mappings(state, half(number(row, "id").unwrap_or(0)));
    let other = |(volume, host): Pair| if others == "volumes" { volume } else { host };
    let found = mapped.iter().take(3).filter_map(|(_, pair)| state.vms.row(others, other(*pair)));
    let listed: Vec<&str> = found.map(|r| text(r, "name")).collect();
    row.insert(names.to_owned(), listed.join(", ").into());
    row.insert(count.to_owned(), mapped.len().into());
}

/// The ids in a list of a body; none when it is not there.
fn ids(body: &Value, field: &str) -> Result<Option<BTreeSet<u64>>, ApiError> {
    let wrong = || ApiError::field(field, "Expected a list of integers.");
    let Some(list) = body.get(field).filter(|v| !v.is_null()) else { return Ok(None) };
    let list = list.as_array().ok_or_else(wrong)?;
    list.iter().map(|v| v.as_u64().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
}

fn pairs(body: &Value, field: &str) -> Result<Vec<Pair>, ApiError> {
    let wrong = || ApiError::field(field, "Expected a list of pairs of volume_id and host_id.");
    let Some(list) = body.get(field).filter(|v| !v.is_null()) else { return Ok(Vec::new()) };
    let one = |v: &Value| Some((v.get("volume_id")?.as_u64()?, v.get("host_id")?.as_u64()?));
    list.as_array().ok_or_else(wrong)?.iter().map(|v| one(v).ok_or_else(wrong)).collect()
}

/// Starts the task that maps and unmaps, if all that is named exists.
fn change(
    core: &Arc<Core>,
    state: &mut State,
    caller: &Caller,
    add: &[Pair],
    remove: &[Pair],
) -> Result<Reply, ApiError> {
    for (volume, host) in add.iter().chain(remove) {
        for (kind, field, id) in [("volumes", "volume_id", volume), ("blockhosts", "host_id", host)] {
            if !visibility::is_known(state, kind, *id, caller) {
                return Err(ApiError::lost(field, *id));
            }
        }
    }
    let arguments = as_row(json!({ "add": add, "remove": remove }));
    Ok(Reply::task(&tasks::start(core, state, "blockmappings_modify", WORK, arguments)))
}

/// Maps and unmaps; what is so already stays so.
pub(crate) fn carry_out(core: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let given = |name: &str| -> Vec<Pair> {
        arguments.get(name).cloned().and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default()
    };
    let (add, remove) = (given("add"), given("remove"));
    if let Some((volume, _)) = add.iter().find(|(v, _)| state.vms.row("volumes", *v).is_none()) {
        return Err(format!("volume {volume} is gone"));
    }
    let gone: Vec<u64> =
        state.vms.rows(MAPPINGS).filter(|(_, r)| remove.contains(&pair_of(r))).map(|(id, _)| id).collect();
    for id in &gone {
        state.vms.remove(MAPPINGS, *id);
    }
    let mut made = 0;
    for (volume, host) in add {
        if !state.vms.rows(MAPPINGS).any(|(_, r)| pair_of(r) == (volume, host)) {
            let row = json!({ VOLUME: volume, HOST: host });
            engine::insert(core, state, MAPPINGS, as_row(row));
            made += 1;
        }
    }
    Ok(format!("{made} mapped, {} unmapped.", gone.len()))
}

/// `set_hosts` and `set_volumes` say what is to be mapped in the end, `update_*` what is to be added and removed.
fn half_action(
    core: &Arc<Core>,
    state: &mut State,
    half: Half,
    sets: bool,
    call: &Call,
) -> Result<Reply, ApiError> {
    let body = &call.body;
    let (add, remove): (Vec<Pair>, Vec<Pair>) = if sets {
        let wanted = ids(body, "ids")?.ok_or_else(|| ApiError::required("ids"))?;
        let add: Vec<Pair> = wanted.iter().map(|id| half.with(*id)).collect();
        let now = mappings(state, half).into_iter().map(|(_, pair)| pair);
        let remove = now.filter(|pair| !add.contains(pair)).collect();
        (add, remove)
    } else {
        let list =
            |field| Ok(ids(body, field)?.unwrap_or_default().into_iter().map(|id| half.with(id)).collect());
        (list("ids_to_add")?, list("ids_to_remove")?)
    };
    change(core, state, &call.caller, &add, &remove)
}

/// The snapshots that hold a volume.
fn snapshots_of(state: &State, volume: u64) -> Value {
    let row = state.vms.row("volumes", volume).cloned().unwrap_or_default();
    let tenant = Volumes.tenant(state, &row);
    let holds = |snapshot: &&Row| {
        number(snapshot, "tenant_id") == tenant
            && is_under(text(&row, "full_path"), normal(text(snapshot, "path")))
    };
    let all = state.vms.rows("snapshots").map(|(_, snapshot)| snapshot).filter(holds);
    all.map(|s| json!({ "id": s.get("id"), "name": s.get("name"), "created": s.get("created"), "path": s.get("path") }))
        .collect()
}

/// Deletes the objects whose ids are in the body, all or none.
fn delete_all(core: &Arc<Core>, resource: &dyn Resource, call: &Call) -> Result<Reply, ApiError> {
    let ids = ids(&call.body, "ids")?.ok_or_else(|| ApiError::required("ids"))?;
    core.store.write(|state| {
        for id in &ids {
            let known = visibility::is_known(state, resource.kind(), *id, &call.caller);
            let row = state.vms.row(resource.kind(), *id).filter(|_| known);
            let row = row.ok_or_else(|| ApiError::lost("ids", *id))?;
            visibility::check_change(resource, state, row, &call.caller)?;
            resource.refuse_delete(core, state, *id, call)?;
        }
        for id in ids {
            resource.delete(core, state, id, call)?;
        }
        Ok(Reply::no_content())
    })
}

/// The tenant of the view that a volume lies in.
pub(super) fn tenant_of_volume(state: &State, volume: &Row) -> Option<u64> {
    number(volume, "view_id").and_then(|id| state.vms.row("views", id)).map(tenant_of)
}

/// Where a volume of that name lies in a view.
pub(super) fn path_in(view: &Row, name: &str) -> String {
    format!("{}/{}", normal(text(view, "path")), name.trim_start_matches('/'))
}

/// Refuses a volume outside block views, or with the name of another one. Gives its path.
pub(super) fn check(state: &State, row: &Row) -> Result<String, ApiError> {
    let view_id = number(row, "view_id").unwrap_or(0);
    let view = state.vms.row("views", view_id).ok_or_else(ApiError::not_found)?;
    let is_block =
        view.get("protocols").and_then(Value::as_array).is_some_and(|p| p.contains(&"BLOCK".into()));
    if !is_block {
        return Err(ApiError::field("view_id", "The view does not have the BLOCK protocol."));
    }
    let same = |v: &Row| number(v, "view_id") == Some(view_id) && text(v, "name") == text(row, "name");
    if state.vms.rows("volumes").any(|(_, v)| same(v)) {
        return Err(ApiError::field("name", "volume with this name already exists."));
    }
    Ok(path_in(view, text(row, "name")))
}

/// Refuses to move a volume to where something lies, into itself, or from above another volume.
fn refuse_move(state: &State, tenant: u64, id: u64, from: &str, to: &str) -> Result<(), ApiError> {
    let taken = state.files(tenant).is_directory(to) || state.entry(tenant, to).is_some();
    if taken || is_under(to, from) {
        return Err(ApiError::field("name", format!("{to} is in use.")));
    }
    let below = |(other, row): (u64, &Row)| {
        other != id && tenant_of_volume(state, row) == Some(tenant) && is_under(text(row, "full_path"), from)
    };
    if state.vms.rows("volumes").any(below) {
        return Err(ApiError::field("name", format!("Another volume lies below {from}.")));
    }
    Ok(())
}

/// The volumes of a view.
pub(super) fn volumes_of(state: &State, view_id: u64) -> Vec<u64> {
    let rows = state.vms.rows("volumes");
    rows.filter(|(_, row)| number(row, "view_id") == Some(view_id)).map(|(id, _)| id).collect()
}

impl Resource for Volumes {
    fn kind(&self) -> &'static str {
        "volumes"
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        tenant_of_volume(state, row)
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        let path = check(state, &row)?;
        let view_id = number(&row, "view_id");
        let same_view = |(_, v): &(u64, &Row)| number(v, "view_id") == view_id;
        let number_in_view =
            state.vms.rows("volumes").filter(same_view).filter_map(|(_, v)| number(v, "namespace_id")).max();
        let id = env::random_guid(&*core.entropy);
        // Its place in the namespace is what snapshots are taken of.
        let tenant = tenant_of_volume(state, &row).unwrap_or(tenants::DEFAULT);
        if !state.files(tenant).is_directory(&path) {
            let info = DirectoryInfo { created: core.now_ms(), ..DirectoryInfo::default() };
            state.make_directory(tenant, &path, info);
        }
        row.insert("full_path".to_owned(), path.into());
        row.insert("namespace_id".to_owned(), (number_in_view.unwrap_or(0) + 1).into());
        row.insert("nguid".to_owned(), id.replace('-', "").into());
        row.insert("uuid".to_owned(), id.into());
        row.insert("capacity".to_owned(), 0.into());
        Ok(engine::insert(core, state, "volumes", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        let old = state.vms.row("volumes", id).cloned().ok_or_else(ApiError::not_found)?;
        let mut new = old.clone();
        new.extend(changes.clone());
        if text(&new, "name") != text(&old, "name") {
            let (from, to) = (text(&old, "full_path"), check(state, &new)?);
            if from != to {
                let tenant = tenant_of_volume(state, &old).unwrap_or(tenants::DEFAULT);
                refuse_move(state, tenant, id, from, &to)?;
                state.move_tree(tenant, from, &to);
                changes.insert("full_path".to_owned(), to.into());
            }
        }
        state.vms.update("volumes", id, changes);
        Ok(())
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name == "bulk" && call.method == Method::DELETE).then(|| delete_all(core, self, call))
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        refuse_mapped(state, Half::Volume(id), "volume", call)
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        let row = state.vms.row("volumes", id).ok_or_else(ApiError::not_found)?;
        let (tenant, path) = (tenant_of_volume(state, row), text(row, "full_path").to_owned());
        forget(state, Half::Volume(id));
        state.vms.remove("volumes", id);
        if let Some(tenant) = tenant {
            state.remove_tree(tenant, &path);
        }
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let counted = ("mapped_block_host_count", "mapped_block_hosts_preview");
        preview(state, row, Half::Volume, "blockhosts", counted.0, counted.1);
        let view = number(row, "view_id").and_then(|id| state.vms.row("views", id));
        let tenant = view.and_then(|v| state.vms.row("tenants", number(v, "tenant_id").unwrap_or(1)));
        row.insert("tenant_name".to_owned(), tenant.map_or(Value::Null, |t| text(t, "name").into()));
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        Some(match (name, &call.method) {
            ("set_hosts" | "update_hosts", &Method::PATCH) => {
                half_action(core, state, Half::Volume(id), name == "set_hosts", call)
            }
            ("get_snapshots", &Method::GET) => Ok(Reply::ok(snapshots_of(state, id))),
            ("fetch_capacity", &Method::GET) => Ok(Reply::ok(json!({ "capacity": 0 }))),
            _ => return None,
        })
    }
}

impl Resource for BlockHosts {
    fn kind(&self) -> &'static str {
        "blockhosts"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        (name == "bulk" && call.method == Method::DELETE).then(|| delete_all(core, self, call))
    }

    fn refuse_delete(&self, _: &Arc<Core>, state: &State, id: u64, call: &Call) -> Result<(), ApiError> {
        refuse_mapped(state, Half::Host(id), "host", call)
    }

    fn delete(&self, _: &Arc<Core>, state: &mut State, id: u64, _: &Call) -> Result<(), ApiError> {
        forget(state, Half::Host(id));
        state.vms.remove("blockhosts", id);
        Ok(())
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        preview(state, row, Half::Host, "volumes", "mapped_volume_count", "mapped_volumes_preview");
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        Some(match (name, &call.method) {
            ("set_volumes" | "update_volumes", &Method::PATCH) => {
                half_action(core, state, Half::Host(id), name == "set_volumes", call)
            }
            _ => return None,
        })
    }
}

impl Resource for Mappings {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn table(&self) -> &'static Table {
        tables::of(MAPPINGS)
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        state.vms.row("volumes", pair_of(row).0).and_then(|volume| Volumes.tenant(state, volume))
    }

    fn rows<'s>(&self, _: &Arc<Core>, state: &'s State) -> Vec<Cow<'s, Row>> {
        state.vms.rows(MAPPINGS).map(|(_, row)| Cow::Borrowed(row)).collect()
    }

    fn row<'s>(&self, _: &Arc<Core>, state: &'s State, id: u64) -> Option<Cow<'s, Row>> {
        state.vms.row(MAPPINGS, id).map(Cow::Borrowed)
    }

    fn present(&self, _: &Arc<Core>, state: &State, row: &mut Row) {
        let (volume, host) = pair_of(row);
        for (field, kind, id) in [("volume", "volumes", volume), ("block_host", "blockhosts", host)] {
            let name = state.vms.row(kind, id).map_or("", |r| text(r, "name"));
            row.insert(field.to_owned(), json!({ "id": id, "name": name }));
            // For filters; what the table does not show does not leave.
            row.insert(format!("{field}_id"), id.into());
        }
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if name != "bulk" || call.method != Method::PATCH {
            return None;
        }
        Some(core.store.write(|state| {
            let list = |field| pairs(&call.body, field);
            change(core, state, &call.caller, &list("pairs_to_add")?, &list("pairs_to_remove")?)
        }))
    }
}
