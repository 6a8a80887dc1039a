//! The paths below a view: legal hold, CORS rules, the repair of permissions.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{Call, Reply};
use super::super::error::ApiError;
use super::super::{tasks, visibility};
use super::view_rules::{is_bucket, tenant_of};
use crate::core::Core;
use crate::s3::cors;
use crate::store::namespace::is_under;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;
use crate::store::version::{Entry, VersionId};

/// The hidden field that says whether a view has triggers of NFS 4, which nothing here ever pulls.
const TRIGGERS: &str = "__nfs4_triggers";
/// Names of a CORS rule's fields, in VMS's spelling and in that of AWS.
const CORS_FIELDS: [(&str, &str); 6] = [
    ("allowed_headers", "AllowedHeaders"),
    ("allowed_methods", "AllowedMethods"),
    ("allowed_origins", "AllowedOrigins"),
    ("expose_headers", "ExposeHeaders"),
    ("max_age_seconds", "MaxAgeSeconds"),
    ("id", "ID"),
];

/// A path below a view's object; none when there is no such path.
pub(crate) fn action(
    core: &Arc<Core>,
    state: &mut State,
    id: u64,
    name: &str,
    call: &Call,
) -> Option<Result<Reply, ApiError>> {
    let view = state.vms.row("views", id)?.clone();
    Some(match (name, &call.method) {
        ("legal_hold", &Method::GET) => legal_hold(state, &view, call.param("legal_hold_path")),
        ("legal_hold", &Method::PATCH) => set_legal_hold(state, &view, call),
        ("s3cors_configuration", &Method::GET) => shown_cors(state, &view, call.asks("aws_format")),
        ("s3cors_configuration", &Method::POST) => set_cors(state, &view, &call.body),
        ("s3cors_configuration", &Method::DELETE) => bucket_of(&view).map(|bucket| {
            state.set_document(bucket, cors::DOCUMENT, None);
            Reply::no_content()
        }),
        ("nfs4_triggers", &Method::GET) => Ok(Reply::ok(json!({ "enabled": flag(&view, TRIGGERS) }))),
        ("nfs4_triggers", &Method::POST) => call.required_switch("enabled").map(|on| {
            state.vms.update("views", id, Row::from_iter([(TRIGGERS.to_owned(), on.into())]));
            Reply::no_content()
        }),
        ("permissions_repair", &Method::POST) => start_repair(core, state, id, &view, call),
        ("permissions_repair", &Method::DELETE) => Ok(Reply::ok(json!({}))),
        _ => return None,
    })
}

/// The path inside the tenant of what a request names inside a view.
fn inside(view: &Row, field: &str, path: Option<&str>) -> Result<String, ApiError> {
    let path = path.filter(|p| !p.is_empty()).ok_or_else(|| ApiError::required(field))?;
    let root = text(view, "path").trim_end_matches('/');
    // Whole paths and paths below the view are both in use.
    Ok(if is_under(path, root) {
        path.to_owned()
    } else {
        format!("{root}/{}", path.trim_start_matches('/'))
    })
}

/// The objects that a request names: one, or all below a directory. For each its path, the id of its current version,
/// and whether that is held.
fn held(state: &State, view: &Row, path: Option<&str>) -> Result<Vec<(String, VersionId, bool)>, ApiError> {
    let path = inside(view, "legal_hold_path", path)?;
    let files = state.files(tenant_of(view));
    let one = |path: &str, entry: &Entry| {
        let version = entry.newest()?;
        Some((path.to_owned(), version.id, version.object()?.attributes.lock.legal_hold == Some(true)))
    };
    if let Some(found) = state.entry(tenant_of(view), &path).and_then(|entry| one(&path, entry)) {
        return Ok(vec![found]);
    }
    if !files.is_directory(&path) {
        return Err(ApiError::field("legal_hold_path", format!("{path}: no such file or directory.")));
    }
    Ok(files.walk(&path).filter_map(|(path, entry)| one(path, entry)).collect())
}

/// A directory is held when everything in it is.
fn legal_hold(state: &State, view: &Row, path: Option<&str>) -> Result<Reply, ApiError> {
    let all = held(state, view, path)?;
    let value = !all.is_empty() && all.iter().all(|(_, _, held)| *held);
    Ok(Reply::ok(json!({ "value": value.to_string() })))
}

fn set_legal_hold(state: &mut State, view: &Row, call: &Call) -> Result<Reply, ApiError> {
    let value = call.required_switch("value")?;
    if value && !flag(view, "locking") {
        return Err(ApiError::bad_request("The view does not lock files: locking is off."));
    }
    let path = call.body.get("legal_hold_path").and_then(Value::as_str);
    for (path, id, _) in held(state, view, path)? {
        state
            .change_object(tenant_of(view), &path, id, |attributes| attributes.lock.legal_hold = Some(value));
    }
    Ok(Reply::ok(json!({ "legal_hold_path": path, "value": value })))
}

fn bucket_of(view: &Row) -> Result<&str, ApiError> {
    if is_bucket(view) {
        Ok(text(view, "bucket"))
    } else {
        Err(ApiError::bad_request("The view has no bucket: S3 is not among its protocols."))
    }
}

/// A rule with its fields in the other spelling; fields that no rule has are dropped.
fn respelt(rule: &Value, to_aws: bool) -> Value {
    let fields = CORS_FIELDS.iter().filter_map(|(vms, aws)| {
        let (from, to) = if to_aws { (vms, aws) } else { (aws, vms) };
        rule.get(*from).map(|value| ((*to).to_owned(), value.clone()))
    });
    Value::Object(fields.collect())
}

fn shown_cors(state: &State, view: &Row, aws: bool) -> Result<Reply, ApiError> {
    let bucket = bucket_of(view)?;
    let rules = state
        .bucket(bucket)
        .and_then(|b| b.documents.get(cors::DOCUMENT)?.as_array().cloned())
        .unwrap_or_default();
    Ok(Reply::ok(if aws {
        let rules: Value = rules.iter().map(|r| respelt(r, true)).collect();
        json!({ "aws_cors_rules": rules, "cors_rules": null })
    } else {
        json!({ "cors_rules": rules, "aws_cors_rules": null })
    }))
}

fn set_cors(state: &mut State, view: &Row, body: &Value) -> Result<Reply, ApiError> {
    let bucket = bucket_of(view)?;
    let rules: Vec<Value> = match (body.get("cors_rules"), body.get("aws_cors_rules")) {
        (Some(Value::Array(rules)), _) => rules.clone(),
        (None, Some(Value::Array(rules))) => rules.iter().map(|r| respelt(r, false)).collect(),
        _ => return Err(ApiError::field("cors_rules", "Expected a list of items.")),
    };
    cors::parse(&rules.clone().into()).map_err(|why| ApiError::field("cors_rules", why))?;
    state.set_document(bucket, cors::DOCUMENT, Some(rules.clone().into()));
    Ok(Reply::created(rules.into()))
}

fn start_repair(
    core: &Arc<Core>,
    state: &mut State,
    id: u64,
    view: &Row,
    call: &Call,
) -> Result<Reply, ApiError> {
    let body = call.object()?;
    for field in ["target_path", "template_dir_path"] {
        inside(view, field, body.get(field).and_then(Value::as_str))?;
    }
    let known = |view| visibility::is_known(state, "views", view, &call.caller);
    if number(&body, "template_view_id").is_none_or(|view| !known(view)) {
        return Err(ApiError::field("template_view_id", "A view that exists is required."));
    }
    let mut arguments = body;
    arguments.insert("view_id".to_owned(), id.into());
    set_progress(state, id, "RUNNING", 0);
    let task = tasks::start(core, state, "permissions_repair", "permissions_repair", arguments);
    Ok(Reply::task(&task))
}

fn set_progress(state: &mut State, view: u64, outcome: &str, percent: u64) {
    let change = Row::from_iter([
        ("bulk_permission_update_state".to_owned(), outcome.into()),
        ("bulk_permission_update_progress".to_owned(), percent.into()),
    ]);
    state.vms.update("views", view, change);
}

/// The end of a repair: S3 knows no modes to repair, so all there is to do is to find the target.
pub(crate) fn finish_repair(_: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let id = number(arguments, "view_id").unwrap_or(0);
    let view = state.vms.row("views", id).cloned().ok_or("The view is gone.")?;
    let target =
        inside(&view, "target_path", Some(text(arguments, "target_path"))).map_err(|e| e.body.to_string())?;
    let files = state.files(tenant_of(&view));
    if !files.is_directory(&target) && state.entry(tenant_of(&view), &target).is_none() {
        set_progress(state, id, "FAILED", 0);
        return Err(format!("{target}: no such directory"));
    }
    set_progress(state, id, "COMPLETED", 100);
    Ok(format!("Permissions under {target} were repaired."))
}
