//! `/folders/`: directories made, changed, looked at, removed and made read-only by path.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::env;
use crate::store::frozen::is_in_snapshot;
use crate::store::namespace::{DirectoryInfo, is_under, normal};
use crate::store::registry::{as_row, flag, number, text};
use crate::store::state::State;
use crate::store::version::{Entry, Version};

pub(crate) struct Folders;

/// Rows of directories that are read-only.
const READ_ONLY: &str = "read_only_folders";

/// The read-only directory that a path lies in, if any.
pub(crate) fn read_only_over<'s>(state: &'s State, tenant: u64, path: &str) -> Option<&'s str> {
    let over = |(_, row): &(u64, &crate::store::registry::Row)| {
        number(row, "tenant_id") == Some(tenant) && is_under(path, text(row, "path"))
    };
    state.vms.rows(READ_ONLY).find(over).map(|(_, row)| text(row, "path"))
}

fn no_such_directory(path: &str) -> ApiError {
    ApiError::bad_request(&format!("{path}: no such directory"))
}

/// The path that a call is about, without trailing slash.
pub(super) fn path_of(call: &Call) -> Result<String, ApiError> {
    let given = call.body.get("path").and_then(Value::as_str).or_else(|| call.param("path"));
    let given = given.ok_or_else(|| ApiError::required("path"))?;
    if !given.starts_with('/') {
        return Err(ApiError::field("path", "A path starts with a slash."));
    }
    if given.split('/').any(|part| part == "." || part == "..")
        || given.contains("//")
        || is_in_snapshot(given)
        || given.len() > 4096
    {
        return Err(ApiError::field("path", "Not a path."));
    }
    match normal(given) {
        "" => Err(ApiError::field("path", "The root directory cannot be changed.")),
        path => Ok(path.to_owned()),
    }
}

/// Owner and mode from a body.
fn attributes(body: &Value, mut known: Map<String, Value>) -> Map<String, Value> {
    for field in ["user", "group", "owner_is_group", "create_dir_mode", "inherit_acl"] {
        if let Some(value) = body.get(field).filter(|v| !v.is_null()) {
            known.insert(field.to_owned(), value.clone());
        }
    }
    known
}

impl Resource for Folders {
    fn kind(&self) -> &'static str {
        "folders"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        let work: Work = match (name, &call.method) {
            ("create_folder", &Method::POST) => create,
            ("modify_folder", &Method::PATCH) => modify,
            ("stat_path", &Method::POST) => stat,
            ("delete_folder", &Method::DELETE) => delete,
            ("read_only", &Method::GET) => get_read_only,
            ("read_only", &Method::POST) => set_read_only,
            ("read_only", &Method::DELETE) => unset_read_only,
            _ => return None,
        };
        Some(path_of(call).and_then(|path| {
            core.store.write(|state| {
                let tenant = call.tenant(state)?;
                work(core, state, tenant, &path, call)
            })
        }))
    }
}

type Work = fn(&Arc<Core>, &mut State, u64, &str, &Call) -> Result<Reply, ApiError>;

fn nothing() -> Reply {
    Reply::ok(Value::Object(Map::new()))
}

fn create(
    core: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    call: &Call,
) -> Result<Reply, ApiError> {
    if state.files(tenant).is_directory(path) {
        return Err(ApiError::bad_request(&format!("{path}: directory already exists")));
    }
    if state.current(tenant, path).is_some() {
        return Err(ApiError::bad_request(&format!("{path}: a file of that name exists")));
    }
    refuse_read_only(state, tenant, path)?;
    let created = core.now_ms();
    state.make_directory(
        tenant,
        path,
        DirectoryInfo { created, attributes: attributes(&call.body, Map::new()) },
    );
    Ok(nothing())
}

fn refuse_read_only(state: &State, tenant: u64, path: &str) -> Result<(), ApiError> {
    match read_only_over(state, tenant, path) {
        Some(dir) => Err(ApiError::bad_request(&format!("{dir} is read-only"))),
        None => Ok(()),
    }
}

fn modify(
    core: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    call: &Call,
) -> Result<Reply, ApiError> {
    if !state.files(tenant).is_directory(path) {
        return Err(no_such_directory(path));
    }
    refuse_read_only(state, tenant, path)?;
    let known = state.files(tenant).directory(path).cloned();
    let mut info = known.unwrap_or(DirectoryInfo { created: core.now_ms(), attributes: Map::new() });
    info.attributes = attributes(&call.body, info.attributes);
    state.make_directory(tenant, path, info);
    Ok(nothing())
}

fn stat(core: &Arc<Core>, state: &mut State, tenant: u64, path: &str, _: &Call) -> Result<Reply, ApiError> {
    let files = state.files(tenant);
    let is_directory = files.is_directory(path);
    let object = state.current(tenant, path);
    if !is_directory && object.is_none() {
        return Err(no_such_directory(path));
    }
    let info = files.directory(path).cloned().unwrap_or_default();
    let newest = || files.walk(path).filter_map(|(_, e)| e.current()).map(|o| o.modified).max();
    let modified = object.map(|o| o.modified).or_else(newest).unwrap_or(info.created).max(info.created);
    // Views that make their directory call its owners otherwise.
    let owner = |names: [&str; 2]| {
        let found = names.iter().find_map(|n| info.attributes.get(*n)?.as_str().filter(|o| !o.is_empty()));
        found.unwrap_or("root").to_owned()
    };
    let (user, group) = (owner(["user", "owner"]), owner(["group", "owning_group"]));
    let id = |kind: &str, name: &str, field: &str| {
        state.vms.find(kind, "name", name).and_then(|(_, row)| number(row, field)).unwrap_or(0)
    };
    let stamp = env::rfc3339(if modified == 0 { core.now_ms() } else { modified });
    Ok(Reply::ok(json!({
        "is_directory": is_directory, "children": if is_directory { files.children(path) } else { 0 },
        "owning_user": user, "owning_group": group, "owning_uid": id("users", &user, "uid"),
        "owning_gid": id("groups", &group, "gid"), "atime": stamp, "mtime": stamp, "ctime": stamp,
        "abac_tags": [], "has_default_acl": false, "smb_readonly_flag": read_only_over(state, tenant, path).is_some(),
        "indestructible_object_timeout": null, "worm_auto_commit_timeout": null, "worm_legal_hold_status": null,
        "worm_lock_status": null, "worm_retention_mode": null, "worm_retention_timeout": null,
    })))
}

/// Deletes a directory with all that is in it.
pub(super) fn delete(
    core: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    _: &Call,
) -> Result<Reply, ApiError> {
    if !state.vms.rows("clusters").any(|(_, row)| flag(row, "enable_trash")) {
        return Err(ApiError::bad_request("trash folder disabled"));
    }
    if !state.files(tenant).is_directory(path) {
        return Err(no_such_directory(path));
    }
    refuse_read_only(state, tenant, path)?;
    refuse_locked(core, state, tenant, path)?;
    state.remove_tree(tenant, path);
    Ok(nothing())
}

/// Refuses to remove a directory with a version in it that a retention or a legal hold protects.
pub(super) fn refuse_locked(core: &Core, state: &State, tenant: u64, path: &str) -> Result<(), ApiError> {
    let now = core.now_ms();
    let is_locked = |entry: &Entry| {
        entry
            .versions()
            .filter_map(Version::object)
            .any(|o| o.attributes.lock.check_delete(now, false).is_err())
    };
    match state.files(tenant).walk(path).find(|(_, entry)| is_locked(entry)) {
        Some((locked, _)) => {
            Err(ApiError::bad_request(&format!("{locked} is locked until its retention is over.")))
        }
        None => Ok(()),
    }
}

fn row_of(state: &State, tenant: u64, path: &str) -> Option<u64> {
    let same = |(_, row): &(u64, &crate::store::registry::Row)| {
        number(row, "tenant_id") == Some(tenant) && text(row, "path") == path
    };
    state.vms.rows(READ_ONLY).find(same).map(|(id, _)| id)
}

fn get_read_only(
    _: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    _: &Call,
) -> Result<Reply, ApiError> {
    if !state.files(tenant).is_directory(path) {
        return Err(no_such_directory(path));
    }
    Ok(Reply::ok(match read_only_over(state, tenant, path) {
        Some(root) => json!({ "root_path": root, "state": "READ_ONLY" }),
        None => json!({ "root_path": path, "state": "READ_WRITE" }),
    }))
}

fn set_read_only(
    _: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    _: &Call,
) -> Result<Reply, ApiError> {
    if !state.files(tenant).is_directory(path) {
        return Err(no_such_directory(path));
    }
    if row_of(state, tenant, path).is_none() {
        let row = json!({ "tenant_id": tenant, "path": path });
        state.vms.insert(READ_ONLY, as_row(row));
    }
    Ok(Reply::json(StatusCode::CREATED.as_u16(), Value::Object(Map::new())))
}

fn unset_read_only(
    _: &Arc<Core>,
    state: &mut State,
    tenant: u64,
    path: &str,
    _: &Call,
) -> Result<Reply, ApiError> {
    let id = row_of(state, tenant, path)
        .ok_or_else(|| ApiError::detail(StatusCode::NOT_FOUND, &format!("{path} is not read-only")))?;
    state.vms.remove(READ_ONLY, id);
    Ok(Reply::json(StatusCode::NO_CONTENT.as_u16(), Value::Null))
}
